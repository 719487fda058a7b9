"""The folder of a run: one configuration, one process at a time, nothing half-written."""

import pathlib
import subprocess
import sys

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from tests.training import small

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


class WorkdirTest(tf.test.TestCase, parameterized.TestCase):
    def folder(self):
        return pathlib.Path(self.create_tempdir().full_path) / "run"

    def test_is_made_and_reopened(self):
        path = self.folder()
        workdir = training.open_workdir(path, small.config())
        self.assertEqual([child.name for child in path.iterdir()], ["config.json"])
        written = workdir.config.stat().st_mtime_ns
        again = training.open_workdir(str(path), small.config())
        self.assertEqual(again, workdir)
        self.assertEqual(workdir.config.stat().st_mtime_ns, written)
        self.assertEqual(workdir.history(), [])

    def test_refuses_another_configuration(self):
        path = self.folder()
        training.open_workdir(path, small.config())
        with self.assertRaisesRegex(ValueError, "another config .*model.step_size: 0.1 there, 0.2 asked"):
            training.open_workdir(path, small.config(model__step_size=0.2))
        with self.assertRaisesRegex(ValueError, "another config .*adversarial"):
            training.open_workdir(path, small.config("adversarial"))
        (path / "config.json").write_text("{")
        with self.assertRaisesRegex(ValueError, "config.json is not readable JSON .*another --workdir"):
            training.open_workdir(path, small.config())

    def test_refuses_what_is_no_run(self):
        file = self.folder()
        file.write_text("")
        with self.assertRaisesRegex(ValueError, "must be a folder, but it is a file"):
            training.open_workdir(file, small.config())
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / "best.keras").write_text("")
        with self.assertRaisesRegex(ValueError, "holds models but no config.json; give a new or empty folder"):
            training.open_workdir(folder, small.config())
        self.assertLen(list(folder.iterdir()), 1)

    def test_one_process_at_a_time(self):
        workdir = training.open_workdir(self.folder(), small.config())
        with workdir.locked():
            pass
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(workdir.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self.assertEqual(holder.stdout.readline(), "locked\n")
            leftover = workdir.root / ".last-abc.keras"  # of the process that is training
            leftover.write_text("")
            with (
                self.assertRaisesRegex(ValueError, "another process is training in workdir .*; wait"),
                workdir.locked(),
            ):
                self.fail("locked twice")
            self.assertTrue(leftover.exists())
        finally:
            holder.kill()
            holder.communicate()
        with workdir.locked():  # the lock ended with the process
            self.assertFalse(leftover.exists())

    def test_removes_what_a_killed_process_was_writing(self):
        workdir = training.open_workdir(self.folder(), small.config())
        workdir.checkpoints.mkdir()
        leftovers = [
            workdir.root / ".last-a1.keras",
            workdir.root / ".best-a1.keras",
            workdir.root / ".metrics-a1.jsonl",
            workdir.root / ".bad_batch-a1.npz",
            workdir.checkpoints / ".step-00000004-a1.npz",
        ]
        kept = [workdir.root / ".notes", workdir.last, workdir.checkpoints / "step-00000002.npz"]
        for path in leftovers + kept:
            path.write_text("")
        with workdir.locked():
            self.assertEqual([path.exists() for path in leftovers], [False] * 5)
            self.assertEqual([path.exists() for path in kept], [True] * 3)

    @parameterized.parameters('{"step": 3, "lo', "nonsense")
    def test_history_leaves_out_a_line_cut_short(self, last):
        workdir = training.open_workdir(self.folder(), small.config())
        workdir.metrics.write_text('{"step": 1}\n{"step": 2}\n' + last)
        self.assertEqual(workdir.history(), [{"step": 1}, {"step": 2}])


if __name__ == "__main__":
    tf.test.main()
