"""Nothing is traced twice for the same shapes: not for another corruption, severity, radius, seed or last batch."""

import copy
import inspect

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, attacks, evaluation, generative
from cnnf_tf.evaluation.adaptive_work import adaptive_work
from cnnf_tf.evaluation.out_of_distribution import fit_scale, image_scores
from cnnf_tf.experiments.claims.measures import settling
from tests.models import fixtures_models

SIDE = 12  # SSIM wants 11 pixels


def dataset(count, batch_size=4):
    generator = np.random.default_rng(count)
    images = generator.random((count, SIDE, SIDE, 1), np.float32)
    labels = generator.integers(0, 3, count).astype(np.int32)
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)


def images_of(batches):
    return np.concatenate([images.numpy() for images, _ in batches])


def labels_of(batches):
    return np.concatenate([labels.numpy() for _, labels in batches])


def restoration(model, number):
    name = ("gaussian_noise", "contrast", "dotted_line")[number]
    evaluation.evaluate_restoration(model, dataset(5 + number), corruption=name, severity=1 + number, seed=number)


def robust(model, number):
    batches = dataset(5 + number)
    specs = evaluation.baseline_suite(epsilon=0.03 + 0.01 * number, steps=2, spsa_images=0)
    options = {"epsilon": 0.03 + 0.01 * number, "seed": number, "batch_size": 4, "check_steps": 2}
    evaluation.evaluate_robustness(model, images_of(batches), labels_of(batches), attack_specs=specs, **options)


def attack(make):
    def evaluate(model, number):
        attacks.run_attack(make(0.05 + 0.1 * number), attacks.predictor(model), dataset(5 + number), seed=number)

    return evaluate


def scores(model, number):
    distribution = SCORED.setdefault(model, generative.DeconvolutionalGenerativeModel(model.network))
    fit_scale(model, dataset(5 + number))
    image_scores(model, distribution, dataset(5 + number))


SCORED = {}
EVALUATIONS = {
    "activations": lambda model, number: evaluation.activations(
        model, dataset(5 + number), "*.*", reduce=(None, "sparse:3")[number]
    ),
    "passes": lambda model, number: evaluation.evaluate_passes(model, dataset(5 + number), iterations=2),
    "corruptions": lambda model, number: evaluation.evaluate_corruptions(
        model, dataset(5 + number), ("contrast", "shot_noise")[: 1 + number], (1 + number,), iterations=2, seed=number
    ),
    "restoration": restoration,
    "self_consistency": lambda model, number: generative.summarize_self_consistency(model, dataset(5 + number)),
    "adaptive_work": lambda model, number: adaptive_work(
        model, dataset(5 + number), tolerances=(0.0, 0.1 * number), max_iterations=2
    ),
    "out_of_distribution": scores,
    "settling": lambda model, number: settling(
        model, images_of(dataset(5 + number)), labels_of(dataset(5 + number)), iterations=2
    ),
    "robustness": robust,
    "fgsm": attack(lambda epsilon: attacks.FGSM(epsilon=epsilon)),
    "pgd_l2": attack(lambda epsilon: attacks.PGD(epsilon=epsilon, steps=2, step_size=epsilon / 2, norm="l2")),
    "spsa": attack(lambda epsilon: attacks.SPSA(epsilon=epsilon, steps=1, samples=2)),
    "autoattack": attack(
        lambda epsilon: attacks.AutoAttack(
            epsilon=epsilon, components=("apgd-ce", "fab-t", "square"), steps=2, queries=2
        )
    ),
}


class TracesTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(*EVALUATIONS)
    def test_second_evaluation_traces_nothing(self, name):
        model = CNNF(fixtures_models.smaller_network(), image_shape=(SIDE, SIDE, 1), iterations=1)
        with fixtures_models.counted_traces() as traces:
            EVALUATIONS[name](model, 0)
            first = len(traces)
            self.assertGreater(first, 0)
            EVALUATIONS[name](model, 1)
            self.assertLen(traces, first)

    @parameterized.parameters(
        attacks.FGSM, attacks.PGD, attacks.APGD, attacks.SPSA, attacks.FAB, attacks.Square, attacks.AutoAttack
    )
    def test_a_shared_trace_takes_the_radius(self, kind):
        model = CNNF(fixtures_models.smaller_network(), image_shape=(SIDE, SIDE, 1), iterations=1)
        few = {"steps": 2, "queries": 20, "samples": 2, "components": ("apgd-ce", "fab-t", "square")}
        options = {name: value for name, value in few.items() if name in inspect.signature(kind.__init__).parameters}
        predict, (images, labels) = attacks.predictor(model), next(iter(dataset(8, 8)))
        for epsilon in (0.0, 0.01, 0.3):
            found = kind(epsilon=epsilon, **options)(predict, images, labels, seed=0)
            self.assertAllInRange(np.abs(found.images - images), 0, epsilon + 1e-6)
        alone = kind(epsilon=epsilon, **options)(lambda batch: predict(batch), images, labels, seed=0)
        self.assertAllEqual(found.images, alone.images)

    def test_an_attack_that_changes(self):
        model = CNNF(fixtures_models.smaller_network(), image_shape=(SIDE, SIDE, 1), iterations=1)
        predict, (images, labels) = attacks.predictor(model), next(iter(dataset(8, 8)))
        attack = attacks.PGD(epsilon=0.1, steps=2)
        attack(predict, images, labels, seed=0)
        other = copy.deepcopy(attack)
        for name, value in {"steps": 3, "multipliers": (1.0,) * 3, "loss": "margin", "random_start": False}.items():
            setattr(attack, name, value)
        other.epsilon = other.step_size = 0.3
        model.eta = 1.0
        alike = attacks.PGD(epsilon=0.1, steps=3, step_size=attack.step_size, loss="margin", random_start=False)
        for changed, fresh in ((attack, alike), (other, attacks.PGD(epsilon=0.3, steps=2, step_size=0.3))):
            found = changed(predict, images, labels, seed=0)
            wanted = fresh(lambda batch: predict(batch), images, labels, seed=0)
            self.assertAllEqual(found.images, wanted.images)
            self.assertLen(found.losses, changed.steps + 1)

    def test_attacks_of_others_see_numbers(self):
        class Signed(attacks.FGSM):
            def start(self, problem, restart):
                return problem.images + (self.epsilon if self.epsilon > 0.05 else self.sign[0] * self.epsilon)

        predict, (images, labels) = (
            attacks.predictor(fixtures_models.smaller_model()),
            (np.full((2, 8, 8, 1), 0.5), [0, 1]),
        )
        sign = [1.0]
        for sign[0] in (1.0, -1.0):
            attack = Signed(epsilon=0.01)
            attack.sign, attack.step_size, attack.early_stop = sign, 0.0, False
            found = attack(predict, images.astype(np.float32), labels, seed=0)
            self.assertAllClose(found.images, images + sign[0] * 0.01)

    def test_baselines_are_traced_for_each_evaluation(self):
        model = CNNF(fixtures_models.smaller_network(), image_shape=(SIDE, SIDE, 1), iterations=1)
        share, found = [0.0], []
        for share[0] in (0.0, 1.0):
            baselines = {"share": lambda images: share[0] * images}
            options = {"corruption": "contrast", "severity": 1, "baselines": baselines}
            found.append(evaluation.evaluate_restoration(model, dataset(3), **options))
        self.assertNotEqual(found[0].baselines, found[1].baselines)
        self.assertEqual(found[1].baselines["share"], found[1].corrupted)

    def test_other_functions_are_traced_for_each_attack(self):
        scale, (images, labels) = [1.0], next(iter(dataset(8, 8)))

        def predict(batch):
            return scale[0] * tf.reshape(batch, [-1, SIDE * SIDE])[:, :3]

        for scale[0] in (1.0, -1.0):
            result = attacks.FGSM(epsilon=0.0)(predict, images, labels, seed=0)
            self.assertAllEqual(result.predictions, np.argmax(predict(images), -1))


if __name__ == "__main__":
    tf.test.main()
