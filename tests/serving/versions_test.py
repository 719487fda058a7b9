"""Version directories: whole or not there, whatever happens to the writer."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.serving import versions

# Needs nothing but the standard library, so that a process that writes versions starts at once.
WRITER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("versions", sys.argv[1])
versions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(versions)
options = {"version": 1, "overwrite": True} if len(sys.argv) > 3 else {}
while True:
    with versions.new_version(sys.argv[2], **options) as (temporary, target):
        print(target.name, flush=True)
        (temporary / "variables").mkdir()
        for name in ("saved_model.pb", "variables/data"):
            with (temporary / name).open("wb") as file:
                for _ in range(20):
                    file.write(b"x" * 10_000)
"""


def fill(temporary, text):
    (temporary / "saved_model.pb").write_text(text)


class VersionsTest(tf.test.TestCase, parameterized.TestCase):
    def base(self):
        return pathlib.Path(self.create_tempdir().full_path) / "models" / "cnnf"

    def write(self, base, text="", **kwargs):
        with versions.new_version(base, **kwargs) as (temporary, target):
            self.assertFalse(temporary.name.isdigit())
            self.assertEqual(temporary.parent, target.parent)
            fill(temporary, text)
        return target

    def visible(self, base):
        return sorted(path.name for path in base.iterdir() if path.name != ".export.lock")

    def test_numbers_go_up(self):
        base = self.base()
        self.assertEqual(versions.existing_versions(base), [])
        self.assertEqual(self.write(base).name, "1")
        self.assertEqual(self.write(base, version=9).name, "9")
        self.assertEqual(self.write(base).name, "10")
        (base / "notes").mkdir()
        (base / "77").write_text("a file is no version")
        self.assertEqual(versions.existing_versions(base), [1, 9, 10])

    def test_other_users_may_read(self):
        base = self.base()
        self.assertEqual(self.write(base).stat().st_mode, base.stat().st_mode)

    def test_refuses_to_overwrite_unless_told(self):
        base = self.base()
        self.write(base, "old", version=3)
        with self.assertRaisesRegex(FileExistsError, r"version 3 exists in .* \(versions there: 3\); give another"):
            self.write(base, "new", version=3)
        self.assertEqual((base / "3/saved_model.pb").read_text(), "old")
        self.write(base, "new", version=3, overwrite=True)
        self.assertEqual((base / "3/saved_model.pb").read_text(), "new")
        self.assertEqual(self.visible(base), ["3"])

    def test_a_version_that_came_meanwhile_is_kept(self):
        base = self.base()
        with self.assertRaisesRegex(FileExistsError, "version 1 exists"), versions.new_version(base) as (temporary, _):
            fill(temporary, "ours")
            (base / "1").mkdir()
            fill(base / "1", "theirs")
        self.assertEqual((base / "1/saved_model.pb").read_text(), "theirs")
        self.assertEqual(self.visible(base), ["1"])

    @parameterized.parameters(KeyboardInterrupt, RuntimeError)
    def test_failure_leaves_nothing(self, error):
        base = self.base()
        with self.assertRaises(error), versions.new_version(base) as (temporary, _):
            fill(temporary, "half")
            raise error
        self.assertEqual(self.visible(base), [])

    def test_failed_overwrite_keeps_the_old(self):
        base = self.base()
        self.write(base, "old")
        with self.assertRaises(RuntimeError), versions.new_version(base, version=1, overwrite=True) as (temporary, _):
            fill(temporary, "half")
            raise RuntimeError
        self.assertEqual((base / "1/saved_model.pb").read_text(), "old")

    @parameterized.parameters(0, -1, True, "1", 1.0)
    def test_bad_version(self, version):
        with self.assertRaisesRegex(ValueError, "version must be a positive integer, got"):
            self.write(self.base(), version=version)

    def test_bad_base_and_overwrite(self):
        with self.assertRaisesRegex(ValueError, "overwrite wants the number of the version"):
            self.write(self.base(), overwrite=True)
        file = self.create_tempfile().full_path
        with self.assertRaisesRegex(NotADirectoryError, "is a file; wanted a folder"):
            self.write(file)

    def test_one_at_a_time(self):
        base = self.base()
        with versions.new_version(base) as (temporary, _):
            with self.assertRaisesRegex(BlockingIOError, "another export into .* is running"):
                self.write(base)
            fill(temporary, "")
        self.assertEqual(self.visible(base), ["1"])

    @parameterized.parameters(False, True)
    def test_killed_at_any_moment(self, overwrite):
        """After every kill -9, each number that is there is complete; the next export removes what is left over."""
        base, random_ = self.base(), random.Random(0)
        self.write(base, "first") if overwrite else None
        leftovers = 0
        for _ in range(12):
            command = [sys.executable, "-c", WRITER, versions.__file__, str(base), *(["overwrite"] * overwrite)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            process.stdout.readline()
            time.sleep(random_.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            names = self.visible(base)
            leftovers += any(name.startswith(".exporting-") for name in names)
            for name in names:
                if name.isdigit():
                    files = [base / name / file for file in ("saved_model.pb", "variables/data")]
                    if (base / name / "saved_model.pb").read_bytes() != b"first":
                        self.assertEqual([os.path.getsize(file) for file in files], [200_000] * 2)
            if overwrite:
                # The old version is never lost, though it may wait for the next export under another name.
                self.assertTrue({"1", ".replaced-1"} & set(names), names)
        self.assertGreater(leftovers, 0)
        before = versions.existing_versions(base)
        self.write(base, "last")
        self.assertTrue(all(name.isdigit() for name in self.visible(base)), self.visible(base))
        self.assertContainsSubset(before, versions.existing_versions(base))

    def test_killed_between_two_renames(self):
        base = self.base()
        self.write(base, "old")
        (base / "1").rename(base / ".replaced-1")
        (base / ".exporting-1-abc").mkdir()
        self.assertEqual(self.write(base).name, "2")
        self.assertEqual((base / "1/saved_model.pb").read_text(), "old")
        self.assertEqual(self.visible(base), ["1", "2"])


if __name__ == "__main__":
    tf.test.main()
