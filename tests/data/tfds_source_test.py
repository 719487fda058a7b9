"""TFDS data sets: tiny ones, prepared on the fly."""

import os
import pathlib
import shutil
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from cnnf_tf import data

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "tfds"


def random_images(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def prepare(name, data_dir, image, label=None, examples=()):
    label = label or tfds.features.ClassLabel(names=["ant", "bee", "cow"])
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict({"image": image, "label": label}),
        split_datasets={
            "train": [(index, {"image": x, "label": y}) for index, (x, y) in enumerate(examples)],
            "test": [(index, {"image": x, "label": y}) for index, (x, y) in enumerate(examples[:3])],
        },
        data_dir=data_dir,
        disable_shuffling=True,
    )


class TfdsSourceTest(parameterized.TestCase, tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data_dir = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "tfds_source_test"
        shutil.rmtree(cls.data_dir, ignore_errors=True)
        tfds.disable_progress_bar()
        cls.images = random_images(10, (6, 5, 1))
        cls.labels = np.arange(10) % 3
        grey = tfds.features.Image(shape=(6, 5, 1))
        prepare("tiny_grey", cls.data_dir, grey, examples=list(zip(cls.images, cls.labels, strict=True)))
        cls.colour = random_images(4, (16, 16, 3))
        jpeg = tfds.features.Image(shape=(16, 16, 3), encoding_format="jpeg")
        prepare("tiny_jpeg", cls.data_dir, jpeg, examples=[(x, 0) for x in cls.colour])
        sizes = [random_images(1, (4 + n, 5, 3))[0] for n in range(3)]
        prepare(
            "tiny_sizes", cls.data_dir, tfds.features.Image(shape=(None, None, 3)), examples=[(x, 0) for x in sizes]
        )

    def load_all(self, name, split="train", **options):
        return next(iter(data.load(name, split, batch_size=100, data_dir=self.data_dir, **options)))

    @parameterized.parameters(True, False)
    def test_images_labels_and_order(self, cache):
        images, labels = self.load_all("tiny_grey", cache=cache)
        self.assertAllEqual(images, self.images / np.float32(255))
        self.assertAllEqual(labels, self.labels)
        self.assertEqual((images.dtype, labels.dtype), (tf.float32, tf.int32))

    def test_info(self):
        info = data.info("tiny_grey", data_dir=self.data_dir)
        self.assertEqual(info.image_shape, (6, 5, 1))
        self.assertEqual((info.num_classes, info.class_names), (3, ("ant", "bee", "cow")))
        self.assertEqual(info.num_examples, {"train": 10, "test": 3})

    @parameterized.parameters(True, False)
    def test_slices(self, cache):
        for split, wanted in (("train[2:5]", [2, 3, 4]), ("train[-10%:]", [9]), ("test+train[:1]", [0, 1, 2, 0])):
            images, _ = self.load_all("tiny_grey", split, cache=cache)
            self.assertAllEqual(images, self.images[wanted] / np.float32(255))
        with self.assertRaisesRegex(ValueError, "no split is called 'val'"):
            self.load_all("tiny_grey", "val")

    @parameterized.parameters(True, False)
    def test_jpeg_is_decoded_accurately(self, cache):
        images, _ = self.load_all("tiny_jpeg", cache=cache)
        builder = tfds.builder("tiny_jpeg", data_dir=self.data_dir)
        raw = builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()})
        for image, example in zip(images, raw, strict=True):
            self.assertAllClose(image * 255, tf.io.decode_jpeg(example["image"], 3, dct_method="INTEGER_ACCURATE"))

    def test_images_of_different_sizes_need_a_size(self):
        self.assertEqual(data.info("tiny_sizes", data_dir=self.data_dir).image_shape, (None, None, 3))
        with self.assertRaisesRegex(ValueError, "image_size: the images of tiny_sizes differ in size"):
            self.load_all("tiny_sizes")
        images, _ = self.load_all("tiny_sizes", image_size=(3, 4))
        self.assertEqual(images.shape, (3, 3, 4, 3))

    def test_data_dir_from_the_environment(self):
        with mock.patch.dict(os.environ, {"CNNF_TF_DATA_DIR": str(self.data_dir)}):
            self.assertLen(list(data.load("tiny_grey", "test")), 3)

    def test_unknown_name_lists_what_is_there_and_what_is_close(self):
        with self.assertRaisesRegex(
            ValueError,
            "unknown data set 'fashon_mnist'. Did you mean fashion_mnist.* Prepared in .*: tiny_grey, tiny_jpeg",
        ):
            data.load("fashon_mnist", "train", data_dir=self.data_dir)
        with self.assertRaisesRegex(ValueError, "Did you mean tiny_grey.*CNNF_TF_DATA_DIR"):
            data.info("tiny_gray", data_dir=self.data_dir)

    @parameterized.parameters("", "no such/", "../x", "http://x", "huggingface:mnist", None, 3)
    def test_malformed_name(self, name):
        with self.assertRaisesRegex(ValueError, "name: wanted a TFDS name such as 'fashion_mnist', 'idx:PATH' or"):
            data.load(name, "train", data_dir=self.data_dir)

    def test_unknown_version(self):
        with self.assertRaisesRegex(ValueError, "fashion_mnist:9.9.9"):
            data.load("fashion_mnist:9.9.9", "train", data_dir=self.data_dir)

    @parameterized.parameters(
        ("fashion_mnist", "bin/prepare_data.py --dataset=fashion_mnist --data_dir=.*dataset-fashion-mnist"),
        ("mnist", "bin/prepare_data.py --dataset=mnist --data_dir=.* --download"),
    )
    def test_known_but_not_prepared(self, name, message):
        with self.assertRaisesRegex(FileNotFoundError, f"{name} is not prepared in .* Run `python {message}"):
            data.load(name, "train", data_dir=self.data_dir)
        info = data.info(name, data_dir=self.data_dir)
        self.assertEqual((info.image_shape, info.num_classes, info.num_examples), ((28, 28, 1), 10, {}))

    def test_other_features_are_refused(self):
        image = tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16, encoding_format="png")
        folder = pathlib.Path(self.get_temp_dir())
        prepare("deep", folder, image, examples=[(np.zeros((4, 4, 1), np.uint16), 0)])
        with self.assertRaisesRegex(ValueError, "deep: wanted a uint8 image with 1 or 3 channels and a class label"):
            data.load("deep", "train", data_dir=folder)
        prepare(
            "number",
            folder,
            tfds.features.Image(shape=(4, 4, 1)),
            tfds.features.Scalar(np.int64),
            examples=[(np.zeros((4, 4, 1), np.uint8), 0)],
        )
        with self.assertRaisesRegex(ValueError, "number: wanted a uint8 image .* got the features FeaturesDict"):
            data.info("number", data_dir=folder)

    @parameterized.parameters(True, False)
    def test_label_out_of_range(self, cache):
        folder = pathlib.Path(self.get_temp_dir()) / str(cache)
        shutil.copytree(self.data_dir / "tiny_grey", folder / "tiny_grey")
        version = folder / "tiny_grey" / "1.0.0"
        (version / "label.labels.txt").write_text("ant\nbee\n")
        features = version / "features.json"
        features.write_text(features.read_text().replace('"numClasses": "3"', '"numClasses": "2"'))
        error = ValueError if cache else tf.errors.InvalidArgumentError
        with self.assertRaisesRegex(error, r"wanted labels in \[0, 2\), got"):
            list(data.load("tiny_grey", "train", data_dir=folder, cache=cache))

    def test_damaged_folders(self):
        folder = pathlib.Path(self.get_temp_dir())
        shutil.copytree(self.data_dir / "tiny_grey", folder / "tiny_grey")
        version = folder / "tiny_grey" / "1.0.0"
        (shard,) = version.glob("*train.tfrecord*")
        content = shard.read_bytes()
        shard.write_bytes(content[:-20])
        with self.assertRaisesRegex(ValueError, "tiny_grey: example 9 cannot be read"):
            data.load("tiny_grey", "train", data_dir=folder)
        shard.unlink()
        with self.assertRaisesRegex(ValueError, f"is damaged, 1 of its files are missing .first: {shard.name}"):
            data.load("tiny_grey", "train", data_dir=folder)
        (version / "dataset_info.json").write_text("{")
        with self.assertRaisesRegex(ValueError, "dataset_info.json: wanted the description of a prepared data set"):
            data.info("tiny_grey", data_dir=folder)

    def test_cifar10_jpeg_has_the_documented_statistics(self):
        if not (SHARED / "cifar10_jpeg").is_dir():
            self.skipTest("the optional data set cifar10_jpeg is not beside this checkout")
        info = data.info("cifar10_jpeg", data_dir=SHARED)
        self.assertEqual((info.image_shape, info.class_names[0]), ((32, 32, 3), "airplane"))
        images, labels = next(iter(data.load("cifar10_jpeg", "test", batch_size=10_000, data_dir=SHARED)))
        pixels = images.numpy().reshape(-1, 3).astype(np.float64)
        self.assertAllClose(pixels.mean(axis=0), [0.4941, 0.4851, 0.4504], atol=6e-5)
        self.assertAllClose(pixels.std(axis=0), [0.2448, 0.2422, 0.2606], atol=6e-5)
        self.assertAllEqual(np.bincount(labels), [1000] * 10)


if __name__ == "__main__":
    tf.test.main()
