"""Other people's attacks on a CNN-F."""

import functools
import importlib
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

import cnnf_tf
from cnnf_tf import attacks, data
from tests import reference_data

COUNT, EPSILON = 200, 0.02
MINI = reference_data.TESTDATA / "fashion_mnist_mini"


@functools.cache
def setting(count=COUNT):
    """The packaged model with its one pass of feedback, and images; the plain CNN where few images will do."""
    images, labels = data.load_arrays(f"idx:{MINI}", "train")
    model = cnnf_tf.load_pretrained("fashion_mnist_standard" if count == COUNT else "fashion_mnist_standard_cnn")
    return model, images[:count], labels[:count].astype("int64")  # as Foolbox wants them


@functools.cache
def ours(name):
    """Share of images that stand our own attack."""
    model, images, labels = setting()
    attack = {
        "fgsm": lambda: attacks.FGSM(epsilon=EPSILON),
        "pgd": lambda: attacks.PGD(epsilon=EPSILON, steps=5, step_size=EPSILON / 4, early_stop=False),
        "pgd from the image": lambda: attacks.PGD(
            epsilon=EPSILON, steps=5, step_size=EPSILON / 4, random_start=False, early_stop=False
        ),
    }[name]()
    return 1 - np.mean(attack(attacks.predictor(model), images, labels, seed=0).success)


class FoolboxTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.foolbox = _import_or_skip(self, "foolbox")

    def attack(self, attack, epsilon, count=COUNT):
        """Share of images that stand, by their own word, and by ours."""
        model, images, labels = setting(count)
        theirs = attacks.as_foolbox(model)
        batch, ids = tf.constant(images), tf.constant(labels)
        _, found, success = attack(theirs, batch, ids, epsilons=epsilon)
        self.assertAllInRange(found, 0, 1)
        predictions = attacks.predictor(model)(found).numpy().argmax(-1)
        self.assertAllEqual(success, predictions != labels)
        return 1 - np.mean(success), np.asarray(found - batch)

    def test_fgsm_and_pgd_agree_with_ours(self):
        standing, _ = self.attack(self.foolbox.attacks.FGSM(random_start=False), EPSILON)
        self.assertAllClose(standing, ours("fgsm"), atol=0.005)
        tf.random.set_seed(0)
        pgd = self.foolbox.attacks.LinfPGD(abs_stepsize=EPSILON / 4, steps=5)
        standing, _ = self.attack(pgd, EPSILON)
        self.assertAllClose(standing, ours("pgd"), atol=0.02)

    def test_deep_fool(self):
        standing, delta = self.attack(self.foolbox.attacks.LinfDeepFoolAttack(steps=5, candidates=3), EPSILON, 20)
        self.assertLess(np.abs(delta).max(), EPSILON + 1e-6)
        self.assertLess(standing, 0.9)

    def test_carlini_wagner(self):
        attack = self.foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=1, steps=25, initial_const=10.0)
        standing, delta = self.attack(attack, None, 10)
        self.assertLess(standing, 0.3)
        self.assertLess(np.median(np.linalg.norm(delta.reshape(10, -1), axis=-1)), 4)

    def test_decisions_alone(self):
        np.random.seed(0)  # noqa: NPY002 - the start is drawn from it
        tf.random.set_seed(0)
        start = self.foolbox.attacks.LinearSearchBlendedUniformNoiseAttack(steps=20)
        attack = self.foolbox.attacks.BoundaryAttack(init_attack=start, steps=20)
        model, images, labels = setting(8)
        keep = attacks.predictor(model)(images).numpy().argmax(-1) == labels
        theirs = attacks.as_foolbox(model)
        _, found, success = attack(theirs, tf.constant(images[keep]), tf.constant(labels[keep]), epsilons=None)
        self.assertAllEqual(success, np.ones(keep.sum(), bool))
        self.assertAllInRange(found, 0, 1)


class ArtTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.evasion = _import_or_skip(self, "art.attacks.evasion")

    def attack(self, make, count=COUNT):
        """Share of images that stand, and the perturbations."""
        model, images, labels = setting(count)
        found = make(attacks.as_art(model)).generate(images, y=np.eye(10, dtype="float32")[labels])
        self.assertAllInRange(found, 0, 1)
        return np.mean(attacks.predictor(model)(found).numpy().argmax(-1) == labels), found - images

    def test_fgsm_agrees_with_ours(self):
        standing, _ = self.attack(lambda model: self.evasion.FastGradientMethod(model, eps=EPSILON))
        self.assertAllClose(standing, ours("fgsm"), atol=0.005)

    def test_pgd_agrees_with_ours(self):
        options = {"eps": EPSILON, "eps_step": EPSILON / 4, "max_iter": 5, "batch_size": COUNT, "verbose": False}
        standing, _ = self.attack(lambda model: self.evasion.ProjectedGradientDescent(model, **options))
        self.assertAllClose(standing, ours("pgd from the image"), atol=0.005)  # where theirs starts by default

    def test_deep_fool(self):
        standing, delta = self.attack(lambda model: self.evasion.DeepFool(model, 50, verbose=False, batch_size=4), 4)
        self.assertLess(standing, 0.3)
        self.assertLess(np.median(np.linalg.norm(delta.reshape(4, -1), axis=-1)), 8)

    def test_carlini_wagner(self):
        options = {"binary_search_steps": 1, "max_iter": 10, "learning_rate": 0.1, "initial_const": 10.0}
        attack = functools.partial(self.evasion.CarliniL2Method, **options, batch_size=4, verbose=False)
        standing, _ = self.attack(attack, 4)
        self.assertLess(standing, 0.6)

    def test_decisions_alone(self):
        np.random.seed(0)  # noqa: NPY002 - the toolbox draws from it
        options = {"max_iter": 1, "max_eval": 20, "init_eval": 10, "verbose": False}
        standing, _ = self.attack(lambda model: self.evasion.HopSkipJump(model, **options), 4)
        self.assertLess(standing, 0.5)


class ErrorsTest(tf.test.TestCase):
    def test_pixels_that_rounding_puts_outside(self):
        _import_or_skip(self, "foolbox")
        model, images, _ = setting()
        theirs = attacks.as_foolbox(model)
        outside = tf.constant(np.where(images[:4] == 0, -0.01, images[:4]))
        self.assertAllClose(theirs(outside), attacks.predictor(model)(images[:4]), atol=1e-5)

    def test_through_the_first_pass(self):
        _import_or_skip(self, "foolbox")
        model, images, _ = setting()
        first = attacks.as_foolbox(model, path="first_pass")(tf.constant(images[:4]))
        self.assertAllClose(first, model.infer(images[:4], iterations=0).logits[0], atol=1e-5)
        with self.assertRaisesRegex(ValueError, "gradient_path must be one of .*got 'second'"):
            attacks.as_foolbox(model, path="second")

    def test_without_the_extra(self):
        model, _, _ = setting()
        for name, function in (("foolbox", attacks.as_foolbox), ("art.estimators", attacks.as_art)):
            with (
                mock.patch.dict(sys.modules, {name: None}),
                self.assertRaisesRegex(ImportError, r"pip install 'cnnf_tf\[toolboxes\]'"),
            ):
                function(model)


def _import_or_skip(test, name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        test.skipTest(f"the extra toolboxes is not installed ({error})")


if __name__ == "__main__":
    tf.test.main()
