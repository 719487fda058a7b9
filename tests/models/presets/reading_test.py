"""Presets, read: what comes back, and what is refused before anything is built."""

import contextlib
import hashlib
import json
import pathlib
import shutil
import tempfile
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF
from cnnf_tf.layers.base import register
from cnnf_tf.models.presets import preset_info, reading
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_models

WEIGHTS = "model.weights.npz"


@register
class SpecialCNNF(CNNF):
    """A class made of CNNF."""


def changed(content: bytes, how: str) -> bytes:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    return {"truncated": content[:-9], "empty": b"", "longer": content + b"x", "flipped": bytes(flipped)}[how]


class ReadingTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = fixtures_models.model(with_encoder=True, seed=3)
        place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(place.cleanup)
        cls.source = pathlib.Path(place.name) / "tiny"
        card = {"limits": "None.", "data": {"name": "mnist"}}
        cls.model.save_to_preset(cls.source, class_names=["a", "b", "c"], tolerance=0.25, card=card)

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / "tiny"
        shutil.copytree(self.source, self.folder)

    def metadata(self, **changes):
        """Changes metadata.json."""
        found = json.loads((self.folder / "metadata.json").read_text())
        (self.folder / "metadata.json").write_text(json.dumps(found | changes))
        return found

    def rewrite(self, file, content):
        """Writes another file, with the right checksum."""
        (self.folder / file).write_bytes(content)
        self.metadata(files=self.metadata()["files"] | {file: hashlib.sha256(content).hexdigest()})

    def assert_refused(self, message, error=ValueError):
        """Nothing is built meanwhile."""
        with (
            mock.patch.object(keras.saving, "deserialize_keras_object") as build,
            self.assertRaisesRegex(error, message),
        ):
            CNNF.from_preset(self.folder)
        build.assert_not_called()

    def test_the_same_model_comes_back(self):
        images = fixtures_models.images(3)
        for preset in (self.folder, str(self.folder), f"{self.folder}/"):
            loaded = CNNF.from_preset(preset)
            self.assertAllEqual(loaded.infer(images).logits, self.model.infer(images).logits)
            self.assertEqual(loaded.get_config(), self.model.get_config())

    def test_options_and_weights_left_out(self):
        loaded = CNNF.from_preset(self.folder, iterations=4, eta={"h": 0.5, "*": 0.2}, readout="average")
        self.assertEqual((loaded.iterations, loaded.eta, loaded.readout), (4, {"h": 0.5, "*": 0.2}, "average"))
        self.assertAllEqual(loaded.weights[0], self.model.weights[0])
        (self.folder / WEIGHTS).unlink()
        self.assertNotAllEqual(CNNF.from_preset(self.folder, load_weights=False).weights[0], self.model.weights[0])
        shutil.copy(self.source / WEIGHTS, self.folder)
        for options, message in (
            ({"dtype": "float16"}, "can replace bgr, eta, .* of the model, got dtype"),
            ({"network": None, "epochs": 1}, "got network, epochs"),
            ({"iterations": -1}, "the preset '.*tiny' cannot be had with iterations=-1: iterations must be"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                CNNF.from_preset(self.folder, **options)

    def test_step_sizes_in_place_of_learned_ones(self):
        loaded = CNNF.from_preset(self.folder, learn_eta=True)
        self.assertAllClose(list(loaded.reported_eta().values()), [0.1] * 3)
        model = fixtures_models.smaller_model(learn_eta=True)
        model.eta_logits.assign(np.zeros(model.eta_logits.shape))
        model.save_to_preset(self.folder.parent / "learned")
        for options, wanted in (
            ({}, 0.5),
            ({"iterations": 1, "learn_eta": True}, 0.5),
            ({"eta": 0.25}, 0.25),
            ({"learn_eta": False}, 0.1),
            ({"eta": 0.25, "learn_eta": True}, 0.25),
        ):
            loaded = CNNF.from_preset(self.folder.parent / "learned", **options)
            found = loaded.reported_eta()
            for value in found.values() if isinstance(found, dict) else [found]:
                self.assertAllClose(value, wanted)
            self.assertAllEqual(loaded.network.weights[0], model.network.weights[0])

    def test_a_folder_of_the_name_of_a_packaged_preset(self):
        name = "fashion_mnist_standard_cnn"
        self.folder.rename(self.folder.parent / name)
        with contextlib.chdir(self.folder.parent):
            with self.assertRaisesRegex(ValueError, f"say './{name}' or 'pretrained:{name}'"):
                preset_info(name)
            self.assertEqual(preset_info(f"./{name}")["num_classes"], 3)
            self.assertEqual(preset_info(f"pretrained:{name}")["num_classes"], 10)
            self.assertIn(name, CNNF.presets)

    @parameterized.parameters("mixed_bfloat16", "float64")
    def test_global_dtype_policy_does_not_matter_and_stays(self, policy):
        with dtype_policy(policy):
            model = CNNF.from_preset(self.folder)
            self.assertEqual(keras.config.dtype_policy().name, policy)
        self.assertEqual({layer.dtype_policy.name for layer in [model, *model._flatten_layers()]}, {"float32"})

    def test_info(self):
        info = preset_info(self.folder)
        (self.folder / WEIGHTS).unlink()
        self.assertEqual(preset_info(self.folder), info)
        wanted = {"name": "tiny", "class_names": ["a", "b", "c"], "num_classes": 3, "tolerance": 0.25, "format": 1}
        wanted |= {"iterations": 2, "eta": 0.1, "readout": "last", "image_shape": [8, 8, 1], "pixel_range": [0, 1]}
        wanted |= {"pixel_mean": 0.5, "pixel_scale": 0.5, "bgr": False, "dtype": "float32", "learn_eta": False}
        wanted |= {"parameter_count": self.model.count_params(), "card": {"limits": "None.", "data": {"name": "mnist"}}}
        self.assertEqual({key: info[key] for key in wanted}, wanted)

    @parameterized.product(file=("config.json", WEIGHTS, "card.json"), how=("flipped", "truncated", "empty", "longer"))
    def test_damaged(self, file, how):
        (self.folder / file).write_bytes(changed((self.folder / file).read_bytes(), how))
        self.assert_refused(f"the preset '.*tiny' is damaged: its {file} has the sha256 .*, metadata.json says")

    def test_missing_files(self):
        for file, message in (
            (WEIGHTS, f"lacks its {WEIGHTS}"),
            ("card.json", "lacks its card.json"),
            ("metadata.json", "has no metadata.json: no folder that CNNF.save_to_preset wrote, or not all of it"),
            ("config.json", "has no config.json: no folder that CNNF.save_to_preset wrote, or not all of it"),
        ):
            (self.folder / file).unlink()
            self.assert_refused(f"the preset '.*tiny' {message}")
            shutil.copy(self.source / file, self.folder)
        (self.folder / "README.md").write_text("A person wrote this.")
        CNNF.from_preset(self.folder)

    def test_bad_metadata(self):
        whole = self.metadata()
        for changes, message in (
            (
                {"format": 2, "cnnf_tf_version": "9.1.0"},
                "of the format 2, written by cnnf_tf 9.1.0; this version reads",
            ),
            ({"format": "1"}, "of the format '1'"),
            ({"files": None}, "has a metadata.json that is damaged or not of cnnf_tf"),
            ({"class_names": "abc"}, "metadata.json that is damaged"),
            ({"class_names": ["a", "b"]}, "class_names are not 3 strings: .'a', 'b'."),
            ({"tolerance": float("nan")}, "tolerance is nan; wanted a number >= 0"),
            ({"files": whole["files"] | {"../../secret": "0"}}, r"lists the files \['../../secret', .*; wanted config"),
            ({"files": {WEIGHTS: "0"}}, "lists the files"),
            ({"files": whole["files"] | {WEIGHTS: None}}, f"is damaged: its {WEIGHTS}"),
        ):
            self.metadata(**changes)
            self.assert_refused(message)
            self.metadata(**whole)
        self.metadata(num_classes=4, class_names=None)
        with self.assertRaisesRegex(ValueError, "its metadata.json says 4 classes, its model has 3"):
            CNNF.from_preset(self.folder)
        for text in ("{", "[]", "\xff", "[" * 100_000):
            (self.folder / "metadata.json").write_text(text, encoding="latin-1")
            self.assert_refused("has a metadata.json that is no JSON of a preset")

    def test_links(self):
        outside = self.folder.parent / "outside.npz"
        (self.folder / WEIGHTS).rename(outside)
        (self.folder / WEIGHTS).symlink_to(outside)
        self.assert_refused(f"has a {WEIGHTS} that is a link to '.*outside.npz', out of the folder; copy the file")
        (self.folder / WEIGHTS).unlink()
        outside.rename(self.folder / "inside.npz")
        (self.folder / WEIGHTS).symlink_to("inside.npz")
        (self.folder.parent / "link").symlink_to(self.folder)
        CNNF.from_preset(self.folder.parent / "link")

    def test_foreign(self):
        dense = keras.saving.serialize_keras_object(keras.layers.Dense(2))
        functional = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        hub = {"class_name": "BertBackbone", "registered_name": "keras_hub>BertBackbone", "config": {}}
        for config, message in (
            (hub, "holds a keras_hub>BertBackbone; wanted a CNNF. keras_hub.models reads it"),
            ({"model_type": "bert"}, "holds a model of transformers; wanted a CNNF"),
            ({"architecture": "resnet18"}, "holds a model of timm"),
            (dense, "holds a Dense|holds a None|holds a keras"),
            (keras.saving.serialize_keras_object(functional), "holds a Sequential"),
            ({}, "holds nothing that Keras serialised"),
            (
                {"registered_name": "cnnf_tf>FeedbackConv2D", "config": {}},
                "holds a cnnf_tf>FeedbackConv2D; wanted a CNN",
            ),
        ):
            self.rewrite("config.json", json.dumps(config).encode())
            self.assert_refused(f"is foreign: its config.json .*({message})")
            metadata = (self.folder / "metadata.json").read_text()
            (self.folder / "metadata.json").write_text('{"keras_version": "3.9.0", "keras_hub_version": "0.32.0"}')
            self.assert_refused(f"is foreign: its config.json .*({message})")
            (self.folder / "metadata.json").write_text(metadata)
        unknown = {"registered_name": "mine>Own", "module": "mine.models", "config": {"network": {}}}
        self.rewrite("config.json", json.dumps(unknown).encode())
        self.assert_refused(r"holds a mine>Own; .* import its module first \(where it was saved, mine.models\)")
        with self.assertRaisesRegex(ValueError, "holds a cnnf_tf>CNNF; wanted a SpecialCNNF"):
            SpecialCNNF.from_preset(self.source)
        model = self.model
        special = SpecialCNNF(model.network, model.encoder, image_shape=model.image_shape)
        special.save_to_preset(self.folder.parent / "special")
        for cls in (CNNF, SpecialCNNF):
            self.assertIsInstance(cls.from_preset(self.folder.parent / "special"), SpecialCNNF)

    def test_weights_that_cannot_be_used(self):
        with np.load(self.folder / WEIGHTS) as file:
            arrays = dict(file)
        bias = "network/fc/bias"
        for changes, message in (
            ({bias: np.float32([0, np.nan, np.inf])}, f"{WEIGHTS}: 2 of the 3 weights '{bias}' are not finite"),
            ({bias: np.array(["a", "b", "c"])}, f"the weights '{bias}' are no numbers but <U1"),
            ({bias: np.array([object()])}, f"cannot be used, its {WEIGHTS}: .*allow_pickle"),
        ):
            np.savez(self.folder / "x.npz", **(arrays | changes))
            self.rewrite(WEIGHTS, (self.folder / "x.npz").read_bytes())
            self.assert_refused(message)
        self.rewrite(WEIGHTS, b"no zip")
        self.assert_refused(f"cannot be used, its {WEIGHTS}")
        np.savez(self.folder / "x.npz", **(arrays | {bias: np.array([0, 1e300, 0])}))
        self.rewrite(WEIGHTS, (self.folder / "x.npz").read_bytes())
        with self.assertRaisesRegex(ValueError, f"the weights '{bias}', in float64, are not finite in float32"):
            CNNF.from_preset(self.folder)
        less = {key: value for key, value in arrays.items() if key != bias}
        for changed_arrays, message in (
            (less, rf"{bias}: wanted \(3,\), got nothing"),
            (arrays | {bias: np.zeros(4, np.float16)}, rf"\({bias}: wanted \(3,\), got \(4,\)\)"),
            (arrays | {bias: np.zeros(3, int)}, rf"\({bias}: wanted \(3,\), got \(3,\) of integers\)"),
            (arrays | {"more": np.zeros(1, np.float16)}, r"\(more: wanted nothing, got \(1,\)\)"),
            ({}, r"wanted \(.*\), got nothing; and \d more"),
        ):
            np.savez(self.folder / "x.npz", **changed_arrays)
            self.rewrite(WEIGHTS, (self.folder / "x.npz").read_bytes())
            with self.assertRaisesRegex(
                ValueError, f"'.*tiny' cannot be loaded: the weights do not fit the model.*{message}"
            ):
                CNNF.from_preset(self.folder)

    def test_code_in_the_configuration_is_not_run(self):
        config = json.loads((self.folder / "config.json").read_text())
        bad = keras.saving.serialize_keras_object(keras.layers.Lambda(lambda x: x))
        code = {"name": "x", "linear": True, "merges": False, "layer": bad}
        config["config"]["network"]["config"]["layers"][0] = {
            "module": "cnnf_tf.layers",
            "class_name": "FeedbackKerasLayer",
            "registered_name": "cnnf_tf>FeedbackKerasLayer",
            "config": code,
        }
        self.rewrite("config.json", json.dumps(config).encode())
        with self.assertRaisesRegex(ValueError, "Python code .a Lambda layer., which is not run"):
            CNNF.from_preset(self.folder)
        for layer, options, message in (
            ("TFSMLayer", {"filepath": "x", "name": "x"}, r"a program outside of it \(a TFSMLayer layer\)"),
            ("StringLookup", {"vocabulary": "x.txt"}, r"a vocabulary outside of it \(a StringLookup layer\)"),
        ):
            code["layer"] = {"module": "keras.layers", "class_name": layer, "config": options, "registered_name": None}
            self.rewrite("config.json", json.dumps(config).encode())
            with self.assertRaisesRegex(ValueError, message):
                CNNF.from_preset(self.folder)
        config["config"]["network"]["config"]["layers"][0] = {
            "module": "os",
            "class_name": "system",
            "registered_name": None,
            "config": {"command": "false"},
        }
        self.rewrite("config.json", json.dumps(config).encode())
        with self.assertRaisesRegex(ValueError, "does not describe a model of this version .*locate class 'system'"):
            CNNF.from_preset(self.folder)

    def test_what_is_no_preset(self):
        for preset, message in (
            (None, r"a preset is a name, a folder or hf://USER/MODEL\[@REVISION\], got None"),
            ("no/such", "there is no preset 'no/such': wanted the name of one that comes with the package, a folder"),
            ("fashion_mnist_standar", "did you mean 'fashion_mnist_standard'. There are: fashion_mnist_adversarial, "),
            (self.folder / "config.json", "it is a file, and cnnf_tf.load_model reads .keras files"),
            (self.folder.parent, "has no config.json"),
            ("kaggle://a/b", "there is no preset 'kaggle://a/b'"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                CNNF.from_preset(preset)
        self.folder.rename(self.folder.with_name(".tiny.old"))
        with self.assertRaisesRegex(ValueError, "'.*/.tiny.old' is what it held before a save that was killed"):
            CNNF.from_preset(self.folder)

    def test_presets_of_the_class(self):
        self.assertEqual(sorted(CNNF.presets), reading.packaged_names())
        told = CNNF.presets["fashion_mnist_restore"]["metadata"]
        self.assertStartsWith(told["description"], "CNN-F, K = 1, eta = 0.5, readout `last`, for `fashion_mnist`")
        self.assertEqual(told["params"], 3_298_962)
        self.assertEqual(self.model.presets, CNNF.presets)


if __name__ == "__main__":
    tf.test.main()
