"""PGD and FGSM against NumPy in float64, and against foolbox."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import FGSM, NORMS, PGD
from tests.attacks import linear


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def cross_entropy_and_gradient(images, labels, seed=0):
    """Of the linear model: loss `[batch]` and d loss / d images."""
    kernel, bias = linear.weights(seed)
    probabilities = softmax(images.reshape(len(images), -1) @ kernel + bias)
    one_hot = np.eye(linear.CLASSES)[labels]
    gradient = ((probabilities - one_hot) @ kernel.T).reshape(images.shape)
    return -np.log((probabilities * one_hot).sum(-1)), gradient


def numpy_step(current, clean, gradient, norm, step_size, epsilon):
    """One projected step, written with loops over images."""
    moved = []
    for x, origin, slope in zip(current, clean, gradient, strict=True):
        direction = np.sign(slope) if norm == "linf" else slope / np.sqrt((slope**2).sum())
        delta = x + step_size * direction - origin
        if norm == "linf":
            delta = np.minimum(np.maximum(delta, -epsilon), epsilon)
        elif np.sqrt((delta**2).sum()) > epsilon:
            delta = delta * epsilon / np.sqrt((delta**2).sum())
        moved.append(np.minimum(np.maximum(origin + delta, 0), 1))
    return np.stack(moved)


class GradientTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(norm=("linf", "l2"), sign=(1, -1), schedule=(None, (1.0, 0.5, 0.25)))
    def test_matches_numpy(self, norm, sign, schedule):
        images, labels = linear.images(10, "float64"), linear.labels(10)
        epsilon, step_size = {"linf": (0.1, 0.07), "l2": (0.5, 0.3)}[norm]
        targets = None if sign == 1 else (labels + 2) % linear.CLASSES
        expected, losses = images, []
        for multiplier in schedule or (1, 1, 1):
            loss, gradient = cross_entropy_and_gradient(expected, labels if sign == 1 else targets)
            losses.append(sign * loss.mean())
            expected = numpy_step(expected, images, sign * gradient, norm, multiplier * step_size, epsilon)
        losses.append(sign * cross_entropy_and_gradient(expected, labels if sign == 1 else targets)[0].mean())
        attack = PGD(
            epsilon=epsilon,
            steps=3,
            step_size=step_size,
            norm=norm,
            random_start=False,
            schedule=schedule,
            early_stop=False,
        )
        result = attack(linear.predictor(), images, labels, targets=targets, seed=0)
        self.assertEqual(result.images.dtype, tf.float64)
        self.assertAllClose(result.images, expected, rtol=0, atol=1e-12)
        self.assertAllClose(result.losses, losses, atol=1e-6)
        self.assertAllEqual(result.queries, [4] * 10)

    @parameterized.product(norm=("linf", "l2"), loss=("cross_entropy", "margin", "dlr"))
    def test_the_loss_rises(self, norm, loss):
        attack = PGD(epsilon={"linf": 0.05, "l2": 0.2}[norm], steps=10, norm=norm, loss=loss, random_start=False)
        losses = attack(linear.predictor(), linear.images(64), linear.labels(64), seed=0).losses.numpy()
        self.assertLen(losses, 11)
        self.assertAllGreaterEqual(np.diff(losses), -1e-3)
        self.assertGreater(losses[-1], losses[0] + 0.1)

    @parameterized.parameters("linf", "l2")
    def test_fgsm_is_pgd_with_one_step(self, norm):
        images, labels = linear.images(12), linear.labels(12)
        fgsm = FGSM(epsilon=0.1, norm=norm)(linear.predictor(), images, labels, seed=0)
        pgd = PGD(epsilon=0.1, steps=1, step_size=0.1, random_start=False, norm=norm)
        self.assertAllEqual(fgsm.images, pgd(linear.predictor(), images, labels, seed=7).images)
        _, gradient = cross_entropy_and_gradient(images.astype("float64"), labels)
        if norm == "linf":
            self.assertAllClose(fgsm.images, np.clip(images + 0.1 * np.sign(gradient), 0, 1), atol=1e-6)

    def test_the_default_step_reaches_the_border(self):
        self.assertAllClose(PGD(epsilon=0.1, steps=40).step_size, 2.5 * 0.1 / 40)
        attack = PGD(epsilon=0.02, steps=10, early_stop=False)
        delta = attack(linear.predictor(), 0.5 + 0 * linear.images(8), linear.labels(8), seed=0).images - 0.5
        self.assertAllClose(np.abs(delta), 0.02 * np.ones(delta.shape), atol=1e-6)

    def test_schedule_may_be_a_function(self):
        self.assertAllClose(PGD(epsilon=1, steps=4, schedule=lambda done: 1 - done).multipliers, [1, 0.75, 0.5, 0.25])

    @parameterized.parameters(True, False)
    def test_restarts_break_no_fewer(self, stop):
        images, labels = linear.images(64), linear.labels(64)
        counts = []
        for restarts in (1, 2, 6):
            attack = PGD(epsilon=0.08, steps=1, step_size=0.02, restarts=restarts, early_stop=stop)
            result = attack(linear.predictor(), images, labels, seed=0)
            counts.append(np.sum(result.success))
            self.assertLessEqual(np.max(result.queries), 2 * restarts)
        self.assertEqual(counts, sorted(counts))
        self.assertGreater(counts[-1], counts[0])

    def test_objective_takes_the_place_of_the_loss(self):
        images, labels = linear.images(8), linear.labels(8)

        def brightness(images, labels):
            del labels
            return tf.reduce_sum(images, (1, 2, 3))

        attack = FGSM(epsilon=0.1, early_stop=False)
        result = attack(linear.predictor(), images, labels, objective=brightness, seed=0)
        self.assertAllClose(result.images, np.clip(images + 0.1, 0, 1), atol=1e-6)
        self.assertAllClose(result.losses, [images.sum() / 8, np.clip(images + 0.1, 0, 1).sum() / 8], atol=1e-4)

    @parameterized.parameters("linf", "l2")
    def test_random_starts_are_uniform_in_the_ball(self, norm):
        images, labels = 0.5 * np.ones([400, 4, 4, 1], "float32"), np.zeros(400, "int32")
        attack = PGD(epsilon=0.3, steps=1, step_size=0.0, norm=norm, early_stop=False)
        delta = attack(linear.predictor(), images, labels, seed=0).images.numpy() - 0.5
        self.assertLess(np.abs(delta.mean(0)).max(), 0.06)
        length = NORMS[norm].distance(tf.constant(delta)).numpy() / 0.3
        # The share of the ball's volume within a distance of d is d^n in n dimensions, so length^n is uniform.
        self.assertAllClose(
            np.quantile(length**16, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.08
        )

    @parameterized.parameters("linf", "l2")
    def test_agrees_with_foolbox(self, norm):
        try:
            import foolbox
        except ImportError:
            self.skipTest("foolbox is not installed (extra dev)")
        images, labels = linear.images(600), linear.labels(600, wrong=30)
        epsilon, step_size, steps = {"linf": (0.06, 0.01, 12), "l2": (0.2, 0.05, 12)}[norm]
        inputs = tf.keras.Input(linear.IMAGE_SHAPE)
        dense = tf.keras.layers.Dense(linear.CLASSES)
        model = tf.keras.Model(inputs, dense(tf.keras.layers.Flatten()(inputs)))
        dense.set_weights(linear.weights())
        theirs = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
        attack = theirs(abs_stepsize=step_size, steps=steps, random_start=True)
        tf.random.set_seed(0)
        wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
        _, _, success = attack(wrapped, tf.constant(images), tf.constant(labels, tf.int64), epsilons=epsilon)
        for stop in (True, False):
            ours = PGD(epsilon=epsilon, steps=steps, step_size=step_size, norm=norm, early_stop=stop)
            result = ours(model, images, labels, seed=0)
            self.assertAllClose(np.mean(result.success), np.mean(success), atol=0.01)
        self.assertBetween(np.mean(success), 0.2, 0.8)


if __name__ == "__main__":
    tf.test.main()
