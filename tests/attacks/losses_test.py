"""The losses against NumPy, image by image."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks.losses import LOSSES, check_classes

LOGITS = np.array([[3.0, 1.0, -2.0, 0.5, 2.0], [0.1, 0.2, 0.3, 0.4, 0.5], [5.0, 5.0, 1.0, 0.0, -1.0]])
LABELS = np.array([0, 1, 1], "int32")
TARGETS = np.array([2, 4, 0], "int32")


def expected(name, z, label, target):
    """One image."""
    ordered = np.sort(z)[::-1]
    own = label if target is None else target
    best_other = max(value for index, value in enumerate(z) if index != own)
    sign = 1 if target is None else -1
    if name == "cross_entropy":
        return sign * (np.log(np.exp(z).sum()) - z[own])
    if name == "margin":
        return sign * (best_other - z[own])
    if target is None:
        return (best_other - z[label]) / (ordered[0] - ordered[2])
    return (z[target] - z[label]) / (ordered[0] - (ordered[2] + ordered[3]) / 2)


class LossesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(name=sorted(LOSSES), targeted=(False, True))
    def test_matches_numpy(self, name, targeted):
        targets = TARGETS if targeted else [None] * 3
        wanted = [expected(name, *values) for values in zip(LOGITS, LABELS, targets, strict=True)]
        given = tf.constant(TARGETS) if targeted else None
        self.assertAllClose(LOSSES[name](tf.constant(LOGITS), tf.constant(LABELS), given), wanted, atol=1e-9)

    def test_by_hand(self):
        z, label = tf.constant([[2.0, 1.0, -2.0]]), tf.constant([0])
        self.assertAllClose(LOSSES["margin"](z, label, None), [-1.0])
        self.assertAllClose(LOSSES["dlr"](z, label, None), [-0.25])
        self.assertAllClose(LOSSES["dlr"](10 * z, label, None), [-0.25])

    @parameterized.product(name=sorted(LOSSES), targeted=(False, True))
    def test_equal_logits_give_finite_values_and_gradients(self, name, targeted):
        z = tf.ones([2, 4])
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = LOSSES[name](z, tf.constant([0, 1]), tf.constant([1, 2]) if targeted else None)
        self.assertAllInRange(loss, -10, 10)
        self.assertAllEqual(np.isfinite(tape.gradient(loss, z)), np.ones([2, 4], bool))

    def test_too_few_classes(self):
        check_classes("dlr", 3, targeted=False)
        check_classes("margin", 2, targeted=True)
        for loss, targeted, given, wanted in (("dlr", False, 2, 3), ("dlr", True, 3, 4), ("margin", False, 1, 2)):
            with self.assertRaisesRegex(ValueError, f"'{loss}' wants logits of at least {wanted} classes, got {given}"):
                check_classes(loss, given, targeted=targeted)


if __name__ == "__main__":
    tf.test.main()
