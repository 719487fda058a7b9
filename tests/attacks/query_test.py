"""SPSA: its estimate of the gradient, its steps, its memory."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import PGD, SPSA
from cnnf_tf.attacks.problem import Problem
from tests.attacks import linear


def slope(images, labels):
    """A loss whose gradient is known and the same everywhere."""
    del labels
    return tf.reduce_sum(images * tf.reshape(tf.linspace(-1.0, 1.0, 16), linear.IMAGE_SHAPE), (1, 2, 3))


class QueryTest(tf.test.TestCase, parameterized.TestCase):
    def test_first_step_follows_the_sign_of_the_gradient(self):
        images = 0.5 * np.ones([3, *linear.IMAGE_SHAPE], "float32")
        attack = SPSA(epsilon=0.1, steps=1, step_size=0.05, samples=2048, random_start=False, early_stop=False)
        result = attack(linear.predictor(), images, linear.labels(3), objective=slope, seed=0)
        # Adam's first step has the length step_size in every pixel, whatever the size of the gradient.
        wanted = 0.05 * np.sign(np.linspace(-1, 1, 16)).reshape(linear.IMAGE_SHAPE)
        agree = np.isclose(result.images - images, wanted, atol=1e-5)
        self.assertGreater(np.mean(agree), 0.9)
        self.assertAllClose(np.abs(result.images - images), np.abs(wanted) * np.ones_like(images), atol=1e-4)
        self.assertAllEqual(result.queries, [2 * 2048 + 1 + 1] * 3)

    def test_the_estimate_is_unbiased(self):
        attack = SPSA(epsilon=1, steps=1, samples=4096)
        problem_images = tf.constant(linear.images(2) * 0.5 + 0.25)
        kernel, _ = linear.weights()

        def first_logit(images):
            return linear.predictor()(images)[:, 0]

        problem = Problem(
            predict=linear.predictor(),
            surrogate=linear.predictor(),
            objective=lambda images, labels: first_logit(images),
            loss="margin",
            shared=False,
            images=problem_images,
            labels=tf.constant([0, 1]),
            targets=None,
            seeds=tf.constant([[1, 2], [3, 4]], tf.int64),
        )
        losses, success, gradient = attack.ascent(problem, problem_images, tf.constant(0), tf.constant(0))
        self.assertIsNone(success)
        self.assertAllClose(losses, first_logit(problem_images))
        error = np.reshape(gradient, (2, 16)) - kernel[:, 0]
        # The variance of each component is the sum of the squares of the others, over the number of samples.
        self.assertLess(np.abs(error).max(), 5 * np.sqrt((kernel[:, 0] ** 2).sum() / 4096))

    def test_needs_no_gradient(self):
        images, labels = linear.images(48), linear.labels(48)
        predict = linear.predictor()
        result = SPSA(epsilon=0.1, steps=8, samples=32)(
            predict, images, labels, surrogate=lambda x: tf.round(100 * tf.stop_gradient(predict(x))) / 100, seed=0
        )
        best = PGD(epsilon=0.1, steps=8)(predict, images, labels, seed=0)
        self.assertGreater(np.sum(result.success), 0.7 * np.sum(best.success))

    @parameterized.parameters(1, 5, 8, 64)
    def test_never_asks_for_more_than_a_chunk(self, chunk_size):
        sizes = []

        def predict(images):
            tf.py_function(lambda size: sizes.append(int(size)), [tf.shape(images)[0]], [])
            return linear.predictor()(images)

        attack = SPSA(epsilon=0.05, steps=2, samples=32, chunk_size=chunk_size, early_stop=False)
        attack(predict, linear.images(3), linear.labels(3), seed=0)
        self.assertLessEqual(max(sizes), 2 * chunk_size * 3)
        self.assertEqual(sum(sizes), 3 * (2 * (2 * 32 + 1) + 1 + 2))  # steps, the last loss, clean and final scores


if __name__ == "__main__":
    tf.test.main()
