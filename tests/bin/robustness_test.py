"""bin/evaluate.py --robustness, as a user runs it."""

import json
import pathlib

import keras
import tensorflow as tf

from cnnf_tf import CNNF
from tests.bin.binaries_test import DATA, run


class RobustnessTest(tf.test.TestCase):
    def test_table_and_refusals(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        keras.utils.set_random_seed(0)
        for name, iterations in (("cnnf", 1), ("cnn", 0)):
            model = CNNF.from_name("fashion_cnn", image_shape=(28, 28, 1), network={"ind": 2}, iterations=iterations)
            model.save(folder / f"{name}.keras")
        arguments = (f"--model={folder}/cnnf.keras", f"--dataset={DATA}", "--num_images=6", "--num_pictures=0")
        result = run(
            "evaluate",
            *arguments,
            "--robustness=8/255",
            "--attacked_images=4",
            "--attack_steps=2",
            "--spsa_images=0",
            f"--surrogate={folder}/cnn.keras",
            f"--output={folder}/out",
        )
        self.assertEqual(result.returncode, 0, result.stderr[-2000:])
        report = json.loads((folder / "out" / "robustness.json").read_text())
        self.assertAlmostEqual(report["radius"], 8 / 255)
        self.assertEqual(report["num_images"], 4)
        paths = {score["gradient_path"] for score in report["scores"]}
        self.assertEqual(paths, {"first_pass", "full_unroll", "transfer"})
        for text in (result.stdout, (folder / "out" / "robustness.txt").read_text()):
            for word in ("MINIMUM", "PGD-2", "transfer", "checks of this evaluation", "l-inf radius 0.0313725"):
                self.assertIn(word, text)

        for radius in ("-0.1", "abc", "1/0", "nan"):
            result = run("evaluate", *arguments, f"--robustness={radius}")
            self.assertEqual(result.returncode, 2, result.stderr[-2000:])
            self.assertRegex(
                " ".join(result.stderr.split()), "--robustness wants a number >= 0 or a fraction such as 8/255.*got "
            )


if __name__ == "__main__":
    tf.test.main()
