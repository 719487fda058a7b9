"""`activations` as a user runs it: what it writes is what the library records."""

import numpy as np
import tensorflow as tf
from PIL import Image

from cnnf_tf import data, evaluation
from cnnf_tf.zoo import load_model, model_sha256
from tests.bin import binaries
from tests.bin.binaries import DATA, run, run_forked


class ActivationsTest(binaries.BinaryTestCase):
    def test_a_data_set(self):
        model, output = self.saved(with_encoder=True), self.folder() / "new" / "found.nc"
        arguments = ["--split=train[2:4]+test[5:20]", "--num_images=13", "--batch_size=8", "--iterations=2"]
        result = run(
            "activations",
            f"--model={model}",
            f"--dataset={DATA}",
            "--layers=encoder/*,h.g,fc",
            "--dtype=float16",
            f"--output={output}",
            *arguments,
        )
        self.assert_runs(result)
        self.assertRegex(result.stdout, r"3 activations of 13 images: about \d+ KiB in .*found.nc\nwrote ")
        images = data.load(DATA, "train[2:4]+test[5:20]", batch_size=8, limit=13)
        wanted = evaluation.activations(load_model(model), images, ["encoder/*", "h.g", "fc"], iterations=2)
        with evaluation.open_activations(output) as found:
            self.assertEqual(found.names, ["encoder/conv0.f", "h.g", "fc.f"])
            for name in found.names:
                self.assertAllClose(found[name], wanted[name], rtol=2e-3, atol=2e-3)
            self.assertEqual(
                found.image_ids[:3] + found.image_ids[-1:], ["train[2]", "train[3]", "test[5]", "test[15]"]
            )
            self.assertAllEqual(found.labels, np.concatenate([labels for _, labels in images]))
            self.assertEqual(found.class_names[9], "Ankle boot")
            self.assertEqual(found.attributes["model_sha256"], model_sha256(model))
            self.assertEqual(found.attributes["dataset"], DATA)
            self.assertIn("--num_images=13", found.attributes["command"])
        again = [f"--model={model}", "--layers=fc", f"--output={output}"]
        self.assert_refuses("activations", (again, 2, "exists; give --overwrite"))

    def test_pictures(self):
        model, folder = self.saved(), self.folder()
        for number in range(3):
            Image.new("L", (28, 28), 60 * number).save(folder / f"{number}.png")
        (folder / "3.png").write_bytes(b"no picture")
        output = folder / "found.nc"
        arguments = (f"--model={model}", f"--images={folder}", "--layers=fc.*", f"--output={output}")
        self.assert_fails(run_forked("activations", *arguments), 1, "3.png")
        self.assertFalse(output.exists())
        self.assert_runs(run_forked("activations", *arguments, "--skip_bad", "--reduce=pca:2", "--batch_size=2"))
        with evaluation.open_activations(output) as found:
            self.assertEqual(found.image_ids, [str(folder / f"{number}.png") for number in range(3)])
            self.assertIsNone(found.labels)
            self.assertEqual(found["fc.g"].shape, (2, 3, 2))

    def test_what_it_refuses(self):
        model = f"--model={self.saved()}"
        listed = run_forked("activations", model, "--list_layers")
        self.assert_runs(listed)
        self.assertRegex(listed.stdout, r"ada_pool1.z +14 x 14 x 4 +AdaPool2D\n")
        output = f"--output={self.folder() / 'new.nc'}"
        self.assert_refuses(
            "activations",
            ((model, output), 2, "--layers must be given.*--list_layers prints all names"),
            ((model, "--layers=fc"), 2, "--output must be given"),
            (
                (model, output, "--layers=fd", f"--dataset={DATA}"),
                1,
                "'fd' matches nothing; .* there are h.f, h.g, conv1.f",
            ),
            ((model, output, "--layers=fc", f"--dataset={DATA}", "--reduce=pca:11"), 1, "'fc.f' has 10 numbers"),
        )


if __name__ == "__main__":
    tf.test.main()
