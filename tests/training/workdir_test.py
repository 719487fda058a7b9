"""The folder of a run: one configuration, one process at a time, nothing half-written."""

import datetime
import json
import pathlib
import subprocess
import sys
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.utils import environment
from tests.training import fixtures_training

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
        workdir = training.open_workdir(path, fixtures_training.config())
        self.assertEqual([child.name for child in path.iterdir()], ["config.json"])
        written = workdir.config.stat().st_mtime_ns
        again = training.open_workdir(str(path), fixtures_training.config())
        self.assertEqual(again, workdir)
        self.assertEqual(workdir.config.stat().st_mtime_ns, written)
        self.assertEqual(workdir.history(), [])

    def test_refuses_another_configuration(self):
        path = self.folder()
        training.open_workdir(path, fixtures_training.config())
        with self.assertRaisesRegex(ValueError, "another config .*model.eta: 0.1 there, 0.2 asked"):
            training.open_workdir(path, fixtures_training.config(model__eta=0.2))
        with self.assertRaisesRegex(ValueError, "another config .*adversarial"):
            training.open_workdir(path, fixtures_training.config("adversarial"))
        (path / "config.json").write_text("{")
        with self.assertRaisesRegex(ValueError, "config.json is not readable JSON .*another run"):
            training.open_workdir(path, fixtures_training.config())

    def test_refuses_what_is_no_run(self):
        file = self.folder()
        file.write_text("")
        with self.assertRaisesRegex(ValueError, "must be a folder, but it is a file"):
            training.open_workdir(file, fixtures_training.config())
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / "best.keras").write_text("")
        with self.assertRaisesRegex(ValueError, "holds models but no config.json; give a new or empty folder"):
            training.open_workdir(folder, fixtures_training.config())
        self.assertLen(list(folder.iterdir()), 1)

    def test_one_process_at_a_time(self):
        workdir = training.open_workdir(self.folder(), fixtures_training.config())
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
        workdir = training.open_workdir(self.folder(), fixtures_training.config())
        workdir.checkpoints.mkdir()
        leftovers = [
            workdir.root / ".last-a1.keras",
            workdir.root / ".best-a1.keras",
            workdir.root / ".metrics-a1.jsonl",
            workdir.root / ".run-a1.json",
            workdir.root / ".bad_batch-a1.npz",
            workdir.checkpoints / ".step-00000004-a1.npz",
        ]
        kept = [workdir.root / ".notes", workdir.last, workdir.checkpoints / "step-00000002.npz"]
        for path in leftovers + kept:
            path.write_text("")
        with workdir.locked():
            self.assertEqual([path.exists() for path in leftovers], [False] * 6)
            self.assertEqual([path.exists() for path in kept], [True] * 3)

    @parameterized.parameters('{"step": 3, "lo', "nonsense")
    def test_history_leaves_out_a_line_cut_short(self, last):
        workdir = training.open_workdir(self.folder(), fixtures_training.config())
        workdir.metrics.write_text('{"step": 1}\n{"step": 2}\n' + last)
        self.assertEqual(workdir.history(), [{"step": 1}, {"step": 2}])

    def test_every_start_is_recorded(self):
        workdir = training.open_workdir(self.folder(), fixtures_training.config())
        self.assertEqual(workdir.sessions(), [])
        with mock.patch.object(environment, "source_tree", return_value={"commit": "abc", "dirty": True}):
            workdir.add_session(step=0, command="python x --y='1 2'", replicas=2)
        workdir.add_session(step=7)
        first, second = workdir.sessions()
        wanted = {"command": "python x --y='1 2'", "commit": "abc", "dirty": True, "step": 0}
        self.assertEqual({key: first[key] for key in wanted}, wanted)
        self.assertEqual(first["versions"], environment.versions())
        self.assertEqual(first["hardware"], environment.hardware() | {"replicas": 2})
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(first["started"])
        self.assertLess(abs(age), datetime.timedelta(minutes=5))
        self.assertEqual((second["command"], second["step"], second["hardware"]["replicas"]), (None, 7, 1))
        self.assertEqual(list(json.loads(workdir.run.read_text())), ["sessions"])

    @parameterized.parameters("{", "[]", "{}", '{"sessions": 3}', '{"sessions": [3]}')
    def test_damaged_record_of_starts(self, text):
        workdir = training.open_workdir(self.folder(), fixtures_training.config())
        workdir.run.write_text(text)
        with self.assertRaisesRegex(ValueError, r"run.json is not the record of a run \(.*\); move it away to go on"):
            workdir.add_session(step=0)
        self.assertEqual(workdir.run.read_text(), text)

    def test_reads_its_configuration(self):
        workdir = training.open_workdir(self.folder(), fixtures_training.config())
        self.assertEqual(workdir.read_config(), json.loads(fixtures_training.config().to_json()))
        with self.assertRaisesRegex(FileNotFoundError, "is not the workdir of a run: it has no config.json"):
            training.Workdir(self.folder()).read_config()


if __name__ == "__main__":
    tf.test.main()
