import gzip
import io
import pathlib
import struct

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.data.sources import idx

MINI = pathlib.Path(__file__).resolve().parents[1] / "testdata" / "fashion_mnist_mini"


class IdxTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())
        self.images = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
        self.labels = np.array([9, 0, 3], np.uint8)

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_reads_a_file_written_by_hand(self):
        path = self.write("x", bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 13, 14, 255]))
        self.assertAllEqual(idx.read_images(path), [[[10, 11, 12], [13, 14, 255]]])
        path = self.write("y", bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 1]))
        self.assertAllEqual(idx.read_labels(path), [7, 1])

    @parameterized.parameters(True, False)
    def test_encode_and_read_are_inverse(self, compressed):
        pack = gzip.compress if compressed else bytes
        images = self.write("images", pack(idx.encode(self.images)))
        labels = self.write("labels", pack(idx.encode(self.labels)))
        self.assertAllEqual(idx.read_images(images), self.images)
        self.assertAllEqual(idx.read_labels(labels), self.labels)
        self.assertEqual(idx.read_shape(images, dimensions=3), (3, 2, 4))
        self.assertEqual(idx.read_shape(labels, dimensions=1), (3,))

    def test_encode_rejects_other_arrays(self):
        with self.assertRaisesRegex(ValueError, "wanted a uint8 array with 1 or 3 dimensions, got float32 with 1"):
            idx.encode(np.zeros(3, np.float32))

    def test_sample_of_fashion_mnist(self):
        images, labels = idx.read_split(MINI, "train")
        self.assertEqual((images.shape, images.dtype), ((256, 28, 28), np.uint8))
        self.assertAllEqual(labels[:8], [9, 0, 0, 3, 0, 2, 7, 2])  # published order
        self.assertEqual(images[0, 3, 12], 1)
        self.assertEqual(idx.read_split(MINI, "test")[1].shape, (128,))

    @parameterized.parameters(1, 10, 20, -1)
    def test_truncated_gzip(self, length):
        path = self.write("images.gz", gzip.compress(idx.encode(self.images))[:length])
        with self.assertRaisesRegex(ValueError, r"images\.gz: wanted .* got "):
            idx.read_images(path)

    def test_damaged_gzip(self):
        data = bytearray(gzip.compress(idx.encode(self.images)))
        data[-6] ^= 1  # the checksum
        path = self.write("images.gz", bytes(data))
        with self.assertRaisesRegex(ValueError, r"images\.gz: wanted a complete gzip file"):
            idx.read_images(path)

    def test_truncated_gzip_header_only(self):
        path = self.write("images.gz", gzip.compress(idx.encode(self.images))[:12])
        with self.assertRaisesRegex(ValueError, r"images\.gz: wanted a complete gzip file"):
            idx.read_shape(path, dimensions=3)

    def test_wrong_magic(self):
        labels = self.write("labels", idx.encode(np.zeros(20, np.uint8)))
        with self.assertRaisesRegex(ValueError, "labels: wanted an IDX image file .*0x00000803.* got 0x00000801"):
            idx.read_images(labels)
        images = self.write("images", idx.encode(self.images))
        with self.assertRaisesRegex(ValueError, "images: wanted an IDX label file .*0x00000801.* got 0x00000803"):
            idx.read_labels(images)

    def test_empty_file_and_no_examples(self):
        with self.assertRaisesRegex(ValueError, "header of 16 bytes, got 0 bytes"):
            idx.read_images(self.write("empty", b""))
        with self.assertRaisesRegex(ValueError, "at least one label"):
            idx.read_labels(self.write("none", struct.pack(">II", 0x801, 0)))

    @parameterized.parameters((-1, "23 bytes follow"), (1, "25 bytes follow"))
    def test_wrong_count(self, change, message):
        data = idx.encode(self.images)
        data = data[:change] if change < 0 else data + b"\0"
        with self.assertRaisesRegex(ValueError, f"the header says 3 x 2 x 4 = 24 bytes, but {message}"):
            idx.read_images(self.write("images", data))

    def test_label_out_of_range(self):
        path = self.write("labels", idx.encode(np.array([0, 9, 10], np.uint8)))
        with self.assertRaisesRegex(ValueError, r"labels: wanted labels in \[0, 10\), got 10 at index 2"):
            idx.read_labels(path)
        self.assertLen(idx.read_labels(path, num_classes=11), 3)

    def test_split_needs_both_files_of_equal_length(self):
        with self.assertRaisesRegex(FileNotFoundError, "no train-images-idx3-ubyte.gz"):
            idx.read_split(self.folder, "train")
        self.write("train-images-idx3-ubyte", idx.encode(self.images))
        self.write("train-labels-idx1-ubyte", idx.encode(self.labels[:2]))
        with self.assertRaisesRegex(ValueError, "wanted 3 labels, one per image of .*, got 2"):
            idx.read_split(self.folder, "train")

    @parameterized.parameters("train-images-idx3-ubyte", "train-images.idx3-ubyte")
    def test_names_with_a_hyphen_or_a_dot(self, images):
        for pack, ending in ((gzip.compress, ".gz"), (bytes, "")):
            folder = self.folder / f"[1], é{ending}"
            folder.mkdir()
            (folder / f"{images}{ending}").write_bytes(pack(idx.encode(self.images)))
            (folder / f"{images}{ending}".replace("images", "labels").replace("idx3", "idx1")).write_bytes(
                pack(idx.encode(self.labels))
            )
            (folder / "label.labels.txt").write_text("".join(f"{i}\n" for i in range(10)), encoding="utf-8-sig")
            loaded, labels = data.load_arrays(f"idx:{folder}", "train")
            self.assertAllClose(loaded[..., 0] * 255, self.images)
            self.assertAllEqual(labels, self.labels)
            self.assertEqual(data.info(f"idx:{folder}").class_names[0], "0")

    def test_restored_header_is_what_gzip_writes(self):
        content = idx.encode(self.labels)
        name = "train-labels-idx1-ubyte"

        def pack(filename, mtime):
            buffer = io.BytesIO()
            with gzip.GzipFile(filename, "wb", fileobj=buffer, mtime=mtime) as packed:
                packed.write(content)
            return buffer.getvalue()

        restored = idx.restore_gzip_header(pack("", 0), name, 1504176606)
        self.assertEqual(restored, pack(name, 1504176606))
        self.assertEqual(idx.restore_gzip_header(restored, name, 0), restored)
        with self.assertRaisesRegex(ValueError, "wanted a gzip file"):
            idx.restore_gzip_header(b"no", "name", 0)


if __name__ == "__main__":
    tf.test.main()
