"""FAB: the way to a hyperplane, and nearest adversarial images where they are known."""

import functools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.attacks import FAB, NORMS
from cnnf_tf.attacks.fab import to_hyperplane
from tests.attacks import linear
from tests.models import fixtures_models

FAR = {"linf": 1.0, "l2": 4.0}  # at most this far, that is anywhere


def size(delta, norm):
    return np.abs(delta).max() if norm == "linf" else np.sqrt(np.square(delta).sum())


def shortest(point, normal, rise, norm):
    """The smallest delta of one image with normal . delta = rise in the box, by bisection; None if there is none."""
    direction = np.sign(rise) * (np.sign(normal) if norm == "linf" else normal / np.abs(normal).max())

    def at(length):
        return np.clip(length * direction, -point, 1 - point)

    low, high = 0.0, 1e9
    if abs((normal * at(high)).sum()) < abs(rise):
        return None
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if abs((normal * at(middle)).sum()) < abs(rise) else (low, middle)
    return at(high)


@functools.cache
def nearest_of_linear(norm, count):
    """The distance of each of `linear.images` to the nearest adversarial image of the linear model."""
    kernel, bias = linear.weights()
    found = []
    for image, label in zip(linear.images(count, "float64").reshape(count, -1), linear.labels(count), strict=True):
        logits = image @ kernel + bias
        ways = (
            shortest(image, kernel[:, rival] - kernel[:, label], logits[label] - logits[rival], norm)
            for rival in range(linear.CLASSES)
            if rival != label
        )
        found.append(min(size(way, norm) for way in ways if way is not None))
    return np.array(found)


class Bent:
    """Two pixels, one hidden layer of rectifiers, three classes; one function whose weights change, so traced once."""

    SHAPES = ((2, 6), (6,), (6, 3), (3,))

    def __init__(self):
        axis = np.linspace(0, 1, 1001)
        self.grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
        self.weights = [tf.Variable(tf.zeros(shape, tf.float64)) for shape in self.SHAPES]

    def seed(self, seed):
        rng = np.random.default_rng(seed)
        values = [rng.normal(size=(2, 6)) * 3, rng.normal(size=6), rng.normal(size=(6, 3)), np.zeros(3)]
        values[3] = -(np.maximum(self.grid[::50] @ values[0] + values[1], 0) @ values[2]).mean(0)
        for variable, value in zip(self.weights, values, strict=True):
            variable.assign(value)

    def __call__(self, images):
        first, offset, second, bias = self.weights
        return tf.nn.relu(tf.reshape(images, [-1, 2]) @ first + offset) @ second + bias

    def nearest(self, points, norm):
        """Distances of the points to the nearest one of another class, to 0.001, by trying all."""
        classes, own = (np.argmax(self(tf.constant(part)), -1) for part in (self.grid, points))
        found = []
        for point, label in zip(points, own, strict=True):
            away = np.abs(self.grid[classes != label] - point)
            found.append(away.max(-1).min() if norm == "linf" else np.sqrt(np.square(away).sum(-1).min()))
        return own, np.array(found)


class FABTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(norm=("linf", "l2"), dtype=("float64", "float32"))
    def test_shortest_way_to_a_hyperplane(self, norm, dtype):
        rng = np.random.default_rng(0)
        points = rng.uniform(-0.3, 1.3, (60, 3, 4, 2)).clip(0, 1)  # many pixels are 0 or 1
        normals = rng.normal(size=points.shape) * rng.choice([0, 1, 1, 10], points.shape)
        normals[:20] *= 10.0 ** rng.uniform(-25, 15, (20, 1, 1, 1))
        ends = (normals > 0) * 1.0
        furthest = np.sum(normals * (ends - points), (1, 2, 3))
        rises = furthest * rng.uniform(0, 0.999, 60)
        rises[::2] = -np.sum(normals * (1 - ends - points), (1, 2, 3))[::2] * -rng.uniform(0, 0.999, 30)
        rises[5] = 0
        found = to_hyperplane(*(tf.constant(part, dtype) for part in (points, normals, rises)), NORMS[norm]).numpy()
        tolerance = 1e-9 if dtype == "float64" else 2e-5
        self.assertAllInRange(points.astype(dtype) + found, 0, 1)
        for point, normal, rise, delta in zip(points, normals, rises, found, strict=True):
            wanted = shortest(point, normal, rise, norm)
            self.assertAllClose(size(delta, norm), size(wanted, norm), atol=tolerance, rtol=tolerance)
            self.assertAllClose(np.sum(normal * delta) / size(normal, "linf"), rise / size(normal, "linf"), atol=1e-4)
            if norm == "l2":  # of the largest change there is but one smallest delta
                self.assertAllClose(delta, wanted, atol=tolerance)

    @parameterized.parameters("linf", "l2")
    def test_hyperplanes_that_cannot_be_reached(self, norm):
        points = np.array([0.2, 0.0, 1.0, 0.7]).reshape(1, 2, 2, 1).repeat(4, 0)
        normals = np.array([[1, 1, 2, 0], [-1, 1, 1e-6, 0], [0, 0, 0, 0], [0, 3, 3, 0]], "float64").reshape(4, 2, 2, 1)
        found = to_hyperplane(
            tf.constant(points), tf.constant(normals), tf.constant([9.0, -9, 1, -3], tf.float64), NORMS[norm]
        )
        wanted = np.array([[0.8, 1, 0, 0], [0.8, 0, -1, 0], [0, 0, 0, 0], [0, 0, -1, 0]])
        self.assertAllClose(found, wanted.reshape(4, 2, 2, 1), atol=1e-12)

    @parameterized.parameters(("linf", "float32"), ("l2", "float64"))
    def test_nearest_image_of_a_linear_model(self, norm, dtype):
        wanted = nearest_of_linear(norm, 24)
        attack = FAB(epsilon=FAR[norm], norm=norm, steps=10, early_stop=False)
        images, labels = linear.images(24, dtype), linear.labels(24, wrong=2)
        result = attack(linear.predictor(), images, labels, seed=0)
        self.assertAllEqual(result.success, [True] * 24)
        self.assertAllClose(result.distance[2:], wanted[2:], rtol=5e-4, atol=1e-5)
        self.assertAllEqual(result.distance[:2], [0, 0])  # misclassified: its own nearest image
        self.assertAllEqual(result.images[:2], images[:2])

    @parameterized.parameters(("linf", True), ("l2", False))
    def test_success_is_a_nearest_image_within_epsilon(self, norm, stop):
        distances = nearest_of_linear(norm, 24)
        epsilon = float(np.sort(distances)[11:13].mean())
        attack = FAB(epsilon=epsilon, norm=norm, steps=30, early_stop=stop)
        result = attack(linear.predictor(), linear.images(24), linear.labels(24), seed=0)
        self.assertAllEqual(result.success, distances <= epsilon)
        missed = ~result.success.numpy()
        self.assertAllEqual(result.images[missed], linear.images(24)[missed])

    def test_untargeted_form(self):
        wanted = nearest_of_linear("l2", 24)
        attack = FAB(epsilon=FAR["l2"], norm="l2", targets=0, steps=10, early_stop=False)
        distances = attack(linear.predictor(), linear.images(24), linear.labels(24), seed=0).distance.numpy()
        # It takes the boundary that is nearest without the box.
        self.assertAllGreater(distances - wanted, -1e-5)
        self.assertAllInRange(distances / wanted, 0.999, 1.03)
        self.assertGreater(np.mean(distances < 1.001 * wanted), 0.8)

    @parameterized.parameters("linf", "l2")
    def test_nearest_image_of_piecewise_linear_models(self, norm):
        model, points = Bent(), np.random.default_rng(7).uniform(size=(8, 2))
        bound = FAB(epsilon=FAR[norm], norm=norm, steps=40, restarts=4, early_stop=False).bind(model)
        for seed in range(4):
            model.seed(seed)
            labels, wanted = model.nearest(points, norm)
            self.assertLen(set(labels), 3)
            found = bound(points.reshape(8, 1, 2, 1), labels, seed=0).distance
            self.assertAllClose(found, wanted, atol=1e-3)

    def test_targets_of_the_call(self):
        images, labels = linear.images(24), linear.labels(24)
        targets = (labels + 1) % linear.CLASSES
        result = FAB(epsilon=1, steps=20, early_stop=False)(linear.predictor(), images, labels, targets=targets, seed=0)
        success = result.success.numpy()
        self.assertAllEqual(success, result.predictions == targets)
        self.assertGreater(np.mean(success), 0.8)
        self.assertAllGreater(result.distance[success] - nearest_of_linear("linf", 24)[success], -1e-5)

    def test_slopes_of_the_surrogate_and_logits_of_the_model(self):
        """A surrogate that is wrong everywhere, but has the right slopes, does no harm."""
        predict = linear.predictor()
        attack = FAB(epsilon=1, steps=10, early_stop=False)
        result = attack(
            predict,
            linear.images(24),
            linear.labels(24),
            surrogate=lambda images: predict(images) + 3.0 * np.arange(linear.CLASSES),
            seed=0,
        )
        self.assertAllClose(result.distance, nearest_of_linear("linf", 24), rtol=1e-3)

    def test_restarts(self):
        attack = FAB(epsilon=0.05, steps=3, targets=2, restarts=3, early_stop=False)
        result = attack(linear.predictor(), linear.images(24), linear.labels(24), seed=0)
        # The rivals; two for each step; at the end, logits, a last point, and bisections.
        self.assertAllEqual(result.queries, 24 * [1 + 2 * 3 * 2 * 3 + 17])

    @parameterized.parameters((0, "full_unroll"), (9, "first_pass"))
    def test_on_a_cnnf(self, targets, path):
        model, images = fixtures_models.smaller_model(iterations=1), fixtures_models.images(6)
        labels = model(images).numpy().argmax(-1)
        attack = FAB(epsilon=1, targets=targets, steps=10)
        source = None if path == "full_unroll" else attacks.gradient_source(model, path)
        result = attack(attacks.predictor(model), images, labels, surrogate=source, seed=0)
        self.assertGreater(np.sum(result.success), 4)

    def test_refuses(self):
        with self.assertRaisesRegex(ValueError, "targets must be an integer >= 0, got -1"):
            FAB(epsilon=1, targets=-1)
        with self.assertRaisesRegex(ValueError, "steps must be a positive integer, got 0"):
            FAB(epsilon=1, steps=0)
        with self.assertRaisesRegex(ValueError, "restarts must be a positive integer, got 0"):
            FAB(epsilon=1, restarts=0)
        images, labels, predict = linear.images(2), linear.labels(2), linear.predictor()
        with self.assertRaisesRegex(ValueError, "FAB goes to boundaries between logits and takes no objective"):
            FAB(epsilon=1)(predict, images, labels, objective=lambda images, labels: images[:, 0, 0, 0], seed=0)
        with self.assertRaisesRegex(ValueError, "no gradient reaches the images"):
            FAB(epsilon=1)(predict, images, labels, surrogate=lambda x: tf.stop_gradient(predict(x)), seed=0)


if __name__ == "__main__":
    tf.test.main()
