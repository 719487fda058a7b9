"""What a source of labelled images offers."""

import abc
import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from cnnf_tf.data.sources import splits

_READ_BATCH = 256  # examples decoded together


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set, known without reading its images.

    Attributes:
      name: The name it was asked by.
      image_shape: Height, width and channels of the images as `load` yields them; height and width are None where the
        images differ in size and no `image_size` was given.
      num_classes: Labels are in [0, num_classes).
      class_names: One name per class, in label order.
      num_examples: Number of examples of each split; empty where a TFDS data set is known but not prepared.
      skipped: What was passed over in a folder of images, and how often: `hidden`, a suffix such as `.txt`, or with
        `skip_bad` `unreadable`.
    """

    name: str
    image_shape: tuple[int | None, int | None, int]
    num_classes: int
    class_names: tuple[str, ...]
    num_examples: Mapping[str, int]
    skipped: Mapping[str, int] = dataclasses.field(default_factory=dict)


class Source(abc.ABC):
    """Labelled images that can be read in a fixed order; for the arguments of all kinds and their errors see `load`.

    Attributes:
      info: Facts about the images as `decode_batch` returns them, that is, after resizing.
    """

    info: DatasetInfo

    def elements(self, ranges: Sequence[splits.SplitRange]) -> tf.data.Dataset:
        """Raw elements of some ranges of examples, one after the other; see `elements_of`."""
        parts = functools.reduce(lambda left, right: left.concatenate(right), map(self.elements_of, ranges))
        return parts.apply(tf.data.experimental.assert_cardinality(sum(part.count for part in ranges)))

    def read_all(self, ranges: Sequence[splits.SplitRange]) -> tuple[np.ndarray, np.ndarray]:
        """Reads and decodes all examples of some ranges.

        Returns:
          uint8 images `[count, *info.image_shape]` and labels `[count]`, as stored: nothing has checked their range.

        Raises:
          ValueError: If one cannot be read or decoded, which is named, or there are fewer than there should be.
        """
        count, position = sum(part.count for part in ranges), 0
        images: np.ndarray = np.empty((count, *self.info.image_shape), np.uint8)
        labels: np.ndarray = np.empty((count,), np.int64)
        elements = self.elements(ranges)
        batches = elements.batch(_READ_BATCH).map(lambda e: (self.decode_batch(e), e["label"]), tf.data.AUTOTUNE)
        try:
            for image_batch, label_batch in batches.prefetch(tf.data.AUTOTUNE):
                stop = position + len(label_batch)
                images[position:stop], labels[position:stop] = image_batch.numpy(), label_batch.numpy()
                position = stop
        except tf.errors.OpError as error:
            raise ValueError(self._explain(elements, error)) from None
        if position != count:
            raise ValueError(f"wanted {count} examples, got only {position}: the files do not hold what they promise.")
        return images, labels

    @abc.abstractmethod
    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        """Raw elements of a range of examples, in an order that never changes.

        Returns:
          Dataset of dicts with `image` (what `decode_batch` takes: an encoded image, a path, a uint8 array) and `label`
          (integer scalar).
        """

    @abc.abstractmethod
    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Decodes a batch of raw elements; traced by tf.data.

        Returns:
          uint8 tensor of shape `[batch, *info.image_shape]`. An image that cannot be decoded raises
          `tf.errors.InvalidArgumentError` when the graph runs.
        """

    def _explain(self, elements: tf.data.Dataset, error: tf.errors.OpError) -> str:
        """Finds the first element that cannot be read or decoded, one by one, and says which it is."""
        index = 0
        try:
            for _ in elements.batch(1).map(self.decode_batch):
                index += 1
        except tf.errors.OpError as found:
            error = found
        message = (str(error.message).splitlines() or [type(error).__name__])[0]
        message = re.sub(r"^.*(Iterator::\S+:|assertion failed:) |[\[\]]", "", message)  # without tf.data's own words
        return f"{self.info.name}: example {index} cannot be read as an image: {message}."
