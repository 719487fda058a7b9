"""AutoAttack's components behind our interface."""

import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.attacks import AutoAttack, run_attack

# 8x8 pixels: the first windows of Square would not fit into 4x4.
IMAGES = np.random.default_rng(0).random((12, 8, 8, 1)).astype("float32")
KERNEL = np.random.default_rng(1).normal(0, 0.5, (64, 5)).astype("float32")
LABELS = (IMAGES.reshape(12, 64) @ KERNEL).argmax(-1).astype("int32")
LABELS[:2] = (LABELS[:2] + 1) % 5


def predict(images):
    """A linear model."""
    return tf.matmul(tf.reshape(images, [-1, 64]), KERNEL)


def available():
    try:
        import art  # noqa: F401
    except ImportError:
        return False
    return True


class AutoAttackTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        if not available() and "without_the_extra" not in self.id():
            self.skipTest("the extra autoattack is not installed")

    @parameterized.product(norm=("linf", "l2"), component=attacks.autoattack.COMPONENTS)
    def test_each_component(self, norm, component):
        epsilon = {"linf": 0.04, "l2": 0.3}[norm]
        attack = AutoAttack(epsilon=epsilon, norm=norm, attacks=[component], steps=6, queries=60)
        result = attack(predict, IMAGES, LABELS, seed=0)
        self.assertAllEqual(result.images[:2], IMAGES[:2])
        delta = (np.asarray(result.images, np.float64) - IMAGES).reshape(12, -1)
        distance = np.abs(delta).max(-1) if norm == "linf" else np.linalg.norm(delta, axis=-1)
        self.assertLessEqual(distance.max(), epsilon + 1e-6)
        self.assertAllInRange(result.images, 0, 1)
        self.assertAllEqual(result.success, predict(result.images).numpy().argmax(-1) != LABELS)
        self.assertGreater(np.sum(result.success) + (component == "square"), 2)
        self.assertAllEqual(result.queries, [0, 0] + [-1] * 10)
        again = attack(predict, IMAGES, LABELS, seed=0)
        self.assertAllEqual(result.images, again.images)

    def test_components_see_only_what_stands(self):
        seen = []
        attack = AutoAttack(epsilon=0.02, steps=5, queries=10)
        component = attack._component
        attack._component = lambda *args: seen.append((args[0], len(args[2]))) or component(*args)
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        result = attack(predict, IMAGES, LABELS, seed=0)
        self.assertEqual([name for name, _ in seen], list(attacks.autoattack.COMPONENTS))
        self.assertEqual(seen[0][1], 10)
        self.assertLess(seen[1][1], 10)
        self.assertGreaterEqual(seen[2][1], np.sum(~result.success.numpy()))
        self.assertAllEqual(np.random.get_state()[1], state)  # noqa: NPY002

    def test_over_a_data_set(self):
        dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(7)
        attack = AutoAttack(epsilon=0.1, attacks=["apgd-ce"], steps=5)
        report = run_attack(attack, predict, dataset, seed=0)
        self.assertAllClose(report.clean_accuracy, 10 / 12)
        self.assertIsNone(report.to_dict()["mean_queries"])
        self.assertEqual(report.to_dict()["losses"], [])

    def test_epsilon_zero_is_the_identity(self):
        result = AutoAttack(epsilon=0.0, steps=2, queries=5)(predict, IMAGES, LABELS, seed=0)
        self.assertAllEqual(result.images, IMAGES)

    def test_errors(self):
        with self.assertRaisesRegex(ValueError, "attacks must be one of .*'apgd-ce'.* got 'fab'"):
            AutoAttack(epsilon=0.1, attacks=["fab"])
        with self.assertRaisesRegex(ValueError, "at least one of .*got none"):
            AutoAttack(epsilon=0.1, attacks=[])
        with self.assertRaisesRegex(ValueError, "AutoAttack is untargeted"):
            AutoAttack(epsilon=0.1)(predict, IMAGES, LABELS, targets=LABELS, seed=0)
        with self.assertRaisesRegex(ValueError, "'apgd-dlr' wants logits of at least 4 classes, got 3"):
            three = AutoAttack(epsilon=0.1, attacks=["apgd-dlr"])
            three(lambda x: predict(x)[:, :3], IMAGES, LABELS % 3, seed=0)
        with self.assertRaisesRegex(ValueError, "call it outside of tf.function"):
            tf.function(lambda x: AutoAttack(epsilon=0.1)(predict, x, LABELS, seed=0))(IMAGES)

    def test_without_the_extra(self):
        with (
            mock.patch.dict(sys.modules, {"art": None}),
            self.assertRaisesRegex(ImportError, r"pip install 'cnnf_tf\[autoattack\]'"),
        ):
            AutoAttack(epsilon=0.1)


if __name__ == "__main__":
    tf.test.main()
