"""Activations of images over the passes of the loop: all at once, or batch by batch."""

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from cnnf_tf.evaluation.recordings.names import Activation, list_activations, select
from cnnf_tf.evaluation.recordings.probes import record
from cnnf_tf.evaluation.recordings.reductions import Projections, Reduction
from cnnf_tf.evaluation.recordings.store import Batch
from cnnf_tf.models import CNNF
from cnnf_tf.models.keras_training import seen_images
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.environment import bytes_text, free_memory
from cnnf_tf.utils.traces import traced
from cnnf_tf.utils.validation import positive_int

Progress = Callable[[int], None] | None


def activations(
    model: CNNF,
    images: Any,
    layers: str | Sequence[str],
    *,
    iterations: int | None = None,
    reduce: str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress = None,
) -> dict[str, np.ndarray]:
    """What layers compute in each pass, as arrays; `Recording.stream` and `write_activations` take more images.

    Args:
      model: see `Recording`, also for `layers`, `iterations`, `reduce` and `seed`.
      images: floats in [0, 1], `[images, height, width, channels]`; or a data set of batches of such, or of batches of
        (images, labels).
      batch_size: images at once; a data set has its own.
      progress: called with the number of images after each batch.

    Returns:
      `[K' + 1, images, ...]` by name, bottom to top; float32, also of a model in half precision (float64 in a float64
      model).

    Raises:
      ValueError: see `Recording`; no image, images that do not fit the model, or of several sizes without "mean".
      tf.errors.InvalidArgumentError: pixels outside of [0, 1].
    """
    recording = Recording(model, layers, iterations=iterations, reduce=reduce, seed=seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in recording.names}
    for batch in recording.stream(images, batch_size=batch_size, progress=progress):
        for name, value in batch.values.items():
            parts[name].append(value)
            if value.shape[2:] != parts[name][0].shape[2:]:
                raise ValueError(
                    f"{name!r} is {parts[name][0].shape[2:]} for some images and {value.shape[2:]} for others; images "
                    'of several sizes go into one array only with reduce="mean".'
                )
    return {name: np.concatenate(parts.pop(name), axis=1) for name in recording.names}


class Recording:
    """What to record of a model: features, latents and signals of its layers, over the passes of the loop.

    Entry t of what is recorded is of pass t: the features f that went up (pass 0 is the plain CNN), the latents z that
    were chosen there, and the signals g that came down from it, which pass t + 1 listens to. After the last pass one
    more goes down, if a signal is asked for. What an encoder computes is the same in all passes.

    Args:
      model: a CNN-F; nothing is left on it but the trace.
      layers: PLACE.KIND, a pattern or several, such as "block3*.f" or ["*relu*.z", "h.g"]; see `names.select`.
        `list_activations` has all names.
      iterations: K' >= 0, passes of feedback; None for the model's own K.
      reduce: None; "mean", over height and width; "pca:N", the first N principal components of all images in all
        passes, one space for each name; "sparse:N", a sparse random projection to N numbers.
      seed: of "sparse:N".

    Attributes:
      model: the CNN-F.
      names: of what is recorded, bottom to top.
      iterations: K'.

    Raises:
      ValueError: patterns, `iterations`, `reduce` or a seed that cannot be.
    """

    def __init__(
        self,
        model: CNNF,
        layers: str | Sequence[str],
        *,
        iterations: int | None = None,
        reduce: str | None = None,
        seed: int = 0,
    ):
        if not isinstance(model, CNNF):
            raise ValueError(f"model must be a CNNF, got {model!r}; load_model gives one of a file or a preset.")
        self.model = model
        self.reduction = Reduction.parse(reduce, seed=seed)
        self.iterations = check_iterations(model.iterations if iterations is None else iterations)
        self.chosen: list[Activation] = select(list_activations(model), layers)
        self.names = [activation.name for activation in self.chosen]
        self.shapes()

    def shapes(self, image_shape: Sequence[int] | None = None) -> dict[str, tuple[Any, ...]]:
        """`(K' + 1, ...)` by name, without the axis of the images.

        Args:
          image_shape: `(height, width, channels)` of the images, for a model of images of any size; where sizes are not
            known they are None.

        Raises:
          ValueError: fewer numbers for an image than "pca:N" or "sparse:N" are to leave.
        """
        found = {}
        for activation in self._listed(image_shape):
            if None not in activation.shape:
                self.reduction.check_features(activation.name, math.prod(activation.shape))
            found[activation.name] = (self.iterations + 1, *self.reduction.shape(activation.shape))
        return found

    def stream(
        self,
        images: Any,
        *,
        labels: Any = None,
        image_ids: Iterable[str] | None = None,
        batch_size: int = 64,
        progress: Progress = None,
    ) -> Iterator[Batch]:
        """Goes through images batch by batch, so that any number of them takes the same memory; twice for "pca:N".

        Args:
          images: as in `activations`.
          labels: of an array of images, integers `[images]`. A data set brings its own, of which anything else is left
            out.
          image_ids: a text or path for each image; by default its number, "image[0]", "image[1]", ...
          batch_size: as in `activations`, also for `progress`.

        Returns:
          An iterator over batches of `values`, `[K' + 1, images, ...]` by name, `labels` and `image_ids`.

        Raises:
          ValueError: as `activations`; fewer labels or ids than images; for "pca:N" an iterator that is used up when
            the images have been gone through once.
        """
        if isinstance(images, (str, bytes)) or not (hasattr(images, "shape") or isinstance(images, Iterable)):
            raise ValueError(f"images must be an array or a data set, got {images!r}.")
        if isinstance(image_ids, str):
            raise ValueError(f"image_ids must be a text for each image, got {image_ids!r}.")
        if hasattr(images, "shape") and isinstance(image_ids, Sized) and len(image_ids) != len(images):
            raise ValueError(f"image_ids: wanted one for each of {len(images)} images, got {len(image_ids)}.")
        batches = _Batches(images, labels, positive_int("batch_size", batch_size), self._check_memory)
        if self.reduction.kind == "pca":
            if isinstance(images, Iterator):
                raise ValueError(
                    f'reduce="pca:N" goes through the images twice; wanted an array or a data set, got {images!r}.'
                )
            if hasattr(images, "shape"):
                self.reduction.check_images(len(images))
        return self._stream(batches, image_ids, progress or (lambda count: None))

    def _stream(
        self, batches: "_Batches", image_ids: Iterable[str] | None, progress: Callable[[int], None]
    ) -> Iterator[Batch]:
        run = traced(record, self.model, self.iterations, tuple(self.names), self.reduction.kind == "mean")

        def values_of(images: Any) -> dict[str, np.ndarray]:
            found = {name: np.moveaxis(value.numpy(), 1, 0) for name, value in run(images).items()}
            ends = {name: (self.iterations + 1, *value.shape[1:]) for name, value in found.items()}
            return {name: np.broadcast_to(value, ends[name]) for name, value in found.items()}

        projections = Projections(self.reduction)
        if self.reduction.kind == "pca":
            for images, _ in batches:
                projections.fit(values_of(images))
                progress(len(images))
            projections.check()
        ids = (f"image[{number}]" for number in itertools.count()) if image_ids is None else iter(image_ids)
        seen = 0
        for images, labels in batches:
            seen += len(images)
            own = [_id(each) for each in itertools.islice(ids, len(images))]
            if len(own) < len(images):
                raise ValueError(f"image_ids: wanted one for each image, got {seen - len(images) + len(own)}.")
            yield Batch(projections.apply(values_of(images)), labels, own)
            progress(len(images))
        if not seen:
            raise ValueError("there is no image to record activations of; wanted at least one.")

    def _listed(self, image_shape: Sequence[int] | None) -> list[Activation]:
        return [found for found in list_activations(self.model, image_shape) if found.name in self.names]

    def _check_memory(self, images: Any) -> None:
        """Raises ValueError where what is recorded of a batch cannot fit into memory; the system would end the process.

        That is twice its size: as tensors, and as arrays.
        """
        if np.ndim(images) != 4:
            return  # the model says so
        shapes = [found.shape for found in self._listed(images.shape[1:])]
        if self.reduction.kind == "mean":
            shapes = [self.reduction.shape(shape) for shape in shapes]
        needed = 8 * (self.iterations + 1) * len(images) * sum(map(math.prod, shapes))
        free = free_memory()
        if needed > free:
            raise ValueError(
                f"what is recorded of {len(images)} images takes about {bytes_text(needed)} of memory, and "
                f"{bytes_text(free)} are free; smaller batches, fewer layers or passes take less."
            )


class _Batches:
    """Batches of images, and of labels or None, as often as they are wanted."""

    def __init__(self, images: Any, labels: Any, batch_size: int, check: Callable[[Any], None]):
        self._images, self._labels, self._size, self._check = images, labels, batch_size, check
        if labels is not None and not (hasattr(images, "shape") and np.shape(labels)[:1] == tuple(images.shape[:1])):
            raise ValueError("labels: wanted one for each image of an array; a data set has its own labels in it.")
        if labels is not None and _class_ids(labels) is None:
            raise ValueError(f"labels must be integers, [images], got {np.asarray(labels)!r:.80}.")

    def __iter__(self) -> Iterator[tuple[Any, np.ndarray | None]]:
        for number, (images, labels) in enumerate(self._pairs()):
            if not number:
                self._check(images)
            yield images, labels

    def _pairs(self) -> Iterator[tuple[Any, np.ndarray | None]]:
        if hasattr(self._images, "shape"):
            for first in range(0, len(self._images), self._size):
                part = slice(first, first + self._size)
                yield self._images[part], None if self._labels is None else _class_ids(self._labels[part])
            return
        for batch in self._images:
            parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
            yield seen_images(parts[0]), _class_ids(parts[1]) if len(parts) > 1 else None


def _class_ids(labels: Any) -> np.ndarray | None:
    found = None if isinstance(labels, dict) else np.asarray(labels)
    return found if found is not None and found.ndim == 1 and found.dtype.kind in "iu" else None


def _id(value: Any) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise ValueError(f"image_ids must be texts or paths, got {value!r}.")
    return text
