"""bin/convert.py: from a Keras file to a CNN-F that the other binaries take."""

import json
import zipfile

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from keras import layers as kl

from cnnf_tf import layers
from cnnf_tf.zoo import load_model
from tests.bin import binaries
from tests.bin.binaries import DATA, run, run_forked


def small_cnn(*more: keras.layers.Layer) -> keras.Model:
    """A Keras CNN for the images of `DATA`, with a softmax, and with further layers after its first convolution."""
    keras.utils.set_random_seed(0)
    convolution = kl.Conv2D(3, 3, strides=2, name="conv")
    block = [kl.BatchNormalization(), kl.ReLU(name="relu"), kl.MaxPooling2D(name="pool"), kl.Flatten()]
    top = [*block, kl.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((28, 28, 1)), convolution, *more, *top], name="small_cnn")


class ConvertTest(binaries.BinaryTestCase, parameterized.TestCase):
    def keras_file(self, *more):
        path = self.folder() / "small.keras"
        small_cnn(*more).save(path)
        return path

    def test_from_a_keras_file_to_accuracy(self):
        output = self.folder() / "new" / "cnnf.keras"
        result = run("convert", f"--keras={self.keras_file()}", f"--output={output}", "--iterations=2", "--eta=0.05")
        self.assert_runs(result)
        for line in (
            "small_cnn: 6 layers of Keras, 7 feedback layers",
            "h: the image, 28x28x1",
            "listen to feedback: 1 AdaReLU, 1 AdaPool2D",
            "norms on the way down: 1",
            "with K = 0, on 4 random images: largest difference from the original's log-probabilities 0.0e+00",
            f"wrote {output}: 1,132 parameters, K = 2, eta = 0.05.",
        ):
            self.assertIn(line, result.stdout)
        model = load_model(output)
        self.assertEqual((model.iterations, model.eta, model.encoder), (2, 0.05, None))
        images = np.random.default_rng(0).random((3, 28, 28, 1), "float32")
        self.assertAllClose(tf.nn.softmax(model.infer(images, iterations=0).logits[0]), small_cnn()(images))

        result = run_forked("evaluate", f"--model={output}", f"--dataset={DATA}", "--num_images=4", "--num_pictures=1")
        self.assert_runs(result)
        report = json.loads((output.with_suffix("") / "accuracy.json").read_text())
        self.assertLen(report["accuracy"]["last"], 3)

    def test_start_pixels_and_norms(self):
        output = self.folder() / "cnnf.keras"
        arguments = (f"--keras={self.keras_file(kl.Softmax(axis=1))}", f"--output={output}")
        self.assert_refuses("convert", (("--start=no_such", *arguments), 1, "start must be .* one of .*'relu'"))
        arguments += ("--start=relu", "--nofeedback_norm", "--preprocessing=0.5,1/4")
        result = run_forked("convert", *arguments)
        self.assert_runs(result)
        self.assertIn("h: the output of relu, 13x13x3; what is below it runs once, as an encoder", result.stdout)
        self.assertIn("norms on the way down: 0", result.stdout)
        model = load_model(output)
        self.assertEqual((model.pixel_mean, model.pixel_scale), (0.5, 0.25))
        self.assertNotIn(layers.InstanceNorm, [type(layer) for layer in model.network.layers])

    def test_application_with_a_new_top(self):
        output = self.folder() / "cnnf.keras"
        arguments = ("--keras=MobileNet", "--weights=none", "--image_size=32x40", "--num_classes=3")
        result = run_forked("convert", *arguments, f"--output={output}", "--start=conv_pw_11_relu")
        self.assert_runs(result)
        model = load_model(output)
        self.assertEqual((model.image_shape, model.num_classes), ((32, 40, 3), 3))
        self.assertEqual((model.pixel_mean, model.pixel_scale), (0.5, 0.5))  # the "tf" of keras.applications

    def test_refuses(self):
        folder = self.folder()
        output = f"--output={folder / 'out.keras'}"
        good, cnnf, garbage = self.keras_file(), self.saved(), folder / "garbage.keras"
        with zipfile.ZipFile(garbage, "w"):
            pass
        custom = self.keras_file(kl.Lambda(lambda features: features))
        there = folder / "there.keras"
        there.write_bytes(b"")
        self.assert_refuses(
            "convert",
            ((), 2, "--keras, --output must be given"),
            ((f"--keras={good}", "--output=out.h5"), 2, r"--output must end in .keras, got 'out.h5'"),
            ((f"--keras={good}", f"--output={there}"), 2, "exists; give --overwrite"),
            ((f"--keras={good}", f"--output={there}/x.keras"), 2, "--output wants a file that can be written"),
            ((f"--keras={good}", output, "--num_classes=3"), 2, "--num_classes is for a network of keras.applications"),
            ((f"--keras={good}", output, "--preprocessing=vgg"), 2, "--preprocessing wants caffe, .* got 'vgg'"),
            ((f"--keras={good}", output, "--preprocessing=0,0"), 2, "two numbers, MEAN,SCALE with SCALE > 0"),
            ((f"--keras={good}", output, "--preprocessing=caffe"), 1, "preprocessing must be .* for 1 channels"),
            (("--keras=VGG16", output, "--image_size=1x2x3"), 2, "--image_size wants pixels"),
            (("--keras=VGG61", output), 2, "--keras wants a .keras file or one of .*VGG16.*got 'VGG61'"),
            (("--keras=none.keras", output), 1, "no file 'none.keras'"),
            ((f"--keras={garbage}", output), 1, "Keras cannot load .*garbage.keras"),
            ((f"--keras={custom}", output), 1, "Keras cannot load .* converted in Python"),
            ((f"--keras={cnnf}", output), 1, "holds a CNN-F already"),
        )
        self.assertFalse((folder / "out.keras").exists())

    def test_weights_that_are_nowhere(self):
        # A proxy at which nobody listens: no test downloads.
        environment = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(self.folder())}
        arguments = ("--keras=MobileNetV2", f"--output={self.folder() / 'x.keras'}")
        result = run_forked("convert", *arguments, environment=environment)
        self.assert_fails(result, 1, "weights of MobileNetV2 could not be downloaded", "--weights=none for random ones")


if __name__ == "__main__":
    tf.test.main()
