"""What CNN-F's restoration is compared with: a median filter, and an autoencoder trained to remove one corruption."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from cnnf_tf.utils.validation import positive_int


def median_filter(images: tf.Tensor, size: int = 3) -> tf.Tensor:
    """The median of the `size` x `size` values around each pixel, in each channel; mirrored at the border.

    Args:
      images: `[batch, height, width, channels]`, static but for the batch.
      size: odd, at most twice the shorter side plus 1.

    Returns:
      Images of the same shape and dtype.

    Raises:
      ValueError: no batch of images, an even `size`, or one that does not fit the images.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4:
        raise ValueError(f"median_filter wants images [batch, height, width, channels], got shape {images.shape}.")
    height, width, channels = images.shape[1:]
    largest = 2 * min(height, width) + 1
    if positive_int("size", size) % 2 == 0 or size > largest:
        raise ValueError(
            f"median_filter wants an odd size, at most {largest} for images of {height}x{width}, got {size}."
        )
    reach = size // 2
    padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]], mode="SYMMETRIC")
    windows = tf.image.extract_patches(padded, (1, size, size, 1), (1, 1, 1, 1), (1, 1, 1, 1), "VALID")
    windows = tf.reshape(windows, (-1, height, width, size * size, channels))
    return tf.sort(windows, axis=3)[:, :, :, size * size // 2]


def denoising_autoencoder(image_shape: Sequence[int], *, filters: Sequence[int] = (16, 32, 32, 64)) -> keras.Sequential:
    """A plain convolutional network from a corrupted to a clean image, compiled for the mean squared error.

        3x3 convolutions with `filters` channels and ReLU, then one to the image's channels with a sigmoid

    By default its convolutions are those of the Fashion-MNIST network, plus the one that makes the image, so that it
    has about as many convolution parameters as the CNN-F it is compared with. Unlike that, it is trained for one
    corruption, on pairs of corrupted and clean images, and does nothing else:

        restorer = denoising_autoencoder((28, 28, 1))
        restorer.fit(corrupted(dataset, "shot_noise", 3, seed=0, keep_clean=True), epochs=5)

    After P. Vincent et al., "Stacked denoising autoencoders", JMLR 11, 2010.

    Args:
      image_shape: `(height, width, channels)`.
      filters: channels of each hidden layer, at least one layer.

    Raises:
      ValueError: a bad shape, no layer, or a layer without channels.
    """
    if len(image_shape) != 3:
        raise ValueError(f"image_shape must be (height, width, channels), got {tuple(image_shape)}.")
    image_shape = tuple(positive_int("each of image_shape", size) for size in image_shape)
    if not filters:
        raise ValueError("filters wants the channels of at least one hidden layer, got none.")
    hidden = [
        keras.layers.Conv2D(positive_int("filters", count), 3, padding="same", activation="relu") for count in filters
    ]
    # The last layer stays in float32 under mixed precision, so that pictures have all their 256 values.
    image = keras.layers.Conv2D(image_shape[-1], 3, padding="same", activation="sigmoid", dtype="float32")
    model = keras.Sequential([keras.Input(image_shape), *hidden, image], name="denoising_autoencoder")
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    return model
