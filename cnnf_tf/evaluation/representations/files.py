"""Studies of files of activations: what to read of them, and whether they go together."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from cnnf_tf.evaluation.recordings.names import fits, patterns
from cnnf_tf.evaluation.recordings.store import ActivationFile
from cnnf_tf.evaluation.representations.features import Activations, LazyMapping


def file_activations(file: ActivationFile, layers: str | Sequence[str] = "*", *, num_images: int = 0) -> Activations:
    """What a file holds, by name; read when it is asked for, so that the file must stay open.

    Args:
      file: open.
      layers: a pattern, or several, as `evaluation.activations` has them: "block3*.f", "*relu*.[zg]", "h.*"; without a
        kind features are meant.
      num_images: only the first so many; 0: all.

    Raises:
      ValueError: no pattern, or one that matches nothing, or fewer images than asked for.
    """
    if num_images > len(file):
        raise ValueError(f"{file.path} has {len(file)} images, fewer than the {num_images} that are wanted.")
    wanted = patterns(layers)
    for pattern in wanted:
        if not any(_fits(name, pattern) for name in file.names):
            raise ValueError(f"{file.path} has nothing that {pattern!r} matches; it has {', '.join(file.names)}.")
    images = slice(num_images or len(file))
    chosen = [name for name in file.names if any(_fits(name, pattern) for pattern in wanted)]
    return LazyMapping({name: functools.partial(file.read, name, images) for name in chosen})


def check_same_images(files: Mapping[str, ActivationFile], *, num_images: int = 0) -> None:
    """Raises ValueError unless all files have the same images, by their ids, in one order, with the same labels.

    Args:
      files: open, by what to call them.
      num_images: only the first so many count; 0: all.
    """
    (first, one), *others = files.items()
    part = slice(num_images or None)
    for second, other in others:
        what = f"{first} and {second} cannot be compared"
        _same(one.image_ids[part], other.image_ids[part], f"{what} image by image")
        if (one.labels is None) != (other.labels is None):
            raise ValueError(f"{what}: one has labels, the other has none.")
        if one.labels is not None and other.labels is not None:
            _same(one.labels[part].tolist(), other.labels[part].tolist(), f"{what} by class")


def _same(first: Sequence[str | int], second: Sequence[str | int], what: str) -> None:
    if len(first) != len(second):
        raise ValueError(f"{what}: {len(first)} images against {len(second)}.")
    different = np.flatnonzero([one != other for one, other in zip(first, second, strict=True)])
    if len(different):
        place = int(different[0])
        raise ValueError(
            f"{what}: {len(different)} of {len(first)} differ, the first at place {place}: {first[place]!r} against "
            f"{second[place]!r}."
        )


def _fits(name: str, pattern: str) -> bool:
    place, _, kind = name.rpartition(".")
    path, _, number = place.rpartition("@")
    return fits(place, path if number.isdigit() else place, kind, pattern)
