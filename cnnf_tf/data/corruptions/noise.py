"""Noise; each kind is the same in all sets, and differs in strength."""

import tensorflow as tf

from cnnf_tf.data.corruptions.base import draw, normal, uniform


def gaussian_noise(images: tf.Tensor, deviation: float, keys: tf.Tensor) -> tf.Tensor:
    """Adds independent normal noise of the given standard deviation to every value."""
    return images + deviation * normal(images.shape[1:], keys)


def shot_noise(images: tf.Tensor, photons: float, keys: tf.Tensor) -> tf.Tensor:
    """Poisson noise of the given number of photons in a white pixel.

    Each value x becomes n / photons with n ~ Poisson(photons x); mean x, variance x / photons.
    """

    def count(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return tf.random.stateless_poisson(images.shape[1:], item[1], lam=photons * item[0], dtype=tf.float32)

    return draw(images.shape[1:], (images, keys), count) / photons


def impulse_noise(images: tf.Tensor, amount: float, keys: tf.Tensor) -> tf.Tensor:
    """Salt and pepper: every value becomes 0 with probability `amount / 2` and 1 with probability `amount / 2`."""
    draws = uniform(images.shape[1:], keys)
    peppered = tf.where(draws < amount / 2, 0.0, images)
    return tf.where(draws >= 1 - amount / 2, 1.0, peppered)


def speckle_noise(images: tf.Tensor, deviation: float, keys: tf.Tensor) -> tf.Tensor:
    """Multiplies every value by 1 plus independent normal noise of the given standard deviation."""
    return images * (1 + deviation * normal(images.shape[1:], keys))
