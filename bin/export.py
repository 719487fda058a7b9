"""Writes a trained model for TensorFlow Serving, or as an ONNX or LiteRT file, and checks that it computes the same.

Example:
  python bin/export.py --model=runs/standard/best.keras --output=/srv/cnnf
  python bin/export.py --model=runs/standard/best.keras --output=/srv/cnnf \\
      --iterations=5 --tolerance=0.2
  python bin/export.py --model=runs/standard/best.keras --format=onnx \\
      --output=cnnf.onnx --iterations_input

--format=savedmodel writes --output/1 (then 2, 3, ...), a SavedModel with the signatures serving_default, serving_uint8,
classify, classify_uint8, reconstruct and trajectory, class names and warm-up requests; and, where they do not exist
yet, --output/models.config and --output/batching.config. --format=onnx and --format=litert write one file, NAME.onnx or
NAME.tflite, that takes images and gives logits, probabilities and self_consistency.

What is written appears at once, and only after it was reloaded in fresh processes and agreed with the original on
--num_images images; an export that fails or is killed leaves none. Needs the extra `serving`, `onnx` or `litert`.
docs/serving.md shows how to serve the folder, how to ask it, and how to run the files.
"""

import dataclasses
import inspect
import pathlib
from typing import Any

import _app
from absl import flags

import cnnf_tf

_MODEL = _app.define_model()
_SUFFIXES = {"savedmodel": "", "onnx": ".onnx", "litert": ".tflite"}
_FORMAT = flags.DEFINE_enum("format", "savedmodel", _SUFFIXES, "What to write: a SavedModel, or a file for a runtime.")
_OUTPUT = _app.define_output(
    "Folder of the versions; or the file, NAME.onnx or NAME.tflite.",
    suffix=lambda: _SUFFIXES[_FORMAT.value],
    replaces=False,
)
flags.DEFINE_string("name", "", "The model's name in requests; default: the last part of --output.")
_VERSION = flags.DEFINE_integer("version", 0, "Number of the version; 0: the highest plus one.", lower_bound=0)
_app.define_iterations(what="Feedback passes; of a SavedModel those of serving_default and reconstruct;")
flags.DEFINE_float(
    "tolerance", 0.0, "serving_default stops an image once it moves less than this; 0: never early.", lower_bound=0.0
)
flags.DEFINE_integer(
    "max_iterations",
    0,
    "Most feedback passes a request may ask for; trajectory runs so many. 0: 10, or --iterations if that is more.",
    lower_bound=0,
)
_app.limit_iterations("max_iterations")
flags.DEFINE_integer(
    "chunk_size", 128, "Images in work at once; what more a request holds is done in turn.", lower_bound=1
)
flags.DEFINE_integer("max_images", 16_384, "Most images in one request.", lower_bound=1)
flags.DEFINE_bool(
    "iterations_input", False, "Make K an input of the file, with a loop in its graph; --iterations is its default."
)
flags.DEFINE_enum("weights", "float32", ("float32", "float16", "int8"), "What weights of a LiteRT file are kept as.")
flags.DEFINE_integer(
    "fixed_batch", 0, "Images in each batch of a file, as some accelerators want it; 0: any number.", lower_bound=0
)
_CLASS_NAMES = flags.DEFINE_list(
    "class_names", [], "Names of the classes, by comma; default: those of the preset, else --dataset."
)
_app.define_data("Split of the images.", dataset_help="Real images to check with: ")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 32, "So many images.", lower_bound=1)

_OWN: tuple[str, ...] = ("name", "version", "tolerance", "max_iterations", "chunk_size", "max_images")
_OWN += ("iterations_input", "weights", "fixed_batch")
"""Flags that not every format has."""
_WHY = {
    "tolerance": "images that stop by themselves leave the work, and graphs of this format keep their shapes",
    "max_iterations": "without tolerance it is --iterations, which --iterations_input makes an input",
}


def main() -> None:
    _app.require(_MODEL, _OUTPUT)
    if _FORMAT.value == "savedmodel" and flags.FLAGS.overwrite and not _VERSION.value:
        raise _app.UsageError("--overwrite wants the --version to replace.")

    _app.start_tensorflow()
    import numpy as np

    chosen = cnnf_tf.serving.FORMATS[_FORMAT.value]
    arguments = _own_arguments(chosen)
    model = cnnf_tf.load_model(_MODEL.value)
    names = [field.name for field in dataclasses.fields(chosen.options) if field.name in arguments]
    try:
        fixed = {name: arguments.pop(name) for name in names}
        options = chosen.options.for_model(model, iterations=_app.iterations_of(model), **fixed)
    except ValueError as error:
        raise _app.UsageError(str(error)) from error
    dataset = _app.load_data_for(model, labelled=not _CLASS_NAMES.value, limit=_NUM_IMAGES.value)
    images, labels = map(np.stack, zip(*dataset.as_numpy_iterator(), strict=True))
    if "labels" in inspect.signature(chosen.export).parameters and not _CLASS_NAMES.value:
        arguments["labels"] = labels
    exported = chosen.export(
        model,
        _OUTPUT.value,
        options=options,
        class_names=_CLASS_NAMES.value or cnnf_tf.zoo.class_names(_MODEL.value) or _app.data_info().class_names,
        images=images,
        overwrite=flags.FLAGS.overwrite,
        **arguments,
    )
    (_report_file if chosen.suffix else _report_folder)(exported)


def _own_arguments(chosen: Any) -> dict[str, Any]:
    """The values of the flags in `_OWN` that were given.

    Raises:
      UsageError: one of them is of another format.
    """
    known = {field.name for field in dataclasses.fields(chosen.options)} | {
        *inspect.signature(chosen.export).parameters
    }
    given = {name: flags.FLAGS[name].value for name in _OWN if flags.FLAGS[name].present}
    for name in given:
        if name not in known:
            why = f" ({_WHY[name]})" if name in _WHY else ""
            raise _app.UsageError(f"--format={_FORMAT.value} has no --{name}{why}.")
    return {name: value for name, value in given.items() if value not in (0, "") or name == "tolerance"}


def _report_folder(exported: Any) -> None:
    for loader, difference in exported.differences.items():
        print(f"reloaded with {loader}: largest difference from the original {difference:.1e}")
    for path in (exported.directory, *exported.config_files):
        print(f"wrote {path}")
    for name in ("models.config", "batching.config"):
        path = pathlib.Path(_OUTPUT.value).absolute() / name
        if path not in exported.config_files:
            print(f"kept {path}")


def _report_file(exported: Any) -> None:
    print(f"reloaded with {exported.loader}, beside the original:")
    for each in exported.answers:
        print(f"  K = {each.iterations}: largest difference {each.difference:.1e}", end="")
        print(f"; {each.differing} of {each.images} images differ by more than 1e-4", end="")
        print(f"; the same label for {each.agreement:.1%}", end="")
        print("; right {:.1%}, the original {:.1%}".format(*each.accuracy) if each.accuracy else "")
    print(f"wrote {exported.path} ({exported.path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    _app.run(main)
