import os
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from cnnf_tf.data import image_files
from tests.data import pictures

READABLE, UNREADABLE = pictures.READABLE, pictures.UNREADABLE


class ImageFilesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def write(self, name, content=b""):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def save(self, values, name="x.png"):
        return self.write(name, pictures.encode(np.asarray(values, np.uint8), "PNG"))

    @parameterized.parameters(*READABLE)
    def test_reads(self, name):
        content, shown, tolerance = READABLE[name]
        for path in (self.write(name, content), self.write("named otherwise.png", content)):
            image = image_files.open_image(path)
            self.assertEqual(image.mode, "L" if shown.ndim == 2 else "RGB")
            self.assertEqual(image_files.is_grey(path), shown.ndim == 2)
            self.assertAllClose(np.asarray(image, np.float64), np.asarray(shown, np.float64), rtol=0, atol=tolerance)
        shape = (*shown.shape[:2], 1 if shown.ndim == 2 else 3)
        self.assertAllEqual(image_files.read_image(path, shape).reshape(shown.shape), np.asarray(image))

    @parameterized.parameters(*UNREADABLE)
    def test_says_why_not(self, name):
        content, message = UNREADABLE[name]
        path = self.write(name, content)
        with self.assertRaisesRegex(ValueError, f"/{name}: is not a readable image .*{message}"):
            image_files.open_image(path)

    def test_what_is_no_file(self):
        (self.folder / "gone.png").symlink_to("nowhere")
        (self.folder / "circle.png").symlink_to("circle.png")
        os.mkfifo(self.folder / "pipe.png")
        for name, message in (("gone", "No such file"), ("circle", "symbolic links"), ("pipe", "it is not a file")):
            with self.assertRaisesRegex(ValueError, f"/{name}.png: is not a readable image .*{message}"):
                image_files.open_image(self.folder / f"{name}.png")

    def test_fits_only_when_asked(self):
        colour = self.save(np.full((6, 5, 3), 200))
        with self.assertRaisesRegex(ValueError, "takes 8x8 grey images, this one is 6x5 colour; ask .*--fit"):
            image_files.read_image(colour, (8, 8, 1))
        with self.assertRaisesRegex(ValueError, "takes 6x5 grey images, this one is 6x5 colour"):
            image_files.read_image(colour, (6, 5, 1))
        self.assertAllEqual(image_files.read_image(colour, (8, 8, 1), fit=True), np.full((8, 8, 1), 200))
        grey = self.save(np.full((6, 5), 7))
        self.assertAllEqual(image_files.read_image(grey, (6, 5, 3), fit=True), np.full((6, 5, 3), 7))
        with self.assertRaisesRegex(ValueError, "images of 2 channels, which files cannot give"):
            image_files.read_image(grey, (8, 8, 2))

    def test_finds_files_in_order(self):
        for name in ("b.png", "a.JPG", "deep/c.JpEg", "deep/d.Webp", "e [1], é.tif ", "notes.txt", "README", ".x.png"):
            self.write(name)
        for name in ("._a.JPG", "Thumbs.db", "__MACOSX/a.png", ".git/b.png", "deep/.ipynb_checkpoints/c.png"):
            self.write(name)
        found = image_files.find_images([self.folder / "notes.txt", self.folder])
        names = ["notes.txt", "a.JPG", "b.png", "e [1], é.tif ", "c.JpEg", "d.Webp"]
        self.assertEqual([path.name for path in found.files], names)
        self.assertEqual(found.skipped, {"hidden": 6, ".txt": 1, "no suffix": 1})
        self.assertEqual(image_files.describe(found.skipped), "1 .txt, 6 hidden, 1 no suffix")
        self.assertLen(image_files.find_images([self.folder / ".git"]).files, 1)  # who asks for it gets it

    def test_links(self):
        self.write("real/a.png")
        self.write("elsewhere/b.png")
        (self.folder / "real/linked").symlink_to("../elsewhere")
        (self.folder / "elsewhere/back").symlink_to("../real")
        (self.folder / "real/circle").symlink_to("..")
        self.addCleanup((self.folder / "real/circle").unlink)  # or the temporary folder could not be removed
        (self.folder / "real/lost.png").symlink_to("nowhere")
        (self.folder / "real/lost").symlink_to("nowhere")
        found = image_files.find_images([self.folder / "real"])
        self.assertEqual([path.name for path in found.files], ["a.png", "lost.png", "b.png"])
        self.assertEqual(found.skipped, {"broken link": 2})

    def test_nothing_there(self):
        with self.assertRaisesRegex(FileNotFoundError, "there is no file or folder 'none.png'"):
            image_files.find_images(["none.png"])
        with self.assertRaisesRegex(FileNotFoundError, "no image in the folder .*wanted files .png, .*, .pnm[.]"):
            image_files.find_images([self.folder])
        self.write("photo.heic")
        with self.assertRaisesRegex(FileNotFoundError, "no image in the folder .*, skipped 1 .heic"):
            image_files.find_images([self.folder])

    def test_resizes_like_pillow(self):
        path = self.save(pictures.COLOUR)
        wanted = Image.fromarray(pictures.COLOUR).resize((7, 9), Image.Resampling.BILINEAR)
        self.assertAllEqual(image_files.read_image(path, (9, 7, 3), fit=True), np.asarray(wanted))


if __name__ == "__main__":
    tf.test.main()
