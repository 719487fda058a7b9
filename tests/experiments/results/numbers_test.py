"""How numbers print, and the rule that calls one higher than another."""

import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import evaluation
from cnnf_tf.experiments.results import numbers
from cnnf_tf.experiments.results.numbers import Share


class ShareTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((0, 5), (5, 5), (1, 30), (480, 1000))
    def test_interval_of_one_seed_is_that_of_the_evaluation(self, successes, trials):
        found = Share.of([successes / trials], [trials])
        self.assertAllClose(found.interval, evaluation.wilson_interval(successes, trials), atol=1e-9)

    def test_several_seeds(self):
        values = [0.5, 0.56, 0.62]
        found = Share.of(values, [10_000] * 3)
        self.assertAlmostEqual(found.mean, np.mean(values))
        self.assertAlmostEqual(found.deviation, np.std(values, ddof=1))
        self.assertEqual(found.text(), "56.0 ± 6.0")
        self.assertAllClose(found.interval, (0.5, 0.62))  # wider than that over 10,000 images

    def test_seeds_that_agree_keep_the_interval_over_images(self):
        found = Share.of([0.5, 0.5], [100] * 2)
        self.assertAllClose(found.interval, evaluation.wilson_interval(50, 100))
        self.assertEqual(found.text(), "50.0 ± 0.0")

    def test_text_of_one_seed(self):
        low, high = evaluation.wilson_interval(49, 100)
        self.assertEqual(Share.of([0.49], [100]).text(), f"49.0 [{100 * low:.1f}, {100 * high:.1f}]")
        self.assertEqual(numbers.percent(Share.of([0.49], [100]), 2)[:5], "49.00")

    @parameterized.parameters(([],), ([None],), ([math.nan],), ([0.5, None],), ([0.5, math.inf],))
    def test_absent(self, values):
        self.assertIsNone(Share.of(values, [10] * len(values)))
        self.assertEqual(numbers.percent(None), "–")

    def test_refuses(self):
        with self.assertRaisesRegex(ValueError, r"the same number of images, got \[100, 200\]"):
            Share.of([0.5, 0.6], [100, 200])
        with self.assertRaisesRegex(ValueError, r"values in \[0, 1\], got \[51.0\]"):
            Share.of([51.0], [100])


class CompareTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (0.50, 0.80, -1, "30.0 points lower"),
        (0.80, 0.50, 1, "30.0 points higher"),
        (0.50, 0.55, 0, "level within the intervals (−5.0 points)"),
        (0.50, 0.50, 0, "level within the intervals (0.0 points)"),
    )
    def test_words_follow_the_intervals(self, one, other, sign, words):
        found = numbers.compare(Share.of([one], [100]), Share.of([other], [100]))
        self.assertEqual((found.sign, found.words()), (sign, words))

    def test_with_a_number_of_others(self):
        ours = Share.of([0.5], [100])
        self.assertEqual(numbers.compare(ours, 0.55).sign, 0)
        self.assertEqual(numbers.compare(ours, 0.65).sign, -1)

    def test_spread_of_seeds_makes_level(self):
        sure, unsure = [0.5, 0.5], [0.4, 0.6]
        other = Share.of([0.56], [100_000])
        self.assertEqual(numbers.compare(Share.of(sure, [100_000] * 2), other).sign, -1)
        self.assertEqual(numbers.compare(Share.of(unsure, [100_000] * 2), other).sign, 0)


class TextTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((4.64, "+4.6"), (-4.64, "−4.6"), (0.04, "0.0"), (-0.04, "0.0"))
    def test_signed(self, value, text):
        self.assertEqual(numbers.signed(value), text)

    def test_spread(self):
        self.assertEqual(numbers.spread([17.83], 1), "17.8")
        self.assertEqual(numbers.spread([17.0, 18.0, 19.0], 1), "18.0 ± 1.0")
        self.assertEqual(numbers.spread([17.0, math.nan], 1), "–")
        self.assertEqual(numbers.spread([], 1), "–")

    def test_lists_and_spans(self):
        self.assertEqual(numbers.listed([1]), "1")
        self.assertEqual(numbers.listed([0, 1, 2]), "0, 1 and 2")
        self.assertEqual(numbers.span([9, -1.5, 17]), "−1.5 to 17.0")
        self.assertEqual(numbers.span([2.0, 2.04]), "2.0")
        self.assertEqual(numbers.plural(1, "seed"), "1 seed")
        self.assertEqual(numbers.plural(10_000, "image"), "10,000 images")

    def test_minutes(self):
        self.assertEqual(numbers.minutes([18.6]), "19 min")
        self.assertEqual(numbers.minutes([18.0, 20.0]), "19 ± 1 min")
        self.assertEqual(numbers.minutes([150.0]), "2.5 h")
        self.assertEqual(numbers.minutes([None]), "–")

    @parameterized.parameters(
        (0.03, "0.03"), (0.005, "0.005"), (0.2, "0.2"), (8 / 255, "8/255"), (0.0123456, "0.0123456")
    )
    def test_radius(self, radius, text):
        self.assertEqual(numbers.radius_text(radius), text)


if __name__ == "__main__":
    tf.test.main()
