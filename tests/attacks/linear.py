"""A linear softmax model on 4x4 images, whose gradients can be written down."""

import functools

import numpy as np
import tensorflow as tf

IMAGE_SHAPE = (4, 4, 1)
CLASSES = 5


def weights(seed=0):
    """W, `[pixels, classes]`, and b, `[classes]`."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (16, CLASSES)), rng.normal(0, 0.1, CLASSES)


@functools.cache  # the same function, so that attacks need not trace it again
def predictor(seed=0):
    """Images to logits; float64 images give float64 logits."""
    kernel, bias = weights(seed)

    def predict(images):
        flat = tf.reshape(images, [-1, 16])
        return tf.matmul(flat, tf.constant(kernel, images.dtype)) + tf.constant(bias, images.dtype)

    return predict


def images(count, dtype="float32", seed=1):
    """Images in [0, 1], some pixels of which are exactly 0 or 1."""
    values = np.random.default_rng(seed).uniform(-0.2, 1.2, (count, *IMAGE_SHAPE))
    return values.clip(0, 1).astype(dtype)


def labels(count, wrong=0, seed=0):
    """The linear model's own classes of `images(count)`, but for the first `wrong`, which get another class."""
    kernel, bias = weights(seed)
    found = (images(count, "float64").reshape(-1, 16) @ kernel + bias).argmax(-1)
    found[:wrong] = (found[:wrong] + 1) % CLASSES
    return found.astype("int32")
