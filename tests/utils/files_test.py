"""Atomic files: whole or not at all, and JSON that every reader takes."""

import json
import pathlib
import threading
import time

import tensorflow as tf

from cnnf_tf.utils.files import atomic_path, locked, plainly_named, text_of, write_json, write_text


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

    def test_names_that_are_no_text(self):
        name = b"caf\xe9 [1]".decode("utf-8", "surrogateescape")
        write_text(self.folder / "names.txt", name)
        self.assertEqual((self.folder / "names.txt").read_bytes(), b"caf\xe9 [1]")
        self.assertEqual(text_of("caf\udcc3\udca9"), "café")
        folder = self.folder / name
        folder.mkdir()
        with plainly_named(folder) as plain, plainly_named(self.folder) as same:
            self.assertEqual(same, self.folder)
            self.assertRegex(str(plain), r"^[\w/.]+$")
            (plain / "x").touch()
        self.assertTrue((folder / "x").exists())
        self.assertFalse(plain.exists())

    def test_json_refuses_what_it_has_no_form_for(self):
        path = self.folder / "a.json"
        write_json(path, {"a": 1})
        with self.assertRaisesRegex(TypeError, "not JSON serializable"):
            write_json(path, {"a": self})
        self.assertEqual(json.loads(path.read_text()), {"a": 1})

    def test_one_at_a_time(self):
        path = self.folder / "lock"
        with locked(path):
            with self.assertRaisesRegex(BlockingIOError, "another process holds the lock '.*lock'"), locked(path):
                pass
            waited = []
            thread = threading.Thread(target=self.wait, args=(path, waited))
            thread.start()
            while not waited:
                time.sleep(0.01)
            self.assertEqual(waited, ["waiting"])
        thread.join()
        self.assertEqual(waited, ["waiting", "in"])

    @staticmethod
    def wait(path, told):
        with locked(path, waiting=lambda: told.append("waiting")):
            told.append("in")


if __name__ == "__main__":
    tf.test.main()
