"""Atomic files: whole or not at all, and JSON that every reader takes."""

import io
import json
import pathlib

import numpy as np
import tensorflow as tf

from cnnf_tf.utils.files import atomic_path, read_npz, write_json, write_npz, write_text


class FilesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_failure_leaves_the_last_good_file_and_no_other(self):
        path = self.folder / "sub" / "text.txt"
        write_text(path, "good")
        with self.assertRaises(KeyboardInterrupt), atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
        self.assertEqual(path.read_text(), "good")
        self.assertEqual(list(path.parent.iterdir()), [path])

    def test_mode_follows_the_umask(self):
        path, plain = self.folder / "a.txt", self.folder / "b.txt"
        write_text(path, "")
        plain.write_text("")
        self.assertEqual(path.stat().st_mode, plain.stat().st_mode)

    def test_json_is_valid_where_numbers_are_not_finite(self):
        def refuse(word: str) -> None:
            raise AssertionError(word)

        path = self.folder / "a.json"
        write_json(path, {"psnr": [float("inf"), 2.5], "rows": ({"x": float("nan"), 3: None},), "name": "inf"})
        found = json.loads(path.read_text(), parse_constant=refuse)
        self.assertEqual(found, {"psnr": [None, 2.5], "rows": [{"x": None, "3": None}], "name": "inf"})

    def test_json_refuses_what_it_has_no_form_for(self):
        path = self.folder / "a.json"
        write_json(path, {"a": 1})
        with self.assertRaisesRegex(TypeError, "not JSON serializable"):
            write_json(path, {"a": self})
        self.assertEqual(json.loads(path.read_text()), {"a": 1})

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


if __name__ == "__main__":
    tf.test.main()
