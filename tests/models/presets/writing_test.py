"""Presets, written: every kind of model comes back as it was, and a folder is there whole or not at all."""

import contextlib
import hashlib
import json
import pathlib
import shutil
from unittest import mock

import huggingface_hub
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from keras import layers as kl

from cnnf_tf import CNNF, layers
from cnnf_tf.models.presets import variables, writing
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_keras, fixtures_models


def with_wrapped_encoder():
    """A Keras model below h: statistics, a normalisation that keeps what it makes of them, random numbers, a nest."""
    norm = kl.Normalization()
    norm.adapt(np.random.default_rng(0).random((20, 8, 8, 3), np.float32) + 1)
    images = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), kl.Conv2D(3, 3, padding="same"), kl.PReLU()], name="inner")
    below = kl.GaussianNoise(0.1)(kl.BatchNormalization()(inner(norm(images))))
    top = kl.Flatten()(kl.ReLU(name="start")(kl.Conv2D(4, 3)(below)))
    model = keras.Model(images, kl.Dense(fixtures_keras.SMALL_CLASSES)(top))
    return CNNF.from_keras(fixtures_keras.disturbed(model), start="start")


class Unnamed(kl.Layer):
    """A layer whose weight has no name, which Keras then numbers through the process."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="uniform")

    def call(self, features):
        return features * self.scale


@keras.saving.register_keras_serializable("test")
class Block(kl.Layer):
    """A layer that makes others, whose names Keras numbers through the process."""

    def __init__(self, **options):  # not `kwargs`: Keras looks for that word, and else leaves the name out of a config
        super().__init__(**options)
        self.first, self.norm = kl.Conv2D(3, 3, padding="same"), kl.BatchNormalization()
        self.rest = [kl.Conv2D(3, 1), keras.Sequential([kl.Conv2D(3, 1)])]

    def build(self, shape):
        for layer in (self.first, self.norm, *self.rest):
            layer.build(shape)

    def call(self, features):
        features = self.norm(self.first(features))
        for layer in self.rest:
            features = layer(features)
        return features


@keras.saving.register_keras_serializable("test")
class NamedBlock(Block):
    """One that keeps its own name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)


def with_blocks(kind=NamedBlock):
    """Some of those below h."""
    images = keras.Input((8, 8, 3))
    below = kl.TimeDistributed(kl.Dense(3))(NamedBlock(name="b")(kind()(kind()(images))))
    top = kl.Flatten()(kl.ReLU(name="start")(below))
    return CNNF.from_keras(fixtures_keras.disturbed(keras.Model(images, kl.Dense(3)(top))), start="start")


@keras.saving.register_keras_serializable("test")
class Shift(kl.Layer):
    """A layer with state that is no weight."""

    by = 0.0

    def save_own_variables(self, store):
        store["by"] = np.float32(self.by)

    def call(self, features):
        return features + self.by


def with_equal_names():
    """Two layers of one name, a layer that stands twice, and weights without a name."""
    twice = layers.FeedbackDense(4, name="a")
    graph = layers.FeedbackGraph([twice, layers.AdaReLU(name="r"), twice], [(0,), (1,), (2,), (3,)], name="graph")
    unnamed = [layers.FeedbackKerasLayer(keras.saving.register_keras_serializable("test")(Unnamed)()) for _ in range(2)]
    rest = [layers.FeedbackDense(4, name="a"), *unnamed, layers.FeedbackDense(4, name="a")]
    network = layers.FeedbackSequential([layers.FeedbackFlatten(), *rest, graph])
    return CNNF(network, image_shape=(4, 4, 1))


MODELS = {
    "layers of every kind": lambda: fixtures_models.model(with_encoder=True, seed=3),
    "learned steps": lambda: fixtures_models.model(learn_eta=True, eta={"h": 0.5, "*": 0.2}),
    "converted": lambda: CNNF.from_keras(fixtures_keras.NETWORKS["residual"](), frozen=False),
    "converted nest": lambda: CNNF.from_keras(fixtures_keras.NETWORKS["nested"]()),
    "converted, used twice": lambda: CNNF.from_keras(fixtures_keras.NETWORKS["shared"]()),
    "wrapped encoder": with_wrapped_encoder,
    "equal names": with_equal_names,
    "blocks": with_blocks,
    "any size": lambda: CNNF.from_keras(fixtures_keras.residual(None)),
}


def images_for(model):
    shape = [side or 16 for side in model.image_shape]
    return np.random.default_rng(1).random((2, *shape)).astype(np.float32)


class WritingTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.place = pathlib.Path(self.create_tempdir().full_path)
        self.folder = self.place / "tiny"

    def contents(self, folder=None):
        return {path.name: path.read_bytes() for path in (folder or self.folder).iterdir()}

    def assert_comes_back(self, model):
        model.save_to_preset(self.folder)
        first = self.contents()
        loaded, images = CNNF.from_preset(self.folder), images_for(model)
        for ours, theirs in zip(loaded.infer(images).logits, model.infer(images).logits, strict=True):
            self.assertEqual(np.asarray(ours).tobytes(), np.asarray(theirs).tobytes())
        policies = [[layer.dtype_policy.name for layer in each._flatten_layers()] for each in (loaded, model)]
        self.assertEqual(*policies)
        loaded.save_to_preset(self.folder, overwrite=True)
        self.assertEqual(self.contents(), first)
        return loaded

    @parameterized.parameters(*MODELS)
    def test_every_model_comes_back(self, kind):
        keras.utils.set_random_seed(0)
        self.assert_comes_back(MODELS[kind]())

    @parameterized.parameters("mixed_bfloat16", "bfloat16", "float64")
    def test_dtype_policies_come_back(self, policy):
        with dtype_policy(policy):
            model = fixtures_models.smaller_model()
        loaded = self.assert_comes_back(model)
        self.assertEqual({v.dtype for v in loaded.weights}, {v.dtype for v in model.weights})

    def test_names_of_weights(self):
        found = variables.named_variables(fixtures_models.model(with_encoder=True, learn_eta=True))
        for name in (
            "encoder/conv0/kernel",
            "network/tap1/ada_relu1/bias",
            "network/res/main/conv2/kernel",
            "eta_logits",
        ):
            self.assertIn(name, found)
        names = [f"network/a/{name}" for name in ("kernel", "kernel_2")]
        names += ["network/graph/a/kernel", "network/graph/r/bias"]
        unnamed = [name for name in variables.named_variables(with_equal_names()) if "unnamed" in name]
        self.assertContainsSubset(names, variables.named_variables(with_equal_names()))
        self.assertLen(unnamed, 2)
        self.assertAllInSet([name.rpartition("/")[2] for name in unnamed], ["variable"])

    def test_files(self):
        model = fixtures_models.smaller_model()
        model.compile(optimizer="adam")
        card = {"license": "mit", "limits": "Sees no hats.", "data": {"name": "mnist", "split": "test"}, "note": [1]}
        card["front_matter"] = {"language": "en", "tags": ["mine"]}
        model.save_to_preset(self.folder, class_names=("a", "b", "ü"), tolerance=0.5, card=card)
        files = self.contents()
        self.assertCountEqual(files, ["config.json", "model.weights.npz", "metadata.json", "card.json", "README.md"])
        metadata = json.loads(files["metadata.json"])
        checked = ("config.json", "model.weights.npz", "card.json")
        self.assertEqual(metadata["files"], {name: hashlib.sha256(files[name]).hexdigest() for name in checked})
        self.assertEqual(
            (metadata["format"], metadata["class_names"], metadata["tolerance"]), (1, ["a", "b", "ü"], 0.5)
        )
        self.assertEqual(
            metadata["weights"], {"bytes": len(files[checked[1]]), "dtype": "float32", "largest_rounding": 0}
        )
        self.assertEqual(json.loads(files["card.json"]), card)
        self.assertNotIn(b"compile_config", files["config.json"])
        self.assertFalse(CNNF.from_preset(self.folder).compiled)
        page = huggingface_hub.ModelCard(files["README.md"].decode())
        wanted = {
            "license": "mit",
            "library_name": "cnnf_tf",
            "datasets": ["mnist"],
            "language": "en",
            "tags": ["mine"],
        }
        self.assertEqual(page.data.to_dict(), wanted | {"pipeline_tag": "image-classification"})
        for part in (
            "# tiny\n\nCNN-F, K = 2, eta = 0.1, readout `last`, for `mnist` (8 x 8 x 1, 3 classes): ",
            ": 235 parameters, 2 kB of float32",
            "Labels: 0 a, 1 b, 2 ü.",
            "moves less than 0.5",
            'cnnf_tf.CNNF.from_preset("hf://USER/tiny")',
            "## Limits\n\nSees no hats.\n",
        ):
            self.assertIn(part, page.text)
        model.save_to_preset(self.place / "bare")
        self.assertCountEqual(self.contents(self.place / "bare"), set(files) - {"card.json"})
        self.assertNotIn("license", (self.place / "bare/README.md").read_text())

    def test_float16(self):
        model = fixtures_models.smaller_model(seed=3)
        model.save_to_preset(self.folder, dtype="float16")
        loaded = CNNF.from_preset(self.folder)
        for ours, theirs in zip(loaded.weights, model.weights, strict=True):
            self.assertAllEqual(ours, theirs.numpy().astype(np.float16).astype(np.float32))
        facts = json.loads((self.folder / "metadata.json").read_text())["weights"]
        self.assertEqual(facts["dtype"], "float16")
        self.assertBetween(facts["largest_rounding"], 1e-5, 2**-11)  # float16 has 11 binary digits

    @parameterized.parameters(70_000.0, np.inf, np.nan)
    def test_weights_that_cannot_be_saved(self, value):
        model = fixtures_models.smaller_model()
        model.weights[-1].assign([0.0, value, 0.0])
        if not np.isfinite(value):
            with self.assertRaisesRegex(ValueError, "1 of the 3 weights 'network/fc/bias' are not finite"):
                model.save_to_preset(self.folder)
        with self.assertRaisesRegex(ValueError, "1 of the 3 weights 'network/fc/bias' are not finite"):
            model.save_to_preset(self.folder, dtype="float16")
        self.assertEmpty(list(self.place.iterdir()))

    def test_models_that_nobody_could_load(self):
        class Own(kl.Layer):
            def call(self, features):
                return features

        class Table(kl.Layer):
            def save_assets(self, folder):
                del folder

            def call(self, features):
                return features

        class More(CNNF):
            def build(self, shape):
                super().build(shape)
                self.more = self.add_weight(shape=(), name="more")

        for layer, message in (
            (kl.Lambda(lambda x: x), "for nobody could load it: its config.json holds Python code"),
            (Own(), "for nobody could load it: its config.json .* Could not locate class 'Own'. [^{]*$"),
            (Table(name="t"), r"the layer 'network/t' \(Table\) keeps a vocabulary or the like"),
        ):
            network = [layers.FeedbackKerasLayer(layer), layers.FeedbackFlatten(), layers.FeedbackDense(3)]
            model = CNNF(layers.FeedbackSequential(network), image_shape=(4, 4, 1))
            with self.assertRaisesRegex(ValueError, message):
                model.save_to_preset(self.folder)
        twice = layers.FeedbackDense(3, name="a")  # a Sequential does not keep that they are one
        with self.assertRaisesRegex(ValueError, "for nobody could load it: the weights do not fit the model"):
            network = layers.FeedbackSequential([layers.FeedbackFlatten(), layers.FeedbackDense(3), twice, twice])
            CNNF(network, image_shape=(4, 4, 1)).save_to_preset(self.folder)
        with self.assertRaisesRegex(ValueError, r"step sizes; the model has also \['.*more'\]"):
            More(fixtures_models.smaller_network(), image_shape=(8, 8, 1)).save_to_preset(self.folder)
        self.assertEmpty(list(self.place.iterdir()))

    def test_names_of_layers_that_a_layer_makes(self):
        model = with_blocks(Block)
        found = [name for name in variables.named_variables(model) if "kernel" in name]
        for block in ("b", "block", "block_1"):
            for name in ("conv2d", "conv2d_1", "sequential/conv2d"):
                self.assertLen([path for path in found if path.endswith(f"/{block}/{name}/kernel")], 1, found)
        model.save_to_preset(self.folder)
        loaded, images = CNNF.from_preset(self.folder), images_for(model)
        self.assertAllEqual(loaded(images), model(images))
        self.assertEqual(list(variables.named_variables(loaded)), list(variables.named_variables(model)))

    @parameterized.parameters(None, "float16")
    def test_state_that_is_no_weight(self, dtype):
        shift, norm = Shift(name="s"), kl.Normalization(name="n")
        norm.build((None, 4, 4, 1))
        network = [layers.FeedbackKerasLayer(layer) for layer in (shift, norm)]
        network += [layers.FeedbackFlatten(), layers.FeedbackDense(3, name="fc")]
        model = CNNF(layers.FeedbackSequential(network), image_shape=(4, 4, 1))
        model.save_to_preset(self.place / "before", dtype=dtype)
        shift.by = 1.0
        with self.assertRaisesRegex(ValueError, r"predicts something else .*: network/n \(Norm.*network/s \(Shift\)"):
            model.save_to_preset(self.folder, dtype=dtype)
        shift.by = 0.0
        norm.adapt_mean.assign([0.5])
        with self.assertRaisesRegex(ValueError, "call finalize_state of a Normalization"):
            model.save_to_preset(self.folder, dtype=dtype)
        self.assertEqual([path.name for path in self.place.iterdir()], ["before"])

    def test_bad_arguments(self):
        model = fixtures_models.smaller_model()
        for facts, message in (
            ({"class_names": ["a"]}, r"class_names must be 3 strings, one for each class, got \['a'\]"),
            ({"class_names": "abc"}, "class_names must be 3 strings"),
            ({"class_names": [1, 2, 3]}, "class_names must be 3 strings"),
            ({"tolerance": -1}, "tolerance must be a number >= 0"),
            ({"dtype": "int8"}, "dtype must be 'float16', or None for every bit; got 'int8'"),
            ({"card": {"x": object()}}, "card must go into JSON as an object"),
            ({"card": "mit"}, "card must go into JSON as an object"),
            ({"class_names": ["a", "b", "\ud800"]}, "class_names must be 3 strings"),
            ({"card": {"limits": "\ud800"}}, "card must go into JSON as an object"),
            ({"card": {"data": "cifar10"}}, r"card\['data'\] must be {'name': ..., 'split': ...}, got 'cifar10'"),
            ({"card": {"data": None}}, r"card\['data'\] must be .*, got None"),
            ({"card": {"data": {"name": 1}}}, r"card\['data'\]\['name'\] must be a string, got 1"),
            ({"card": {"license": ["mit"]}}, r"card\['license'\] must be a string"),
            ({"card": {"metrics": 0.5}}, r"card\['metrics'\] must be an object, got 0.5"),
            ({"card": {"metrics": {"clean": []}}}, r"card\['metrics'\]\['clean'\] must be {'accuracy'"),
            ({"card": {"front_matter": ["x"]}}, r"card\['front_matter'\] must be an object"),
            *(
                ({"card": {"metrics": {"clean": {"accuracy": bad}}}}, r"\['accuracy'\] must be {'last': \[...\]")
                for bad in (0.5, {"last": 0.5}, {"last": []}, {"last": ["x"]})
            ),
        ):
            with self.assertRaisesRegex(ValueError, message):
                model.save_to_preset(self.folder, **facts)
        self.assertEmpty(list(self.place.iterdir()))

    def test_page_of_odd_cards(self):
        model = fixtures_models.smaller_model()  # K = 2

        def page(card):
            shutil.rmtree(self.folder, ignore_errors=True)
            model.save_to_preset(self.folder, card=card)
            return huggingface_hub.ModelCard((self.folder / "README.md").read_text()).data.to_dict()

        data = {"name": "mnist", "split": "test"}
        for scores, wanted in (([0.1, 0.2, 0.3, 0.4], (0.3, 2)), ([0.1, 0.2], (0.2, 1))):
            clean = {"accuracy": {"last": scores}}
            (index,) = page({"data": data, "metrics": {"clean": clean}})["model-index"]
            (metric,) = index["results"][0]["metrics"]
            self.assertEqual((metric["value"], metric["name"]), (wanted[0], f"accuracy, K = {wanted[1]}"))
            for some in ({}, {"name": "mnist"}, {"split": "test"}):
                self.assertNotIn("model-index", page({"data": some, "metrics": {"clean": clean}}))
        self.assertNotIn("metrics", page({"data": data, "metrics": {"clean": {"accuracy": {"average": [1]}}}}))
        self.assertNotIn("metrics", page({"metrics": {"clean": {}}}))
        odd = {"a: b\n": "\x85\x7f\u2028\t😀", "on": [True], "#": 1}
        found = page({"front_matter": odd | {2: "x"}})
        self.assertEqual({key: found[key] for key in odd}, odd)
        self.assertEqual(found["2"], "x")

    def test_only_presets_are_overwritten(self):
        model = fixtures_models.smaller_model()
        self.folder.mkdir()
        model.save_to_preset(self.folder)
        before = self.contents()
        with self.assertRaisesRegex(FileExistsError, "there is a preset in '.*tiny'; overwrite=True replaces it"):
            model.save_to_preset(self.folder)
        (self.folder / ".git").mkdir()
        with self.assertRaisesRegex(FileExistsError, "holds what is no part of a preset, .git; name another one"):
            model.save_to_preset(self.folder, overwrite=True)
        (self.folder / ".git").rmdir()
        self.assertEqual(self.contents(), before)
        (self.place / "file").write_text("")
        with self.assertRaisesRegex(FileExistsError, "a preset is a folder, and '.*file' is a file"):
            model.save_to_preset(self.place / "file", overwrite=True)
        (self.place / "half").mkdir()
        (self.place / "half/README.md").write_text("")
        with self.assertRaisesRegex(FileExistsError, "no part of a preset, README.md"):
            model.save_to_preset(self.place / "half", overwrite=True)

    @parameterized.parameters("write_npz", "write_json", "write_text", "to_disk")
    def test_a_save_that_fails_leaves_what_was_there(self, step):
        model = fixtures_models.smaller_model()
        model.save_to_preset(self.folder)
        before = self.contents()
        model.weights[-1].assign([1.0, 2.0, 3.0])
        with mock.patch.object(writing, step, side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            model.save_to_preset(self.folder, overwrite=True)
        self.assertEqual([path.name for path in self.place.iterdir()], ["tiny"])
        self.assertEqual(self.contents(), before)

    def test_the_current_folder_stays(self):
        self.folder.mkdir()
        with contextlib.chdir(self.folder), self.assertRaisesRegex(FileExistsError, "'.' is the current folder"):
            fixtures_models.smaller_model().save_to_preset(".")
        self.assertEqual([path.name for path in self.place.iterdir()], ["tiny"])

    def test_a_move_that_fails_leaves_what_was_there(self):
        model = fixtures_models.smaller_model()
        model.save_to_preset(self.folder)
        before = self.contents()
        rename, moves = pathlib.Path.rename, []

        def second_fails(path, target):
            moves.append(target)
            if len(moves) == 2:
                raise OSError("no")
            return rename(path, target)

        with mock.patch.object(pathlib.Path, "rename", second_fails), self.assertRaises(OSError):
            model.save_to_preset(self.folder, overwrite=True)
        self.assertEqual(self.contents(), before)
        self.assertEqual([path.name for path in self.place.iterdir()], ["tiny"])


if __name__ == "__main__":
    tf.test.main()
