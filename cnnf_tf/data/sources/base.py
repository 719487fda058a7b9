"""What a source of labelled images offers."""

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence

import tensorflow as tf

from cnnf_tf.data.sources import splits


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
    """

    name: str
    image_shape: tuple[int | None, int | None, int]
    num_classes: int
    class_names: tuple[str, ...]
    num_examples: Mapping[str, int]


class Source(abc.ABC):
    """Labelled images that can be read in a fixed order; for the arguments of all kinds and their errors see `load`.

    Attributes:
      info: Facts about the images as `decode_batch` returns them, that is, after resizing.
    """

    info: DatasetInfo

    def elements(self, ranges: Sequence[splits.SplitRange]) -> tf.data.Dataset:
        """Raw elements of some ranges of examples, one after the other; see `elements_of`."""
        return functools.reduce(lambda left, right: left.concatenate(right), map(self.elements_of, ranges))

    @abc.abstractmethod
    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        """Raw elements of a range of examples, in an order that never changes.

        Returns:
          Dataset of dicts with `image` (encoded string or uint8 array), `label` (integer scalar) and, where the source
          knows it, `where` (string: the file the image came from).
        """

    @abc.abstractmethod
    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Decodes a batch of raw elements; traced by tf.data.

        Returns:
          uint8 tensor of shape `[batch, *info.image_shape]`. An image that cannot be decoded raises
          `tf.errors.InvalidArgumentError` when the graph runs.
        """
