"""Random crops and flips, drawn without hidden state.

What happens to an example is a function of a seed, an epoch number and the example's place in that epoch: batch size,
number of threads and earlier calls do not matter. Drawing (`draw`) and applying (`apply`) are two functions, so that
what was drawn can be looked at and the arithmetic checked on its own.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image.

    Attributes:
      crop_padding: Number of zero pixels added on each side before a crop of the original size is cut at random, at
        least 0. Each of the `(2 * crop_padding + 1)**2` places is equally likely.
      horizontal_flip: Whether to mirror left and right with probability 1/2.
    """

    crop_padding: int = 0
    horizontal_flip: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.crop_padding, bool) or not isinstance(self.crop_padding, int) or self.crop_padding < 0:
            raise ValueError(f"crop_padding: wanted a whole number of pixels, at least 0, got {self.crop_padding!r}.")
        if not isinstance(self.horizontal_flip, bool):
            raise ValueError(f"horizontal_flip: wanted True or False, got {self.horizontal_flip!r}.")

    @property
    def is_identity(self) -> bool:
        """Whether images pass unchanged."""
        return self.crop_padding == 0 and not self.horizontal_flip


def draw(augmentation: Augmentation, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws the augmentation of `count` examples.

    Args:
      augmentation: What may happen.
      count: Number of examples.
      seed: int64 tensor of shape `[2]`; the result is a pure function of it.

    Returns:
      int32 tensor of shape `[count, 3]`: first row and first column of the crop in the padded image, both in
      [0, 2 * crop_padding], and 1 where the image is mirrored, else 0.
    """
    offset_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    offsets = tf.random.stateless_uniform(
        (count, 2), offset_seed, 0, 2 * augmentation.crop_padding + 1, tf.int32, alg="philox"
    )
    ways = 2 if augmentation.horizontal_flip else 1
    flips = tf.random.stateless_uniform((count, 1), flip_seed, 0, ways, tf.int32, alg="philox")
    return tf.concat([offsets, flips], axis=1)


def apply(augmentation: Augmentation, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Pads with zeros, crops and mirrors a batch as drawn.

    Args:
      augmentation: The one that `draws` was drawn for.
      images: Tensor of shape `[batch, height, width, channels]`, any dtype; height and width static.
      draws: int32 tensor of shape `[batch, 3]` from `draw`.

    Returns:
      Tensor of the shape and dtype of `images`.
    """
    if augmentation.is_identity:
        return images
    height, width = images.shape[1], images.shape[2]
    pad = augmentation.crop_padding
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    rows = draws[:, :1] + tf.range(height)
    columns = tf.range(width)
    columns = draws[:, 1:2] + tf.where(draws[:, 2:] > 0, columns[::-1], columns)
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    cropped = tf.gather(cropped, columns, axis=2, batch_dims=1)
    return tf.ensure_shape(cropped, images.shape)
