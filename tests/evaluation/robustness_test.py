"""Robustness tables: the minimum, the pairs of rows, the checks, on a tiny model."""

import json

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import PGD
from cnnf_tf.evaluation import adaptive_suite, baseline_suite, evaluate_robustness
from cnnf_tf.evaluation.robustness.attack_specs import AttackSpec
from cnnf_tf.evaluation.robustness.report import RobustnessReport, Score
from tests.models import fixtures_models

IMAGES, LABELS = fixtures_models.images(6).numpy(), fixtures_models.labels(6)


def score(survived: list[bool], attack_name: str = "PGD-2", readout: str = "last", black_box: bool = False) -> Score:
    return Score(attack_name, "full_unroll", black_box, readout, np.array(survived), {}, 0.0)


class RobustnessTest(tf.test.TestCase):
    def test_minimum_is_over_images_and_attacks(self):
        clean = {"last": np.array([True, True, True, False])}
        scores = [score([True, True, False, False]), score([False, True], "SPSA-1", black_box=True)]
        report = RobustnessReport(1, 0.1, 0, clean, scores, {"last": []})
        self.assertAllEqual(report.robust("last"), [False, True, False, False])
        self.assertEqual(report.minimum("last"), 0.25)
        self.assertIn("25.0 %", report.table().splitlines()[-4])
        self.assertIn("fewer images", report.table().splitlines()[-3])

    def test_whole_table(self):
        model = fixtures_models.smaller_model(iterations=1)
        attack_specs = baseline_suite(
            epsilon=0.1,
            steps=2,
            spsa_steps=1,
            spsa_images=2,
            transfer_from=fixtures_models.smaller_model(seed=1, iterations=0),
        ) + adaptive_suite(epsilon=0.1, steps=2)
        report = evaluate_robustness(
            model, IMAGES, LABELS, attack_specs=attack_specs, epsilon=0.1, seed=0, check_images=4, check_steps=2
        )
        self.assertLen([score for score in report.scores if score.readout == "last"], 10)
        self.assertLen([score for score in report.scores if score.readout == "average"], 9)
        for readout in ("last", "average"):
            self.assertLessEqual(report.minimum(readout), float(np.mean(report.clean[readout])))
            for found in (score for score in report.scores if score.readout == readout):
                self.assertFalse(np.any(found.survived & ~report.clean[readout][: len(found.survived)]))
            names = [check.check for check in report.sanity_checks[readout]]
            for name in (
                "outputs are logits",
                "an unbounded attack breaks everything",
                "twice the steps is not weaker",
            ):
                self.assertIn(name, names)
            self.assertTrue(any("SPSA" in name for name in names))
            self.assertTrue(any("transfer" in name for name in names))
        saved = json.loads(json.dumps(report.to_dict(), allow_nan=False))
        self.assertEqual(saved["num_images"], 6)
        spsa = next(entry for entry in saved["scores"] if entry["attack"] == "SPSA-1")
        self.assertEqual(spsa["num_images"], 2)
        self.assertIn("first_pass", report.table())

    def test_plain_cnn_has_one_path_and_one_readout(self):
        attack_specs = baseline_suite(epsilon=0.1, steps=2, spsa_images=0) + adaptive_suite(epsilon=0.1, steps=2)
        model = fixtures_models.smaller_model(iterations=0)
        report = evaluate_robustness(
            model, IMAGES, LABELS, attack_specs=attack_specs, epsilon=0.1, seed=0, check_images=0
        )
        self.assertEqual([score.attack_name for score in report.scores], ["PGD-2", "PGD-2 on the margin"])
        self.assertEqual(list(report.clean), ["last"])

    def test_same_seed_same_table(self):
        attack_specs = baseline_suite(epsilon=0.05, steps=2, spsa_steps=1, spsa_images=2)
        model = fixtures_models.smaller_model(iterations=1)
        first, second = (
            evaluate_robustness(
                model, IMAGES, LABELS, attack_specs=attack_specs, epsilon=0.05, seed=3, check_images=0, batch_size=size
            )
            for size in (6, 4)
        )
        for one, other in zip(first.scores, second.scores, strict=True):
            self.assertAllEqual(one.survived, other.survived)

    def test_masked_gradients_are_found_out(self):
        """A model whose first-pass gradient is hidden behind rounding must not get a clean bill."""
        model = fixtures_models.smaller_model(iterations=1)

        def rounded(*_):
            return {"surrogate": lambda images: model(tf.round(images))}

        hidden = AttackSpec("PGD-2", PGD(epsilon=0.3, steps=2), "full_unroll", False, rounded)
        with self.assertRaisesRegex(ValueError, "no gradient reaches"):
            evaluate_robustness(model, IMAGES, LABELS, attack_specs=[hidden], epsilon=0.3, seed=0)

    def test_rejects(self):
        model = fixtures_models.smaller_model()
        attack_specs = baseline_suite(epsilon=0.1, steps=2)
        with self.assertRaisesRegex(ValueError, "as many labels as images.*6 and 5"):
            evaluate_robustness(model, IMAGES, LABELS[:5], attack_specs=attack_specs, epsilon=0.1, seed=0)
        with self.assertRaisesRegex(ValueError, "at least one attack"):
            evaluate_robustness(model, IMAGES, LABELS, attack_specs=[], epsilon=0.1, seed=0)
        with self.assertRaisesRegex(ValueError, "iterations must be"):
            evaluate_robustness(model, IMAGES, LABELS, attack_specs=attack_specs, epsilon=0.1, seed=0, iterations=-1)


if __name__ == "__main__":
    tf.test.main()
