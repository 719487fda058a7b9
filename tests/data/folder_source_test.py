import itertools
import os
import pathlib
import unicodedata
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.data import image_files
from tests.data import pictures


def random_image(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png_file(image):
    return tf.io.encode_png(image).numpy()


class FolderSourceTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / "my images: v2"
        self.name = f"image_folder:{self.root}"

    def write(self, path, image):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        encode = tf.io.encode_png if path.suffix == ".png" else tf.io.encode_jpeg
        path.write_bytes(image if isinstance(image, bytes) else encode(image).numpy())

    def write_classes(self, shape=(9, 7, 3)):
        """Two classes: cats dark, dogs bright."""
        for index in range(3):
            self.write(f"train/cat/{index}.png", random_image(shape, index) // 4)
            self.write(f"train/dog/{index}.png", random_image(shape, index) // 4 + 192)
        self.write("test/dog/0.png", random_image(shape) // 4 + 192)

    def load_all(self, split="train", name=None, **options):
        images, labels = next(iter(data.load(name or self.name, split, batch_size=100, **options)))
        return images.numpy(), labels.numpy()

    @parameterized.parameters(True, False)
    def test_colour_images_of_one_odd_size(self, cache):
        self.write_classes()
        info = data.info(self.name)
        self.assertEqual(info.image_shape, (9, 7, 3))
        self.assertEqual((info.num_classes, info.class_names), (2, ("cat", "dog")))
        self.assertEqual(info.num_examples, {"train": 6, "test": 1})
        images, labels = self.load_all(cache=cache)
        self.assertEqual((images.dtype, labels.dtype), (np.float32, np.int32))
        self.assertAllEqual(np.bincount(labels), [3, 3])
        self.assertAllEqual(images.mean(axis=(1, 2, 3)) > 0.5, labels == 1)
        wanted = {random_image((9, 7, 3), index).tobytes() for index in range(3)}
        dark = np.round(images[labels == 0] * 255).astype(np.uint8)
        self.assertEqual(
            {image.tobytes() for image in dark}, {(np.frombuffer(w, np.uint8) // 4).tobytes() for w in wanted}
        )
        self.assertEqual(self.load_all("test")[1], [1])  # the class of no test image keeps its number

    def test_slices_are_parts_of_one_fixed_order(self):
        self.write_classes()
        images, labels = self.load_all()
        for split, part in (("train[:2]", slice(0, 2)), ("train[2:]", slice(2, None)), ("train[50%:]", slice(3, None))):
            self.assertAllEqual(self.load_all(split)[0], images[part])
            self.assertAllEqual(self.load_all(split)[1], labels[part])

    @parameterized.parameters(True, False)
    def test_streams_go_on_from_a_checkpoint_and_on_replicas(self, repeat):
        self.write_classes()
        options = {"batch_size": 2, "shuffle_seed": 1, "repeat": repeat, "cache": False}
        first, second = (iter(data.load(self.name, "train", **options)) for _ in range(2))
        next(first)
        path = tf.train.Checkpoint(it=first).write(self.get_temp_dir() + "/checkpoint")
        tf.train.Checkpoint(it=second).read(path)
        for _ in range(2):
            self.assertAllEqual(*(next(iterator)[0] for iterator in (first, second)))
        self.assertAllEqual(first.element_spec[0].shape, (2 if repeat else None, 9, 7, 3))
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        spread = strategy.experimental_distribute_dataset(data.load(self.name, "train", **options))
        parts = strategy.experimental_local_results(next(iter(spread))[0])
        whole = next(iter(data.load(self.name, "train", **options)))[0]
        self.assertAllEqual(tf.concat(parts, 0), whole)

    def test_grey_images_have_one_channel(self):
        self.write("train/a/0.png", random_image((4, 4, 1)))
        self.write("train/a/1.png", random_image((4, 4, 1), 1))
        images, _ = self.load_all()
        self.assertEqual(images.shape, (2, 4, 4, 1))
        images, _ = self.load_all(name=f"{self.name}:4x4x3")
        self.assertAllEqual(images[..., 0], images[..., 2])

    def test_channels_of_the_name_win(self):
        self.write_classes()
        images, _ = self.load_all(name=f"{self.name}:9x7x1")
        self.assertEqual(images.shape, (6, 9, 7, 1))

    @parameterized.parameters("a", "z")
    def test_grey_and_colour_are_decided_by_the_whole_folder(self, name):
        """Whichever comes first; what the name of the data set says wins."""
        self.write("train/a/m.png", random_image((4, 4, 3)))
        self.write(f"train/{name}/{name}.png", random_image((4, 4, 1), 1))
        self.write(f"{name}/a/0.png", random_image((4, 4, 1), 2))  # a split of grey ones
        self.assertEqual(data.info(self.name).image_shape, (4, 4, 3))
        images, _ = self.load_all(name)
        self.assertAllEqual(images, np.repeat(images[..., :1], 3, -1))
        self.assertEqual(self.load_all()[0].shape, (2, 4, 4, 3))
        self.assertEqual(self.load_all(name=f"{self.name}:4x4x1")[0].shape, (2, 4, 4, 1))

    def test_transparency_is_dropped(self):
        self.write("train/a/0.png", random_image((4, 4, 4)))
        self.assertAllClose(self.load_all()[0][0] * 255, random_image((4, 4, 4))[..., :3])

    @parameterized.parameters(True, False)
    def test_jpeg_is_decoded_accurately(self, cache):
        image = random_image((16, 16, 3))
        self.write("train/a/0.jpg", image)
        encoded = tf.io.encode_jpeg(image)
        accurate = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE")
        self.assertNotAllEqual(accurate, tf.io.decode_jpeg(encoded, dct_method="INTEGER_FAST"))
        self.assertAllClose(self.load_all(cache=cache)[0][0] * 255, accurate)

    @parameterized.parameters(True, False)
    def test_different_sizes_need_a_size(self, cache):
        self.write("train/a/0.png", np.full((8, 8, 3), 100, np.uint8))
        self.write("train/a/1.jpg", np.full((20, 6, 3), 100, np.uint8))
        error = ValueError if cache else tf.errors.InvalidArgumentError
        with self.assertRaisesRegex(error, r"wanted \d+x\d+ pixels .* like .*, got .*; with image_folder:PATH:HxW"):
            self.load_all(cache=cache)
        for arguments in (dict(name=f"{self.name}:5x4"), dict(image_size=(5, 4))):
            images, _ = self.load_all(cache=cache, **arguments)
            self.assertEqual(images.shape, (2, 5, 4, 3))
            self.assertAllClose(images * 255, np.full((2, 5, 4, 3), 100.0), atol=1.01)

    @parameterized.product(cache=[True, False], bad=[b"", b"not an image", png_file(random_image((9, 7, 3)))[:60]])
    def test_a_bad_image_is_named_or_skipped(self, cache, bad):
        self.write_classes()
        self.write("train/dog/9 [é].png", bad)
        error = ValueError if cache else tf.errors.InvalidArgumentError
        for name in (self.name, f"{self.name}:8x8x3"):
            with self.assertRaisesRegex(error, "dog/9 .é..png: is not a readable image"):
                self.load_all(name=name, cache=cache)
            with self.assertWarnsRegex(UserWarning, "went on without 1 of 8 images. First: .*dog/9 .é..png"):
                images, _ = self.load_all(name=name, cache=cache, skip_bad=True)
            self.assertLen(images, 6)
        self.assertEqual(data.info(self.name, skip_bad=True).skipped, {"unreadable": 1})

    def test_a_bad_image_under_a_name_that_is_no_text(self):
        folder = os.fsdecode(os.fsencode(self.root) + b"/\xff")
        os.makedirs(f"{folder}/train/k")
        pathlib.Path(folder, "train/k/3.png").write_bytes(b"")
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r"udcff/train/k/3.png: is not a readable image"):
            self.load_all(name=f"image_folder:{folder}:4x4", cache=False)

    def test_skip_bad_with_nothing_left(self):
        self.write("train/a/0.png", b"")
        with self.assertRaisesRegex(ValueError, "a/0.png: is not a readable image .it is empty"):
            data.info(self.name)
        with self.assertRaisesRegex(ValueError, "no images found; .*Passed over: 1 unreadable"):
            data.info(self.name, skip_bad=True)
        with self.assertRaisesRegex(ValueError, "skip_bad: wanted image_folder:PATH"):
            data.load("fashion_mnist", "train", skip_bad=True)

    def test_every_kind_of_picture_is_read_as_elsewhere(self):
        kinds = {
            name: pictures.READABLE[name] for name in ("turned.webp", "cmyk.jpg", "wide.png", "grey.gif", "wide.tif")
        }
        for number, (content, _, _) in enumerate(kinds.values()):
            self.write(f"train/{number}/picture.png", content)  # by content
        self.write("train/5/colour.JFIF", pictures.READABLE["colour.jfif"][0])
        for cache in (True, False):
            for channels in (1, 3):
                images, labels = self.load_all(name=f"{self.name}:16x20x{channels}", cache=cache)
                for image, label in zip(images, labels, strict=True):
                    (path,) = (self.root / f"train/{label}").iterdir()
                    wanted = image_files.read_image(path, (16, 20, channels), fit=True)
                    self.assertAllEqual(np.round(image * 255), wanted)

    def test_junk_is_passed_over_and_counted(self):
        self.write_classes()
        for path in (
            ".git/a/0.png",
            "__MACOSX/train/cat/._0.png",
            "train/.ipynb_checkpoints/0.png",
            "train/@eaDir/x.png",
        ):
            self.write(path, b"")
        for path in (
            "train/cat/._0.png",
            "train/cat/Thumbs.db",
            "train/dog/desktop.ini",
            ".DS_Store",
            "train/list.csv",
        ):
            self.write(path, b"\0\5\26\7")
        (self.root / "train/.hidden").mkdir()
        (self.root / "circle").symlink_to(".")
        self.addCleanup((self.root / "circle").unlink)  # or the temporary folder could not be removed
        with self.assertWarnsRegex(UserWarning, "passed over what is no image: 1 broken link"):
            info = data.info(self.name)
        self.assertEqual((info.class_names, set(info.num_examples)), (("cat", "dog"), {"train", "test"}))
        self.assertEqual(info.skipped, {"hidden": 9, "broken link": 1})
        self.assertLen(self.load_all()[0], 6)

    @parameterized.parameters(
        ((), "empty"), (("a.heic", "b.heic", "._c.png"), "2 .heic, 1 hidden"), (("x/1.png",), "1 folder")
    )
    def test_a_class_without_images(self, files, message):
        self.write_classes()
        (self.root / "train/bird").mkdir()
        for file in files:
            self.write(f"train/bird/{file}", b"")
        with self.assertRaisesRegex(
            ValueError, rf"wanted images of every class, got none of 'bird': .*/train/bird \({message}\)"
        ):
            data.info(self.name)
        self.write("test/bird/0.png", random_image((9, 7, 3)))  # one in another split, and it is a word of warning
        with self.assertWarnsRegex(UserWarning, rf"folders without images: .*/train/bird \({message}\)"):
            self.assertLen(data.info(self.name).class_names, 3)

    def test_what_is_passed_over_among_images_is_said(self):
        self.write_classes()
        self.write("train/stray.png", b"")
        for name in ("a.heic", "b.heic", "notes.txt", "README"):
            self.write(f"train/cat/{name}", b"")
        message = "passed over what is no image: 2 .heic, 1 .txt, 1 image outside of a class folder, 1 no suffix"
        with self.assertWarnsRegex(UserWarning, message):
            data.info(self.name)

    def test_names_that_are_patterns_elsewhere(self):
        self.root = self.root / ("x" * 200) / "a, [b] é\\c #%20*?{d}:8x8"
        names = ("a,b.PNG", "c [1].png", "d\\e.png", "*.png", "ü.png", " .png ", "y" * 251 + ".png")
        splits_there = {"my train": 7, "te+st": 7, "va[l]": 7, "entraîné": 7}
        for number, (split, class_name) in enumerate(itertools.product(splits_there, ("T-shirt, top", "[2]", "é\\"))):
            for name in names:
                self.write(f"{split}/{class_name}/{name}", random_image((4, 4, 1), number))
        name = f"image_folder:{self.root}"
        self.assertEqual(data.info(name).num_examples, {split: 21 for split in splits_there})
        for cache in (True, False):
            for split, count in (
                ("my train", 21),
                ("te+st", 21),
                ("va[l][:5]+my train[5:7]+te+st", 28),
                ("entraîné", 21),
            ):
                self.assertLen(self.load_all(split, name, cache=cache)[0], count)
        self.assertLen(self.load_all(unicodedata.normalize("NFD", "entraîné"), name)[0], 21)
        with self.assertRaisesRegex(ValueError, "no split is called 'my test'"):
            data.load(name, "my test")

    def test_home_and_links(self):
        self.write_classes()
        link = self.root.parent / "link"
        link.symlink_to(self.root)
        with mock.patch.dict(os.environ, HOME=str(self.root.parent)):
            self.assertAllEqual(self.load_all(name="image_folder:~/link")[0], self.load_all()[0])
        with self.assertRaisesRegex(FileNotFoundError, "there is no folder ~nobody-here/x"):
            data.info("image_folder:~nobody-here/x")

    def test_wrong_layouts(self):
        with self.assertRaisesRegex(FileNotFoundError, "there is no folder .*; wanted PATH/split/class"):
            data.load(self.name, "train")
        self.root.mkdir(parents=True)
        with self.assertRaisesRegex(ValueError, "no images found; wanted PATH/split/class"):
            data.load(self.name, "train")
        self.write("cat/0.png", random_image((4, 4, 3)))  # no split
        with self.assertRaisesRegex(ValueError, "no images found; wanted PATH/split/class.*1 image outside of a class"):
            data.load(self.name, "train")

    def test_wrong_names(self):
        self.write_classes()
        for suffix in (":0x5", ":5x5x2", ":4x4x4"):
            with self.assertRaisesRegex(ValueError, f"wanted a size HxW or HxWxC .* got '{suffix}'"):
                data.load(self.name + suffix, "train")
        with self.assertRaisesRegex(ValueError, "wanted image_folder:PATH"):
            data.load("image_folder:", "train")
        with self.assertRaisesRegex(ValueError, r"image_size: \(4, 4\) contradicts the size \(5, 5\)"):
            data.load(f"{self.name}:5x5", "train", image_size=(4, 4))
        with self.assertRaisesRegex(
            ValueError, r"no split is called 'val' .*: test \(1 examples\), train \(6 examples\)"
        ):
            data.load(self.name, "val")


if __name__ == "__main__":
    tf.test.main()
