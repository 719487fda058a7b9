"""From encoded images to uint8 arrays of one size."""

import tensorflow as tf


def decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes one JPEG or PNG image.

    JPEG is decoded with the accurate DCT: TensorFlow's default, the fast one, shifts red and blue by about -1 of 255.

    Args:
      encoded: String scalar.
      channels: 1 or 3 to convert to grey or colour, 0 to keep what the file has (2 or 4 with transparency).

    Returns:
      uint8 tensor of shape `[height, width, channels]`.
    """
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(encoded, channels),
    )


def resize(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resizes uint8 images `[..., height, width, channels]`: bilinear, antialiased, aspect ratio not kept, rounded."""
    resized = tf.image.resize(images, size, method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def decode_batch(
    encoded: tf.Tensor,
    where: tf.Tensor | None,
    *,
    shape: tuple[int | None, int | None, int],
    resize_to_shape: bool,
    refuse_colour: bool = False,
) -> tf.Tensor:
    """Decodes a batch of JPEG or PNG images to one shape.

    Args:
      encoded: String tensor of shape `[batch]`.
      where: String tensor of shape `[batch]` that names each image in errors, or None.
      shape: Height, width and channels (1 or 3) of the result; height and width None only in a batch of one.
      resize_to_shape: Whether images of another size are resized; otherwise they are an error.
      refuse_colour: Whether a colour image is an error where `shape` has one channel; otherwise it turns grey.

    Returns:
      uint8 tensor of shape `[batch, *shape]`.
    """
    height, width, channels = shape
    names = tf.fill(tf.shape(encoded), "") if where is None else where

    def decode_one(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        data, name = item
        image = decode(data, 0 if refuse_colour else channels)
        if refuse_colour:
            is_grey = tf.shape(image)[-1] <= 2
            image = _checked(image, is_grey, ["wanted a grey image like the first one, got a colour image:", name])
            image = image[..., :1]
        if height is None or width is None:
            return tf.ensure_shape(image, shape)
        if resize_to_shape:
            image = resize(image, (height, width))
        else:
            size = tf.shape(image)[:2]
            same = tf.reduce_all(tf.equal(size, (height, width)))
            image = _checked(
                image, same, [f"wanted {height}x{width} pixels (height x width; see image_size), got", size, name]
            )
        return tf.ensure_shape(image, shape)

    return tf.map_fn(decode_one, (encoded, names), fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def _checked(image: tf.Tensor, condition: tf.Tensor, message: list[str | tf.Tensor]) -> tf.Tensor:
    """The image, once the condition holds: the message comes before any complaint of what uses the image."""
    with tf.control_dependencies([tf.debugging.Assert(condition, message)]):
        return tf.identity(image)
