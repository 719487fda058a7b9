"""Checks of an evaluation: each fires on the defect it is for, and stays quiet without it."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.evaluation.robustness import sanity_checks as checks

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(20, 5)) * 3


def robust(count: int, images: int = 100) -> np.ndarray:
    return np.arange(images) < count


class ChecksTest(tf.test.TestCase, parameterized.TestCase):
    def test_probabilities_are_no_logits(self):
        self.assertTrue(checks.logits_not_probabilities(LOGITS).passed)
        probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
        check = checks.logits_not_probabilities(probabilities)
        self.assertFalse(check.passed)
        self.assertIn("100 % of 20 outputs", check.evidence)

    def test_outputs_repeat(self):
        self.assertTrue(checks.outputs_repeat(LOGITS, LOGITS).passed)
        self.assertFalse(checks.outputs_repeat(LOGITS, LOGITS + 0.01).passed)

    def test_gradients_inform(self):
        gradients = RNG.normal(size=(50, 4, 4, 1))
        self.assertTrue(checks.gradients_inform(gradients).passed)
        zeroed = gradients.copy()
        zeroed[:2] = 0
        self.assertFalse(checks.gradients_inform(zeroed).passed)
        self.assertFalse(
            checks.gradients_inform(np.where(gradients == gradients[0, 0, 0, 0], np.nan, gradients)).passed
        )
        alike = np.broadcast_to(gradients[:1], gradients.shape)
        check = checks.gradients_inform(alike)
        self.assertFalse(check.passed)
        self.assertIn("all alike", check.evidence)

    @parameterized.parameters(
        ([1.0, 2.0, 3.0, 3.1], True), ([3.0, 2.0, 1.0], False), ([1.0, 5.0, 2.0], False), ([1.0, float("nan")], False)
    )
    def test_loss_rises(self, curve, passed):
        self.assertEqual(checks.loss_rises(curve).passed, passed)

    def test_stronger_is_stronger(self):
        self.assertTrue(checks.stronger_is_stronger("twice the epsilon", robust(50), robust(20)).passed)
        self.assertTrue(checks.stronger_is_stronger("twice the steps", robust(50), robust(51)).passed)
        check = checks.stronger_is_stronger("twice the epsilon", robust(20), robust(50))
        self.assertFalse(check.passed)
        self.assertIn("20.0 % -> 50.0 % of 100 images", check.evidence)

    def test_unbounded_breaks(self):
        self.assertTrue(checks.unbounded_breaks(robust(1)).passed)
        self.assertFalse(checks.unbounded_breaks(robust(5)).passed)

    def test_black_box(self):
        self.assertTrue(checks.white_box_beats_black_box("SPSA", robust(10), robust(60)).passed)
        self.assertFalse(checks.white_box_beats_black_box("SPSA", robust(60), robust(10)).passed)

    def test_first_pass(self):
        self.assertTrue(checks.first_pass_is_not_enough(robust(30), robust(30)).passed)
        overstated = checks.first_pass_is_not_enough(robust(80), robust(30))
        self.assertFalse(overstated.passed)
        self.assertIn("cannot see the feedback", overstated.cause)
        masked = checks.first_pass_is_not_enough(robust(30), robust(80))
        self.assertFalse(masked.passed)
        self.assertIn("masked", masked.cause)

    def test_text(self):
        self.assertIn("ok", checks.unbounded_breaks(robust(0)).text())
        warning = checks.unbounded_breaks(robust(50)).text()
        for word in ("WARN", "likely:", "to do:"):
            self.assertIn(word, warning)

    def test_rejects_different_images(self):
        with self.assertRaisesRegex(ValueError, "the same images.*shapes \\(3,\\) and \\(4,\\)"):
            checks.stronger_is_stronger("x", robust(1, 3), robust(1, 4))


if __name__ == "__main__":
    tf.test.main()
