"""Checks inside the exported graph: a bad request gets INVALID_ARGUMENT, and no layer ever sees it.

A server feeds whatever a client sent: neither TensorFlow's C++ session nor a loaded signature compares shapes with the
signature, and a convolution handed a matrix takes the whole process down. So every input passes `forget_shape` first;
without it, TensorFlow would trust the signature and remove the checks as always true.
"""

import tensorflow as tf

_RANGE_TOLERANCE = 1e-3


def forget_shape(tensor: tf.Tensor) -> tf.Tensor:
    """The same tensor, but neither tracing nor the graph optimiser knows its shape."""
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))


def check_image_shapes(images: tf.Tensor, image_shape: tuple[int, int, int], max_images: int) -> tf.Tensor:
    """Images `[batch, *image_shape]` of at most `max_images`; the batch may be 0."""
    images = forget_shape(images)
    height, width, channels = image_shape
    shape = tf.shape(images)
    # Padded, so that tensors of any rank can be compared without an error of another kind.
    sizes = tf.concat([shape, [-1] * 5], axis=0)
    fits = tf.reduce_all(tf.equal(sizes[1:5], [height, width, channels, -1]))
    wanted = f"images must have the shape [batch, {height}, {width}, {channels}]; got the shape:"
    images = tf.ensure_shape(_checked(images, fits, wanted, shape), [None, *image_shape])
    count = tf.shape(images)[0]
    limit = f"a request may hold at most {max_images} images (fixed at export); got:"
    return _checked(images, count <= max_images, limit, count)


def check_pixels(images: tf.Tensor) -> tf.Tensor:
    """Floats in [0, 1], and no NaN."""
    # Comparisons with NaN are false.
    in_range = tf.reduce_all((images >= -_RANGE_TOLERANCE) & (images <= 1 + _RANGE_TOLERANCE))
    finite = tf.reduce_all(tf.math.is_finite(images))
    wanted = "pixels must be floats in [0, 1] without NaN (send bytes 0 to 255 to a signature that ends in _uint8);"
    got = ("got minimum and maximum:", tf.reduce_min(images), tf.reduce_max(images), "all finite:", finite)
    return _checked(images, in_range, wanted, *got)


def check_per_image(values: tf.Tensor, name: str, count: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """One number for all images or one for each, in [low, high]; returns `[batch]`."""
    values = forget_shape(values)
    wanted = f"{name} must be one number or one for each image; got the shape:"
    fits = (tf.size(values) == 1) | (tf.size(values) == count)
    values = _checked(values, fits, wanted, tf.shape(values), "for so many images:", count)
    values = tf.reshape(values, [-1])
    allowed = tf.reduce_all((values >= low) & (values <= high))  # also false for NaN
    fixed = "" if high == float("inf") else " (the limit was fixed at export)"
    limits = f"{name} must be in [{low}, {high}]{fixed}; got minimum and maximum:"
    values = _checked(values, allowed, limits, tf.reduce_min(values), tf.reduce_max(values))
    return tf.broadcast_to(values, [count])


def _checked(tensor: tf.Tensor, condition: tf.Tensor, *message: str | tf.Tensor) -> tf.Tensor:
    """The tensor, once the condition holds: the message comes before any complaint of what uses the tensor."""
    with tf.control_dependencies([tf.debugging.Assert(condition, message, summarize=8)]):
        return tf.identity(tensor)
