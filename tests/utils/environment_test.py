"""What a record says about versions, hardware and the source tree."""

import os
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import tensorflow as tf

from cnnf_tf import __version__
from cnnf_tf.utils import environment


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
    )


class EnvironmentTest(tf.test.TestCase):
    def test_versions_and_hardware(self):
        versions = environment.versions()
        self.assertEqual((versions["cnnf_tf"], versions["tensorflow"]), (__version__, tf.__version__))
        self.assertRegex(versions["python"], r"^3\.\d+\.\d+")
        hardware = environment.hardware()
        self.assertNotEmpty(hardware["cpu"])
        self.assertBetween(hardware["cores"], 1, os.cpu_count())
        self.assertLen(hardware["gpus"], len(tf.config.list_physical_devices("GPU")))
        self.assertIsInstance(hardware["onednn"], bool)

    def test_onednn_is_on_unless_the_user_says_otherwise(self):
        program = "import os, {}; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
        unset = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
        for modules, given, wanted in (
            ("cnnf_tf", {}, "1"),
            ("cnnf_tf", {"TF_ENABLE_ONEDNN_OPTS": "0"}, "0"),
            ("sys; sys.modules['tensorflow'] = sys; import cnnf_tf", {}, "None"),  # too late
        ):
            command = [sys.executable, "-c", program.format(modules)]
            found = subprocess.run(command, env=unset | given, capture_output=True, text=True, check=True)
            self.assertEqual(found.stdout.strip(), wanted)

    def test_free_memory_is_within_the_limit_of_a_container(self):
        free = environment.free_memory()
        self.assertGreater(free, 2**20)
        limit = pathlib.Path(self.create_tempfile(content="max\n").full_path)
        with mock.patch.object(environment, "_MEMORY_LIMITS", (str(limit), "/none")):
            self.assertGreater(environment.free_memory(), 2**20)
            limit.write_text("1000000\n")
            self.assertEqual(environment.free_memory(), 0)
            limit.write_text(str(2**62))
            self.assertLess(environment.free_memory(), 2**62)

    def test_commit_of_a_checkout_and_whether_it_was_changed(self):
        if shutil.which("git") is None:
            self.skipTest("git is not installed")
        root = pathlib.Path(self.create_tempdir().full_path)
        nowhere = {"commit": None, "dirty": None}
        self.assertEqual(environment.source_tree(root), nowhere)
        (root / "cnnf_tf").mkdir()
        (root / "cnnf_tf" / "version.py").write_text("")
        git(root, "init")
        self.assertEqual(environment.source_tree(root), nowhere)  # installed inside of another project's checkout
        git(root, "add", ".")
        git(root, "commit", "-m", "x")
        found = environment.source_tree(root)
        self.assertRegex(found["commit"], "^[0-9a-f]{40}$")
        self.assertFalse(found["dirty"])
        with mock.patch.dict(os.environ, {"GIT_DIR": "/nowhere"}):
            self.assertEqual(environment.source_tree(root), found)
        (root / "notes.txt").write_text("not part of what runs")
        self.assertEqual(environment.source_tree(root), found)
        (root / "cnnf_tf" / "new.py").write_text("")
        self.assertEqual(environment.source_tree(root), found | {"dirty": True})

    def test_without_git(self):
        for error in (FileNotFoundError("git"), subprocess.TimeoutExpired("git", 1)):
            with mock.patch.object(subprocess, "run", side_effect=error):
                self.assertEqual(environment.source_tree(), {"commit": None, "dirty": None})


if __name__ == "__main__":
    tf.test.main()
