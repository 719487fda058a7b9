"""From the encoded images of TFDS, PNG and JPEG, to uint8 arrays of one size; `image_files` reads files of users."""

import tensorflow as tf


def decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes one JPEG or PNG image.

    JPEG is decoded with the accurate DCT: TensorFlow's default, the fast one, shifts red and blue by about -1 of 255.

    Args:
      encoded: String scalar.
      channels: 1 or 3, to convert to grey or colour.

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


def decode_batch(encoded: tf.Tensor, *, shape: tuple[int | None, int | None, int], resize_to_shape: bool) -> tf.Tensor:
    """Decodes a batch of JPEG or PNG images to one shape.

    Args:
      encoded: String tensor of shape `[batch]`.
      shape: Height, width and channels (1 or 3) of the result; height and width None only in a batch of one.
      resize_to_shape: Whether images of another size are resized; otherwise they are an error.

    Returns:
      uint8 tensor of shape `[batch, *shape]`.
    """
    height, width, channels = shape

    def decode_one(data: tf.Tensor) -> tf.Tensor:
        image = decode(data, channels)
        if height is None or width is None:
            return tf.ensure_shape(image, shape)
        if resize_to_shape:
            image = resize(image, (height, width))
        else:
            size = tf.shape(image)[:2]
            same = tf.reduce_all(tf.equal(size, (height, width)))
            message = [f"wanted {height}x{width} pixels (height x width; see image_size), got", size]
            # The message comes before any complaint of what uses the image.
            with tf.control_dependencies([tf.debugging.Assert(same, message)]):
                image = tf.identity(image)
        return tf.ensure_shape(image, shape)

    return tf.map_fn(decode_one, encoded, fn_output_signature=tf.TensorSpec(shape, tf.uint8))
