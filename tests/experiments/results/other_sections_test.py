"""The sections beyond the talk that have files of their own: corruptions, learning curves, likelihood, speed."""

import tensorflow as tf

from cnnf_tf.experiments.results import corruptions, generative, speed
from tests.experiments.results.made_up import ReportingTestCase


class CorruptionsTest(ReportingTestCase):
    def record(self, correct, errors, *, num_images=100):
        """`results.json` of bin/corruption_robustness.py for a CNN and a CNN-F run for 2 iterations."""
        cells = [
            {
                "model": role,
                "corruption": corruption,
                "severity": severity,
                "num_images": num_images,
                "correct": {"last": counts, "average": counts},
            }
            for (role, corruption, severity), counts in correct.items()
        ]
        rows = [
            {"pass": index, "mce": value, "mce_of_corruptions": {"blur": value}} for index, value in enumerate(errors)
        ]
        return {
            "config": {
                "dataset": "fashion_mnist",
                "split": "test",
                "corruptions": ["blur"],
                "severities": [1, 2],
                "seed": 0,
                "iterations": {"model": 2, "baseline": 0},
            },
            "models": {
                "model": {"file": "runs/a.keras", "trained_iterations": 1, "readout": "last"},
                "baseline": {"file": "runs/b.keras", "trained_iterations": 0, "readout": "last"},
            },
            "num_images": num_images,
            "errors_in_percent": {"last": rows, "average": rows},
            "cells": cells,
        }

    def correct(self, gain=0):
        blur = {("model", "blur", 1): [50, 40 + gain, 30], ("model", "blur", 2): [30, 20 + gain, 10]}
        plain = {("baseline", "none", 0): [90], ("baseline", "blur", 1): [40], ("baseline", "blur", 2): [20]}
        return blur | plain | {("model", "none", 0): [91, 90, 80]}

    def test_table(self):
        for seed, gain in ((0, 0), (1, 4)):
            self.put(
                f"corruption_robustness/seed{seed}/results.json", self.record(self.correct(gain), [80, 90 + gain, 100])
            )
        section = corruptions.section(self.results)
        self.assert_row(
            section,
            "blur",
            *("30.0 ± 0.0", "40.0 ± 0.0", "32.0 ± 2.8", "20.0 ± 0.0"),
            *("80.0 ± 0.0", "92.0 ± 2.8", "100.0 ± 0.0"),
        )
        self.assert_row(
            section, "**mean (mCE)**", "", "", "", "", "**80.0 ± 0.0**", "**92.0 ± 2.8**", "**100.0 ± 0.0**"
        )
        self.assertIn("level within the intervals everywhere", section.summary)
        self.assertIn("80.0 ± 0.0 after 0 iterations", section.summary)

    def test_better(self):
        self.put("corruption_robustness/results.json", self.record(self.correct(50), [80, 40, None]))
        section = corruptions.section(self.results)
        self.assert_says(section, "**CNN-F, K' = 1, against the CNN under corruption: higher everywhere**")
        self.assertIn("– after 2 iterations", section.summary)  # the CNN left nothing to compare with

    def test_unfinished(self):
        record = self.record({}, [])
        del record["errors_in_percent"]
        self.put("corruption_robustness/results.json", record)
        self.assert_says(corruptions.section(self.results), "**Not measured yet.**", "bin/corruption_robustness.py")


class LearningTest(ReportingTestCase):
    def row(self, method, num_images, mean, deviation=0.01):
        row = {"method": method, "num_images": num_images, "error_mean": mean, "error_std": deviation}
        return row | {"num_test_images": 2000}

    def test_verdict(self):
        rows = [
            *(self.row("gaussian_naive_bayes", n, mean) for n, mean in ((10, 0.5), (100, 0.31), (1000, 0.30))),
            *(self.row("logistic_regression", n, mean) for n, mean in ((10, 0.6), (100, 0.31), (1000, 0.2))),
            *(self.row("cnn", n, mean) for n, mean in ((10, 0.6), (100, 0.3), (1000, 0.1))),
            *(self.row("cnnf", n, mean) for n, mean in ((10, 0.61), (100, 0.4))),
        ]
        record = {"config": {"study": {"seeds": [0, 1]}}, "rows": rows, "command": "python bin/mine.py"}
        self.put("generative_vs_discriminative/results.json", record)
        section = generative.learning_section(self.results)
        self.assert_row(section, "CNN-F", "61.0 ± 1.0", "40.0 ± 1.0", "–")
        self.assertEqual(
            section.summary,
            "Naive Bayes is ahead of logistic regression by more than the error bars at 10 images; behind it at "
            "1,000 images; it does not improve any more, within the error bars, from 100 images on; CNN-F is ahead "
            "of the CNN at no number of images and behind it at 100 images.",
        )


class LikelihoodTest(ReportingTestCase):
    def put_scores(self, name, likelihood, baseline):
        scores = {"log p(h, y, z)": {"auroc": likelihood}, "max softmax": {"auroc": baseline}}
        report = {"model": "runs/a.keras", "dataset": "fashion_mnist", "split": "test", "num_images": 2000}
        report |= {
            "ood_dataset": name,
            "num_ood_images": 50,
            "iterations": 1,
            "sigma": 1.2,
            "seed": 0,
            "scores": scores,
        }
        self.put(f"out_of_distribution/{name}.json", report)

    def test_verdict(self):
        self.put_scores("noise", 0.99, 0.8)
        self.put("out_of_distribution/provenance.json", {})
        section = generative.likelihood_section(self.results)
        self.assert_row(section, "log p(h, y, z)", "0.990")
        self.assertEqual(section.summary, "Yes, on these sets: noise: 0.990, above the baseline (0.800).")
        self.put_scores("digits", 0.2, 0.9)
        self.assertEqual(
            generative.likelihood_section(self.results).summary,
            "No: digits: 0.200, below the baseline (0.900) and below chance; noise: 0.990, above the baseline (0.800).",
        )


class SpeedTest(ReportingTestCase):
    def row(self, against, other, ratio, passed, dtype="float32", unit="ms", mode="function"):
        case = {"network": "n", "kind": "inference", "ind": 2, "iterations": 1, "batch_size": 256, "dtype": dtype}
        found = {"unit": unit, "value": 100.0, "against": against, "other": other, "ratio": ratio, "passed": passed}
        return case | {"mode": mode} | found

    def test_table(self):
        rows = [
            self.row("floor", 50.0, 2.0, False),
            self.row("authors", 300.0, 3.0, True),
            self.row("floor", 25.0, 4.0, None, dtype="bfloat16"),
            self.row("float32", 100.0, 1.0, False, dtype="bfloat16"),
            self.row("floor", 1.0, 100.0, None, mode="xla"),
            self.row("", None, None, None, unit="MiB"),
        ]
        about = {"cpu": "Fast", "cores": 2, "threads": 2, "devices": ["/device:CPU:0"], "seconds": 90.0}
        record = {"command": "python bin/mine.py", "about": about, "options": {"repeats": 5}, "rows": rows}
        self.put("benchmark/benchmark.json", record)
        section = speed.section(self.results)
        case = ("n", "inference", "2", "1", "256")
        self.assert_row(section, *case, "float32", "100", "50", "2.00 (missed)", "300", "3.00", "–")
        self.assert_row(section, *case, "bfloat16", "100", "25", "4.00", "–", "–", "1.00 (missed)")
        self.assert_row(section, *case, "float32, xla", "100", "1", "100.00", "–", "–", "–")
        self.assert_row(section, *case, "float32", "100")
        self.assertEqual(
            section.summary,
            "1 of 3 targets met; in float32, as a graph, ours takes 2.0 (n) times the time of its bare convolutions; "
            "the authors' code takes 3.0 (n) times as long as ours.",
        )
        self.assert_says(section, "2 cores (Fast), 2 threads; /device:CPU:0", "1.5 minutes in all")


if __name__ == "__main__":
    tf.test.main()
