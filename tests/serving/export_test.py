"""The exported directory: what is in it, what it computes, and that a wrong one never appears."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import serving
from cnnf_tf.models import READOUTS
from cnnf_tf.serving import export, server_files, verification
from tests.models import fixtures_models
from tests.serving import exported

SIGNATURES = ("serving_default", "serving_uint8", "classify", "classify_uint8", "reconstruct", "trajectory")


class ExportTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.signatures = tf.saved_model.load(str(exported.result().directory)).signatures

    def call(self, name, **inputs):
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in self.signatures[name](**inputs).items()}

    def test_report(self):
        result = exported.result()
        self.assertEqual(result.directory.name, "1")
        self.assertEqual(set(result.differences), {"tf.saved_model.load", "the C API"})
        self.assertLess(max(result.differences.values()), 1e-5)
        names = sorted(path.name for path in exported.base().iterdir())
        self.assertEqual(names, [".export.lock", "1", "batching.config", "models.config"])

    @parameterized.parameters(1, 4, 5, 9)
    def test_default_is_the_model(self, count):
        """Fewer than a chunk, a chunk, more; the batch size is not fixed."""
        images, model = fixtures_models.images(count), exported.model()
        found = self.call("serving_default", images=images)
        logits = model(images).numpy()
        self.assertAllClose(found["logits"], logits, rtol=1e-5, atol=1e-5)
        self.assertAllClose(found["probabilities"], tf.nn.softmax(logits), rtol=1e-5, atol=1e-5)
        self.assertAllEqual(found["label"], logits.argmax(-1))
        names = [exported.CLASS_NAMES[label].encode() for label in logits.argmax(-1)]
        self.assertEqual(list(found["class_name"]), names)
        self.assertAllEqual(found["iterations_used"], [2] * count)
        self.assertEqual(found["self_consistency"].shape, (count, 3))

    @parameterized.parameters(("serving_default", "serving_uint8"), ("classify", "classify_uint8"))
    def test_float_and_uint8_agree(self, floats, bytes_):
        pixels = exported.pixels(5)
        request = (
            {} if floats == "serving_default" else {"max_iterations": np.int32([3]), "tolerance": np.float32([0.1])}
        )
        ours = self.call(floats, images=pixels.astype(np.float32) / 255, **request)
        theirs = self.call(bytes_, images=pixels, **request)
        for name in ours:
            self.assertAllEqual(ours[name], theirs[name])

    def test_classify_stops_each_image_by_its_own_request(self):
        images, model = fixtures_models.images(6), exported.model()
        limits = np.int32([0, 1, 2, 3, 4, 4])
        found = self.call("classify", images=images, max_iterations=limits, tolerance=np.float32([0] * 5 + [9]))
        self.assertAllEqual(found["iterations_used"][:5], limits[:5])
        self.assertLess(found["iterations_used"][5], 4)
        self.assertAllEqual(found["self_consistency"][0], [-1.0] * 3)
        passes = model.infer(images, iterations=4).logits
        for i, used in enumerate(found["iterations_used"]):
            wanted = READOUTS["average"](passes[: used + 1])[i]
            self.assertAllClose(found["logits"][i], wanted, rtol=1e-5, atol=1e-5)
        one = self.call("classify", images=images, max_iterations=np.int32(3), tolerance=np.float32(0))
        self.assertAllEqual(one["iterations_used"], [3] * 6)

    def test_reconstruct_and_trajectory(self):
        images, model = fixtures_models.images(5), exported.model()
        pictures = self.call("reconstruct", images=images)["reconstructions"]
        self.assertAllClose(pictures, tf.transpose(model.reconstruct(images), [1, 0, 2, 3, 4]), atol=1e-5)
        found = self.call("trajectory", images=images)
        passes = tf.transpose(model.infer(images, iterations=4).logits, [1, 0, 2]).numpy()
        self.assertAllClose(found["logits"], passes, rtol=1e-5, atol=1e-5)
        self.assertAllEqual(found["label"], passes.argmax(-1))

    @parameterized.parameters("serving_default", "reconstruct", "trajectory")
    def test_empty_batch_gives_empty_outputs(self, name):
        full, empty = (
            self.call(name, images=fixtures_models.images(2)),
            self.call(name, images=fixtures_models.images(2)[:0]),
        )
        for key, value in empty.items():
            self.assertEqual(value.shape, (0, *full[key].shape[1:]))

    def test_learned_step_sizes_are_served(self):
        base, model = pathlib.Path(self.create_tempdir().full_path), fixtures_models.smaller_model(learn_eta=True)
        model.eta_logits.assign([0.5, -3.0])
        options, images = serving.ServingOptions(2, max_iterations=2), fixtures_models.images(2)
        arguments = {"options": options, "class_names": exported.CLASS_NAMES, "images": images.numpy()}
        directory = serving.export_model(model, base, **arguments).directory
        found = tf.saved_model.load(str(directory)).signatures["serving_default"](images=images)["logits"]
        self.assertAllClose(found, model(images), rtol=1e-5, atol=1e-5)
        self.assertNotAllClose(found, fixtures_models.smaller_model()(images), rtol=1e-3, atol=1e-3)
        facts = json.loads((directory / "assets.extra/export.json").read_text())
        self.assertEqual(facts["eta"], model.reported_eta())

    def test_nothing_of_keras_or_of_this_package_inside(self):
        graph = (exported.result().directory / "saved_model.pb").read_bytes()
        self.assertNotIn(b"keras_metadata", graph)
        self.assertNotIn(str(exported.base()).encode(), graph)
        self.assertNotIn(b"cnnf_tf", graph)

    def test_assets(self):
        directory = exported.result().directory
        self.assertEqual((directory / "assets/class_names.txt").read_text().splitlines(), list(exported.CLASS_NAMES))
        facts = json.loads((directory / "assets.extra/export.json").read_text())
        self.assertEqual((facts["iterations"], facts["max_iterations"], facts["readout"]), (2, 4, "average"))

    def test_warmup_requests_run(self):
        from tensorflow_serving.apis import prediction_log_pb2

        path = exported.result().directory / "assets.extra" / "tf_serving_warmup_requests"
        seen = set()
        for record in tf.data.TFRecordDataset(str(path)):
            request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            self.assertEqual(request.model_spec.name, exported.NAME)
            seen.add(request.model_spec.signature_name)
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            self.assertNotEmpty(self.call(request.model_spec.signature_name, **inputs))
        self.assertEqual(seen, set(SIGNATURES))

    def test_config_files(self):
        from google.protobuf import text_format
        from tensorflow_serving.config import model_server_config_pb2

        text = (exported.base() / "models.config").read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config[0]
        self.assertEqual((config.name, config.base_path), ("tiny", "/models/tiny"))
        self.assertEqual(config.model_version_policy.latest.num_versions, 1)
        pinned = text.replace("latest { num_versions: 1 }", "specific { versions: 3 }")
        config = text_format.Parse(pinned, model_server_config_pb2.ModelServerConfig()).model_config_list.config[0]
        self.assertEqual(config.model_version_policy.specific.versions, [3])
        # The message of the other file is not part of tensorflow-serving-api.
        lines = [line for line in (exported.base() / "batching.config").read_text().splitlines() if line[0] != "#"]
        values = dict(line.removesuffix(" }").split(" { value: ") for line in lines)
        self.assertEqual((values["max_batch_size"], values["max_execution_batch_size"]), ("20", "4"))
        self.assertEqual(values["enable_large_batch_splitting"], "true")

    def test_saved_model_cli(self):
        directory, scratch = exported.result().directory, pathlib.Path(self.create_tempdir().full_path)
        cli = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
        shown = subprocess.run([*cli, "show", "--dir", directory, "--all"], capture_output=True, text=True, check=True)
        for name in SIGNATURES:
            self.assertIn(f"signature_def['{name}']", shown.stdout)
        self.assertIn("shape: (-1, 8, 8, 1)", shown.stdout)
        np.save(scratch / "x.npy", fixtures_models.images(3))
        inputs = f"images={scratch / 'x.npy'}"
        arguments = ("--tag_set", "serve", "--signature_def", "serving_default", "--inputs", inputs)
        command = [*cli, "run", "--dir", directory, *arguments, "--outdir", scratch]
        subprocess.run(command, capture_output=True, check=True)
        self.assertAllClose(
            np.load(scratch / "logits.npy"), exported.model()(fixtures_models.images(3)), rtol=1e-5, atol=1e-5
        )


class FailedExportTest(tf.test.TestCase, parameterized.TestCase):
    def export(self, base, **kwargs):
        arguments = {"options": exported.options(), "class_names": exported.CLASS_NAMES}
        arguments |= {"images": fixtures_models.images(2).numpy()} | kwargs
        return serving.export_model(exported.model(), base, **arguments)

    def base(self):
        return pathlib.Path(self.create_tempdir().full_path) / "models"

    def test_a_model_that_differs_never_appears(self):
        """The file is written with other weights than the model it is compared with."""
        base, write = self.base(), export.write_module
        other = fixtures_models.model(seed=1)
        with (
            mock.patch.object(export, "write_module", lambda model, *rest: write(other, *rest)),
            self.assertRaisesRegex(
                serving.VerificationError,
                r"signature 'trajectory' .* with tf.saved_model.load, gives 'logits' that differs .* by .*allowed are",
            ),
        ):
            self.export(base)
        self.assertEqual([path.name for path in base.iterdir()], [".export.lock"])

    def test_a_model_that_does_not_load(self):
        damaged = pathlib.Path(self.create_tempdir().full_path) / "1"
        shutil.copytree(exported.result().directory, damaged)
        next(damaged.glob("variables/variables.data*")).write_bytes(b"")
        case = verification.Case("trajectory", {"images": fixtures_models.images(1).numpy()}, {"logits": np.zeros(0)})
        with self.assertRaisesRegex(serving.VerificationError, "the written model does not run with the C API: "):
            verification.run_cases("the C API", damaged, [case])

    def test_config_files_are_kept(self):
        base = pathlib.Path(self.create_tempdir().full_path)
        (base / "models.config").write_text("mine")
        written = server_files.write_config_files(base, "cnnf", exported.options())
        self.assertEqual([path.name for path in written], ["batching.config"])
        self.assertEqual((base / "models.config").read_text(), "mine")

    def test_the_comparison_sees_shapes_and_nan(self):
        case = verification.Case("classify", {}, {"logits": np.zeros((2, 3), np.float32)})
        for found, message in (
            ({"logits": np.zeros((2, 4))}, r"shape \(2, 4\); wanted \(2, 3\)"),
            ({"logits": np.full((2, 3), np.nan)}, "differs from the original's by nan"),
            ({"logits": np.full((2, 3), 2e-5)}, "differs from the original's by 2e-05"),
            ({"error": np.array("3: no")}, "run with the C API, fails: 3: no"),
        ):
            with self.assertRaisesRegex(serving.VerificationError, message):
                verification.compare("the C API", [case], [found])
        self.assertLess(verification.compare("x", [case], [{"logits": np.full((2, 3), 1e-6)}]), 2e-6)

    @parameterized.parameters(
        ({"class_names": ("a", "b")}, "has 3 classes and wants as many names, got 2: a, b"),
        ({"class_names": ("a", "b", " ")}, "a class name must be one line that is not blank, got ' '"),
        ({"class_names": ("a", "b", "c\nd")}, "a class name must be one line"),
        ({"images": np.zeros((2, 9, 8, 1), np.float32)}, r"must be float32 \[batch, 8, 8, 1\].* got float32 \(2, 9, 8"),
        ({"images": np.zeros((2, 8, 8, 1), np.uint8)}, "got uint8"),
        ({"images": np.zeros((0, 8, 8, 1), np.float32)}, "at least one"),
        ({"name": "a/b"}, "the model name must consist of letters, digits and _ . -"),
        ({"version": 0}, "version must be a positive integer"),
    )
    def test_bad_arguments(self, arguments, message):
        base = self.base()
        with self.assertRaisesRegex(ValueError, message):
            self.export(base, **arguments)
        self.assertFalse(base.exists())

    def test_without_the_serving_extra(self):
        with (
            mock.patch.dict(sys.modules, {"tensorflow_serving.apis": None}),
            self.assertRaisesRegex(ImportError, r"wants the package tensorflow-serving-api; .*cnnf_tf\[serving\]"),
        ):
            self.export(self.base())

    @parameterized.parameters(
        ({"iterations": 11}, r"iterations must be an integer from 0 to max_iterations \(10\), got 11"),
        ({"iterations": -1}, "iterations must be an integer from 0"),
        ({"iterations": True}, "iterations must be an integer from 0"),
        ({"tolerance": -1.0}, "tolerance must be a number >= 0"),
        ({"chunk_size": 0}, "chunk_size must be a positive integer, got 0"),
        ({"max_images": 0}, "max_images must be a positive integer"),
        ({"max_iterations": 0}, "max_iterations must be a positive integer"),
    )
    def test_bad_options(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            serving.ServingOptions(**({"iterations": 1} | arguments))

    def test_options_for_a_model(self):
        self.assertEqual(
            dataclasses.astuple(serving.ServingOptions.for_model(exported.model())), (2, 0.0, 10, 128, 16_384)
        )
        self.assertEqual(serving.ServingOptions.for_model(exported.model(), iterations=25).max_iterations, 25)


if __name__ == "__main__":
    tf.test.main()
