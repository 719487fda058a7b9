"""Pretrained models: the file format, what is refused, and the models of the package against their own cards."""

import hashlib
import json
import pathlib
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data, layers
from cnnf_tf.evaluation import evaluate_passes
from cnnf_tf.models import CNNF
from cnnf_tf.models.networks import NETWORKS, Network
from cnnf_tf.utils.dtypes import dtype_policy
from cnnf_tf.zoo import load_model, load_pretrained, model_sha256, pretrained, pretrained_card, pretrained_names
from tests.models import fixtures_models

MOST_BYTES = 7_000_000


def tiny_network(*, num_classes):
    """That of `tiny`, with an encoder, so that every kind of composite is there."""
    assert num_classes == 3
    return Network(fixtures_models.encoder(), fixtures_models.network())


class PretrainedTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        patch = mock.patch.dict(NETWORKS, {"tiny": tiny_network})
        patch.start()
        self.addCleanup(patch.stop)
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def packaged(self, name="tiny_one", learn_eta=False, **changes):
        """Packages a model in the folder; returns it."""
        model = fixtures_models.model(with_encoder=True, seed=3, learn_eta=learn_eta)
        card = {
            "model": pretrained.model_arguments(model, name="tiny", network={}),
            "weights": pretrained.write_weights(model, self.folder / f"{name}.npz"),
        }
        (self.folder / f"{name}.json").write_text(json.dumps(card | changes))
        return model

    def rewrite(self, arrays, name="tiny_one"):
        """Writes other arrays, with the right checksum."""
        np.savez(self.folder / f"{name}.npz", **arrays)
        self.correct_checksum(name)

    def correct_checksum(self, name="tiny_one"):
        card = json.loads((self.folder / f"{name}.json").read_text())
        card["weights"]["sha256"] = hashlib.sha256((self.folder / f"{name}.npz").read_bytes()).hexdigest()
        (self.folder / f"{name}.json").write_text(json.dumps(card))

    def load(self, name="tiny_one"):
        return load_pretrained(name, folder=self.folder)

    def test_weights_are_the_float16_values_and_options_are_kept(self):
        model = self.packaged()
        loaded = self.load()
        self.assertIsInstance(loaded, CNNF)
        for ours, theirs in zip(loaded.weights, model.weights, strict=True):
            self.assertAllEqual(ours, theirs.numpy().astype(np.float16).astype(np.float32))
            ours.assign(theirs)
        self.assertAllEqual(loaded(fixtures_models.images(3)), model(fixtures_models.images(3)))
        options = ("name", "network", "encoder")
        configs = [{k: v for k, v in each.get_config().items() if k not in options} for each in (loaded, model)]
        self.assertEqual(*configs)

    def test_a_model_from_a_file_gives_the_same_weights_file(self):
        """Keras' own variable paths differ there."""
        model = self.packaged()
        model.save(self.folder / "x.keras")
        again = pretrained.write_weights(load_model(self.folder / "x.keras"), self.folder / "again.npz")
        self.assertEqual(again, pretrained_card("tiny_one", folder=self.folder)["weights"])
        with np.load(self.folder / "again.npz") as arrays:
            self.assertEqual({array.dtype for array in arrays.values()}, {np.dtype(np.float16)})
            self.assertIn("encoder/conv0/kernel", arrays)
            self.assertIn("network/tap1/ada_relu1/bias", arrays)
            self.assertIn("network/res/main/conv2/kernel", arrays)
            self.assertLen(arrays, len(model.weights))

    def test_learned_step_sizes_go_along(self):
        model = self.packaged(learn_eta=True)
        model.eta_logits.assign([0.5, -3.0, 1.5])
        pretrained.write_weights(model, self.folder / "tiny_one.npz")
        self.correct_checksum()
        self.assertAllEqual(self.load().eta_logits, [0.5, -3.0, 1.5])

    def test_facts_about_the_weights(self):
        model = fixtures_models.model(seed=3)
        facts = pretrained.write_weights(model, self.folder / "x.npz")
        content = (self.folder / "x.npz").read_bytes()
        self.assertEqual(facts["sha256"], hashlib.sha256(content).hexdigest())
        self.assertEqual((facts["bytes"], facts["dtype"]), (len(content), "float16"))
        self.assertBetween(facts["largest_rounding"], 1e-5, 2**-11)  # float16 has 11 binary digits
        self.assertEqual([path.name for path in self.folder.iterdir()], ["x.npz"])

    @parameterized.parameters("mixed_bfloat16", "mixed_float16", "float64", "bfloat16")
    def test_global_dtype_policy_does_not_matter_and_stays(self, policy):
        self.packaged()
        wanted = self.load()(fixtures_models.images(3))
        with dtype_policy(policy):
            model = self.load()
            self.assertEqual(keras.config.dtype_policy().name, policy)
            found = model(fixtures_models.images(3))
        self.assertAllEqual(found, wanted)
        policies = {layer.dtype_policy.name for layer in [model, *model._flatten_layers()]}
        self.assertEqual(policies, {"float32"})
        self.assertEqual({variable.dtype for variable in model.weights}, {"float32"})

    def test_names(self):
        self.assertEqual(pretrained_names(folder=self.folder / "none"), [])
        for name in ("b.json", "a_2.json", ".hidden-1.json", "c.npz", "notes.txt"):
            (self.folder / name).write_text("")
        self.assertEqual(pretrained_names(folder=self.folder), ["a_2", "b"])

    def test_unknown_name_lists_the_others(self):
        self.packaged()
        self.packaged("other")
        message = "no pretrained model 'tiny_on'; did you mean 'tiny_one'. There are: other, tiny_one"
        with self.assertRaisesRegex(ValueError, message):
            self.load("tiny_on")
        for name in ("zzzzzzzz", "../..", "", None):
            with self.assertRaisesRegex(ValueError, f"no pretrained model {name!r}. There are: other, tiny_one"):
                self.load(name)
        with self.assertRaisesRegex(ValueError, "There are: none"):
            load_pretrained("x", folder=self.folder / "none")

    @parameterized.parameters("flipped", "truncated", "empty", "longer")
    def test_damaged_weights_are_found_before_anything_is_built(self, how):
        self.packaged()
        path = self.folder / "tiny_one.npz"
        content = bytearray(path.read_bytes())
        if how == "flipped":
            content[len(content) // 2] ^= 1
        path.write_bytes({"truncated": content[:-9], "empty": b"", "longer": content + b"x"}.get(how, bytes(content)))
        message = "weights of the pretrained model 'tiny_one' are damaged: .*npz has the sha256 .* Install cnnf_tf"
        with (
            mock.patch.object(CNNF, "from_name") as build,
            self.assertRaisesRegex(ValueError, message),
        ):
            self.load()
        build.assert_not_called()

    def test_missing_weights(self):
        self.packaged()
        (self.folder / "tiny_one.npz").unlink()
        with self.assertRaisesRegex(FileNotFoundError, "are missing: wanted .*tiny_one.npz. Install cnnf_tf again"):
            self.load()

    @parameterized.parameters("{", "[]", '{"model": {}}', '{"model": {}, "weights": {}}', '{"model": 1, "weights": 2}')
    def test_damaged_card(self, text):
        (self.folder / "x.json").write_text(text)
        with self.assertRaisesRegex(ValueError, "card of the pretrained model 'x' is damaged .* Install cnnf_tf again"):
            self.load("x")

    def test_weights_that_are_no_archive(self):
        self.packaged()
        for content in (b"", b"not a zip", (self.folder / "tiny_one.npz").read_bytes()[:-9]):
            (self.folder / "tiny_one.npz").write_bytes(content)
            self.correct_checksum()
            with self.assertRaisesRegex(ValueError, "tiny_one.npz is not a readable .npz file"):
                self.load()
        self.rewrite({"x": np.array([object()])})  # a pickle
        with self.assertRaisesRegex(ValueError, "is not a readable .npz file .*allow_pickle"):
            self.load()

    def test_weights_that_do_not_fit(self):
        self.packaged()
        with np.load(self.folder / "tiny_one.npz") as file:
            arrays = dict(file)
        bias = "network/fc/bias"
        for changed, message in (
            ({key: value for key, value in arrays.items() if key != bias}, rf"{bias}: wanted \(3,\), got nothing"),
            (arrays | {bias: np.zeros(4, np.float16)}, rf"\({bias}: wanted \(3,\), got \(4,\)\)"),
            (arrays | {"more": np.zeros(1, np.float16)}, r"\(more: wanted nothing, got \(1,\)\)"),
        ):
            self.rewrite(changed)
            with self.assertRaisesRegex(ValueError, f"the pretrained model 'tiny_one' do not fit.*{message}"):
                self.load()

    def test_card_of_another_version(self):
        self.packaged()
        arguments = pretrained_card("tiny_one", folder=self.folder)["model"]
        for changes in ({"name": "huge"}, {"network": {"new": 1}}, {"readout": "median"}, {"new_option": 1}):
            self.packaged(model=arguments | changes)
            with self.assertRaisesRegex(ValueError, "'tiny_one' does not describe a model of this version of cnnf_tf"):
                self.load()

    @parameterized.parameters(70_000.0, np.inf, np.nan)
    def test_weights_that_float16_cannot_hold(self, value):
        model = fixtures_models.model()
        bias = np.zeros(3, np.float32)
        bias[1] = value
        model.weights[-1].assign(bias)
        message = "1 of the 3 weights 'network/fc/bias' are not finite in float16, which ends at 65504; .* is "
        with self.assertRaisesRegex(ValueError, message):
            pretrained.write_weights(model, self.folder / "x.npz")
        self.assertEmpty(list(self.folder.iterdir()))

    def test_layers_of_one_name(self):
        network = layers.FeedbackSequential(
            [layers.FeedbackFlatten(), layers.FeedbackDense(4, name="a"), layers.FeedbackDense(3, name="a")]
        )
        with self.assertRaisesRegex(ValueError, "two weights of the model have the name 'network/a/kernel'"):
            pretrained.named_variables(CNNF(network, image_shape=(4, 4, 1)))

    def test_load_model_takes_the_name_with_its_prefix(self):
        self.packaged()
        with mock.patch.object(pretrained, "_place", return_value=self.folder):
            self.assertAllEqual(
                load_model("pretrained:tiny_one")(fixtures_models.images(2)), self.load()(fixtures_models.images(2))
            )
            digest = hashlib.sha256((self.folder / "tiny_one.npz").read_bytes()).hexdigest()
            self.assertEqual(model_sha256("pretrained:tiny_one"), digest)
            with self.assertRaisesRegex(ValueError, "no pretrained model 'tiny'.* There are: tiny_one"):
                load_model("pretrained:tiny")
        self.assertEqual(model_sha256(self.folder / "tiny_one.npz"), digest)
        with self.assertRaisesRegex(FileNotFoundError, "wanted a .keras file, .* or pretrained:NAME"):
            load_model(self.folder / "none.keras")


class PackageTest(tf.test.TestCase):
    """The models of the package."""

    def test_every_model_loads_and_is_small(self):
        for name in pretrained_names():
            with self.subTest(name):
                card = pretrained_card(name)
                self.assertEqual(card["name"], name)
                self.assertLessEqual(card["weights"]["bytes"], MOST_BYTES)
                model = load_pretrained(name)
                self.assertEqual(model.count_params(), card["parameters"])
                self.assertLen(card["data"]["class_names"], model.num_classes)

    def test_every_model_is_as_accurate_as_its_card_says(self):
        for name in pretrained_names():
            with self.subTest(name):
                card = pretrained_card(name)
                wanted = card["metrics"]["first_images"]
                try:
                    dataset = data.load(
                        card["data"]["name"], card["data"]["split"], batch_size=250, limit=wanted["num_images"]
                    )
                except FileNotFoundError as error:
                    self.skipTest(f"{card['data']['name']} is not on this machine: {error}")
                model = load_pretrained(name)
                found = evaluate_passes(model, dataset, iterations=model.iterations)
                self.assertEqual(found.num_images, wanted["num_images"])
                self.assertAllClose(found.accuracy, wanted["accuracy"], rtol=0, atol=0.005)


if __name__ == "__main__":
    tf.test.main()
