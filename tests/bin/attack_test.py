"""bin/attack.py as a user runs it, in processes of its own."""

import json
import re

import numpy as np
import tensorflow as tf

from cnnf_tf import attacks, data
from cnnf_tf.zoo import load_model
from tests.bin import binaries
from tests.bin.binaries import DATA, run, run_forked


class AttackTest(binaries.BinaryTestCase):
    def test_pgd(self):
        model, output = self.saved(), self.folder() / "deep" / "out"
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=20", "--batch_size=8")
        result = run("attack", *arguments, "--epsilon=8/255", "--steps=2", "--iterations=2", f"--output={output}")
        self.assert_runs(result)
        self.assertIn("robust accuracy", result.stdout)
        start, *_, end = re.findall("^attacking.*", result.stderr, re.MULTILINE)
        self.assertEqual(start, "attacking, full_unroll: preparing ...")
        self.assertRegex(end, r"^attacking, full_unroll: 3/3 batches, [^,]* s \(robust accuracy \d+\.\d %\)$")
        report = json.loads((output / "attack.json").read_text())
        wanted = {"attack": "PGD", "norm": "linf", "steps": 2, "restarts": 1, "gradient_path": "full_unroll", "seed": 0}
        wanted |= {"iterations": 2, "trained_iterations": 1, "readout": "last", "num_images": 20, "surrogate": None}
        self.assertEqual({name: report[name] for name in wanted}, wanted)
        self.assertAllClose(report["epsilon"], 8 / 255)
        self.assertIn("bin/attack.py", report["command"])
        with np.load(output / "adversarial.npz") as arrays:
            images, labels = next(iter(data.load(DATA, "test", batch_size=20)))
            self.assertAllEqual(arrays["labels"], labels)
            self.assertAllEqual(arrays["indices"], np.arange(20))
            self.assertEqual(arrays["images"].dtype, np.float32)
            self.assertLessEqual(np.abs(arrays["images"] - images).max(), 8 / 255 + 1e-6)
            found = attacks.predictor(load_model(model), iterations=2)(arrays["images"]).numpy().argmax(-1)
            self.assertAllEqual(arrays["success"], found != np.asarray(labels))
            self.assertAllClose(report["robust_accuracy"], np.mean(found == np.asarray(labels)))
        self.assertEqual((output / "attack.png").read_bytes()[:4], b"\x89PNG")

    def test_transfer_from_a_plain_cnn(self):
        model, other, output = self.saved(iterations=0), self.saved(), self.folder() / "out"
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=6", f"--surrogate={other}", "--targeted")
        arguments += ("--attack=fgsm", "--norm=l2", "--epsilon=1", f"--output={output}")
        self.assert_runs(run_forked("attack", *arguments))
        report = json.loads((output / "attack.json").read_text())
        self.assertEqual((report["surrogate"], report["norm"], report["iterations"]), (str(other), "l2", 0))
        self.assertTrue(report["targeted"])
        self.assertTrue((output / "attack.png").exists())

    def test_autoattack_goes_through_both_paths(self):
        model, output = self.saved(), self.folder() / "out"
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=12", "--num_pictures=0")
        arguments += ("--attack=autoattack", "--components=apgd-ce,square", "--steps=3", "--queries=20")
        result = run_forked("attack", *arguments, "--epsilon=8/255", f"--output={output}")
        self.assert_runs(result)
        report = json.loads((output / "attack.json").read_text())
        self.assertEqual(report["gradient_path"], "full_unroll and first_pass")
        self.assertEqual(list(report["components"]), ["apgd-ce", "square"])
        self.assertEqual(report["version"], "custom")
        alone = report["robust_accuracy_by_path"]
        self.assertEqual(set(alone), {"full_unroll", "first_pass"})
        self.assertLessEqual(report["robust_accuracy"], min(alone.values()))
        broken = round(12 * (report["clean_accuracy"] - report["robust_accuracy"]))
        self.assertEqual(sum(report["broken_by"]), broken)
        self.assertRegex(result.stdout, r"each path by itself: .* % \(full_unroll\), .* % \(first_pass\)")
        self.assertRegex(result.stdout, r"broken by: \d+ apgd-ce, \d+ square")

    def test_errors(self):
        output = self.folder() / "out"
        usual = ("--model=none.keras", f"--output={output}")
        self.assert_refuses(
            "attack",
            ((), 2, "--model, --epsilon, --output must be given"),
            ((*usual, "--epsilon=-0.1"), 2, "--epsilon wants a number >= 0 .*got '-0.1'"),
            ((*usual, "--epsilon=8/0"), 2, "--epsilon wants a number >= 0 or a fraction such as 8/255"),
            ((*usual, "--epsilon=1", "--attack=cw"), 2, "fgsm.*pgd.*spsa"),
            ((*usual, "--epsilon=1", "--attack=fgsm", "--steps=3"), 2, "--attack=fgsm takes no --steps"),
            ((*usual, "--epsilon=1", "--attack=pgd", "--queries=9"), 2, "--attack=pgd takes no --queries; it takes"),
            ((*usual, "--epsilon=1", "--attack=fab", "--targeted"), 2, "--attack=fab is untargeted"),
            (
                (*usual, "--epsilon=1", "--attack=autoattack", "--version=plus", "--components=fab"),
                2,
                "--components takes the place of a --version",
            ),
            ((*usual, "--epsilon=1", "--attack=autoattack", "--components=cw"), 1, "components must be one of .*'cw'"),
            ((*usual, "--epsilon=1"), 1, "'none.keras' does not exist; wanted a .keras file"),
        )
        self.assertFalse(output.exists())


if __name__ == "__main__":
    tf.test.main()
