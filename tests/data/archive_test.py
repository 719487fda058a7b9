"""CIFAR-10 from the official archive that a user has, with TFDS's own builder and a small archive of its layout."""

import hashlib
import io
import pathlib
import tarfile
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

from cnnf_tf import data
from cnnf_tf.data.preparation import prepare as preparation

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = (*(f"data_batch_{index}.bin" for index in range(1, 6)), "test_batch.bin")


def archive_of(labels, images):
    """`cifar-10-binary.tar.gz` as bytes: records of a label and 32 x 32 reds, greens and blues, two in each file."""
    contents = {"batches.meta.txt": "\n".join((*NAMES, "", "")).encode()}
    for index, name in enumerate(FILES):
        records = zip(labels[2 * index :][:2], images[2 * index :][:2], strict=True)
        contents[name] = b"".join(bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in records)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class ArchiveTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.labels = rng.integers(10, size=12)
        self.images = rng.integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
        self.folder = pathlib.Path(self.get_temp_dir())
        self.file = self.folder / "under another name.tgz"
        self.file.write_bytes(archive_of(self.labels, self.images))
        url, official = next(iter(tfds.builder_cls("cifar10").url_infos.items()))
        known = checksums.UrlInfo(
            size=self.file.stat().st_size,
            checksum=hashlib.sha256(self.file.read_bytes()).hexdigest(),
            filename=official.filename,
        )
        self.enter_context(mock.patch.object(tfds.builder_cls("cifar10"), "url_infos", {url: known}))

    def prepare(self, archive, name="cifar10"):
        root = self.folder / "data"
        return preparation.prepare(name, data_dir=root, archive=archive, report=lambda line: None)

    def test_images_and_labels_are_those_of_the_archive(self):
        self.assertEqual(self.prepare(self.file).parts[-2:], ("cifar10", "3.0.2"))
        root = self.folder / "data"
        self.assertEqual(data.info("cifar10", data_dir=root).class_names, NAMES)
        for split, rows in (("train", slice(10)), ("test", slice(10, 12))):
            found = data.load("cifar10", split, data_dir=root).as_numpy_iterator()
            found = sorted((np.round(image * 255).astype(np.uint8).tobytes(), label) for image, label in found)
            wanted = zip(self.images[rows], self.labels[rows], strict=True)
            self.assertEqual(found, sorted((image.tobytes(), label) for image, label in wanted))

    def test_other_archives_are_refused(self):
        half = self.folder / "half.tar.gz"
        half.write_bytes(self.file.read_bytes()[:-1000])
        other = self.folder / "other.tar.gz"
        other.write_bytes(archive_of(self.labels[::-1], self.images))
        for file in (half, other):
            with self.assertRaisesRegex(ValueError, f"{file}: this is not the official file of cifar10; wanted "):
                self.prepare(file)
        with self.assertRaisesRegex(FileNotFoundError, "archive: there is no file"):
            self.prepare(self.folder)
        with self.assertRaisesRegex(ValueError, "archive: mnist has 4 official files and no single archive"):
            self.prepare(self.file, "mnist")
        self.assertEmpty([path for path in (self.folder / "data").iterdir() if path.suffix != ".lock"])


if __name__ == "__main__":
    tf.test.main()
