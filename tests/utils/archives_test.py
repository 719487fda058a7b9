"""Archives: what was written comes back, and damage is noticed."""

import io
import pathlib
import zipfile

import numpy as np
import tensorflow as tf

from cnnf_tf.utils.archives import read_npz, write_npz


class ArchivesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_arrays_come_back_or_damage_is_noticed(self):
        path, arrays = self.folder / "a.npz", {"x": np.arange(6.0).reshape(2, 3), "text": np.asarray("y")}
        for compress in (False, True):
            write_npz(path, arrays, compress=compress)
            content = path.read_bytes()
            for found in (read_npz(path), read_npz(io.BytesIO(content))):
                self.assertEqual(list(found), ["x", "text"])
                self.assertAllEqual(found["x"], arrays["x"])
                self.assertEqual(str(found["text"]), "y")
        for damaged in (b"", content[:-9], content[:60] + b"?" + content[61:]):
            with self.assertRaises(ValueError):
                read_npz(io.BytesIO(damaged))
        with self.assertRaises(ValueError):
            read_npz(self.folder)

    def test_an_array_that_claims_to_be_huge_is_damaged(self):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**16,)})
        with zipfile.ZipFile(self.folder / "a.npz", "w") as archive:
            archive.writestr("x.npy", header.getvalue())
        with self.assertRaises(ValueError):
            read_npz(self.folder / "a.npz")


if __name__ == "__main__":
    tf.test.main()
