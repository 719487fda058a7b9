"""Activations into a file, and whether there is room for it."""

import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnf_tf.evaluation.recordings import store
from cnnf_tf.evaluation.recordings.names import KINDS
from cnnf_tf.evaluation.recordings.recording import Progress, Recording
from cnnf_tf.models import CNNF
from cnnf_tf.utils.environment import bytes_text
from cnnf_tf.version import __version__


def write_activations(
    path: str | os.PathLike[str],
    model: CNNF,
    images: Any,
    layers: str | Sequence[str],
    *,
    iterations: int | None = None,
    reduce: str | None = None,
    seed: int = 0,
    labels: Any = None,
    image_ids: Iterable[str] | None = None,
    class_names: Sequence[str] | None = None,
    dtype: str = "float32",
    attributes: Mapping[str, Any] | None = None,
    batch_size: int = 64,
    progress: Progress = None,
) -> int:
    """Writes activations to one NetCDF-4 file, batch by batch; `open_activations`, xarray and h5py read it.

    Args:
      path: of the file, which ends in .nc; it appears when all of it is there, in place of one that is there.
      model: see `Recording`, also for `layers`, `iterations`, `reduce` and `seed`.
      images: see `Recording.stream`, also for `labels`, `image_ids`, `batch_size` and `progress`.
      class_names: what the labels mean.
      dtype: "float32", or "float16" for half of the size.
      attributes: what else the file is to say about its making, such as the data set and the command: texts and
        numbers, lists of texts, anything else as JSON.

    Returns:
      The number of images.

    Raises:
      ImportError: the extra `activations` is not installed.
      ValueError: as `activations`; another dtype; an array of images whose file would not fit on the disk.
    """
    store.need_h5netcdf()
    recording = Recording(model, layers, iterations=iterations, reduce=reduce, seed=seed)
    if len(getattr(images, "shape", ())) == 4:
        shapes = recording.shapes(images.shape[1:])
        check_room(path, store.file_bytes(shapes, images=len(images), dtype=dtype))
    facts = {
        "model": model.name,
        "cnnf_tf": __version__,
        "iterations": recording.iterations,
        "trained_iterations": model.iterations,
        "eta": json.dumps(model.reported_eta()),
        "reduce": reduce or "none",
        "seed": seed,
    }
    details = {
        chosen.name: {
            "kind": KINDS[chosen.kind],
            "layer": "h" if chosen.place.layer is None else type(chosen.place.layer).__name__,
            "reduce": reduce or "none",
        }
        for chosen in recording.chosen
    }
    stream = recording.stream(images, labels=labels, image_ids=image_ids, batch_size=batch_size, progress=progress)
    about = facts | dict(attributes or {})
    return store.write_batches(path, stream, class_names=class_names, dtype=dtype, attributes=about, details=details)


def check_room(path: str | os.PathLike[str], needed: int) -> None:
    """Raises ValueError unless there is room on the disk for a file of so many bytes."""
    place = next(place for place in pathlib.Path(path).absolute().parents if place.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ValueError(
            f"{os.fspath(path)!r} would take about {bytes_text(needed)}, and {bytes_text(free)} are free on that disk; "
            'fewer layers, images or passes take less, as do reduce="mean", "pca:N" or "sparse:N", and float16.'
        )
