"""Writes a trained model as a numbered version for TensorFlow Serving, and checks that it computes the same.

Example:
  python bin/export.py --model=runs/standard/best.keras --output=/srv/cnnf
  python bin/export.py --model=runs/standard/best.keras --output=/srv/cnnf \\
      --iterations=5 --tolerance=0.2

Writes --output/1 (then 2, 3, ...), a SavedModel with the signatures serving_default, serving_uint8, classify,
classify_uint8, reconstruct and trajectory, class names and warm-up requests; and, where they do not exist yet,
--output/models.config and --output/batching.config. The version appears at once and only after it was reloaded in two
fresh processes and agreed with the original on --num_images images; an export that fails or is killed leaves none.
Needs the extra `serving`. docs/serving.md shows how to serve the folder and how to ask it.
"""

import pathlib

import _app
from absl import flags

import cnnf_tf

_MODEL = _app.define_model()
_OUTPUT = _app.define_output("Folder of the versions.")
_NAME = flags.DEFINE_string("name", "", "The model's name in requests; default: the last part of --output.")
_VERSION = flags.DEFINE_integer("version", 0, "Number of the version; 0: the highest plus one.", lower_bound=0)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --version if it exists.")
_app.define_iterations(what="Feedback passes of serving_default and reconstruct;")
_TOLERANCE = flags.DEFINE_float(
    "tolerance", 0.0, "serving_default stops an image once it moves less than this; 0: never early.", lower_bound=0.0
)
_MAX_ITERATIONS = flags.DEFINE_integer(
    "max_iterations",
    0,
    "Most feedback passes a request may ask for; trajectory runs so many. 0: 10, or --iterations if that is more.",
    lower_bound=0,
)
_app.limit_iterations("max_iterations")
_CHUNK_SIZE = flags.DEFINE_integer(
    "chunk_size", 128, "Images in work at once; what more a request holds is done in turn.", lower_bound=1
)
_MAX_IMAGES = flags.DEFINE_integer("max_images", 16_384, "Most images in one request.", lower_bound=1)
_CLASS_NAMES = flags.DEFINE_list(
    "class_names", [], "Names of the classes, by comma; default: those of the preset, else --dataset."
)
_app.define_data("Split of the images.", dataset_help="Real images to check with: ")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 32, "So many images.", lower_bound=1)


def main() -> None:
    _app.require(_MODEL, _OUTPUT)
    if _OVERWRITE.value and not _VERSION.value:
        raise _app.UsageError("--overwrite wants the --version to replace.")

    _app.start_tensorflow()
    import numpy as np

    model = cnnf_tf.load_model(_MODEL.value)
    try:
        options = cnnf_tf.serving.ServingOptions.for_model(
            model,
            iterations=_app.iterations_of(model),
            tolerance=_TOLERANCE.value,
            max_iterations=_MAX_ITERATIONS.value or None,
            chunk_size=_CHUNK_SIZE.value,
            max_images=_MAX_IMAGES.value,
        )
    except ValueError as error:
        raise _app.UsageError(str(error)) from error
    dataset = _app.load_data_for(model, labelled=not _CLASS_NAMES.value, limit=_NUM_IMAGES.value)
    exported = cnnf_tf.serving.export_model(
        model,
        _OUTPUT.value,
        options=options,
        class_names=_CLASS_NAMES.value or cnnf_tf.zoo.class_names(_MODEL.value) or _app.data_info().class_names,
        images=np.stack([image for image, _ in dataset.as_numpy_iterator()]),
        name=_NAME.value or None,
        version=_VERSION.value or None,
        overwrite=_OVERWRITE.value,
    )
    for loader, difference in exported.differences.items():
        print(f"reloaded with {loader}: largest difference from the original {difference:.1e}")
    for path in (exported.directory, *exported.config_files):
        print(f"wrote {path}")
    for name in ("models.config", "batching.config"):
        path = pathlib.Path(_OUTPUT.value).absolute() / name
        if path not in exported.config_files:
            print(f"kept {path}")


if __name__ == "__main__":
    _app.run(main)
