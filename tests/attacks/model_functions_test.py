"""From a CNN-F to predictions, gradient paths and adaptive objectives."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.attacks import PGD, GradientPath
from tests.models import fixtures_models


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


class ModelFunctionsTest(tf.test.TestCase, parameterized.TestCase):
    def test_predictor(self):
        model, images = fixtures_models.model(), fixtures_models.images(3)
        self.assertAllClose(attacks.predictor(model)(images), model(images))
        self.assertAllClose(
            attacks.predictor(model, iterations=4)(images), model.infer(images, iterations=4).logits[-1]
        )
        mean = np.mean(model.infer(images, iterations=3).logits, axis=0)
        self.assertAllClose(attacks.predictor(model, iterations=3, readout="average")(images), mean)

    def test_gradient_paths(self):
        model, images = fixtures_models.model(), fixtures_models.images(3)
        first = attacks.gradient_source(model, GradientPath.FIRST_PASS, iterations=4)
        full = attacks.gradient_source(model, "full_unroll", iterations=4)
        trajectory = model.infer(images, iterations=4)
        self.assertAllClose(first(images), trajectory.logits[0])
        self.assertAllClose(full(images), trajectory.logits[-1])
        self.assertEqual([path.value for path in GradientPath], ["first_pass", "full_unroll"])

    def test_the_same_settings_are_the_same_function(self):
        model, other = fixtures_models.model(), fixtures_models.model()
        predict = attacks.predictor(model)
        self.assertEqual(predict, attacks.predictor(model, iterations=2, readout="last"))
        self.assertEqual(predict, attacks.gradient_source(model, "full_unroll"))
        self.assertNotEqual(predict, attacks.gradient_source(model, "first_pass"))
        self.assertNotEqual(predict, attacks.predictor(other))
        self.assertNotEqual(predict, attacks.every_pass_objective(model))
        attack = PGD(epsilon=0.1, steps=1)
        full = attack.bind(predict, surrogate=attacks.gradient_source(model, GradientPath.FULL_UNROLL))
        self.assertTrue(full._shared)
        self.assertFalse(attack.bind(predict, surrogate=attacks.predictor(model, iterations=0))._shared)

    @parameterized.parameters(False, True)
    def test_objectives_match_numpy(self, with_encoder):
        model, images, labels = (
            fixtures_models.model(with_encoder=with_encoder),
            fixtures_models.images(4),
            fixtures_models.labels(4),
        )
        trajectory = model.infer(images, iterations=3)
        passes = -log_softmax(np.asarray(trajectory.logits))[:, np.arange(4), labels]
        every = attacks.every_pass_objective(model, iterations=3)
        self.assertAllClose(every(images, tf.constant(labels)), passes.mean(0), atol=1e-5)
        residuals = []
        for h, g in zip(trajectory.features[:-1], trajectory.reconstructions, strict=True):
            h, g = np.reshape(h, (4, -1)), np.reshape(g, (4, -1))
            residuals.append(np.linalg.norm(h - g, axis=-1) / np.linalg.norm(h, axis=-1))
        for weight in (0.0, 2.0, -0.5):
            objective = attacks.residual_objective(model, weight=weight, iterations=3)
            expected = passes[-1] - weight * np.mean(residuals, axis=0)
            self.assertAllClose(objective(images, tf.constant(labels)), expected, atol=1e-5)

    def test_the_residual_objective_lowers_the_residual(self):
        model, images = fixtures_models.model(), fixtures_models.images(16)
        labels = model(images).numpy().argmax(-1)
        attack = PGD(epsilon=0.1, steps=8, random_start=False, early_stop=False)

        def residual(weight):
            objective = attacks.residual_objective(model, weight=weight)
            found = attack(attacks.predictor(model), images, labels, objective=objective, seed=0).images
            probe = attacks.residual_objective(model, weight=1.0)
            blank = attacks.residual_objective(model, weight=0.0)
            return np.mean(blank(found, tf.constant(labels)) - probe(found, tf.constant(labels)))

        self.assertLess(residual(100.0), residual(0.0))
        self.assertLess(residual(0.0), residual(-100.0))

    @parameterized.parameters(*GradientPath)
    def test_success_is_that_of_the_full_model(self, path):
        model, images = fixtures_models.model(), fixtures_models.images(12)
        labels = model(images).numpy().argmax(-1)
        surrogate = attacks.gradient_source(model, path)
        result = PGD(epsilon=0.1, steps=4)(attacks.predictor(model), images, labels, surrogate=surrogate, seed=0)
        self.assertAllEqual(result.success, model(result.images).numpy().argmax(-1) != labels)
        self.assertGreater(np.sum(result.success), 0)


if __name__ == "__main__":
    tf.test.main()
