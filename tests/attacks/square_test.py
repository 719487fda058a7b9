"""Square: its windows, its schedule, and models that have no gradient."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.attacks import FAB, PGD, Square
from cnnf_tf.attacks.square import _MOVES, _peaks
from tests.attacks import linear
from tests.models import fixtures_models


def moves(norm, shape, epsilon):
    return _MOVES[norm](shape, tf.float64, epsilon)


def uniform(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(size=shape), tf.float32)


def box_of(changed):
    """The rows and columns of the smallest box around the pixels of bool `[height, width]`."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def summed_squares(height, width):
    """One peak, added up square by square as the paper has it (equation 2)."""
    values = np.zeros((height, width))
    for ring in range(max(height, width) // 2 + 1):
        rows = slice(max(height // 2 - ring, 0), height // 2 + ring + 1)
        columns = slice(max(width // 2 - ring, 0), width // 2 + ring + 1)
        values[rows, columns] += 1 / (ring + 1) ** 2
    return values / np.linalg.norm(values)


class SquareTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(("linf", "margin"), ("l2", "cross_entropy"))
    def test_breaks_what_has_no_gradient(self, norm, loss):
        def predict(images):
            return linear.predictor()(tf.round(images * 255) / 255) + 0 * linear.predictor()(images)

        images, labels, epsilon = linear.images(48), linear.labels(48), {"linf": 0.1, "l2": 0.5}[norm]
        result = Square(epsilon=epsilon, norm=norm, loss=loss, queries=150)(predict, images, labels, seed=0)
        self.assertGreater(np.mean(result.success), 0.4)
        for blind in (PGD(epsilon=epsilon, steps=5, norm=norm, random_start=False), FAB(epsilon=epsilon, steps=5)):
            self.assertEqual(np.sum(blind(predict, images, labels, seed=0).success), 0)

    @parameterized.parameters("linf", "l2")
    def test_queries_are_a_budget(self, norm):
        images, labels = linear.images(48), linear.labels(48)
        broken = np.zeros(48, bool)
        for queries in (1, 12, 130):
            result = Square(epsilon=0.1 if norm == "linf" else 0.4, norm=norm, queries=queries)(
                linear.predictor(), images, labels, seed=0
            )
            self.assertAllEqual(result.success[broken], [True] * sum(broken))  # the same steps, and more of them
            self.assertGreater(np.sum(result.success), sum(broken))
            broken = result.success.numpy()
            self.assertAllEqual(result.queries[~broken], [queries] * sum(~broken))
            self.assertAllInRange(result.queries, 1, queries)

    def test_an_objective(self):
        images = 0.5 * np.ones([3, *linear.IMAGE_SHAPE], "float32")
        attack = Square(epsilon=0.1, queries=200, early_stop=False)
        result = attack(
            linear.predictor(),
            images,
            linear.labels(3),
            objective=lambda images, labels: tf.reduce_sum(images, (1, 2, 3)),
            seed=0,
        )
        self.assertAllClose(result.images, images + 0.1, atol=1e-6)

    @parameterized.parameters("linf", "l2")
    def test_on_a_cnnf(self, norm):
        model, images = fixtures_models.smaller_model(iterations=1), fixtures_models.images(6)
        labels = model(images).numpy().argmax(-1)
        source = attacks.gradient_source(model, "first_pass")
        attack = Square(epsilon=0.3 if norm == "linf" else 2, norm=norm, queries=60)
        result = attack(attacks.predictor(model), images, labels, surrogate=source, seed=0)
        self.assertGreater(np.sum(result.success), 2)

    @parameterized.product(norm=("linf", "l2"), shape=((4, 4, 1), (8, 8, 3), (3, 9, 2), (12, 5, 1), (1, 1, 1)))
    def test_images_of_any_size(self, norm, shape):
        rule, epsilon = moves(norm, shape, 0.2), 0.2
        images = tf.fill([7, *shape], tf.constant(0.5, tf.float64))
        points = rule.start(images, uniform(7, *rule.start_numbers))
        for stage in range(10):
            size = (
                np.abs(points - images).max((1, 2, 3))
                if norm == "linf"
                else np.sqrt(np.square(points - images).sum((1, 2, 3)))
            )
            self.assertAllClose(size, [epsilon] * 7)
            points = rule.step(images, points, uniform(7, rule.step_numbers, seed=stage), tf.constant(stage))

    def test_the_schedule_of_sides(self):
        share_after = {0: 0.8, 11: 0.4, 51: 0.2, 201: 0.1, 501: 0.05, 1001: 0.025, 2001: 0.0125}
        sides = [round((share * 784) ** 0.5) for share in share_after.values()]
        self.assertEqual(moves("linf", (28, 28, 1), 0.1).sides, [*sides, 2, 2, 1])
        odd = [side + 1 - side % 2 for side in sides]
        self.assertEqual(moves("l2", (28, 28, 1), 0.1).sides, [*odd, 3, 3, 3])
        self.assertEqual(moves("linf", (8, 3, 1), 0.1).sides, [3, 3, 2, 2, 1, 1, 1, 1, 1, 1])

    @parameterized.parameters(*range(1, 10), 25)
    def test_peaks(self, side):
        found, upper = _peaks(side), side // 2
        self.assertAllClose(np.linalg.norm(found), 1)
        scale = np.sqrt(2) if upper else 1
        if upper:
            self.assertAllClose(found[:upper], summed_squares(upper, side) / scale)
        self.assertAllClose(found[upper:], -summed_squares(side - upper, side) / scale)

    def test_linf_changes_one_window_to_the_ends_of_the_ball(self):
        rule, images = moves("linf", (9, 7, 2), 0.1), tf.fill([400, 9, 7, 2], tf.constant(0.5, tf.float64))
        best = rule.start(images, uniform(400, *rule.start_numbers))
        self.assertAllEqual(best, tf.repeat(best[:, :1], 9, 1))
        stage = 2
        points = rule.step(images, best, uniform(400, rule.step_numbers), tf.constant(stage)).numpy()
        self.assertAllClose(np.abs(points - 0.5), np.full(points.shape, 0.1))
        side, corners = rule.sides[stage], set()
        flat = rule.step(images, images, uniform(400, rule.step_numbers), tf.constant(stage)).numpy() - 0.5
        for change, point, old in zip(flat, points, best.numpy(), strict=True):
            rows, columns = box_of(change.any(-1))
            self.assertEqual((rows.stop - rows.start, columns.stop - columns.start), (side, side))
            corners.add((rows.start, columns.start))
            inside = np.zeros(point.shape, bool)
            inside[rows, columns] = True
            self.assertAllEqual(point[~inside], old[~inside])
            self.assertLen(np.unique(point[rows, columns, 0]), 1)
        self.assertLen(corners, (9 - side + 1) * (7 - side + 1))  # the last row and column too
        # What was tried already is not tried again: with one channel, every window changes something.
        rule = moves("linf", (4, 4, 1), 0.1)
        images, best = images[:, :4, :4, :1], images[:, :4, :4, :1] + 0.1
        self.assertAllGreater(
            np.abs(rule.step(images, best, uniform(400, 3), tf.constant(5)) - best).max((1, 2, 3)), 0.1
        )

    def test_l2_moves_what_is_in_one_window_to_another(self):
        rule, images = moves("l2", (12, 12, 2), 0.3), tf.fill([200, 12, 12, 2], tf.constant(0.5, tf.float64))
        best = rule.start(images, uniform(200, *rule.start_numbers))
        stage = 3
        points = rule.step(images, best, uniform(200, rule.step_numbers), tf.constant(stage))
        before, after = best.numpy() - 0.5, points.numpy() - 0.5
        side = rule.sides[stage]
        self.assertEqual(side, 5)
        kept = np.isclose(before, after).all(-1)
        self.assertAllGreaterEqual((~kept).sum((1, 2)), side**2)
        self.assertAllInRange((~kept).sum((1, 2)), side**2, 2 * side**2)
        emptied = (before != 0).all(-1) & (after == 0).all(-1)
        self.assertAllInRange(emptied.sum((1, 2)), 0, side**2)
        self.assertGreater(emptied.sum((1, 2)).max(), side**2 - 1)
        self.assertAllClose(np.sqrt(np.square(after).sum((1, 2, 3))), [0.3] * 200)

    def test_refuses(self):
        with self.assertRaisesRegex(ValueError, "queries must be a positive integer, got 0"):
            Square(epsilon=1, queries=0)
        with self.assertRaisesRegex(ValueError, r"norm must be one of \['l2', 'linf'\], got 'l1'"):
            Square(epsilon=1, norm="l1")


if __name__ == "__main__":
    tf.test.main()
