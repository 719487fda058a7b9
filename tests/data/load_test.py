"""`load` and `info` from end to end, on the IDX sample in the repository; orders, epochs, batches, arguments."""

import contextlib
import gzip
import pathlib
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.data.sources import idx

MINI = pathlib.Path(__file__).resolve().parents[1] / "testdata" / "fashion_mnist_mini"
NAME = f"idx:{MINI}"

with contextlib.suppress(RuntimeError):  # TensorFlow has started already, with two devices or without
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def collect(dataset, batches=None):
    """All images and labels of (the first batches of) a batched dataset."""
    images, labels = zip(*(dataset if batches is None else dataset.take(batches)), strict=True)
    return np.concatenate(images), np.concatenate(labels)


class LoadTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.images, self.labels = idx.read_split(MINI, "train")

    @parameterized.parameters(True, False)
    def test_values_types_and_order_are_those_of_the_files(self, cache):
        dataset = data.load(NAME, "train", batch_size=100, cache=cache)
        self.assertEqual(
            dataset.element_spec,
            (tf.TensorSpec((None, 28, 28, 1), tf.float32), tf.TensorSpec((None,), tf.int32)),
        )
        self.assertEqual([len(y) for _, y in dataset], [100, 100, 56])
        self.assertEqual(dataset.cardinality(), 3)
        images, labels = collect(dataset)
        self.assertAllEqual(images[..., 0], self.images.astype(np.float32) / np.float32(255))
        self.assertAllEqual(labels, self.labels)
        self.assertEqual((images.min(), images.max()), (0.0, 1.0))

    @parameterized.parameters(True, False)
    def test_single_images(self, cache):
        dataset = data.load(NAME, "train[:7]", cache=cache)
        self.assertEqual(dataset.element_spec, (tf.TensorSpec((28, 28, 1)), tf.TensorSpec((), tf.int32)))
        self.assertEqual(dataset.cardinality(), 7)
        self.assertAllEqual([y for _, y in dataset], self.labels[:7])

    def test_slices_sums_and_limit(self):
        _, labels = collect(data.load(NAME, "train[10:20]+test[:5]", batch_size=4))
        self.assertAllEqual(labels, [*self.labels[10:20], *idx.read_split(MINI, "test")[1][:5]])
        _, labels = collect(data.load(NAME, "train[10:20]+test", batch_size=4, limit=12))
        self.assertAllEqual(labels, [*self.labels[10:20], *idx.read_split(MINI, "test")[1][:2]])
        self.assertLen(list(data.load(NAME, "test", limit=1000)), 128)

    def test_drop_remainder(self):
        dataset = data.load(NAME, "train", batch_size=100, drop_remainder=True)
        self.assertEqual([y.shape for _, y in dataset], [(100,), (100,)])
        self.assertEqual(dataset.element_spec[1].shape, (100,))

    @parameterized.parameters(True, False)
    def test_shuffling_permutes_anew_each_epoch_and_repeats_by_seed(self, cache):
        def two_epochs(seed):
            dataset = data.load(NAME, "train", batch_size=50, shuffle_seed=seed, cache=cache)
            return [collect(dataset) for _ in range(2)]

        (images, labels), (_, second) = two_epochs(1)
        self.assertAllEqual(np.sort(labels), np.sort(self.labels))
        self.assertNotAllEqual(labels, self.labels)
        self.assertNotAllEqual(labels, second)
        again = two_epochs(1)
        self.assertAllEqual(images, again[0][0])
        self.assertAllEqual(second, again[1][1])
        self.assertNotAllEqual(labels, two_epochs(2)[0][1])
        # Images and labels stay together.
        pairs = {image.tobytes(): label for image, label in zip(self.images, self.labels, strict=True)}
        restored = np.round(images[..., 0] * 255).astype(np.uint8)
        self.assertAllEqual([pairs[image.tobytes()] for image in restored], labels)

    def test_every_example_can_come_first(self):
        dataset = data.load(NAME, "train[:4]", batch_size=4, shuffle_seed=0, repeat=True)
        images, _ = collect(dataset, 400)
        firsts = images.reshape(400, 4, -1)[:, 0]
        matches = (firsts[:, np.newaxis] == self.images[:4].reshape(4, -1) / np.float32(255)).all(axis=2)
        self.assertAllClose(matches.mean(axis=0), [0.25] * 4, atol=0.08)

    @parameterized.parameters(True, False)
    def test_repeat_fills_batches_across_epochs(self, cache):
        dataset = data.load(NAME, "train[:10]", batch_size=4, repeat=True, cache=cache)
        self.assertEqual(dataset.cardinality(), tf.data.INFINITE_CARDINALITY)
        self.assertEqual(dataset.element_spec[1].shape, (4,))
        _, labels = collect(dataset, 5)
        self.assertAllEqual(labels, np.tile(self.labels[:10], 2))

    def test_repeated_stream_is_a_function_of_seed_and_position(self):
        augment = data.Augmentation(2, True)
        dataset = data.load(NAME, "train[:30]", batch_size=8, shuffle_seed=5, repeat=True, augment=augment)
        images, labels = collect(dataset, 12)
        self.assertAllEqual(images, collect(dataset, 12)[0])  # a new iterator starts again
        tf.random.set_seed(123)  # the global seed does not matter
        other = data.load(NAME, "train[:30]", batch_size=8, shuffle_seed=5, repeat=True, augment=augment)
        self.assertAllEqual(images[40:], collect(other.skip(5), 7)[0])
        self.assertAllEqual(np.sort(labels[:30]), np.sort(self.labels[:30]))
        self.assertAllEqual(np.sort(labels[30:60]), np.sort(self.labels[:30]))
        self.assertNotAllEqual(labels[:30], labels[30:60])

    @parameterized.product(cache=(True, False), repeat=(True, False))
    def test_iterator_resumes_from_a_checkpoint(self, cache, repeat):
        def iterator():
            augment = data.Augmentation(2, True)
            return iter(
                data.load(NAME, "train", batch_size=8, shuffle_seed=5, repeat=repeat, augment=augment, cache=cache)
            )

        first = iterator()
        for _ in range(5):
            next(first)
        path = tf.train.Checkpoint(it=first).write(self.get_temp_dir() + "/ckpt")
        second = iterator()
        tf.train.Checkpoint(it=second).read(path)
        for _ in range(5):
            wanted, got = next(first), next(second)
            self.assertAllEqual(wanted[0], got[0])
            self.assertAllEqual(wanted[1], got[1])

    @parameterized.product(cache=(True, False), repeat=(True, False))
    def test_augmentation_is_of_each_example_and_differs_between_epochs(self, cache, repeat):
        def epochs(batch_size, seed=1):
            dataset = data.load(
                NAME,
                "train[:64]",
                batch_size=batch_size,
                augment=data.Augmentation(4, True),
                augment_seed=seed,
                repeat=repeat,
                cache=cache,
            )
            if repeat:
                return np.split(collect(dataset, 128 // batch_size)[0], 2)
            return [collect(dataset)[0] for _ in range(2)]

        first, second = epochs(16)
        plain = self.images[:64, ..., np.newaxis] / np.float32(255)
        self.assertNotAllEqual(first, plain)
        changed = (first != second).any(axis=(1, 2, 3))
        self.assertGreater(changed.mean(), 0.9)
        self.assertAllEqual(np.unique(first), np.intersect1d(np.unique(first), np.append(np.unique(plain), 0)))
        again = epochs(32)  # the batch size does not matter
        self.assertAllEqual(first, again[0])
        self.assertAllEqual(second, again[1])
        self.assertNotAllEqual(first, epochs(16, seed=2)[0])

    def test_flip_only_mirrors_about_half(self):
        images, _ = collect(data.load(NAME, "train", batch_size=64, augment=data.Augmentation(horizontal_flip=True)))
        plain = self.images[..., np.newaxis] / np.float32(255)
        same = (images == plain).all(axis=(1, 2, 3))
        mirrored = (images == plain[:, :, ::-1]).all(axis=(1, 2, 3))
        self.assertTrue((same | mirrored).all())
        self.assertBetween(mirrored.mean(), 0.35, 0.65)

    @parameterized.parameters(True, False)
    def test_image_size(self, cache):
        images, _ = collect(data.load(NAME, "train[:3]", batch_size=3, image_size=(14, 20), cache=cache))
        self.assertEqual(images.shape, (3, 14, 20, 1))
        self.assertAllInRange(images, 0.0, 1.0)
        self.assertAllClose(images * 255, np.round(images * 255), atol=1e-4)
        self.assertAllClose(images.mean(), (self.images[:3] / 255).mean(), atol=0.01)

    def test_info(self):
        info = data.info(NAME)
        self.assertEqual(info.image_shape, (28, 28, 1))
        self.assertEqual(info.num_classes, 10)
        self.assertEqual(info.class_names[9], "Ankle boot")
        self.assertEqual(info.num_examples, {"train": 256, "test": 128})
        self.assertEqual(data.info(NAME, image_size=(7, 9)).image_shape, (7, 9, 1))

    @parameterized.parameters(
        (dict(batch_size=0), "batch_size: wanted a whole number, at least 1 .* got 0"),
        (dict(batch_size=-3), "batch_size: .* got -3"),
        (dict(batch_size=2.0), "batch_size: .* got 2.0"),
        (dict(batch_size=True), "batch_size: .* got True"),
        (dict(limit=0), "limit: .* got 0"),
        (dict(shuffle_seed=-1), "shuffle_seed: wanted a whole number, at least 0 .* got -1"),
        (dict(shuffle_seed=2**63), "shuffle_seed"),
        (dict(shuffle_buffer=0), "shuffle_buffer: .* got 0"),
        (dict(shuffle_buffer=None), "shuffle_buffer: .* got None"),
        (dict(augment_seed="1"), "augment_seed: .* got '1'"),
        (dict(augment=4), "augment: wanted an Augmentation or None, got 4"),
        (dict(image_size=28), r"image_size: wanted \(height, width\) .* got 28"),
        (dict(image_size=(0, 5)), "image_size"),
        (dict(drop_remainder=True), "drop_remainder: it needs a batch_size"),
    )
    def test_rejects_arguments_before_looking_at_the_data(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            data.load("idx:/does/not/exist", "train", **arguments)

    @parameterized.parameters(
        (dict(split="val"), "no split is called 'val'"),
        (dict(split="train[:1000]"), "asks for examples 0 to 1000"),
        (dict(batch_size=257, drop_remainder=True), "257 is more than the 256 examples"),
        (dict(augment=data.Augmentation(28)), "crop_padding: wanted less than the smaller side of the 28x28"),
    )
    def test_rejects_arguments_that_do_not_fit_the_data(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            data.load(NAME, arguments.pop("split", "train"), **arguments)

    def test_distributes_over_two_devices(self):
        if len(tf.config.list_logical_devices("CPU")) < 2:
            self.skipTest("needs two logical CPU devices, set up before TensorFlow starts")
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        dataset = data.load(NAME, "train", batch_size=32, shuffle_seed=1, repeat=True)
        _, labels = next(iter(strategy.experimental_distribute_dataset(dataset)))
        parts = strategy.experimental_local_results(labels)
        self.assertEqual([len(part) for part in parts], [16, 16])
        self.assertAllEqual(np.concatenate(parts), collect(dataset, 1)[1])


class IdxSourceTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    def test_no_folder_and_no_files(self):
        with self.assertRaisesRegex(FileNotFoundError, "there is no folder"):
            data.load("idx:/does/not/exist", "train")
        with self.assertRaisesRegex(FileNotFoundError, "no IDX files .* wanted train-images-idx3-ubyte.gz"):
            data.load(f"idx:{self.folder}", "train")
        with self.assertRaisesRegex(ValueError, "wanted idx:PATH"):
            data.load("idx:", "train")

    def test_one_split_without_class_names(self):
        for stem in idx.FILE_STEMS["test"]:
            shutil.copy(MINI / f"{stem}.gz", self.folder)
        info = data.info(f"idx:{self.folder}")
        self.assertEqual(info.num_examples, {"test": 128})
        self.assertEqual(info.class_names, tuple("0123456789"))
        with self.assertRaisesRegex(ValueError, r"no split is called 'train' .*: test \(128 examples\)"):
            data.load(f"idx:{self.folder}", "train")

    def test_sizes_of_train_and_test_must_agree(self):
        for size, split in ((4, "train"), (5, "test")):
            images, labels = idx.FILE_STEMS[split]
            (self.folder / images).write_bytes(idx.encode(np.zeros((2, size, size), np.uint8)))
            (self.folder / labels).write_bytes(idx.encode(np.zeros(2, np.uint8)))
        with self.assertRaisesRegex(ValueError, "images of one size"):
            data.info(f"idx:{self.folder}")

    def test_damaged_files(self):
        shutil.copytree(MINI, self.folder, dirs_exist_ok=True)
        (self.folder / "label.labels.txt").write_text("a\nb\nc\n")
        with self.assertRaisesRegex(ValueError, r"wanted labels in \[0, 3\), got 9 at index 0"):
            data.load(f"idx:{self.folder}", "train")
        (self.folder / "label.labels.txt").write_text("")
        with self.assertRaisesRegex(ValueError, "wanted 1 to 256 class names"):
            data.load(f"idx:{self.folder}", "train")
        (self.folder / "label.labels.txt").unlink()
        path = self.folder / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:5000])
        with self.assertRaisesRegex(ValueError, "train-images-idx3-ubyte.gz: wanted a complete gzip file"):
            data.load(f"idx:{self.folder}", "train")
        path.write_bytes(gzip.compress(b"nonsense" * 4))
        with self.assertRaisesRegex(ValueError, "wanted an IDX image file"):
            data.info(f"idx:{self.folder}")


class LoadArraysTest(tf.test.TestCase):
    def test_is_the_whole_split_in_order(self):
        images, labels = data.load_arrays(NAME, "test[:40]")
        batches = list(data.load(NAME, "test[:40]", batch_size=7).as_numpy_iterator())
        self.assertAllEqual(images, np.concatenate([batch for batch, _ in batches]))
        self.assertAllEqual(labels, np.concatenate([classes for _, classes in batches]))
        self.assertEqual((images.dtype, labels.dtype), (np.float32, np.int32))


if __name__ == "__main__":
    tf.test.main()
