"""A converted Keras CNN: K = 0 is the original, and feedback without norms its gradient."""

import keras
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF
from tests.models import fixtures_keras

RAW = (0.0, 1.0)
"""Preprocessing that leaves pixels as they are, so that h is what the original reads."""


def laws(test, make, start=None):
    """Largest errors, relative to the largest value: of the logits, and of feedback against the gradient."""
    original = make()
    model = CNNF.from_keras(original, iterations=0, feedback_norm=False, preprocessing=RAW, start=start)
    images = tf.constant(fixtures_keras.images(original))
    wanted = original(images)
    top = original
    if start is not None:  # `.output` of a nested model is its own, not that of its place in this one
        top = keras.Model(original.get_layer(start)._inbound_nodes[-1].outputs[0], original.output)
    features = model.encode(images)
    signal = tf.random.stateless_normal(wanted.shape, (1, 2), dtype=wanted.dtype)
    with tf.GradientTape() as tape:
        tape.watch(features)
        product = tf.reduce_sum(signal * top(features))
    gradient = tape.gradient(product, features)
    logits, latents = model.network(features)
    below, _ = model.network.feedback(signal, latents)
    test.assertEqual((model(images).dtype, below.dtype), (wanted.dtype, wanted.dtype))
    test.assertAllEqual(logits, model(images))
    return [
        float(tf.reduce_max(tf.abs(found - right)) / tf.reduce_max(tf.abs(right)))
        for found, right in ((model(images), wanted), (below, gradient))
    ]


class LawsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(sorted(fixtures_keras.NETWORKS))
    def test_both_laws(self, name):
        logits, feedback = laws(self, fixtures_keras.NETWORKS[name])
        self.assertEqual(logits, 0)
        self.assertLess(feedback, 1e-5)

    @parameterized.parameters("branches", "shared", "nested", "residual", "MobileNetV2", "EfficientNetB0")
    def test_both_laws_in_float64(self, name):
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        try:
            logits, feedback = laws(self, fixtures_keras.NETWORKS[name])
        finally:
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
        self.assertEqual(logits, 0)
        self.assertLess(feedback, 1e-12)

    @parameterized.parameters(
        ("EfficientNetB0", "block3a_activation"),
        ("ConvNeXtTiny", "convnext_tiny_downsampling_block_1"),
        ("ResNet50", "conv3_block1_out"),
        ("residual", "stem_pool"),
    )
    def test_both_laws_above_a_start(self, name, start):
        logits, feedback = laws(self, fixtures_keras.NETWORKS[name], start)
        self.assertLess(logits, 1e-5)
        self.assertLess(feedback, 1e-5)


if __name__ == "__main__":
    tf.test.main()
