"""Records what layers of a model compute in every pass of its loop, in one file for xarray and h5py.

Example:
  python bin/activations.py --model=pretrained:fashion_mnist_standard \\
      --list_layers
  python bin/activations.py --model=runs/standard/best.keras \\
      --layers='conv*.f,h.g' --iterations=5 --output=runs/conv.nc
  python bin/activations.py --model=runs/standard/best.keras --layers='*' \\
      --reduce=pca:100 --num_images=2000 --output=runs/all.nc
  python bin/activations.py --model=runs/standard/best.keras --layers=tap3.f \\
      --images=folder --fit --output=runs/mine.nc

--layers takes names PLACE.KIND, by comma, with patterns as in file names (*, ?, [ab]): PLACE is h, what the loop moves,
or the path of a layer, or its bare name; KIND is f (features, the default), z (latents, of rectifiers and max pools) or
g (signals that came down). --list_layers prints all of them.

The file is NetCDF-4, which is HDF5. Each name is a variable with the dimensions pass (0, the plain CNN, to K'), image
and those of the layer; class and image_id tell the images. It is written batch by batch and appears when it is whole.
Before the work the size of the file is printed, and whether the disk has room for it. docs/activations.md tells more,
and how to read the file. Needs the extra `activations`.
"""

import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import _app
import _images
from absl import flags

import cnnf_tf
from cnnf_tf.utils.files import text_of
from cnnf_tf.utils.progress import Progress
from cnnf_tf.utils.tables import aligned

_MODEL = _app.define_model()
_DATASET, _SPLIT = _app.define_data("Split to record; slices such as test[:1000] are allowed.", batch_size=64)
_IMAGES = _images.define_images(", of your own, instead of --dataset")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 0, "Only the first so many images; 0: all.", lower_bound=0)
_LAYERS = flags.DEFINE_list("layers", [], "What to record, such as 'conv*.f,h.g'; in quotes, or the shell reads it.")
_LIST_LAYERS = flags.DEFINE_bool("list_layers", False, "Print what can be recorded, and the shape of an image's.")
_app.define_iterations()
_REDUCE = flags.DEFINE_string(
    "reduce",
    "",
    "mean: over height and width. pca:N: the first N principal components of all images in all passes. sparse:N: a "
    "sparse random projection to N numbers. Default: everything.",
)
_SEED = _app.define_seed("--reduce=sparse:N")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "float16"], "Numbers in the file: 4 bytes or 2.")
_OUTPUT = _app.define_output("File to write, ending in .nc.", suffix=".nc", replaces=False)


class _Data(NamedTuple):
    """What to record activations of."""

    batches: Iterable[Any]
    num_images: int
    image_shape: Sequence[int]
    image_ids: Iterable[str]
    class_names: Sequence[str] | None
    facts: dict[str, Any]
    """For the file."""


def main() -> None:
    _app.require(_MODEL)
    if not _LIST_LAYERS.value:
        if not _LAYERS.value:
            raise _app.UsageError("--layers must be given, such as --layers='conv*'; --list_layers prints all names.")
        _app.require(_OUTPUT)
        _app.need_extra("--output", "h5netcdf", "activations")

    _app.start_tensorflow()
    from cnnf_tf.evaluation.recordings import store, writing
    from cnnf_tf.utils.environment import bytes_text

    model = cnnf_tf.load_model(_MODEL.value)
    if _LIST_LAYERS.value:
        print(_table(cnnf_tf.evaluation.list_activations(model)))
        return
    options = {"iterations": _app.iterations_of(model), "reduce": _REDUCE.value or None, "seed": _SEED.value}
    recording = cnnf_tf.evaluation.Recording(model, _LAYERS.value, **options)
    data = _pictures(model) if _IMAGES.value else _loaded(model)
    recording.reduction.check_images(data.num_images)
    size = store.file_bytes(recording.shapes(data.image_shape), images=data.num_images, dtype=_DTYPE.value)
    names = f"{len(recording.names)} activations" if len(recording.names) > 1 else recording.names[0]
    print(f"{names} of {data.num_images:,} images: about {bytes_text(size)} in {_OUTPUT.value}", flush=True)
    writing.check_room(_OUTPUT.value, size)
    rounds = 2 if recording.reduction.kind == "pca" else 1
    with Progress("recording", rounds * data.num_images, "images") as progress:
        cnnf_tf.evaluation.write_activations(
            _OUTPUT.value,
            model,
            data.batches,
            _LAYERS.value,
            image_ids=data.image_ids,
            class_names=data.class_names,
            dtype=_DTYPE.value,
            attributes=data.facts | _making(),
            progress=progress.update,
            **options,
        )
    print(f"wrote {_OUTPUT.value}")


def _loaded(model: Any) -> _Data:
    """--dataset; the images are named by their place in the split."""
    from cnnf_tf.data.sources.splits import parse_split

    info, limit = _app.data_info(), _NUM_IMAGES.value or None
    dataset = _app.load_data_for(model, labelled=False, limit=limit)
    parts = parse_split(_SPLIT.value, info.num_examples)
    ids = [f"{part.name}[{number}]" for part in parts for number in range(part.start, part.stop)][:limit]
    facts = {"dataset": _DATASET.value, "split": _SPLIT.value}
    return _Data(dataset, len(ids), info.image_shape, ids, info.class_names, facts)


def _pictures(model: Any) -> _Data:
    """--images, by the names of their files."""
    if None in model.image_shape:
        raise _app.UsageError(
            "--images wants a model of images of one size, and this one takes any; --dataset=image_folder:PATH:HxW "
            "reads pictures in a size."
        )
    # All are read once before any work, to find the bad ones.
    files = [file for file, _ in _images.read(_images.find(), model.image_shape)][: _NUM_IMAGES.value or None]
    ids = [text_of(file) for file in files]
    return _Data(_Pictures(files, model.image_shape), len(ids), model.image_shape, ids, None, {"images": "files"})


class _Pictures:
    """Batches of pictures, as often as they are wanted."""

    def __init__(self, files: Sequence[pathlib.Path], image_shape: tuple[int, int, int]):
        self._files, self._shape = files, image_shape

    def __iter__(self) -> Iterator[Any]:
        import numpy as np

        for first in range(0, len(self._files), flags.FLAGS.batch_size):
            part = self._files[first : first + flags.FLAGS.batch_size]
            yield np.stack([image for _, image in _images.read(part, self._shape)]).astype(np.float32) / 255


def _making() -> dict[str, Any]:
    """What the file says about its making, beside what it says anyway."""
    command = _app.provenance()
    return {
        "model": _MODEL.value,
        "model_sha256": cnnf_tf.zoo.model_sha256(_MODEL.value),
        "command": command["command"],
        "versions": command["versions"],
    }


def _table(found: Sequence[Any]) -> str:
    rows = [("name", "of one image", "layer")]
    for activation in found:
        shape = " x ".join("any" if size is None else str(size) for size in activation.shape)
        layer = activation.place.layer
        rows.append((activation.name, shape, "" if layer is None else type(layer).__name__))
    return aligned(rows)


if __name__ == "__main__":
    _app.run(main)
