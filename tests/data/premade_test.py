"""Published files of corruptions: arrays in 5 x N order, and the configurations of TFDS data sets."""

import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.data.preparation import prepare
from tests.data.arrays import write_arrays


def prepare_part(name, config, data_dir, examples):
    features = {"image": tfds.features.Image(shape=(32, 32, 3)), "label": tfds.features.ClassLabel(num_classes=10)}
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        config=config,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"test": [(index, {"image": x, "label": y}) for index, (x, y) in enumerate(examples)]},
        data_dir=data_dir,
        disable_shuffling=True,
    )


class ArraysTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / "made-C"

    def test_order_and_labels(self):
        arrays = write_arrays(self.folder)
        names = data.premade_corruptions(f"npy:{self.folder}")
        self.assertEqual([*names], [(kind, level) for kind in ("fog", "contrast") for level in range(1, 6)])
        for (kind, level), name in names.items():
            images, labels = next(iter(data.load(name, "test", batch_size=10)))
            part = slice(4 * (level - 1), 4 * level)
            self.assertAllEqual(images, arrays[kind][part] / np.float32(255))
            self.assertAllEqual(labels, arrays["labels"][part])
        info = data.info(name)
        self.assertEqual((info.image_shape, info.num_classes, info.num_examples), ((6, 5, 3), 10, {"test": 4}))
        self.assertEqual(data.info(name, image_size=(3, 4)).image_shape, (3, 4, 3))
        images, labels = next(iter(data.load(name, "test[1:3]", batch_size=10, cache=False)))
        self.assertAllEqual(images, arrays["contrast"][17:19] / np.float32(255))
        some = data.premade_corruptions(f"npy:{self.folder}", ["contrast"], [2, 5])
        self.assertEqual([*some], [("contrast", 2), ("contrast", 5)])

    def test_labels_once_and_more_classes(self):
        write_arrays(self.folder, labels=np.array([3, 99, 0, 1]))
        name = f"npy:{self.folder}/fog_5"
        self.assertAllEqual(next(iter(data.load(name, "test", batch_size=4)))[1], [3, 99, 0, 1])
        self.assertEqual(data.info(name).num_classes, 100)
        (self.folder / "label.labels.txt").write_text("\n".join(map(str, range(120))))
        self.assertEqual(data.info(name).num_classes, 120)

    def test_extras_only_by_name(self):
        write_arrays(self.folder, ("fog", "spatter", "gaussian_noise", "own"), count=1)
        kinds = [kind for kind, level in data.premade_corruptions(f"npy:{self.folder}") if level == 1]
        self.assertEqual(kinds, ["gaussian_noise", "fog", "own"])
        self.assertLen(data.premade_corruptions(f"npy:{self.folder}", ["spatter"]), 5)

    @parameterized.parameters(
        (
            {"fog": np.zeros((20, 6, 5), np.uint8)},
            r"fog.npy: wanted uint8 images .5 N, .* got uint8 of shape \(20, 6, 5\)",
        ),
        ({"fog": np.zeros((20, 6, 5, 3), np.float32)}, r"fog.npy: wanted uint8 .* got float32 of shape"),
        ({"fog": np.zeros((20, 6, 5, 2), np.uint8)}, r"fog.npy: .*1 or 3.*, got uint8 of shape \(20, 6, 5, 2\)"),
        ({"fog": np.zeros((18, 6, 5, 3), np.uint8)}, "fog.npy: .* got 18 images, no multiple of 5 above 0"),
        ({"fog": np.zeros((0, 6, 5, 3), np.uint8)}, "fog.npy: .* got 0 images, no multiple of 5 above 0"),
        ({"fog": np.zeros((25, 6, 5, 3), np.uint8)}, "labels.npy: wanted 25 integers .*, got uint8 of shape .20,"),
        ({"contrast": np.zeros((100, 6, 5, 3), np.uint8), "labels": np.zeros(20, int)}, "equally many images of each"),
        (
            {"labels": np.zeros(19, np.uint8)},
            r"labels.npy: wanted 20 integers .*or a fifth.*, got uint8 of shape \(19,\)",
        ),
        ({"labels": np.zeros(20)}, r"labels.npy: wanted 20 integers .*, got float64"),
        ({"labels": np.full(20, -1)}, "labels.npy: wanted labels from 0, got -1"),
        (
            {"labels": np.array([None] * 20)},
            "labels.npy: wanted an array that numpy.save wrote, got something unreadable",
        ),
    )
    def test_rejects(self, wrong, message):
        write_arrays(self.folder, **wrong)
        with self.assertRaisesRegex(ValueError, message):
            data.premade_corruptions(f"npy:{self.folder}")

    def test_rejects_what_is_not_there(self):
        write_arrays(self.folder)
        name = f"npy:{self.folder}"
        for error, message, *arguments in (
            (ValueError, r"wanted corruptions among .'contrast', 'fog'. and .* got .'snow'.", name, ["snow"]),
            (ValueError, r"severities among .1, 2, 3, 4, 5., .*got .* .6.", name, None, [6]),
            (
                ValueError,
                "cifar10: no such set of published corruptions; wanted cifar10_corrupted, .*or npy:PATH",
                "cifar10",
            ),
            (FileNotFoundError, "there is no folder .*/no'; wanted one with KIND.npy files", f"{name}/no"),
        ):
            with self.assertRaisesRegex(error, message):
                data.premade_corruptions(*arguments)
        for wrong in (name, f"{name}/fog", f"{name}/fog_6", f"{name}/snow_1"):
            with self.assertRaisesRegex((ValueError, FileNotFoundError), "wanted npy:PATH/KIND_SEV.*'fog'|no folder"):
                data.load(wrong, "test")
        (self.folder / "labels.npy").unlink()
        with self.assertRaisesRegex(FileNotFoundError, "labels.npy: there is no such file; wanted KIND.npy and labels"):
            data.premade_corruptions(name)
        (self.folder / "labels.npy").write_bytes(b"no array")
        with self.assertRaisesRegex(ValueError, "labels.npy: wanted an array that numpy.save wrote"):
            data.premade_corruptions(name)
        empty = self.create_tempdir().full_path
        with self.assertRaisesRegex(FileNotFoundError, "wanted KIND.npy files, got a folder without any"):
            data.premade_corruptions(f"npy:{empty}")


class ConfigurationsTest(parameterized.TestCase, tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tfds.disable_progress_bar()

    def setUp(self):
        super().setUp()
        self.data_dir = pathlib.Path(self.create_tempdir().full_path)

    def test_a_bare_name_is_refused(self):
        for name, count, first in (("cifar10_corrupted", 95, "brightness_1"), ("mnist_corrupted", 16, "identity")):
            message = f"name: {name} has {count} configurations, .* would take {first}; wanted one .* Known: .*fog"
            for call in (data.info, lambda name, data_dir: data.load(name, "test", data_dir=data_dir)):
                with self.assertRaisesRegex(ValueError, message):
                    call(name, data_dir=self.data_dir)
        with self.assertRaisesRegex(
            ValueError, "cifar10_corrupted:1.0.0 has 95 .*such as cifar10_corrupted/brightness_1"
        ):
            data.info("cifar10_corrupted:1.0.0", data_dir=self.data_dir)
        with self.assertRaisesRegex(ValueError, "cifar10_corrupted has 95 configurations"):
            prepare.prepare("cifar10_corrupted", data_dir=self.data_dir, download=True, report=lambda line: None)
        self.assertEqual(data.info("mnist_corrupted/fog", data_dir=self.data_dir).image_shape, (28, 28, 1))
        with self.assertRaisesRegex(FileNotFoundError, "mnist_corrupted/fog is not prepared"):
            data.load("mnist_corrupted/fog", "test", data_dir=self.data_dir)

    def test_also_where_tfds_has_no_code(self):
        examples = [(np.zeros((32, 32, 3), np.uint8), 1)]
        prepare_part("own_set", "first", self.data_dir, examples)
        self.assertLen(list(data.load("own_set/first", "test", data_dir=self.data_dir)), 1)
        prepare_part("own_set", "second", self.data_dir, examples)
        with self.assertRaisesRegex(ValueError, "own_set has 2 configurations, .* Known: first, second"):
            data.load("own_set", "test", data_dir=self.data_dir)
        with self.assertRaisesRegex(ValueError, "own_set has 2 configurations"):
            data.info("own_set", data_dir=self.data_dir)

    def test_parts_of_cifar10_corrupted(self):
        images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
        for config in ("frosted_glass_blur_2", "elastic_2"):
            prepare_part("cifar10_corrupted", config, self.data_dir, list(zip(images, (1, 2, 3), strict=True)))
        kinds = ["glass_blur", "elastic_transform"]  # the authors' names
        names = data.premade_corruptions("cifar10_corrupted", kinds, [2], data_dir=self.data_dir)
        self.assertEqual(names["glass_blur", 2], "cifar10_corrupted/frosted_glass_blur_2")
        self.assertEqual(names["elastic_transform", 2], "cifar10_corrupted/elastic_2")
        found, labels = next(iter(data.load(names["glass_blur", 2], "test", batch_size=3, data_dir=self.data_dir)))
        self.assertAllEqual(found, images / np.float32(255))
        self.assertAllEqual(labels, [1, 2, 3])
        message = "73|75 of its 75 parts are not prepared in .*: cifar10_corrupted/.*bin/prepare_data.py --dataset="
        with self.assertRaisesRegex(FileNotFoundError, message):
            data.premade_corruptions("cifar10_corrupted", data_dir=self.data_dir)

    def test_parts_of_mnist_corrupted(self):
        for config in ("fog", "spatter"):
            examples = [(np.zeros((32, 32, 3), np.uint8), 1)]
            prepare_part("mnist_corrupted", config, self.data_dir, examples)
        names = data.premade_corruptions("mnist_corrupted", ["fog", "spatter"], data_dir=self.data_dir)
        self.assertEqual(names, {("fog", 1): "mnist_corrupted/fog", ("spatter", 1): "mnist_corrupted/spatter"})
        with self.assertRaisesRegex(FileNotFoundError, "13 of its 15 parts"):  # without `identity`
            data.premade_corruptions("mnist_corrupted", data_dir=self.data_dir)
        with self.assertRaisesRegex(ValueError, r"severities among .1., at least one each"):
            data.premade_corruptions("mnist_corrupted", severities=[1, 2], data_dir=self.data_dir)


if __name__ == "__main__":
    tf.test.main()
