"""Error bars against published numbers and a brute-force solution."""

import math

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.utils.intervals import wilson_interval


class WilsonTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((0, 10), (3, 10), (81, 263), (10, 10))
    def test_solves_its_equation(self, successes, trials):
        """The ends p satisfy |successes / trials - p| = z sqrt(p (1 - p) / trials)."""
        z = 1.959964
        for end in wilson_interval(successes, trials):
            distance = abs(successes / trials - end)
            self.assertAlmostEqual(distance, z * math.sqrt(end * (1 - end) / trials), places=7)

    def test_published_value(self):
        """Newcombe 1998, table I: 81 of 263."""
        low, high = wilson_interval(81, 263)
        self.assertAlmostEqual(low, 0.2553, places=4)
        self.assertAlmostEqual(high, 0.3662, places=4)

    @parameterized.parameters((1, 0), (-1, 5), (6, 5))
    def test_rejects(self, successes, trials):
        with self.assertRaisesRegex(ValueError, "0 <= successes <= trials"):
            wilson_interval(successes, trials)


if __name__ == "__main__":
    tf.test.main()
