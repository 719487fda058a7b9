"""AutoAttack's composition; what each component finds is tested beside it, and here against ART."""

import functools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import AutoAttack, run_attack
from cnnf_tf.attacks.autoattack import COMPONENTS, VERSIONS

IMAGES = np.random.default_rng(0).random((24, 8, 8, 1)).astype("float32")
KERNEL = np.random.default_rng(1).normal(0, 0.5, (64, 5)).astype("float32")
LABELS = (IMAGES.reshape(24, 64) @ KERNEL).argmax(-1).astype("int32")
LABELS[:2] = (LABELS[:2] + 1) % 5
EPSILON = {"linf": 0.04, "l2": 0.3}


def predict(images):
    """A linear model."""
    return tf.matmul(tf.reshape(images, [-1, 64]), KERNEL)


@functools.cache  # traced once
def make(norm="linf", components=None, epsilon=None, version="standard"):
    """A short AutoAttack."""
    radius = EPSILON[norm] if epsilon is None else epsilon
    return AutoAttack(epsilon=radius, norm=norm, components=components, version=version, steps=8, queries=60)


class AutoAttackTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(norm=("linf", "l2"), component=list(COMPONENTS))
    def test_each_component_by_itself(self, norm, component):
        attack = make(norm, (component,))
        result = attack(predict, IMAGES, LABELS, seed=0)
        self.assertAllEqual(result.images[:2], IMAGES[:2])
        delta = (np.asarray(result.images, np.float64) - IMAGES).reshape(24, -1)
        distance = np.abs(delta).max(-1) if norm == "linf" else np.linalg.norm(delta, axis=-1)
        self.assertLessEqual(distance.max(), EPSILON[norm] + 1e-6)
        self.assertAllInRange(result.images, 0, 1)
        self.assertAllEqual(result.success, predict(result.images).numpy().argmax(-1) != LABELS)
        self.assertGreater(np.sum(result.success), 3)
        self.assertAllEqual(result.broken_by, np.where(result.success & (np.arange(24) >= 2), 0, -1))
        self.assertAllEqual(result.images, attack(predict, IMAGES, LABELS, seed=0).images)

    def test_each_component_gets_what_stands(self):
        seen = []
        attack = AutoAttack(epsilon=0.04, steps=5, queries=50, progress=lambda *call: seen.append(call))
        result = attack(predict, IMAGES, LABELS, seed=0)
        self.assertEqual([name for name, _ in seen], ["apgd-ce", "apgd-t", "fab-t", "square"])
        broken = np.bincount(result.broken_by[result.broken_by >= 0], minlength=4)
        self.assertEqual([count for _, count in seen], list(22 - np.cumsum([0, *broken[:3]])))
        self.assertGreater(broken[0], 0)

    def test_at_least_as_strong_as_each(self):
        whole = make(components=("square", "apgd-ce", "fab-t"))(predict, IMAGES, LABELS, seed=0)
        for component in ("square", "apgd-ce", "fab-t"):
            alone = make(components=(component,))(predict, IMAGES, LABELS, seed=0)
            self.assertAllEqual(whole.success & alone.success, alone.success)

    def test_over_a_data_set(self):
        reports = [
            run_attack(make(), predict, tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(size), seed=0)
            for size in (7, 24)
        ]
        self.assertAllEqual(reports[0].predictions, reports[1].predictions)
        self.assertAllClose(reports[0].images, reports[1].images, atol=1e-6)
        found = reports[0].to_dict()
        self.assertAllClose(found["clean_accuracy"], 22 / 24)
        self.assertEqual(sum(found["broken_by"]), 24 - 2 - round(24 * found["robust_accuracy"]))
        self.assertEqual(found["losses"], [])

    def test_versions(self):
        self.assertEqual(list(VERSIONS["standard"]), ["apgd-ce", "apgd-t", "fab-t", "square"])
        standard = AutoAttack(epsilon=0.1).settings()
        self.assertEqual(standard["version"], "standard")
        numbers = {name: (found.get("steps"), found.get("targets")) for name, found in standard["components"].items()}
        self.assertEqual(numbers, {"apgd-ce": (100, 0), "apgd-t": (100, 9), "fab-t": (100, 9), "square": (None, None)})
        self.assertEqual(standard["components"]["square"]["queries"], 5000)
        self.assertEqual(standard["components"]["apgd-t"]["loss"], "dlr")
        plus = AutoAttack(epsilon=0.1, version="plus").settings()["components"]
        restarts = {name: found.get("restarts", 1) for name, found in plus.items()}
        self.assertEqual(restarts, {"apgd-ce": 5, "apgd-dlr": 5, "fab": 5, "square": 1, "apgd-t": 1, "fab-t": 1})
        rand = AutoAttack(epsilon=0.1, version="rand").settings()["components"]
        self.assertEqual({name: found["samples"] for name, found in rand.items()}, {"apgd-ce": 20, "apgd-dlr": 20})

    def test_inside_a_function(self):
        attack = make(components=("apgd-ce", "square"))
        traced = tf.function(lambda images: attack(predict, images, LABELS, seed=0).images)
        self.assertAllClose(traced(IMAGES), attack(predict, IMAGES, LABELS, seed=0).images, atol=1e-6)

    def test_epsilon_zero_is_the_identity(self):
        self.assertAllEqual(make(epsilon=0.0)(predict, IMAGES, LABELS, seed=0).images, IMAGES)

    def test_errors(self):
        with self.assertRaisesRegex(ValueError, "components must be one of .*'apgd-ce'.* got 'pgd'"):
            AutoAttack(epsilon=0.1, components=["pgd"])
        for bad in (
            {"components": "square"},
            {"components": ["fab", "fab"]},
            {"components": ["fab"], "version": "plus"},
        ):
            with self.assertRaisesRegex(ValueError, "components must be a list of .*each once, in place of a version"):
                AutoAttack(epsilon=0.1, **bad)
        with self.assertRaisesRegex(ValueError, "progress must be a function"):
            AutoAttack(epsilon=0.1, progress=3)
        with self.assertRaisesRegex(ValueError, "epsilon must be at most 1e.06, got 1e.30"):
            AutoAttack(epsilon=1e30)
        with self.assertRaisesRegex(ValueError, "labels must be integers below 2..31, got 4294967296"):
            make()(predict, IMAGES, np.full(24, 2**32), seed=0)
        with self.assertRaisesRegex(ValueError, "at least one of .*got none"):
            AutoAttack(epsilon=0.1, components=[])
        with self.assertRaisesRegex(ValueError, "version must be one of .*'standard'.* got 'best'"):
            AutoAttack(epsilon=0.1, version="best")
        with self.assertRaisesRegex(ValueError, "AutoAttack is untargeted"):
            make()(predict, IMAGES, LABELS, targets=LABELS, seed=0)
        with self.assertRaisesRegex(ValueError, "apgd-t: .*at least 4 classes, got 3.* components among .*'square'"):
            make()(lambda x: predict(x)[:, :3], IMAGES, LABELS % 3, seed=0)

    @parameterized.parameters("linf", "l2")
    def test_agrees_with_art(self, norm):
        try:
            import art.attacks.evasion
            import art.estimators.classification
        except ImportError as error:
            self.skipTest(f"the extra toolboxes is not installed ({error})")
        model = art.estimators.classification.TensorFlowV2Classifier(
            lambda images, training=False: predict(tf.cast(images, tf.float32)),
            nb_classes=5,
            input_shape=(8, 8, 1),
            loss_object=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
            clip_values=(0, 1),
        )
        options = {"norm": np.inf if norm == "linf" else 2, "eps": EPSILON[norm], "batch_size": 24, "verbose": False}
        theirs = art.attacks.evasion.AutoProjectedGradientDescent(
            model, eps_step=2 * EPSILON[norm], max_iter=20, nb_random_init=1, loss_type="cross_entropy", **options
        )
        found = theirs.generate(IMAGES, y=np.eye(5, dtype="float32")[LABELS])
        standing = np.sum(predict(found).numpy().argmax(-1) == LABELS)
        ours = make(norm, ("apgd-ce",))(predict, IMAGES, LABELS, seed=0)
        self.assertLessEqual(24 - np.sum(ours.success), standing + 1)


if __name__ == "__main__":
    tf.test.main()
