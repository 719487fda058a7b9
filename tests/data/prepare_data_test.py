"""`bin/prepare_data.py` as a user runs it."""

import pathlib
import subprocess
import sys

import tensorflow as tf

from tests.limits import HANGING

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments):
    command = [sys.executable, str(ROOT / "bin" / "prepare_data.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)


class PrepareDataTest(tf.test.TestCase):
    def test_help_names_the_flags(self):
        done = run("--help")
        self.assertIn(done.returncode, (0, 1))  # absl's --help exits with 1
        for flag in ("--dataset", "--data_dir", "--idx_dir", "--archive", "--[no]download", "--[no]apt"):
            self.assertIn(flag, done.stdout)

    def test_wrong_command_lines(self):
        for arguments, message in (
            (["--apt", "--dataset=mnist"], "Debian packages fashion_mnist only"),
            (["--idx_dir=x", "--download"], "files on this machine or --download"),
            (["--idx_dir=x", "--archive=y"], "either a folder or a file"),
            (["--dataset="], "--dataset: wanted a TFDS name"),
            (["--no_such_flag"], "no_such_flag"),
            (["mnist"], "no positional arguments"),
        ):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, " ".join(done.stderr.split()))
            self.assertNotIn("Traceback", done.stderr)

    def test_missing_files(self):
        done = run("--dataset=mnist", f"--data_dir={self.get_temp_dir()}")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("--idx_dir=FOLDER", " ".join(done.stderr.split()))
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    tf.test.main()
