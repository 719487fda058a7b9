"""Rows of a leaderboard and their page."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from cnnf_tf.evaluation.robustness.report import RobustnessReport, Score
from cnnf_tf.evaluation.robustness.sanity_checks import loss_rises
from cnnf_tf.experiments import leaderboard

FACTS = {
    "name": "mine",
    "dataset": "cifar10",
    "architecture": "wrn_16_2",
    "eps": "8/255",
    "additional_data": False,
    "parameters": 691674,
}
# As a file of RobustBench's model_info is, with numbers as text.
THEIRS = {
    "link": "https://arxiv.org/abs/2010.00000",
    "name": "Theirs | first",
    "authors": "A. Body",
    "additional_data": True,
    "number_forward_passes": 1,
    "dataset": "cifar10",
    "venue": "ICLR 2021",
    "architecture": "WideResNet-28-10",
    "eps": "8/255",
    "clean_acc": "88.25",
    "reported": "60.04",
    "autoattack_acc": "60.04",
}


def score(name, survived, path="full_unroll", readout="last"):
    settings = {"settings": {"norm": "linf"}}
    return Score(name, path, False, readout, np.asarray(survived, bool), settings, 1.0)


def report(*extra):
    clean = {"last": np.array([1, 1, 1, 1, 0], bool)}
    scores = [
        score("PGD-40", [1, 1, 1, 0, 0]),
        score("AutoAttack", [1, 1, 1, 1, 0], "first_pass"),
        score("AutoAttack", [0, 1, 1, 1, 0]),
    ]
    return RobustnessReport(2, 8 / 255, 3, clean, [*scores, *extra], {"last": [loss_rises([1.0, 0.5])]})


class LeaderboardTest(tf.test.TestCase):
    def test_a_row_of_ours(self):
        entry = leaderboard.make(report(), readout="last", clean_correct=91, clean_images=100, **FACTS)
        self.assertEqual(entry["autoattack_acc"], 60.0)  # what stands both paths
        self.assertEqual(entry["minimum_acc"], 40.0)
        self.assertEqual((entry["clean_acc"], entry["clean_images"], entry["attacked_images"]), (91.0, 100, 5))
        self.assertEqual((entry["threat_model"], entry["number_forward_passes"], entry["seed"]), ("Linf", 3, 3))
        self.assertLen(entry["attacks"], 3)
        self.assertLen(entry["flags"], 1)
        self.assertIn("the loss rises along the attack: 1.000 before", entry["flags"][0])
        leaderboard.check(json.loads(json.dumps(entry)), "it")

    def test_wants_autoattack_on_all_images(self):
        options = {"readout": "last", "clean_correct": 91, "clean_images": 100}
        few = RobustnessReport(0, 0.1, 0, {"last": np.ones(5, bool)}, [score("AutoAttack", [1])], {})
        with self.assertRaisesRegex(ValueError, "wants AutoAttack on all 5 images"):
            leaderboard.make(few, **options, **FACTS)
        with self.assertRaisesRegex(ValueError, "the row is not a row of a leaderboard: eps: .*far"):
            leaderboard.make(report(), **options, **FACTS | {"eps": "far"})

    def test_page_of_ours_and_others(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / "a").mkdir()
        (folder / "cifar10" / "L2").mkdir(parents=True)
        ours = leaderboard.make(report(), readout="last", clean_correct=91, clean_images=100, **FACTS)
        (folder / "a" / "leaderboard.json").write_text(json.dumps(ours))
        (folder / "a" / "accuracy.json").write_text("{}")
        (folder / "theirs.json").write_text(json.dumps(THEIRS))
        (folder / "cifar10" / "L2" / "theirs.json").write_text(json.dumps(THEIRS | {"eps": "0.5"}))
        page = leaderboard.page(leaderboard.read_folder(folder))
        lines = page.splitlines()
        self.assertIn("## cifar10, Linf, epsilon 8/255", lines)
        self.assertIn("## cifar10, L2, epsilon 0.5", lines)
        rows = [[cell.strip() for cell in line.split(" | ")] for line in lines if "wrn" in line or "Wide" in line]
        self.assertEqual(rows[2][0], "| mine, K' = 2, last")
        self.assertEqual(rows[2][1:5], ["91.00", "60.00 [23.1, 88.2]", "40.00", "100, 5"])
        self.assertEqual(rows[1][0], "| [Theirs / first](https://arxiv.org/abs/2010.00000)")
        self.assertEqual(rows[1][1:5], ["88.25", "60.04", "60.04", "?, ?"])
        self.assertIn("- mine: the loss rises along the attack", page)

    def test_rows_of_others_as_they_are(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / "Linf").mkdir()
        (folder / "corruptions").mkdir()
        (folder / "corruptions" / "c.json").write_text("{}")
        nasty = {"name": "x](http://a) <b>\n# head", "link": "http://a.b/c|d e\nf", "dataset": "ci\n# far|10"}
        (folder / "Linf" / "a.json").write_text("\ufeff" + json.dumps(THEIRS | {"reported": "", "external": "7.40"}))
        (folder / "Linf" / "b.json").write_text(json.dumps(THEIRS | nasty | {"eps": 0.1, "iterations": 2}))
        page = leaderboard.page(leaderboard.read_folder(folder))
        self.assertIn("| 60.04 | 7.40 |", " ".join(page.split()))  # what others found since orders the table
        headings = [line for line in page.splitlines() if line.startswith("#")]
        self.assertLen(headings, 3)
        self.assertNotIn("<b>", page.replace(r"\<b\>", ""))
        for wrong in ("[" * 100_000, json.dumps(THEIRS)[:-1] + ', "venue": "\\ud800"}', '{"eps": 1e999}'):
            (folder / "Linf" / "a.json").write_text(wrong)
            with self.assertRaisesRegex(ValueError, "a.json"):
                leaderboard.read_folder(folder)

    def test_errors(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        with self.assertRaisesRegex(ValueError, "holds no .json file"):
            leaderboard.read_folder(folder)
        with self.assertRaisesRegex(ValueError, "wanted a folder .* got '/nowhere'"):
            leaderboard.read_folder("/nowhere")
        for wrong in (
            {"clean_acc": "188"},
            {"clean_acc": -1},
            {"clean_acc": float("nan")},
            {"eps": "8/0"},
            {"eps": "."},
        ):
            (folder / "row.json").write_text(json.dumps(THEIRS | wrong))
            with self.assertRaisesRegex(ValueError, f"row.json .*({next(iter(wrong))}: |NaN)"):
                leaderboard.read_folder(folder)
        (folder / "row.json").write_text(json.dumps({name: THEIRS[name] for name in THEIRS if name != "dataset"}))
        with self.assertRaisesRegex(ValueError, "row.json is not a row of a leaderboard: .*'dataset' is a required"):
            leaderboard.read_folder(folder)
        (folder / "row.json").write_text("{")
        with self.assertRaisesRegex(ValueError, "row.json cannot be read as JSON"):
            leaderboard.read_folder(folder)


if __name__ == "__main__":
    tf.test.main()
