"""`representations` as a user runs it, on files of activations made up here."""

import json

import numpy as np
import tensorflow as tf

from cnnf_tf.evaluation.recordings.store import Batch, write_batches
from tests.bin import binaries
from tests.bin.binaries import PNG, run, run_forked

LABELS = np.tile([0, 1, 2], 10)
ANALYSES = ["rsa", "cka", "decoding", "arrival", "dimensionality"]


class RepresentationsTest(binaries.BinaryTestCase):
    def setUp(self):
        super().setUp()
        self.place = self.folder()

    def file(self, name, *, labels=LABELS, ids="test", seed=0, images=30, spoil=None):
        """Writes activations of 30 images in 2 passes."""
        rng = np.random.default_rng(seed)
        values = {
            key: rng.normal(size=(2, images, width)).astype(np.float32) for key, width in (("a.f", 9), ("fc.f", 3))
        }
        if spoil is not None:
            values["a.f"][1] = spoil
        names = [f"{ids}[{index}]" for index in range(images)]
        (self.place / name).parent.mkdir(exist_ok=True)
        labels = None if labels is None else labels[:images]
        write_batches(self.place / name, [Batch(values, labels, names)], class_names=["x", "y", "z"])
        return self.place / name

    def test_two_models(self):
        files = f"{self.file('a.nc')},{self.file('b.nc', seed=1)}"
        outputs = [self.place / name for name in ("first", "second")]
        for run_one, output in zip((run, run_forked), outputs, strict=True):
            arguments = (f"--activations={files}", "--logits=fc.f", "--resamples=20", "--seed=3", f"--output={output}")
            result = run_one("representations", *arguments)
            self.assert_runs(result)
        for name in ANALYSES:
            self.assertIn(f"\n{name}\n", result.stdout)
            self.assertEqual((outputs[0] / f"{name}.png").read_bytes()[:4], PNG)
            self.assertEqual(*((output / f"{name}.png").read_bytes() for output in outputs))
        report = json.loads((outputs[0] / "representations.json").read_text())
        self.assertEqual((report["num_images"], report["seed"], report["class_names"]), (30, 3, ["x", "y", "z"]))
        self.assertEqual(list(report["activations"]), ["a", "b"])
        self.assertContainsSubset(["scikit-learn", "scipy", "numpy"], report["versions"])
        self.assertLen(report["rsa"]["items"], 8)
        self.assertLen(report["arrival"]["arrivals"]["b fc.f"]["passes"], 30)

    def test_what_is_found_stays_where_a_later_analysis_fails(self):
        spoilt = self.file("a.nc", spoil=np.arange(30)[:, np.newaxis])
        files, output = f"{spoilt},{self.file('m/a.nc', seed=1)}", self.place / "found"
        arguments = (f"--activations={files}", "--analyses=cka,rsa,dimensionality", "--resamples=20")
        result = run_forked("representations", *arguments, f"--output={output}")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(" ".join(result.stderr.split()), "constant, the first is image 0; .* --layers, or .*euclidean")
        report = json.loads((output / "representations.json").read_text())
        self.assertEqual(list(report["activations"])[1], "m/a")
        self.assertIn("cka", report)
        self.assertEqual(sorted(path.name for path in output.iterdir()), ["cka.png", "representations.json"])

    def test_refusals(self):
        good, output = self.file("a.nc"), f"--output={self.place / 'new'}"
        few = ("--analyses=rsa", output)
        other = self.place / "other.nc"
        other.write_text("no activations")
        self.assert_refuses(
            "representations",
            ((), 2, "--activations, --output must be given"),
            ((f"--activations={good}", output, "--analyses=tsne"), 2, "--analyses wants some of rsa, cka, .*'tsne'"),
            ((f"--activations={good},{good},{good}", output), 2, "one file, or two to compare, got 3"),
            ((f"--activations={good},{good}", output), 2, "two different files to compare"),
            (
                (f"--activations={good},{self.place}/../{self.place.name}/a.nc", output),
                2,
                "two different files .*one file",
            ),
            ((f"--activations={good}", "--logits=fc", output), 2, "--logits wants one of .* a.f, fc.f; got 'fc'"),
            ((f"--activations={good}", "--logits=a.f", output), 1, "a.f: wanted .* of 3 classes, got shape .2, 30, 9"),
            (
                (f"--activations={good}", "--layers=b*", output),
                1,
                "nothing that 'b.' matches; it has a.f, fc.f",
            ),
            ((f"--activations={self.place}/none.nc", *few), 1, "none.nc' does not exist"),
            ((f"--activations={other}", *few), 1, "other.nc is damaged, or no NetCDF-4 file"),
            ((f"--activations={good},{self.file('b.nc', ids='train')}", *few), 1, "30 of 30 differ, .*test.0.*train.0"),
            (
                (f"--activations={self.file('e.nc', labels=None)}", output),
                1,
                "labels are wanted here.* or --analyses=rsa,cka",
            ),
            ((f"--activations={self.file('h.nc', spoil=np.nan)}", *few), 1, "a.f, pass 1: wanted finite features"),
        )
        self.assertFalse((self.place / "new").exists())


if __name__ == "__main__":
    tf.test.main()
