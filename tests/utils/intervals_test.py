"""Error bars against published numbers and a brute-force solution."""

import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.utils.intervals import share_interval, wilson_interval


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


class ShareTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(([0], 5), ([5], 5), ([480], 1000))
    def test_one_seed_is_wilson(self, successes, trials):
        self.assertAllClose(share_interval(successes, trials), wilson_interval(successes[0], trials))

    def test_the_wider_on_either_side(self):
        """Near 1 the seeds' deviation reaches further up, and Wilson's interval further down."""
        successes, trials = [97, 99, 100], 100
        low, high = share_interval(successes, trials)
        mean, deviation = np.mean(successes), np.std(successes, ddof=1)
        self.assertEqual(low, wilson_interval(mean, trials)[0])
        self.assertAlmostEqual(high, min(1.0, (mean + deviation) / trials))
        self.assertGreater(high, wilson_interval(mean, trials)[1])
        low, high = share_interval([5000, 6000], 10_000)
        self.assertAllClose((low, high), (0.55 - 0.1 / np.sqrt(2), 0.55 + 0.1 / np.sqrt(2)))

    def test_seeds_that_agree_keep_the_interval_over_images(self):
        self.assertAllClose(share_interval([50, 50, 50], 100), wilson_interval(50, 100))

    def test_stays_in_range(self):
        self.assertEqual(share_interval([0, 2], 2), (0.0, 1.0))

    @parameterized.parameters(([], 5), ([6], 5), ([-1], 5), ([1, 6], 5))
    def test_rejects(self, successes, trials):
        with self.assertRaisesRegex(ValueError, "at least one seed"):
            share_interval(successes, trials)


if __name__ == "__main__":
    tf.test.main()
