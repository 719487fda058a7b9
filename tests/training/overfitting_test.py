"""When the guard against catastrophic overfitting trips."""

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.training.overfitting import OverfittingGuard


class GuardTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ([0.1, 0.3, 0.5, 0.45, 0.36, 0.6], None),
        ([0.1, 0.5, 0.34, 0.0, 0.5, 0.0], 2),
        ([0.5, 0.45, 0.4, 0.36, 0.34], 4),
        ([0.0, 0.0, 0.0], None),
        ([0.14, 0.0], None),
    )
    def test_trips_once_where_accuracy_falls_by_more_than_the_drop(self, accuracies, wanted):
        guard = OverfittingGuard(0.15)
        trips = [guard.update(accuracy) for accuracy in accuracies]
        self.assertEqual(trips, [place == wanted for place in range(len(accuracies))])
        self.assertEqual(guard.tripped, wanted is not None)
        self.assertEqual(guard.best, max(accuracies))

    def test_a_fall_around_chance_does_not_count(self):
        guard = OverfittingGuard(0.04, chance=0.1)
        self.assertFalse(any(guard.update(accuracy) for accuracy in (0.13, 0.02, 0.139, 0.0, 0.15)))
        self.assertFalse(guard.update(0.111))
        self.assertTrue(guard.update(0.109))


if __name__ == "__main__":
    tf.test.main()
