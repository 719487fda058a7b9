"""The estimate of a batch's memory: from shapes, and refused before the system would kill the process."""

from unittest import mock

import tensorflow as tf

from cnnf_tf import CNNF, layers
from cnnf_tf.models import memory


def model(**kwargs):
    network = layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(4, kernel_size=3),
            layers.AdaReLU(),
            layers.AdaPool2D(),
            layers.FeedbackFlatten(),
            layers.FeedbackDense(3),
        ]
    )
    return CNNF(network, image_shape=(8, 8, 1), **kwargs)


class MemoryTest(tf.test.TestCase):
    def test_features_of_one_image(self):
        conv, relu, pool, flat, dense = 8 * 8 * 4, 8 * 8 * 4, 4 * 4 * 4, 4 * 4 * 4, 3
        self.assertEqual(memory.feature_bytes(model()), 4 * (conv + relu + pool + flat + dense))

    def test_batches_that_do_not_fit(self):
        small, lean = model(iterations=5), model(iterations=5, rematerialize=True)
        one = memory.feature_bytes(small)
        with mock.patch.object(memory, "free_memory", return_value=100 * one):
            memory.check_memory(small, 100, iterations=5, gradients=False)
            memory.check_memory(small, 11, iterations=5, gradients=True)
            memory.check_memory(lean, 28, iterations=5, gradients=True)
            for network, batch, gradients in ((small, 101, False), (small, 12, True), (lean, 29, True)):
                with self.assertRaisesRegex(ValueError, f"{batch} images .* take about .* are free; give a batch"):
                    memory.check_memory(network, batch, iterations=5, gradients=gradients)
            with self.assertRaisesRegex(ValueError, "100,000 images at once, .* give a batch size of at most 9[.]"):
                memory.check_memory(small, 100_000, iterations=5, gradients=True)


if __name__ == "__main__":
    tf.test.main()
