"""The tables against arithmetic of their own, on the committed result files and on made-up ones."""

import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.results import TABLES, fill
from cnnf_tf.experiments.results.tables import attacks, repair

COMMITTED = pathlib.Path(__file__).resolve().parent.parent.parent.parent / "docs" / "results"


def load(path: str):
    return json.loads((COMMITTED / path).read_text(encoding="utf-8"))


def wilson(share: float, count: int) -> tuple[float, float]:
    """As the roots of its equation, (share - p)^2 = z^2 p (1 - p) / count, in %."""
    square = 1.959964**2 / count
    return tuple(100 * np.sort(np.roots([1 + square, -2 * share - square, share**2]).real))


class CommittedTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        if not COMMITTED.is_dir():
            self.skipTest("docs/results is not among the files of this test run")

    @parameterized.parameters(*TABLES)
    def test_is_a_rectangle(self, name):
        rows = TABLES[name](COMMITTED)
        self.assertGreater(len(rows), 2)
        self.assertLen({len(row) for row in rows}, 1)

    def test_one_seed_has_the_interval_over_images(self):
        correct = load("standard/cnnf/seed0/accuracy.json")["correct"]["last"]
        (row,) = (row for row in TABLES["passes"](COMMITTED) if row[:2] == ["CNN-F, K = 1", "last"])
        for cell, step in zip(row[2:], (0, 1, 2, 3, 5, 7, 10), strict=True):
            low, high = wilson(correct[step] / 10_000, 10_000)
            self.assertEqual(cell, f"{correct[step] / 100:.2f} [{low:.2f}, {high:.2f}]")

    def test_several_seeds_have_the_wider_of_both(self):
        cells = load("study/results.json")["cells"]
        (row,) = (row for row in TABLES["epsilons"](COMMITTED) if row[0] == "CNN")
        for cell, epsilon in zip(row[4:], (0.01, 0.02, 0.03, 0.05, 0.1), strict=True):
            shares = [
                c["correct"] / 500
                for c in cells
                if (c["part"], c["model"], c.get("epsilon")) == ("epsilons", "cnn", epsilon)
            ]
            self.assertLen(shares, 3)
            mean, deviation = np.mean(shares), np.std(shares, ddof=1)
            low, high = wilson(mean, 500)
            low, high = max(0.0, min(low, 100 * (mean - deviation))), max(high, 100 * (mean + deviation))
            self.assertEqual(cell, f"{100 * mean:.1f} [{low:.1f}, {high:.1f}]")

    def test_the_study_is_tabled_as_it_draws_itself(self):
        """The bars of the page are those of the figures."""
        drawn = load("study/results.json")["rows"]
        for part, keys in (
            ("trained", ("cnn", "cnnf_1", "cnnf_2", "cnnf_3", "cnnf_5")),
            ("tested", ("cnnf_1", "stable")),
        ):
            shown = {cell for row in TABLES[part](COMMITTED) for cell in row if "[" in cell}
            rows = [
                r
                for r in drawn[part]
                if r["model"] in keys and r["readout"] == "last" and r["iterations"] in (0, 1, 2, 3, 5, 7, 10)
            ]
            self.assertEqual(
                shown, {f"{100 * r['accuracy']:.1f} [{100 * r['low']:.1f}, {100 * r['high']:.1f}]" for r in rows}
            )

    def test_needed(self):
        rows = {row[0]: row[1:] for row in TABLES["needed"](COMMITTED)}
        cells = [c for c in load("study/results.json")["cells"] if c.get("difficulty") == "margin"]
        want = [
            f"{c['settled_mean']:.2f} ({100 * c['accuracy'][0]:.1f} → {100 * c['accuracy'][10]:.1f})" for c in cells
        ]
        self.assertEqual(rows["margin of the first pass, fifth 1, 2, 3, 4, 5"], [*want, ""])

    def test_corruptions(self):
        cells = load("corruption_robustness/seed0/results.json")["cells"]

        def errors(model, corruption, step):
            return np.sum(
                [
                    1 - c["correct"]["last"][step] / 2000
                    for c in cells
                    if (c["model"], c["corruption"]) == (model, corruption)
                ]
            )

        rows = {row[0]: row for row in TABLES["corruptions"](COMMITTED)}
        ratios = []
        for name, label in (("shot_noise", "shot noise"), ("gaussian_blur", "Gaussian blur")):
            for column, step in ((5, 0), (6, 1), (7, 5)):
                ratio = 100 * errors("model", name, step) / errors("baseline", name, 0)
                self.assertEqual(rows[label][column], f"{ratio:.1f}")
            self.assertStartsWith(rows[label][1], f"{100 - 20 * errors('baseline', name, 0):.1f} [")
        for name in (
            "shot_noise",
            "gaussian_noise",
            "dotted_line",
            "impulse_noise",
            "gaussian_blur",
            "brightness",
            "contrast",
            "occlusion",
        ):
            ratios.append(100 * errors("model", name, 1) / errors("baseline", name, 0))
        self.assertEqual(rows["**mean (mCE, our strengths)**"][6], f"**{np.mean(ratios):.1f}**")

    def test_learning_curves(self):
        cells = load("generative_vs_discriminative/results.json")["cells"]
        rows = {row[0]: row for row in TABLES["learning_curves"](COMMITTED)}
        wrong = [
            1 - c["num_correct"] / 2000 for c in cells if (c["method"], c["num_images"]) == ("gaussian_naive_bayes", 10)
        ]
        mean, deviation = 100 * np.mean(wrong), 100 * np.std(wrong, ddof=1)
        self.assertEqual(rows["naive Bayes"][1], f"{mean:.1f} [{mean - deviation:.1f}, {mean + deviation:.1f}]")

    def test_out_of_distribution(self):
        rows = TABLES["out_of_distribution"](COMMITTED)
        score = load("out_of_distribution/digits.json")["scores"]["log p(z | y)"]["auroc"]
        column = [cell.partition(" (")[0] for cell in rows[0]].index("digits")
        self.assertIn(f"{score:.3f}", {row[0]: row[column] for row in rows}["log p(z | y)"])

    def test_speed(self):
        text = (COMMITTED / "benchmark" / "benchmark.txt").read_text(encoding="utf-8")
        for row in TABLES["speed_fashion_cnn"](COMMITTED)[1:]:
            kind, dtype = row[0].split(", bf")[0], "bfloat16" if "bfloat16" in row[0] else "float32"
            case = [*kind.split(), "fashion_cnn", "2", row[1], "256", dtype, "function"]
            found = [words for line in text.splitlines() if (words := line.split())[: len(case)] == case]
            ratios = {words[words.index("floor") + 3] for words in found if "floor" in words}
            self.assertEqual(ratios, {row[4].partition(" ")[0]}, row)

    def test_trainings(self):
        rows = {row[0]: row[1:] for row in TABLES["trainings"](COMMITTED)}
        lines = (COMMITTED / "restoration" / "seed0" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        minutes = sum(json.loads(line)["seconds"] for line in lines) / 60
        self.assertEqual(rows["`restoration`"], ["0", "1", "4", "mixed_bfloat16", f"{minutes:.0f}"])
        self.assertEqual(rows["`study/models/cnn`"][0], "0, 1, 2")


class MadeUpTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def put(self, path, content):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(content))

    def test_first_results(self):
        facts = {"import": 3.0, "load": 0.25, "first": 2.0, "start_up": 1.5, "total": 5.25, "nodes": 70, "error": ""}
        case = {"network": "fashion_cnn", "kind": "first attack"}
        by = [("cnnf_tf", 1), ("keras", 1), ("cnnf_tf", 10), ("authors", 10)]
        found = [case | facts | {"by": name, "iterations": iterations} for name, iterations in by]
        found[3] |= {"total": 2.0}
        row = case | {
            "kind": "first attack, start-up",
            "iterations": 10,
            "against": "K = 1",
            "ratio": 1.26,
            "target": 1.5,
        }
        self.put("first_result/benchmark.json", {"rows": [row], "first_results": found})
        _, first, second = TABLES["first_results"](self.folder)
        parts = ["3.00", "0.25", "2.00", "1.50"]
        self.assertEqual(first, ["fashion_cnn, first attack", "1", *parts, "", "", "70", "5.2", "5.2", "70", "–"])
        self.assertEqual(second[6:], ["1.26", "1.5", "70", "5.2", "5.2", "70", "2.0"])

    def test_speed_says_which_floor_is_the_faster_one(self):
        row = {"network": "fashion_cnn", "mode": "function", "unit": "ms", "encoder_blocks": 2, "kind": "inference"}
        row |= {"iterations": 1, "batch_size": 256, "dtype": "float32", "value": 20.0, "other": 16.0, "ratio": 1.25}
        floor = row | {"against": "floor", "target": 1.5, "best_ratio": 2.0}
        first = row | {"kind": "first attack", "against": "keras", "target": None}
        self.put("benchmark/benchmark.json", {"rows": [floor, first]})
        (cells,) = TABLES["speed_fashion_cnn"](self.folder)[1:]
        self.assertEqual(cells[2:6], ["20", "16", "1.25 (2.00)", "1.5"])

    def test_repair_is_bold_where_both_measures_rise(self):
        better, worse = {"psnr": 20.0, "ssim": 0.5}, {"psnr": 20.0, "ssim": 0.4}
        score = {
            "corruption": "dotted_line",
            "iterations": [1, 5],
            "corrupted": {"psnr": 10.0, "ssim": 0.4},
            "baselines": {"median": worse},
            "restored": {"reconstruction": [better, worse], "features": [worse, {"psnr": 10.0, "ssim": 0.9}]},
        }
        self.put("restoration/seed0/restoration.json", {"scores": {"dotted_line": score}})
        self.assertEqual(
            dict(repair(self.folder)),
            {
                "PSNR in dB / SSIM": "dotted line",
                "corrupted": "10.0 / 0.400",
                "median": "20.0 / 0.400",
                "g(0) of iteration 1": "**20.0 / 0.500**",
                "g(0) of iteration 5": "20.0 / 0.400",
                "h of iteration 1": "20.0 / 0.400",
                "h of iteration 5": "10.0 / 0.900",
            },
        )

    def test_attacks(self):
        def score(attack_name, share, path="full_unroll", count=100):
            return {
                "attack": attack_name,
                "gradient_path": path,
                "readout": "last",
                "num_images": count,
                "robust_accuracy": share,
            }

        for seed, share in enumerate((0.5, 0.7)):
            report = {"num_images": 100, "clean_accuracy": {"last": 0.9}, "minimum": {"last": share - 0.1}}
            scores = [score("PGD-40", share), score("SPSA-10", share, count=10)]
            if seed == 0:
                scores.append(score("PGD-40", 0.1, path="first_pass"))
            self.put(f"cnnf/seed{seed}/robustness.json", report | {"scores": scores})
            self.put(f"cnnf/seed{seed}/accuracy.json", {"num_images": 1000, "accuracy": {"last": [0.1, 0.9]}})
        rows = attacks(CNNF="cnnf")(self.folder)
        low, high = wilson(0.6, 100)
        self.assertEqual(rows[0], ["attack", "gradients", "CNN-F"])
        self.assertStartsWith(rows[1][0] + rows[1][2], "none, 1,000 images90.0 [")
        self.assertStartsWith(rows[2][0] + rows[2][2], "none, the first 10090.0 [")
        # sqrt(2) / 10 = 14.1 points is the deviation of 0.5 and 0.7, wider than Wilson's interval of 100 images.
        self.assertGreater(low, 60 - 14.2)
        self.assertLess(high, 60 + 14.2)
        self.assertEqual(rows[3], ["PGD-40", "full unroll", "60.0 [45.9, 74.1]"])
        low, high = wilson(0.6, 10)
        self.assertEqual(rows[4], ["SPSA-10, the first 10", "full unroll", f"60.0 [{low:.1f}, {high:.1f}]"])
        self.assertEqual(rows[5], ["PGD-40", "first pass", "–"])  # not for every seed
        self.assertEqual(rows[6], ["**stands all of them**", "", "**50.0 [35.9, 64.1]**"])


class FillTest(tf.test.TestCase):
    def test_replaces_what_is_between_the_markers(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / "out_of_distribution").mkdir()
        report = {"ood_dataset": "digits", "num_ood_images": 1797, "scores": {"log p(z | y)": {"auroc": 0.25}}}
        (folder / "out_of_distribution" / "digits.json").write_text(json.dumps(report))
        page = "above\n\n<!-- table: out_of_distribution -->\nold\n<!-- /table -->\n\nbelow\n"
        made = fill(page, folder)
        table = "| score | digits (1,797) |\n| --- | --- |\n| log p(z \\| y) | 0.250 |"
        self.assertEqual(made, page.replace("old", table))
        self.assertEqual(fill(made, folder), made)

    def test_refuses(self):
        for page in (
            "<!-- table: none -->\n<!-- /table -->",
            "<!-- table: epsilons -->\n",
            "<!-- table: epsilons -->\n<!-- table: trained -->\n<!-- /table -->",
        ):
            with self.assertRaisesRegex(
                ValueError, "wanted <!-- table: repair|epsilons.* and then <!-- /table -->, got"
            ):
                fill(page, COMMITTED)

    def test_names_the_table_of_a_wrong_file(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        page = "<!-- table: passes -->\n<!-- /table -->"
        with self.assertRaisesRegex(ValueError, "no table passes from .*not there or not complete .IndexError"):
            fill(page, folder)
        for name in ("standard/cnn", "standard/cnnf", "stable"):
            (folder / name / "seed0").mkdir(parents=True)
            (folder / name / "seed0" / "accuracy.json").write_text('{"model": "x"}')
        with self.assertRaisesRegex(ValueError, "no table passes from .*KeyError.'iterations'"):
            fill(page, folder)


if __name__ == "__main__":
    tf.test.main()
