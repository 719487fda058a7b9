"""`evaluate --self_consistency`, `sample` and `out_of_distribution` as a user runs them, in processes of their own."""

import json
import pathlib
import subprocess
import sys

import keras
import tensorflow as tf

from cnnf_tf import CNNF, layers
from tests import reference_data

ROOT = pathlib.Path(__file__).parent.parent.parent
DATA = f"idx:{reference_data.TESTDATA / 'fashion_mnist_mini'}"


def run(binary, *arguments):
    command = [sys.executable, f"bin/{binary}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def small_model(*, iterations=1, with_encoder=False):
    """A CNN-F for 28x28 grey images and 10 classes, with fixed random weights."""
    keras.utils.set_random_seed(0)
    network = layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(4, strides=2, name="conv1"),
            layers.InstanceNorm(down=False, name="norm_up"),
            layers.AdaReLU(name="ada_relu1"),
            layers.AdaPool2D(name="ada_pool1"),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(10, use_bias=True, name="fc"),
        ],
        name="network",
    )
    encoder = layers.FeedbackSequential([layers.FeedbackConv2D(2, name="conv0")], name="encoder")
    return CNNF(network, encoder if with_encoder else None, image_shape=(28, 28, 1), iterations=iterations)


class GenerativeBinariesTest(tf.test.TestCase):
    def folder(self):
        return pathlib.Path(self.create_tempdir().full_path)

    def saved(self, **kwargs):
        path = self.folder() / "model.keras"
        small_model(**kwargs).save(path)
        return path

    def assert_runs(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("Warning", result.stderr)

    def assert_fails(self, result, code, *messages):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        error = " ".join(result.stderr.split())
        for message in messages:
            self.assertRegex(error, message)

    def test_evaluate_self_consistency(self):
        model, output = self.saved(), self.folder() / "out"
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=40", "--batch_size=16", "--num_pictures=0")
        result = run("evaluate", *arguments, "--self_consistency", "--iterations=2", f"--output={output}")
        self.assert_runs(result)
        self.assertIn("label changed", result.stdout)
        self.assertIn("label changed", (output / "accuracy.txt").read_text())
        report = json.loads((output / "self_consistency.json").read_text())
        self.assertEqual((report["num_images"], report["iterations"]), (40, 2))
        for name in ("label_changed", "latent_flip_rate", "feature_residual"):
            self.assertLen(report[name], 2)
        self.assertEqual((output / "self_consistency.png").read_bytes()[:4], b"\x89PNG")

    def test_self_consistency_of_a_plain_cnn(self):
        model, output = self.saved(iterations=0), self.folder() / "out"
        result = run("evaluate", f"--model={model}", f"--dataset={DATA}", "--self_consistency", f"--output={output}")
        self.assert_fails(result, 2, "wants at least 1 feedback pass, got 0 .*K = 0.; give --iterations=1 or more")
        self.assertFalse(output.exists())

    def test_sample(self):
        model, outputs = self.saved(), [self.folder() / "deep" / "out" for _ in range(2)]
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_samples=2", "--num_averaged=4", "--num_images=32")
        for output in outputs:
            result = run("sample", *arguments, "--seed=3", f"--output={output}")
            self.assert_runs(result)
        self.assertEqual(result.stdout.count("Note: instance normalisation is not linear"), 1)
        names = sorted(path.name for path in outputs[0].iterdir())
        self.assertEqual(names, ["latents.png", "samples.json", "samples.png", "templates.png"])
        for name in names:
            self.assertEqual((outputs[0] / name).read_bytes(), (outputs[1] / name).read_bytes(), name)
        report = json.loads((outputs[0] / "samples.json").read_text())
        self.assertEqual((report["model"], report["seed"], report["layer"]), (str(model), 3, "ada_relu1"))
        self.assertEqual(report["labels"], list(range(10)))
        self.assertEqual(report["latents_given_label"]["0"]["ada_pool1"]["mean"], 0.5)

    def test_sample_errors(self):
        output = self.folder() / "out"
        self.assert_fails(run("sample"), 2, "--model, --output must be given")
        missing = run("sample", "--model=none.keras", f"--output={output}")
        self.assert_fails(missing, 1, "'none.keras' does not exist; wanted a .keras file")
        self.assert_fails(run("sample", "--model=x", f"--output={output}", "--label=-2"), 2, "label")
        self.assert_fails(run("sample", "--model=x", f"--output={output}", "--num_samples=0"), 2, "num_samples")
        arguments = (f"--model={self.saved()}", f"--dataset={DATA}", f"--output={output}")
        self.assert_fails(run("sample", *arguments, "--label=10"), 2, "a class id of the model, 0 to 9, or -1, got 10")
        self.assert_fails(run("sample", *arguments, "--layer=fc"), 1, "'ada_relu1', 'ada_pool1'.*got 'fc'")
        encoder = run("sample", f"--model={self.saved(with_encoder=True)}", f"--dataset={DATA}", f"--output={output}")
        self.assert_fails(encoder, 1, "want a model whose h is the image .ind = 0.")
        self.assertFalse(output.exists())

    def test_out_of_distribution(self):
        output = self.folder() / "out"
        arguments = (f"--model={self.saved()}", f"--dataset={DATA}", "--fit_split=train[:40]", "--num_images=50")
        result = run(
            "out_of_distribution", *arguments, "--ood_dataset=uniform_noise", f"--output={output}", "--note=a note"
        )
        self.assert_runs(result)
        self.assertIn("AUROC", result.stdout)
        report = json.loads((output / "uniform_noise.json").read_text())
        self.assertEqual((report["num_images"], report["num_ood_images"], report["note"]), (50, 50, "a note"))
        self.assertGreater(report["sigma"], 0)
        self.assertIn("maximum likelihood", report["sigma_is"])
        scores = {"log p(h, y, z)", "log p(z | y)", "log p(h | y, z)", "max softmax", "-residual"}
        self.assertEqual(set(report["scores"]), scores)
        self.assertEqual((output / "uniform_noise.png").read_bytes()[:4], b"\x89PNG")
        # The same images on both sides, through data.load: nothing can tell them apart.
        result = run("out_of_distribution", *arguments, f"--ood_dataset={DATA}", f"--output={output}", "--name=same")
        self.assert_runs(result)
        same = json.loads((output / "same.json").read_text())["scores"]
        self.assertEqual({value["auroc"] for value in same.values()}, {0.5})

    def test_out_of_distribution_errors(self):
        self.assert_fails(run("out_of_distribution"), 2, "--model, --ood_dataset must be given")
        missing = run("out_of_distribution", "--model=none.keras", "--ood_dataset=digits")
        self.assert_fails(missing, 1, "'none.keras' does not exist")
        arguments = (f"--model={self.saved()}", f"--dataset={DATA}")
        unknown = run("out_of_distribution", *arguments, "--ood_dataset=no_such_data")
        self.assert_fails(unknown, 1, "--ood_dataset wants digits, uniform_noise or a data set.*no_such_data")


if __name__ == "__main__":
    tf.test.main()
