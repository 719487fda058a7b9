"""The sections on adversarial training: seeds, the guard, the authors' code at equal budget, what is missing."""

import numpy as np
import tensorflow as tf

from cnnf_tf import evaluation
from cnnf_tf.experiments.results import adversarial
from cnnf_tf.experiments.results.section import NOT_MEASURED
from tests.experiments.results.made_up import ReportingTestCase, accuracy, robustness, score, training

FASHION = "adversarial_fashion_mnist"


def text(share, num_images):
    low, high = evaluation.wilson_interval(round(share * num_images), num_images)
    return f"{100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


class AdversarialTest(ReportingTestCase):
    def put_run(self, folder, minimum, clean, *, scores=(), **options):
        rows = scores or [score("PGD-40", "full_unroll", "last", minimum + 0.02)]
        self.put(f"{folder}/robustness.json", robustness({"last": minimum}, rows))
        self.put(f"{folder}/accuracy.json", accuracy({"last": [0, clean], "average": [0, clean]}))
        self.put(f"{folder}/config.json", training(**options))
        self.put(f"{folder}/metrics.jsonl", [{"step": 100, "seconds": 1200.0, "loss": 1.0}])

    def test_seeds(self):
        minima, clean = (0.70, 0.74, 0.78), (850, 860, 870)
        for seed in range(3):
            self.put_run(f"{FASHION}/cnnf/seed{seed}", minima[seed], clean[seed])
        self.put_run(f"{FASHION}/cnn/seed0", 0.50, 950)
        section = adversarial.fashion_section(self.results)
        expected = [f"{100 * np.mean(v):.1f} ± {100 * np.std(v, ddof=1):.1f}" for v in (minima, np.array(clean) / 1000)]
        row = ("CNN-F", expected[1], "–", "76.0 ± 4.0", expected[0], "20 ± 0 min")
        self.assert_row(section, *row)
        self.assert_row(section, "CNN", text(0.95, 1000), "–", text(0.52, 100), text(0.5, 100), "20 min")
        self.assert_says(
            section,
            "CNN-F: training seeds 0, 1 and 2, 2 epochs, float32, 20 ± 0 min of training each; trained on attacks of 7 "
            "steps, radius 0.1; K = 1, eta = 0.1, ind = 2, rule `reference`",
            "**Clean accuracy, CNN-F (last) against the CNN:** 9.0 points lower.",
            f"against {text(0.5, 100)} % of the CNN.** CNN-F: {expected[0]} %, 24.0 points higher.",
            "black-box attacks (SPSA, transfer) are not in this table",
        )
        self.assertEqual(
            section.summary,
            f"Images that stand every attack: CNN-F {expected[0]} %, CNN {text(0.5, 100)} %; CNN-F is 24.0 points "
            "higher.",
        )

    def test_seeds_attacked_in_different_ways(self):
        spsa = {"black_box": True}
        first = [score("PGD-40", "full_unroll", "last", 0.6), score("SPSA-10", "full_unroll", "last", 0.7, **spsa)]
        self.put_run(f"{FASHION}/cnnf/seed0", 0.5, 850, scores=first)
        self.put_run(f"{FASHION}/cnnf/seed1", 0.5, 850, scores=first[:1])
        self.put(f"{FASHION}/cnnf/seed2/config.json", training())
        section = adversarial.fashion_section(self.results)
        self.assert_row(section, "PGD-40", "full unroll", "60.0 ± 0.0")
        self.assert_row(section, "SPSA-10", "full unroll", "–")
        self.assert_says(
            section, "the seeds were not attacked alike", "CNN-F: attacked so far with seed 0 and seed 1 only"
        )
        self.assertNotIn("black-box attacks", section.markdown())
        self.assert_says(section, "**Not measured yet**: CNN under attack.")

    def test_guard(self):
        self.put_run(f"{FASHION}/cnnf/seed0", 0.5, 850)
        robust = (0.50, 0.70, 0.67, 0.65, 0.60, 0.75)
        history = [{"step": 100 * n, "val_robust_accuracy": value} for n, value in enumerate(robust, start=1)]
        self.put(f"{FASHION}/cnnf/seed0/metrics.jsonl", history)
        self.assert_says(
            adversarial.fashion_section(self.results),
            "The guard was needed (CNN-F, seed 0): the held-out robust accuracy (PGD-7, 512 images) fell from 70.0 "
            "to 65.0 % at step 400; training then went on with 3 steps of attack, and ended at 75.0 %.",
        )
        self.put(f"{FASHION}/cnnf/seed0/config.json", training(guard_from=0.7))
        late = "trained on attacks of 7 steps (of 3 after 70 % of the training), radius 0.1"
        self.assert_says(adversarial.fashion_section(self.results), "The guard was needed", late)
        for options in ({"guard_steps": 0}, {"guard_drop": 0.2}, {"guard_from": 0.6}):
            self.put(f"{FASHION}/cnnf/seed0/config.json", training(**options))
            self.assertNotIn("guard", adversarial.fashion_section(self.results).markdown())

    def test_a_fall_around_chance_is_not_the_guards(self):
        self.put_run(f"{FASHION}/cnnf/seed0", 0.5, 850)
        history = [{"step": n, "val_robust_accuracy": value} for n, value in enumerate((0.13, 0.02, 0.12), start=1)]
        self.put(f"{FASHION}/cnnf/seed0/metrics.jsonl", history)
        self.assertNotIn("guard", adversarial.fashion_section(self.results).markdown())

    def test_authors_at_equal_budget_only(self):
        rows = [score("PGD-7", path, "last", share) for path, share in (("first_pass", 0.66), ("full_unroll", 0.64))]
        self.put_run(f"{FASHION}/cnnf/seed0", 0.5, 850)
        self.put_run(f"{FASHION}/recipe/seed0", 0.6, 800, scores=rows, epochs=2)
        authors = {
            "source": "their code",
            "epochs": 2,
            "minutes": 30,
            "clean": {"average": 0.5},
            "first_pass": {"last": 0.65},
            "full_unroll": {"last": 0.3},
        }
        self.put("authors.json", {FASHION: authors})
        section = adversarial.fashion_section(self.results)
        self.assert_row(section, "this package", text(0.8, 1000), text(0.66, 100), text(0.64, 100), "20 min")
        self.assert_row(section, "authors' code, last", "–", "65.0", "30.0", "30 min")
        self.assert_says(
            section,
            "**This package against the authors' code, 2 epochs each.** first pass, last: level within the intervals "
            "(+1.0 points); full unroll, last: 34.0 points higher.",
            "authors' code: their code",
        )
        self.put("authors.json", {FASHION: authors | {"epochs": 200}})
        section = adversarial.fashion_section(self.results)
        self.assertNotIn("authors' code, last", section.markdown())
        self.assert_says(section, "The authors' code was not measured at 2 epochs.")

    def test_missing(self):
        for make, command in (
            (adversarial.fashion_section, "configs/fashion_mnist_adversarial.py"),
            (adversarial.cifar_section, "configs/cifar10_adversarial.py"),
        ):
            section = make(self.results)
            self.assertEqual(section.summary, NOT_MEASURED)
            self.assert_says(section, "**Not measured yet.**", command)

    def test_training_alone_claims_no_accuracy(self):
        folder = "adversarial_cifar10/cnnf/seed0"
        self.put(f"{folder}/config.json", training(radius=8 / 255))
        lines = [{"step": 100, "loss": 2.0}, {"step": 200, "loss": 1.5, "val_accuracy": 0.125}]
        self.put(f"{folder}/metrics.jsonl", lines)
        section = adversarial.cifar_section(self.results)
        self.assertEqual(section.summary, "Accuracy not measured yet, training only.")
        self.assert_says(
            section,
            "**Not measured yet**: CNN-F and CNN under attack. CNN-F was trained for 200 steps only: its loss went "
            "from 2.000 to 1.500, its held-out accuracy is 12.5 %.",
            "radius 8/255",
        )


if __name__ == "__main__":
    tf.test.main()
