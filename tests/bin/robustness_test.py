"""bin/evaluate.py --robustness, as a user runs it."""

import json

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import DATA, run_forked


class RobustnessTest(binaries.BinaryTestCase):
    def test_table_and_refusals(self):
        model, surrogate, output = self.saved(), self.saved(iterations=0), self.folder() / "out"
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=6", "--num_pictures=0")
        result = run_forked(
            "evaluate",
            *arguments,
            "--robustness=8/255",
            "--attacked_images=4",
            "--attack_steps=2",
            "--spsa_images=0",
            f"--surrogate={surrogate}",
            f"--output={output}",
        )
        self.assert_runs(result)
        report = json.loads((output / "robustness.json").read_text())
        self.assertAlmostEqual(report["epsilon"], 8 / 255)
        self.assertEqual(report["num_images"], 4)
        paths = {score["gradient_path"] for score in report["scores"]}
        self.assertEqual(paths, {"first_pass", "full_unroll", "transfer"})
        for text in (result.stdout, (output / "robustness.txt").read_text()):
            for word in ("MINIMUM", "PGD-2", "transfer", "checks of this evaluation", "l-inf epsilon 0.0313725"):
                self.assertIn(word, text)

        message = "--robustness wants a number >= 0 or a fraction such as 8/255.*got "
        for epsilon in ("-0.1", "abc", "1/0", "nan"):
            self.assert_refuses("evaluate", ((*arguments, f"--robustness={epsilon}"), 2, message))

    def test_leaderboard(self):
        model, rows = self.saved(iterations=0), self.folder() / "rows"
        # A radius at which the first attack breaks everything.
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=8", "--num_pictures=0", "--spsa_images=0")
        arguments += ("--robustness=1/2", "--norm=linf", "--attacked_images=6", "--attack_steps=2", "--leaderboard")
        self.assert_runs(run_forked("evaluate", *arguments, f"--output={rows / 'mine'}"))
        row = json.loads((rows / "mine" / "leaderboard.json").read_text())
        wanted = {
            "name": f"{model.parent.name}/{model.stem}",
            "eps": "1/2",
            "threat_model": "Linf",
            "architecture": "CNN",
            "autoattack_acc": 0,
        }
        wanted |= {"clean_images": 8, "attacked_images": 6, "number_forward_passes": 1, "additional_data": False}
        self.assertEqual({name: row[name] for name in wanted}, wanted)
        self.assertIn("tensorflow", row["versions"])
        self.assert_runs(run_forked("leaderboard", f"--rows={rows}", f"--output={rows / 'README.md'}"))
        page = (rows / "README.md").read_text()
        self.assertIn("Linf, epsilon 1/2", page)
        self.assertIn(f"/{model.stem} ", page)
        self.assert_refuses(
            "evaluate",
            ((*arguments[:4], "--leaderboard"), 2, "--leaderboard wants a radius: give --robustness"),
            ((*arguments, "--autoattack_images=3"), 2, "leave out --autoattack_images"),
        )
        self.assert_refuses(
            "leaderboard", (("--rows=/nowhere", f"--output={rows / 'a.md'}"), 1, "wanted a folder of leaderboard rows")
        )


if __name__ == "__main__":
    tf.test.main()
