"""Auto-PGD against the algorithm of the paper in NumPy, image by image."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import APGD
from tests.attacks import linear

RNG = np.random.default_rng(7)
FIRST, SECOND = RNG.normal(0, 2, (16, 12)), RNG.normal(0, 1, (12, linear.CLASSES))


def wavy(images):
    """Logits that no straight path raises, so that steps must shrink."""
    flat = tf.reshape(images, [-1, 16])
    hidden = tf.sin(tf.matmul(flat, tf.constant(FIRST, images.dtype)))
    return tf.matmul(hidden, tf.constant(SECOND, images.dtype))


def cross_entropy(x, label):
    """Of `wavy` for one image: the loss and its gradient."""
    waves = x.reshape(16) @ FIRST
    logits = np.sin(waves) @ SECOND
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    slope = weights - np.eye(linear.CLASSES)[label]
    return -np.log(weights[label]), (FIRST @ (np.cos(waves) * (SECOND @ slope))).reshape(x.shape)


def project(x, origin, norm, epsilon):
    delta = x - origin
    if norm == "linf":
        delta = np.clip(delta, -epsilon, epsilon)
    elif np.linalg.norm(delta) > epsilon:
        delta = delta * epsilon / np.linalg.norm(delta)
    return np.clip(origin + delta, 0, 1)


def apgd(origin, label, start, norm, epsilon, steps, rho=0.75):
    """Algorithm 1 of arXiv:2003.01690 for one image, with its list of iterates; returns iterates and step sizes."""
    checkpoints, p = [0.0, 0.22], 0.22
    while checkpoints[-1] < 1:
        p = max(p - 0.03, 0.06)
        checkpoints.append(checkpoints[-1] + p)
    checkpoints = [round(steps * c) for c in checkpoints]  # whole numbers for 100 steps
    eta, x, previous = 2 * epsilon, [start], start
    values, gradients = [], []
    best_at_checkpoint, eta_at_checkpoint, sizes = None, None, []
    for k in range(steps):
        value, gradient = cross_entropy(x[k], label)
        values.append(value)
        gradients.append(gradient)
        best = int(np.argmax(values))
        now, slope = x[k], gradient
        if k == 0:
            best_at_checkpoint, eta_at_checkpoint = values[0], None
        elif k in checkpoints:
            before = checkpoints[checkpoints.index(k) - 1]
            rises = sum(values[i + 1] > values[i] for i in range(before, k))
            same = eta_at_checkpoint == eta and best_at_checkpoint == values[best]
            best_at_checkpoint, eta_at_checkpoint = values[best], eta
            if rises <= rho * (k - before) or same:
                eta /= 2
                now, slope = x[best], gradients[best]
        sizes.append(eta)
        direction = np.sign(slope) if norm == "linf" else slope / np.linalg.norm(slope)
        z = project(now + eta * direction, origin, norm, epsilon)
        alpha = 1.0 if k == 0 else 0.75
        x.append(project(now + alpha * (z - now) + (1 - alpha) * (now - previous), origin, norm, epsilon))
        previous = now
    return x, sizes


class FromGiven(APGD):
    """Starts where it is told to."""

    def start(self, problem, restart):
        return tf.clip_by_value(problem.images + self.epsilon * 0.9 / 4, 0, 1)


class Late(APGD):
    """Asks `predict` at the end only."""

    thorough = False


class AutoPGDTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("linf", "l2")
    def test_matches_the_paper(self, norm):
        images = linear.images(12, "float64")
        labels = wavy(tf.constant(images)).numpy().argmax(-1).astype("int32")
        epsilon = {"linf": 0.1, "l2": 0.5}[norm]
        paths, halved = [], 0
        for image, label in zip(images, labels, strict=True):
            start = project(np.clip(image + epsilon * 0.9 / 4, 0, 1), image, norm, epsilon)
            path, sizes = apgd(image, label, start, norm, epsilon, 100)
            paths.append(path)
            halved += sizes[-1] < sizes[0]
        self.assertGreater(halved, 6)
        attack = FromGiven(epsilon=epsilon, norm=norm, early_stop=False)
        result = attack(wavy, images, labels, seed=0)
        self.assertAllClose(result.images, [path[-1] for path in paths], atol=1e-7)
        losses = [[cross_entropy(x, label)[0] for x in path] for path, label in zip(paths, labels, strict=True)]
        self.assertAllClose(result.losses, np.mean(losses, 0), rtol=1e-5)

    @parameterized.parameters("linf", "l2")
    def test_starts_on_the_border(self, norm):
        images, labels = np.full((20, 4, 4, 1), 0.5, "float32"), np.zeros(20, "int32")
        attack = APGD(epsilon=0.1, steps=1, norm=norm, early_stop=False)
        flat = attack(lambda batch: 0 * linear.predictor()(batch), images, labels, seed=0)  # from where nothing moves
        self.assertAllClose(flat.distance, np.full(20, 0.1), rtol=1e-5)
        self.assertGreater(np.std(flat.images[:, 0, 0, 0]), 0.01)

    def test_targeted_loss_wants_any_wrong_class(self):
        images, labels = linear.images(40), linear.labels(40)
        attack = APGD(epsilon=0.1, steps=10, loss="dlr", targets=9)
        result = attack(linear.predictor(), images, labels, seed=0)
        self.assertAllEqual(result.success, result.predictions != labels)
        self.assertBetween(np.mean(result.success), 0.1, 0.9)
        # 10 steps, and a last look, for each of the 4 wrong classes: those that stand have seen them all.
        self.assertEqual(set(result.queries.numpy()[~result.success.numpy()]), {44})
        alone = APGD(epsilon=0.1, steps=10, loss="dlr", targets=1)(linear.predictor(), images, labels, seed=0)
        self.assertAllGreaterEqual(result.success.numpy().astype(int) - alone.success.numpy(), 0)

    def test_shows_predict_what_fools_the_surrogate(self):
        images, labels = linear.images(60), linear.labels(60)
        predict = linear.predictor()

        def surrogate(batch):
            return predict(0.5 + 0.8 * (batch - 0.5)) * 1.5

        found = APGD(epsilon=0.1, steps=20)(predict, images, labels, seed=0, surrogate=surrogate)
        late = Late(epsilon=0.1, steps=20)(predict, images, labels, seed=0, surrogate=surrogate)
        self.assertGreaterEqual(np.sum(found.success), np.sum(late.success))
        self.assertLess(np.mean(found.queries), np.mean(late.queries) - 1)

    def test_averages_gradients_of_a_random_model(self):
        calls = tf.Variable(0)

        def predict(batch):
            calls.assign_add(1)
            return linear.predictor()(batch)

        attack = APGD(epsilon=0.01, steps=3, samples=4, early_stop=False)
        attack.bind(predict).perturb(*_batch(), seed=0)
        self.assertGreaterEqual(int(calls), 12)


def _batch():
    return linear.images(4), linear.labels(4)


if __name__ == "__main__":
    tf.test.main()
