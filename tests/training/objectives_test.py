"""What a step minimises, and that `CNNF.fit` minimises the same."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.training import AdversarialObjective, Objective
from cnnf_tf.training.objectives import build_objective
from tests.training import fixtures_training, numpy_reference

SEED = tf.constant(3, tf.int64)


def adversarial(model, **changes):
    return AdversarialObjective(
        model, **({"epsilon": 0.1, "steps": 2, "step_size": 0.05, "clean_weight": 0.1} | changes)
    )


class ObjectiveTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(({},), ({"training_horizon": 4},))
    def test_fit_minimises_the_same(self, options):
        ((images, labels),) = fixtures_training.batches(1)
        clean = images * 0.9
        for batch in (images, {"images": images, "clean": clean}):
            model = fixtures_training.model(reconstruction_weight=0.3, **options)
            objective = Objective(model)
            prepared = objective.prepare(batch, labels, seed=SEED, indices=tf.range(8))
            with tf.GradientTape() as tape:
                scored = objective.score(prepared, labels, step=tf.constant(0))
            gradients = tape.gradient(scored.losses.total, model.trainable_variables)
            wanted = [
                variable.numpy() - 0.5 * gradient
                for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
            ]
            model.compile("sgd")
            model.optimizer.learning_rate = 0.5
            model.run_eagerly = True
            report = model.train_step((batch, labels))
            self.assertAllClose(report["loss"], scored.losses.total, rtol=1e-6)
            self.assertAllClose(report["reconstruction_loss"], scored.losses.reconstruction, rtol=1e-6)
            for ours, theirs in zip(model.trainable_variables, wanted, strict=True):
                self.assertAllClose(ours, theirs, atol=1e-6)

    def test_prepares_pairs(self):
        ((images, labels),) = fixtures_training.batches(1)
        objective = Objective(fixtures_training.model())
        common = {"seed": SEED, "indices": tf.range(8)}
        self.assertIsNone(objective.prepare(images, labels, **common).clean)
        pair = objective.prepare({"images": images, "clean": images * 0.5}, labels, **common)
        self.assertAllEqual(pair.images, images)
        self.assertAllEqual(pair.clean, images * 0.5)

    def test_report(self):
        ((images, labels),) = fixtures_training.batches(1)
        model = fixtures_training.model(readout="average")
        objective = adversarial(model)
        prepared = objective.prepare(images, labels, seed=SEED, indices=tf.range(8))
        scored = objective.score(prepared, labels, step=tf.constant(0))
        report = objective.report(scored, labels)

        def accuracy(logits):
            return np.mean(np.argmax(logits, -1) == labels.numpy())

        logits, clean = (model.infer(each).logits.numpy() for each in prepared)
        self.assertAllClose(report["accuracy"], accuracy(logits.mean(axis=0)))
        self.assertAllClose(report["first_pass_accuracy"], accuracy(logits[0]))
        self.assertAllClose(report["last_pass_accuracy"], accuracy(logits[-1]))
        self.assertAllClose(report["clean_accuracy"], accuracy(clean.mean(axis=0)))
        for place, name in ((0, "first_pass_loss"), (-1, "last_pass_loss")):
            pair = [numpy_reference.cross_entropy(np.float64(each[place]), labels.numpy()) for each in (clean, logits)]
            self.assertAllClose(report[name], (0.1 * pair[0] + pair[1]) / 2, rtol=1e-5)
        mean = (report["first_pass_loss"] + report["last_pass_loss"]) / 2
        self.assertAllClose(report["loss"], mean + 0.1 * report["reconstruction_loss"], rtol=1e-6)


class AdversarialObjectiveTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("first_pass", "full_unroll")
    def test_attacks_within_the_ball_and_raises_the_loss(self, path):
        ((images, labels),) = fixtures_training.batches(1)
        model = fixtures_training.model()
        objective = adversarial(model, steps=5, gradient_path=path)
        attacked, clean = objective.prepare(images, labels, seed=SEED, indices=tf.range(8))
        self.assertAllEqual(clean, images)
        self.assertAllInRange(attacked, 0.0, 1.0)
        distance = np.abs(attacked - images).max(axis=(1, 2, 3))
        self.assertAllLessEqual(distance, 0.1 + 1e-6)
        self.assertAllGreater(distance, 0.05)  # every image, also one that is misclassified from the start
        place = 0 if path == "first_pass" else -1
        losses = [
            numpy_reference.cross_entropy(np.float64(model.infer(each).logits[place]), labels.numpy())
            for each in (images, attacked)
        ]
        self.assertGreater(losses[1], losses[0] + 0.05)

    def test_an_image_depends_on_its_place_in_the_batch_only(self):
        ((images, labels),) = fixtures_training.batches(1)
        objective = adversarial(fixtures_training.model())
        whole = objective.prepare(images, labels, seed=SEED, indices=tf.range(8)).images
        half = objective.prepare(images[4:], labels[4:], seed=SEED, indices=tf.range(4, 8)).images
        self.assertAllClose(half, whole[4:], atol=1e-7)
        elsewhere = objective.prepare(images[4:], labels[4:], seed=SEED, indices=tf.range(4)).images
        self.assertNotAllClose(elsewhere, half, atol=1e-3)
        later = objective.prepare(images, labels, seed=SEED + 1, indices=tf.range(8)).images
        self.assertNotAllClose(later, whole, atol=1e-3)

    @parameterized.parameters(
        ("clean_weight", -0.1, "clean_weight must be a number >= 0, got -0.1"),
        ("clean_weight", True, "clean_weight must be a number >= 0, got True"),
        ("clean_weight", float("nan"), "clean_weight must be a number >= 0, got nan"),
        ("clean_weight", "0.1", "clean_weight must be a number >= 0, got '0.1'"),
        ("epsilon", -1.0, "epsilon must be a finite number >= 0"),
        ("steps", 0, "steps must be"),
        ("step_size", -0.1, "step_size must be a finite number >= 0"),
        ("gradient_path", "second_pass", "gradient_path must be one of .*first_pass.*got 'second_pass'"),
    )
    def test_refuses(self, name, value, message):
        with self.assertRaisesRegex(ValueError, message):
            adversarial(fixtures_training.model(), **{name: value})

    def test_from_a_configuration(self):
        model = fixtures_training.model()
        self.assertIs(type(build_objective(model, fixtures_training.config())), Objective)
        config = fixtures_training.config("adversarial", adversarial__guard_steps=4, adversarial__epsilon=0.2)
        objective = build_objective(model, config)
        self.assertEqual(objective.clean_weight, config.adversarial.clean_weight)
        attack = objective._attack.attack
        self.assertEqual((attack.epsilon, attack.steps, attack.step_size), (0.2, 1, config.adversarial.step_size))
        attack = build_objective(model, config, guarded=True)._attack.attack
        self.assertEqual((attack.epsilon, attack.steps), (0.2, 4))
        self.assertAllClose(attack.step_size, 2.5 * 0.2 / 4)


if __name__ == "__main__":
    tf.test.main()
