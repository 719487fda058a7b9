"""The one door to trained models, and the models of the package against their own cards."""

import hashlib
import pathlib

import keras
import tensorflow as tf

from cnnf_tf import CNNF, data
from cnnf_tf.evaluation import evaluate_passes
from cnnf_tf.zoo import class_names, load_model, load_pretrained, model_sha256, preset_info, pretrained_names
from tests.models import fixtures_models

MOST_BYTES = 7_000_000


class LoadModelTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_files_and_folders(self):
        model, images = fixtures_models.smaller_model(seed=3), fixtures_models.images(2)
        model.save(self.folder / "x.keras")
        model.save_to_preset(self.folder / "tiny", class_names=["a", "b", "c"])
        for path, weights, names in (
            ("x.keras", "x.keras", []),
            ("tiny", "tiny/model.weights.npz", ["a", "b", "c"]),
        ):
            self.assertAllEqual(load_model(self.folder / path)(images), model(images))
            self.assertEqual(class_names(self.folder / path), names)
            digest = hashlib.sha256((self.folder / weights).read_bytes()).hexdigest()
            self.assertEqual(model_sha256(str(self.folder / path)), digest)
        load_model(self.folder / "x.keras").save_to_preset(
            self.folder / "again"
        )  # variable paths of Keras differ there
        self.assertEqual(model_sha256(self.folder / "again"), model_sha256(self.folder / "tiny"))

    def test_refusals(self):
        (self.folder / "x.keras").write_text("no zip")
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(self.folder / "other.keras")
        for name in ("empty", "workdir"):
            (self.folder / name).mkdir()
        for name in ("config.json", "best.keras", "last.keras"):
            (self.folder / "workdir" / name).write_text("{}")
        known = "There are: fashion_mnist_adversarial, "
        for path, error, message in (
            (
                "none.keras",
                FileNotFoundError,
                "wanted a .keras file, .*, the folder of a preset, hf://USER/MODEL, or pretr",
            ),
            ("x.keras", ValueError, "is not a readable .keras file: it is no zip archive"),
            ("other.keras", ValueError, "holds a Sequential; wanted a CNNF"),
            ("workdir", ValueError, "is a folder with best.keras, last.keras in it; name the file"),
            ("empty", ValueError, "has no config.json: no folder that CNNF.save_to_preset wrote"),
        ):
            with self.assertRaisesRegex(error, message):
                load_model(self.folder / path)
        for name in ("fashion_mnist_standar", "zzzzz", "../..", str(self.folder), ""):
            for load in (load_pretrained, lambda name: load_model(f"pretrained:{name}")):
                with self.assertRaisesRegex(ValueError, f"there is no pretrained model {name!r}.*{known}"):
                    load(name)
        with self.assertRaisesRegex(ValueError, "did you mean 'fashion_mnist_standard'. There are"):
            load_pretrained("fashion_mnist_standar")


class PackageTest(tf.test.TestCase):
    """The models of the package."""

    def test_every_model_loads_and_is_small(self):
        for name in pretrained_names():
            with self.subTest(name):
                info, model = preset_info(name), load_pretrained(name)
                self.assertEqual((info["name"], model.name), (name, "cnnf"))
                self.assertLessEqual(info["weights"]["bytes"], MOST_BYTES)
                self.assertEqual(model.count_params(), info["parameter_count"])
                self.assertLen(class_names(f"pretrained:{name}"), model.num_classes)
                self.assertEqual({variable.dtype for variable in model.weights}, {"float32"})
                self.assertAllEqual(CNNF.from_preset(name).weights[0], model.weights[0])

    def test_every_model_is_as_accurate_as_its_card_says(self):
        for name in pretrained_names():
            with self.subTest(name):
                card = preset_info(name)["card"]
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
