"""What a source of labelled images offers, and the way from a name to a source.

| name | source |
|---|---|
| `idx:PATH` | folder with the four IDX files of MNIST layout (`idx_source`) |
| `image_folder:PATH[:HxW[xC]]` | `PATH/split/class/*.png` or `*.jpg` (`folder_source`) |
| anything else | a prepared TensorFlow Datasets name (`tfds_source`) |

To add a kind: subclass `Source` in a file of its own and give it a line in `open_source`.
"""

import abc
import dataclasses
import os
from collections.abc import Mapping, Sequence

import tensorflow as tf

from cnnf_tf.data import splits

IDX_PREFIX = "idx:"
FOLDER_PREFIX = "image_folder:"


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
    """Labelled images that can be read in a fixed order.

    Attributes:
      info: Facts about the images as `decode_batch` returns them, that is, after resizing.
    """

    info: DatasetInfo

    @abc.abstractmethod
    def elements(self, ranges: Sequence[splits.SplitRange]) -> tf.data.Dataset:
        """Raw elements of some ranges of examples, one after the other, in an order that never changes.

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


def open_source(
    name: str,
    *,
    image_size: tuple[int, int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    must_be_prepared: bool = True,
) -> Source:
    """Finds the source a name stands for.

    Args:
      name: See the table of this module.
      image_size: Height and width to resize to, or None for the images' own size.
      data_dir: Folder of prepared TFDS data sets; see `locations.resolve_data_dir`.
      must_be_prepared: False lets a TFDS data set that is known but not prepared through, without examples.

    Returns:
      The source.

    Raises:
      ValueError: If no such data set is known, or the name or its files are not sound.
      FileNotFoundError: If the data set is known but not there; the message says how to prepare it.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(
            "name: wanted a TFDS name such as 'fashion_mnist', 'idx:PATH' or 'image_folder:PATH[:HxW[xC]]', got "
            f"{name!r}."
        )
    # Each kind imports what only it needs, TensorFlow Datasets first of all.
    if name.startswith(IDX_PREFIX):
        from cnnf_tf.data import idx_source

        return idx_source.IdxSource(name, image_size=image_size)
    if name.startswith(FOLDER_PREFIX):
        from cnnf_tf.data import folder_source

        return folder_source.FolderSource(name, image_size=image_size)
    from cnnf_tf.data import tfds_source

    return tfds_source.TfdsSource(name, image_size=image_size, data_dir=data_dir, must_be_prepared=must_be_prepared)
