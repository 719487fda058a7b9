"""A Keras CNN of convolutions, rectifiers, max pools and dense layers has an exact generative model."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl

from cnnf_tf import CNNF, generative
from cnnf_tf.generative.deconvolutional import inexactness
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_keras

CLASSES = 3


def network():
    """Windows overlap; biases stand before rectifiers and in the last layer."""
    with dtype_policy("float64"):
        trunk = [kl.Conv2D(4, 3, padding="same", activation="relu"), kl.MaxPooling2D(3, 2)]
        head = [
            kl.Conv2D(5, 2, use_bias=False),
            kl.ReLU(),
            kl.Flatten(),
            kl.Dense(6, activation="relu"),
            kl.Dense(CLASSES, name="logits"),
        ]
        model = keras.Sequential([keras.Input((6, 8, 2), dtype="float64"), *trunk, *head])
    return CNNF.from_keras(fixtures_keras.disturbed(model), feedback_norm=False, preprocessing=(0.0, 1.0)).network


class ConvertedTest(tf.test.TestCase):
    def test_the_logits_are_inner_products(self):
        """<h, g(0; y)> + sum over rectifiers of <b, z * g(y)> + c_y, with the latents of the pass."""
        cnn = network()
        features = tf.random.stateless_normal((2, 6, 8, 2), (1, 2), dtype=tf.float64)
        logits, latents = cnn(features)
        self.assertEmpty(inexactness(cnn))
        columns = []
        for start in np.eye(CLASSES):
            below, signals = cnn.feedback(tf.constant(np.tile(start, (2, 1))), latents)
            column = tf.reduce_sum(features * below, axis=(1, 2, 3))
            for layer, z, g in zip(cnn.children(), latents, signals, strict=True):
                if getattr(layer, "bias", None) is not None:
                    column += tf.reduce_sum(tf.reshape(layer.bias * z * g, (2, -1)), axis=1)
            columns.append(column)
        self.assertAllClose(tf.stack(columns, -1) + cnn.output_bias, logits, rtol=1e-12, atol=1e-12)

    def test_it_can_be_sampled(self):
        cnn = network()
        model = generative.DeconvolutionalGenerativeModel(cnn)
        sample = model.sample(4, seed=(1, 2))
        self.assertEqual(sample.features.shape, (4, 6, 8, 2))
        self.assertAllInRange(model.log_prob(sample.features, sample.label, sample.latents), -1e6, 1e6)


if __name__ == "__main__":
    tf.test.main()
