"""ONNX and LiteRT files: what they compute where TensorFlow is not, and that a wrong one never appears."""

import json
import pathlib
import re
import zipfile
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from keras import layers as kl

from cnnf_tf import CNNF, serving
from cnnf_tf.models import infer_adaptive
from cnnf_tf.serving import litert, model_files, onnx
from tests.models import fixtures_models

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = {"class_names": ("circle", "square", "a third")}
PACKAGES = {"onnx": ("onnx", "onnxruntime", "tf2onnx"), "litert": ("ai_edge_litert",)}


def residual(**kwargs):
    """A Keras CNN of a ResNet's layers, with feedback."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(4, 3, strides=1, use_bias=False)(kl.ZeroPadding2D(1)(inputs))))
    x = kl.MaxPooling2D(3, strides=2, padding="same")(x)
    y = kl.Conv2D(4, 3, padding="same")(kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(4, 3, padding="same")(x))))
    x = kl.GlobalAveragePooling2D()(kl.ReLU()(kl.Add()([x, y])))
    return CNNF.from_keras(keras.Model(inputs, kl.Dense(3)(x)), **kwargs)


def chain(*layers, shape=(8, 8, 2)):
    return CNNF.from_keras(keras.Sequential([keras.Input(shape), *layers, kl.Flatten(), kl.Dense(3)]))


class ModelFilesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def export(self, name, model, images, path=None, **options):
        for package in PACKAGES[name]:
            try:
                __import__(package)
            except ImportError:
                self.skipTest(f"wants the package {package}, of the extra `{name}`")
        chosen = serving.FORMATS[name]
        others = {key: options.pop(key) for key in ("labels", "overwrite", "class_names") if key in options}
        arguments = {"options": chosen.options.for_model(model, **options), "images": images} | NAMES | others
        return chosen.export(model, path or self.folder / f"clothes{chosen.suffix}", **arguments)

    def images(self, model, count=5):
        return np.random.default_rng(0).random((count, *model.image_shape), np.float32)

    def check_snippet(self, result, images):
        """What docs/serving.md says about running the file runs."""
        text = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
        (code,) = (
            each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"cnnf{result.path.suffix}" in each
        )
        np.save(self.folder / "images.npy", images)
        code = code.replace(f'"cnnf{result.path.suffix}"', repr(str(result.path)))
        with mock.patch("builtins.print") as printed:
            exec(code.replace('"images.npy"', repr(str(self.folder / "images.npy"))), {})
        return printed.call_args[0][0]

    def test_iterations_as_input_of_onnx(self):
        model = fixtures_models.model(readout="average", with_encoder=True, feedback_start="one_hot")
        images = self.images(model)
        result = self.export("onnx", model, images, iterations_input=True, labels=np.zeros(5, int))
        self.assertEqual(result.loader, "onnxruntime")
        self.assertEqual([answers.iterations for answers in result.answers], [0, 1, 2, 5])
        for answers in result.answers:
            self.assertEqual((answers.images, answers.differing, answers.agreement), (5, 0, 1))
            self.assertEqual(*answers.accuracy)
        import onnxruntime

        session = onnxruntime.InferenceSession(result.path)
        self.assertEqual({each.shape[0] for each in session.get_outputs()}, {"batch"})
        self.check_transport(result.path, model, images, (0, 1, 5))
        labels = model(images).numpy().argmax(-1)
        self.assertEqual(self.check_snippet(result, images), [NAMES["class_names"][label] for label in labels])

        with self.assertRaisesRegex(FileExistsError, "exists; give another name, or ask for it to be overwritten"):
            self.export("onnx", model, images)
        before = result.path.read_bytes()
        other = fixtures_models.model(seed=1, readout="average", with_encoder=True)
        convert = onnx.ONNX._replace(convert=lambda *arguments: before)
        with (
            mock.patch.object(onnx, "ONNX", convert),
            mock.patch.object(model_files, "portable"),
            self.assertRaisesRegex(serving.VerificationError, "at K = 0, differs .* on 5 of 5 images.*allowed are 0%"),
        ):
            self.export("onnx", other, images, iterations_input=True, overwrite=True)
        damaged = onnx.ONNX._replace(convert=lambda *arguments: before[:1000])
        with (
            mock.patch.object(onnx, "ONNX", damaged),
            mock.patch.object(model_files, "portable"),
            self.assertRaisesRegex(serving.VerificationError, "does not run with onnxruntime"),
        ):
            self.export("onnx", model, images, self.folder / "other.onnx")
        self.assertEqual(result.path.read_bytes(), before)
        self.assertEqual({path.suffix for path in self.folder.iterdir()}, {".onnx", ".npy"})

    def check_transport(self, path, model, images, passes):
        """The client gets from the file what a SavedModel would give: bytes or floats, labels, names, consistency."""
        transport = serving.FileTransport(path)
        client = serving.Client(transport, batch_size=3)
        self.assertEqual(client.image_shape(), model.image_shape)
        pixels = (images * 255).round().astype(np.uint8)
        for limit in passes:
            floats = tf.constant(pixels.astype(np.float32) / np.float32(255))
            wanted = infer_adaptive(model, floats, max_iterations=limit, tolerance=0.0)
            labels = wanted.logits(model.readout).numpy().argmax(-1)
            probabilities = tf.nn.softmax(wanted.logits(model.readout)).numpy().max(-1)
            found = list(client.classify(pixels, max_iterations=limit))
            self.assertEqual([answer.label for answer in found], labels.tolist())
            self.assertEqual([answer.class_name for answer in found], [NAMES["class_names"][label] for label in labels])
            self.assertAllClose([answer.probability for answer in found], probabilities, atol=1e-4)
            self.assertEqual({answer.iterations_used for answer in found}, {limit})
            if limit:
                self.assertAllClose([a.feature_residual for a in found], wanted.feature_residual, rtol=1e-3)
                self.assertAllClose([a.latent_flip_rate for a in found], wanted.latent_flip_rate, atol=0.02)
                self.assertEqual([a.label_changed for a in found], wanted.label_changed.numpy().astype(bool).tolist())
        for message, arguments in (
            ("tolerance must be 0", {"max_iterations": passes[0], "tolerance": 0.1}),
            ("max_iterations must be", {"max_iterations": -1}),
        ):
            with self.assertRaisesRegex(serving.ServingError, message):
                list(client.classify(pixels, **arguments))
        with self.assertRaisesRegex(serving.ServingError, r"pixels must be floats in \[0, 1\] without NaN"):
            list(client.classify(images + 1))

    def test_converted_keras_model_as_litert(self):
        model = residual(iterations=1)
        images = self.images(model)
        result = self.export("litert", model, images, iterations_input=True)
        self.check_transport(result.path, model, images, (0, 1, 5))
        labels = model(images).numpy().argmax(-1)
        self.assertEqual(self.check_snippet(result, images), [NAMES["class_names"][label] for label in labels])
        facts = json.loads(zipfile.ZipFile(result.path).read("cnnf_tf.json"))
        self.assertEqual((facts["iterations"], facts["iterations_input"], facts["weights"]), (1, True, "float32"))
        with self.assertRaisesRegex(ValueError, "the ending of the file must be one of"):
            serving.FileTransport(self.folder / "x.pb")
        (self.folder / "x.tflite").write_bytes(result.path.read_bytes()[:999])
        with self.assertRaisesRegex(ValueError, "x.tflite' is damaged, was cut short, or is no file"):
            serving.FileTransport(self.folder / "x.tflite")

    def test_wide_resnet_as_onnx_of_one_iteration(self):
        keras.utils.set_random_seed(0)
        network = {"depth": 10, "widen_factor": 1, "num_classes": 3}
        model = CNNF.from_name("wide_resnet", image_shape=(32, 32, 3), network=network, learn_eta=True)
        result = self.export("onnx", model, self.images(model, 2), iterations=1)
        self.assertEqual([answers.differing for answers in result.answers], [0])
        with self.assertRaisesRegex(serving.ServingError, "max_iterations must be 1, which was fixed at export"):
            list(serving.Client(serving.FileTransport(result.path)).classify(self.images(model), max_iterations=2))

    def test_rounded_weights_in_batches_of_one_size(self):
        model = fixtures_models.smaller_model()
        images = self.images(model, 7)
        kept = {}
        for weights in ("float16", "int8"):
            path = self.folder / f"{weights}.tflite"
            kept[weights] = self.export("litert", model, images, path, weights=weights, fixed_batch=3)
            (answers,) = kept[weights].answers
            self.assertEqual((answers.images, answers.agreement), (6, 1))
            self.assertLess(answers.difference, 0.1)
        answers = list(serving.Client(serving.FileTransport(path)).classify(images))
        self.assertEqual([answer.label for answer in answers], model(images).numpy().argmax(-1).tolist())
        self.assertEqual(model_files._rows(model_files.FileOptions(1, fixed_batch=3), 7), [slice(0, 3), slice(3, 6)])
        self.assertEqual(model_files._rows(model_files.FileOptions(1), 130), [slice(0, 128), slice(128, 130)])
        rounded = litert.LITERT._replace(convert=lambda *arguments: path.read_bytes())
        with (
            mock.patch.object(litert, "LITERT", rounded),
            mock.patch.object(model_files, "portable"),
            mock.patch.object(model_files, "LEAST_AGREEMENT", 1.1),
            self.assertRaisesRegex(
                serving.VerificationError, "with weights of int8, gives 100.0% of 6 images the label"
            ),
        ):
            self.export("litert", model, images, self.folder / "x.tflite", weights="int8", fixed_batch=3)
        self.assertFalse((self.folder / "x.tflite").exists())

    def test_few_images_may_differ_where_there_is_feedback(self):
        def check(iterations, wrong, by=0.01):
            expected = {"logits": np.eye(20, dtype=np.float32)}
            found = {name: values.copy() for name, values in expected.items()}
            for values in found.values():
                values[:wrong] += by
            answers = model_files._answers(iterations, [(expected, found)], np.arange(20))
            model_files._check(answers, "x", "float32")
            return answers

        self.assertEqual(check(1, 5)[:3], (1, 20, 5))
        self.assertEqual(check(0, 0).accuracy, (1.0, 1.0))
        for iterations, wrong in ((0, 1), (1, 6)):
            with self.assertRaisesRegex(serving.VerificationError, f"on {wrong} of 20 images, by up to 0.01"):
                check(iterations, wrong)
        with self.assertRaisesRegex(
            serving.VerificationError, "K = 5, with weights of float32, gives 85.0% of 20 imag"
        ):
            check(5, 3, by=-2 * np.eye(20, dtype=np.float32)[:3])

    def test_measures_of_consistency_are_verified(self):
        model = fixtures_models.smaller_model()
        (case,) = model_files.file_cases(model, model_files.FileOptions(1), self.images(model, 2))[1]
        self.assertEqual(case.expected["self_consistency"].shape, (2, 3))
        wrong = case.expected | {"self_consistency": case.expected["self_consistency"] + 7}
        self.assertEqual(model_files._answers(1, [(case.expected, wrong)], None).differing, 2)

    def test_a_file_that_appears_meanwhile_is_kept(self):
        model = fixtures_models.smaller_model()
        images, path = self.images(model, 2), self.folder / "x.tflite"

        def run_cases(loader, file, cases):
            path.write_text("theirs")
            return [case.expected for case in cases]

        with (
            mock.patch.object(model_files, "run_cases", run_cases),
            mock.patch.object(litert, "LITERT", litert.LITERT._replace(convert=lambda *arguments: b"ours")),
            mock.patch.object(model_files, "portable"),
            self.assertRaisesRegex(FileExistsError, "was written by something else meanwhile, and is kept"),
        ):
            self.export("litert", model, images, path)
        self.assertEqual(path.read_text(), "theirs")

    def test_refusals(self):
        model = fixtures_models.smaller_model()
        images = self.images(model)
        keras.utils.set_random_seed(0)
        half = fixtures_models.smaller_model(dtype="mixed_bfloat16")
        any_size = CNNF.from_keras(
            keras.Sequential([keras.Input((None, None, 1)), kl.Conv2D(3, 3), kl.GlobalAveragePooling2D(), kl.Dense(3)])
        )
        in_groups, sketchy = chain(kl.Conv2D(4, 3, groups=2)), chain(kl.UpSampling2D(2, interpolation="bilinear"))
        for name, tried, options, message in (
            ("onnx", model, {"weights": "int8"}, "weights of a .onnx file must be one of .*'float32'.*'int8'"),
            ("litert", model, {"path": self.folder / "x.onnx"}, "must end in .tflite, got"),
            ("litert", model, {"class_names": "ab"}, "has 3 classes and wants as many names"),
            ("litert", model, {"fixed_batch": 6}, "at least 6 images to verify with, one batch; got 5"),
            ("litert", model, {"fixed_batch": 0}, "fixed_batch must be a positive integer"),
            ("litert", model, {"weights": "int4"}, "weights must be one of"),
            ("litert", half, {}, r"computes in float32, and these layers do not: .*bfloat16"),
            ("onnx", any_size, {}, "takes images of any size .* and a file of this format wants one size"),
            (
                "onnx",
                in_groups,
                {},
                "layer 'conv2d.*' cannot leave TensorFlow: .*compiled by XLA, as a convolution in groups is",
            ),
            ("litert", sketchy, {}, "layer 'up_sampling2d.*' cannot leave TensorFlow: .*ResizeBilinearGrad"),
        ):
            size = [side or 8 for side in tried.image_shape]
            with self.assertRaisesRegex(ValueError, message):
                self.export(name, tried, images if tried is model else np.zeros((2, *size), np.float32), **options)
        self.assertEmpty(list(self.folder.iterdir()))


if __name__ == "__main__":
    tf.test.main()
