import dataclasses
import gzip
import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from cnnf_tf.data.preparation import official_files
from cnnf_tf.data.sources import idx


@dataclasses.dataclass
class UrlInfo:
    """The part of TFDS's entry for one download that is looked at."""

    filename: str
    size: int
    checksum: str


class OfficialFilesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.source = pathlib.Path(self.get_temp_dir()) / "source"
        self.target = pathlib.Path(self.get_temp_dir()) / "target"
        self.source.mkdir()
        self.target.mkdir()
        self.official = {}
        for split, stems in idx.FILE_STEMS.items():
            arrays = np.full((4, 28, 28), 7, np.uint8), np.arange(4, dtype=np.uint8)
            for stem, array in zip(stems, arrays, strict=True):
                stripped = gzip.compress(idx.encode(array), mtime=0)
                (self.source / f"{stem}.gz").write_bytes(stripped)
                mtime = official_files.IDX_MTIMES["fashion_mnist"][{"train": "train", "test": "t10k"}[split]]
                self.official[f"{stem}.gz"] = idx.restore_gzip_header(stripped, stem, mtime)
        self.url_infos = {
            f"http://nowhere.test/{name}": UrlInfo(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in self.official.items()
        }

    def stage(self, name="fashion_mnist"):
        official_files.stage(name, self.source, self.target, self.url_infos)

    def assert_refused(self, error, message, name="fashion_mnist"):
        before = {path: path.read_bytes() for path in self.source.iterdir()}
        with self.assertRaisesRegex(error, message):
            self.stage(name)
        self.assertEqual(before, {path: path.read_bytes() for path in self.source.iterdir()})

    def test_restores_stripped_headers(self):
        self.stage()
        self.assertEqual({path.name: path.read_bytes() for path in self.target.iterdir()}, self.official)

    def test_names_with_dots(self):
        for path in list(self.source.iterdir()):
            path.rename(path.with_name(path.name.replace("-idx", ".idx")))
        self.stage()
        self.assertEqual({path.name: path.read_bytes() for path in self.target.iterdir()}, self.official)

    def test_links_official_files(self):
        for name, content in self.official.items():
            (self.source / name).write_bytes(content)
        self.stage("mnist")
        self.assertEqual({path.name: path.read_bytes() for path in self.target.iterdir()}, self.official)
        self.assertTrue(all(path.is_symlink() for path in self.target.iterdir()))

    def test_missing_file(self):
        (self.source / "t10k-labels-idx1-ubyte.gz").unlink()
        self.assert_refused(FileNotFoundError, "wanted the official files of .*; missing: t10k-labels-idx1-ubyte.gz")

    def test_truncated_file(self):
        path = self.source / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-9])
        self.assert_refused(ValueError, "train-images-idx3-ubyte.gz: wanted a complete gzip file")

    def test_wrong_kind_of_file(self):
        path = self.source / "train-images-idx3-ubyte.gz"
        path.write_bytes((self.source / "train-labels-idx1-ubyte.gz").read_bytes())
        self.assert_refused(ValueError, "train-images-idx3-ubyte.gz: wanted an IDX image file")

    def test_label_out_of_range(self):
        path = self.source / "t10k-labels-idx1-ubyte.gz"
        path.write_bytes(gzip.compress(idx.encode(np.array([0, 1, 2, 10], np.uint8))))
        self.assert_refused(ValueError, r"t10k-labels-idx1-ubyte.gz: wanted labels in \[0, 10\), got 10 at index 3")

    def test_sound_but_not_official(self):
        path = self.source / "t10k-labels-idx1-ubyte.gz"
        path.write_bytes(gzip.compress(idx.encode(np.array([0, 1, 2, 9], np.uint8)), mtime=0))
        self.assert_refused(
            ValueError, "t10k-labels-idx1-ubyte.gz: this is not the official file of fashion_mnist; wanted"
        )
        self.assert_refused(
            ValueError, "this is not the official file of cifar10; wanted .* bytes with SHA-256", "cifar10"
        )


if __name__ == "__main__":
    tf.test.main()
