"""`restore` as a user runs it, in a process of its own."""

import json

import keras
import numpy as np
import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import DATA, PNG, run, run_forked


def picture(*shape):
    return tf.constant(np.random.default_rng(0).integers(0, 256, shape), tf.uint8)


class RestoreTest(binaries.BinaryTestCase):
    def test_data_set(self):
        model, outputs = self.saved(), [self.folder() / "deep" / "out" for _ in range(2)]
        arguments = (f"--model={model}", f"--dataset={DATA}", "--score_images=20", "--batch_size=16", "--num_images=4")
        arguments += ("--corruption=shot_noise,dotted_line", "--iterations=1,3", "--severity=4", "--seed=2")
        for run_one, output in zip((run, run_forked), outputs, strict=True):
            result = run_one("restore", *arguments, f"--output={output}")
            self.assert_runs(result)
        self.assertIn("reconstruction, iteration 3", result.stdout)
        names = sorted(path.name for path in output.iterdir())
        wanted = ["all.png", "dotted_line.png", "restoration.json", "restoration.txt", "shot_noise.png"]
        self.assertEqual(names, wanted)
        for name in names:
            self.assertEqual((outputs[0] / name).read_bytes(), (outputs[1] / name).read_bytes(), name)
        self.assertEqual((output / "all.png").read_bytes()[:4], PNG)
        report = json.loads((output / "restoration.json").read_text())
        self.assertEqual((report["model"], report["severity"], report["seed"]), (str(model), 4, 2))
        scores = report["scores"]["dotted_line"]
        self.assertEqual((scores["num_images"], scores["iterations"]), (20, [1, 3]))
        self.assertLen(scores["restored"]["features"], 2)
        self.assertEqual(list(scores["baselines"]), ["median 3x3"])

    def test_denoiser(self):
        arguments = (f"--model={self.saved()}", f"--dataset={DATA}", "--score_images=8", "--num_images=2")
        arguments += ("--iterations=1", "--denoiser_epochs=1", "--denoiser_split=train[:32]")
        scores = []
        for corruptions in ("gaussian_noise", "contrast,gaussian_noise"):
            output = self.folder()
            result = run_forked("restore", *arguments, f"--corruption={corruptions}", f"--output={output}")
            self.assert_runs(result)
            self.assertEqual((output / "all.png").exists(), "," in corruptions)
            scores.append(json.loads((output / "restoration.json").read_text())["scores"]["gaussian_noise"])
        self.assertEqual(list(scores[0]["baselines"]), ["median 3x3", "denoising autoencoder"])
        self.assertEqual(*scores)  # whatever was trained before

    def test_own_images(self):
        folder, output = self.folder(), self.folder() / "out"
        (folder / "more").mkdir()
        (folder / "grey.png").write_bytes(tf.io.encode_png(picture(28, 28, 1)).numpy())
        (folder / "more" / "colour.JPG").write_bytes(tf.io.encode_jpeg(picture(28, 28, 3)).numpy())
        (folder / "more" / "clear.png").write_bytes(tf.io.encode_png(picture(28, 28, 4)).numpy())
        (folder / "more" / "notes.txt").write_text("not looked at")
        arguments = (f"--model={self.saved()}", f"--images={folder / 'grey.png'},{folder / 'more'}")
        arguments += ("--iterations=1,2", f"--output={output}", "--fit")
        result = run_forked("restore", *arguments, "--corruption=none")
        self.assert_runs(result)
        self.assertEqual(sorted(path.name for path in output.iterdir()), ["none.png", "restoration.json", "restored"])
        restored = sorted(path.name for path in (output / "restored").iterdir())
        names = ("clear", "colour", "grey")
        self.assertEqual(restored, [f"{name}_iteration{step}.png" for name in names for step in (1, 2)])
        image = tf.io.decode_png((output / "restored" / "grey_iteration2.png").read_bytes())
        self.assertEqual(image.shape, (28, 28, 1))
        pixels = tf.cast(tf.io.decode_png((folder / "grey.png").read_bytes()), tf.float32) / 255
        model = keras.models.load_model(arguments[0].removeprefix("--model="))
        wanted = model.to_pixels(model.infer(pixels[tf.newaxis], iterations=2).features[2])[0]
        self.assertAllClose(tf.cast(image, tf.float32) / 255, wanted, atol=0.51 / 255)

        result = run_forked("restore", *arguments, "--corruption=occlusion,contrast", "--restored=features")
        self.assert_runs(result)
        self.assertIn("3 own images", result.stdout)
        self.assertTrue((output / "restored" / "colour_occlusion_iteration1.png").exists())
        self.assertTrue((output / "all.png").exists())

    def test_size_of_own_images(self):
        folder, output = self.folder(), self.folder() / "out [1]"
        file = f"x, é{'x' * 240}.png"
        for name in ("a", "b"):  # two files of one name, as long as names can be
            (folder / name).mkdir()
            (folder / name / file).write_bytes(tf.io.encode_png(picture(9, 20, 1)).numpy())
        arguments = (f"--model={self.saved((8, 8, 3))}", f"--images={folder / 'a'},{folder / 'b'}", "--iterations=1")
        arguments += (f"--output={output}", "--corruption=none")  # too small to be scored, but nothing is
        self.assert_fails(
            run_forked("restore", *arguments), 1, "a/x, .*.png: the model takes 8x8 colour.*9x20 grey; .*--fit"
        )
        self.assertFalse(output.exists())
        self.assert_runs(run_forked("restore", *arguments, "--fit"))
        restored = sorted((output / "restored").iterdir())
        stem = f"x, é{'x' * 145}"
        self.assertEqual([path.name for path in restored], [f"00{i}_{stem}_iteration1.png" for i in (1, 2)])
        self.assertEqual(tf.io.decode_png(restored[0].read_bytes()).shape, (8, 8, 3))
        scored = run_forked("restore", *arguments[:-1], "--fit", "--corruption=contrast")
        self.assert_fails(scored, 1, "at least 11x11 pixels, the window of SSIM; got 8x8")

    def test_data_of_the_denoiser(self):
        folder = self.folder()
        (folder / "x.png").write_bytes(tf.io.encode_png(picture(12, 12, 1)).numpy())
        arguments = (f"--model={self.saved((12, 12, 1))}", f"--images={folder}", f"--dataset={DATA}")
        result = run_forked(
            "restore", *arguments, "--denoiser_epochs=1", "--denoiser_split=train[:32]", f"--output={folder / 'out'}"
        )
        self.assert_fails(result, 2, "--model wants images 12x12x1 .*, but those of --dataset=.* are 28x28x1")
        self.assertFalse((folder / "out").exists())

    def test_errors(self):
        output = self.folder() / "out"
        broken, empty = self.folder(), self.folder()
        (broken / "text.png").write_text("not an image")
        model = self.saved()
        arguments = (f"--model={model}", f"--output={output}")
        with_encoder = (f"--model={self.saved(with_encoder=True)}", f"--dataset={DATA}", f"--output={output}")
        under_a_file = (f"--model={model}", f"--dataset={DATA}", f"--output={broken / 'text.png' / 'out'}")
        self.assert_refuses(
            "restore",
            ((), 2, "--model must be given"),
            (("--model=none.keras",), 1, "'none.keras' does not exist; wanted a .keras file"),
            (("--model=x", "--iterations=2,1"), 2, "--iterations wants ascending .* got '2,1'"),
            (("--model=x", "--iterations=two"), 2, "--iterations wants ascending .* got 'two'"),
            (("--model=x", "--corruption=none"), 2, "wants images of your own .*give --images"),
            (("--model=x", "--corruption="), 2, "--corruption wants at least one name.* got nothing"),
            (("--model=x", "--severity=9"), 2, "severity"),
            (("--model=x", "--images=none.png"), 1, "there is no file or folder 'none.png'"),
            (("--model=x", f"--images={empty}"), 1, "no image in the folder"),
            (
                (f"--model={model}", "--corruption=contrast,fog"),
                2,
                "--corruption wants some of brightness, contrast.*got 'fog'",
            ),
            ((*arguments, f"--images={broken}"), 1, "text.png: is not a readable image"),
            ((*arguments, f"--images={broken}", "--skip_bad"), 1, "all of the 1 images are bad. First: .*text.png: is"),
            ((*arguments, "--images="), 2, "--images wants files or folders, got nothing"),
            (with_encoder, 1, "whose h is the image .encoder_blocks = 0."),
            (under_a_file, 2, "--output wants a folder that can be written, got .*: Not a directory"),
        )
        self.assertFalse(output.exists())


if __name__ == "__main__":
    tf.test.main()
