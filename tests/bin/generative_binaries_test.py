"""`evaluate --self_consistency`, `sample` and `out_of_distribution` as a user runs them, in processes of their own."""

import json

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import DATA, PNG, run, run_forked


class GenerativeBinariesTest(binaries.BinaryTestCase):
    def test_evaluate_self_consistency(self):
        model, output = self.saved(), self.folder() / "out"
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_images=40", "--batch_size=16", "--num_pictures=0")
        result = run_forked("evaluate", *arguments, "--self_consistency", "--iterations=2", f"--output={output}")
        self.assert_runs(result)
        self.assertIn("label changed", result.stdout)
        self.assertIn("label changed", (output / "accuracy.txt").read_text())
        report = json.loads((output / "self_consistency.json").read_text())
        self.assertEqual((report["num_images"], report["iterations"]), (40, 2))
        for name in ("label_changed", "latent_flip_rate", "feature_residual"):
            self.assertLen(report[name], 2)
        self.assertEqual((output / "self_consistency.png").read_bytes()[:4], PNG)

    def test_self_consistency_of_a_plain_cnn(self):
        model, output = self.saved(iterations=0), self.folder() / "out"
        result = run_forked(
            "evaluate", f"--model={model}", f"--dataset={DATA}", "--self_consistency", f"--output={output}"
        )
        self.assert_fails(result, 2, "wants at least 1 feedback pass, got 0 .*K = 0.; give --iterations=1 or more")
        self.assertFalse(output.exists())

    def test_sample(self):
        model, outputs = self.saved(), [self.folder() / "deep" / "out" for _ in range(2)]
        arguments = (f"--model={model}", f"--dataset={DATA}", "--num_samples=2", "--num_averaged=4", "--num_images=32")
        for run_one, output in zip((run, run_forked), outputs, strict=True):
            result = run_one("sample", *arguments, "--seed=3", f"--output={output}")
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
        arguments = (f"--model={self.saved()}", f"--dataset={DATA}", f"--output={output}")
        with_encoder = (f"--model={self.saved(with_encoder=True)}", *arguments[1:])
        self.assert_refuses(
            "sample",
            ((), 2, "--model, --output must be given"),
            (("--model=none.keras", f"--output={output}"), 1, "'none.keras' does not exist; wanted a .keras file"),
            (("--model=x", f"--output={output}", "--label=-2"), 2, "label"),
            (("--model=x", f"--output={output}", "--num_samples=0"), 2, "num_samples"),
            ((*arguments, "--label=10"), 2, "a class id of the model, 0 to 9, or -1, got 10"),
            ((*arguments, "--layer=fc"), 1, "'ada_relu1', 'ada_pool1'.*got 'fc'"),
            (with_encoder, 1, "want a model whose h is the image .encoder_blocks = 0."),
        )
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
        self.assertEqual((output / "uniform_noise.png").read_bytes()[:4], PNG)
        # The same images on both sides, through data.load: nothing can tell them apart.
        arguments += (f"--ood_dataset={DATA}", f"--output={output}", "--name=same")
        self.assert_runs(run_forked("out_of_distribution", *arguments))
        same = json.loads((output / "same.json").read_text())["scores"]
        self.assertEqual({value["auroc"] for value in same.values()}, {0.5})

    def test_out_of_distribution_errors(self):
        arguments = (f"--model={self.saved()}", f"--dataset={DATA}", "--ood_dataset=no_such_data")
        self.assert_refuses(
            "out_of_distribution",
            ((), 2, "--model, --ood_dataset must be given"),
            (("--model=none.keras", "--ood_dataset=digits"), 1, "'none.keras' does not exist"),
            (arguments, 1, "--ood_dataset wants digits, uniform_noise or a data set.*no_such_data"),
        )


if __name__ == "__main__":
    tf.test.main()
