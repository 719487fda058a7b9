"""Trackers that fail, in a run and alone, and what a run that goes on tells them."""

import contextlib
import io
import json
import pathlib
from unittest import mock

import numpy as np
import tensorflow as tf

from cnnf_tf import training
from cnnf_tf.training import run_log
from cnnf_tf.training.trackers import open_trackers, unfinished
from cnnf_tf.training.trackers.base import MetricsLogger
from tests.training import fixtures_training


class Notebook(MetricsLogger):
    """Notes what it is told in a list that the class shares, and fails when it has `patience` notes."""

    told: list = []  # noqa: RUF012
    patience = 1000

    def __init__(self, run):
        self.run_id = run.run_id or "the first"
        self.note("open", run.run_id)

    def note(self, *what):
        if len(self.told) >= self.patience:
            raise ConnectionError("the server\nis gone")
        self.told.append(what)

    def scalars(self, step, values, group):
        self.note(group, step)

    def pictures(self, step, images):
        self.note("pictures", step)

    def artifacts(self, paths):
        self.note("artifacts", *[path.name for path in paths])

    def close(self, status):
        self.note("close", status)


class GuardedTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.object(Notebook, "told", []))
        self.said = io.StringIO()
        self.enter_context(contextlib.redirect_stdout(self.said))

    def workdir(self):
        return pathlib.Path(self.create_tempdir().full_path) / "run"

    def folder(self):
        folder = training.open_workdir(self.workdir(), fixtures_training.config())
        folder.add_session(step=0, command="python train")
        return folder

    def test_what_a_tracker_is_told_of_the_run(self):
        seen = []
        open_trackers({"mine": lambda run: seen.append(run) or Notebook(run)}, self.folder())
        self.assertEqual(seen[0].parameters["model.name"], "fashion_cnn")
        self.assertEqual(seen[0].parameters["data.batch_size"], 8)
        self.assertEqual(seen[0].tags["command"], "python train")
        self.assertEqual(seen[0].tags["versions.tensorflow"], tf.__version__)

    def test_no_step_is_told_twice(self):
        folder = self.folder()
        for steps, status in ((range(1, 5), "KILLED"), (range(3, 7), "FINISHED")):
            (tracker,) = open_trackers({"mine": Notebook}, folder)
            for step in steps:
                tracker.scalars(step, {"loss": 1.0}, "train")
                if step % 2 == 0:
                    tracker.scalars(step, {"loss": 1.0}, "validation")
                    tracker.pictures(step, {"image": np.zeros((1, 2, 2, 1))})
            tracker.close(status)
        self.assertEqual([step for kind, step in Notebook.told if kind == "train"], [1, 2, 3, 4, 5, 6])
        for kind in ("validation", "pictures"):
            self.assertEqual([step for found, step in Notebook.told if found == kind], [2, 4, 6])
        self.assertEqual([run_id for kind, run_id in Notebook.told if kind == "open"], ["", "the first"])
        told = {"train": 6, "validation": 6, "pictures": 6}
        marks = {"run_id": "the first", "told": told, "finished": True}
        self.assertEqual(json.loads(folder.trackers.read_text()), {"mine": marks})

    def test_a_run_goes_on_without_the_tracker_that_fails(self):
        config = fixtures_training.config()
        with mock.patch.object(run_log, "_SCALARS_EVERY", 1), mock.patch.object(Notebook, "patience", 2):
            folder = fixtures_training.run(config, self.workdir(), trackers=("tensorboard", Notebook))
        self.assertEqual(Notebook.told, [("open", ""), ("train", 1)])
        warning = (
            "Warning: the tracker 'Notebook' failed; training goes on without it. ConnectionError: the server is gone"
        )
        self.assertEqual(self.said.getvalue().count(warning), 1)
        self.assertEqual(self.said.getvalue().count("Warning"), 1)
        self.assertIn("train/loss", fixtures_training.tags(folder.tensorboard))
        self.assertTrue(folder.best.exists())

    def test_a_tracker_that_does_not_start_ends_the_run(self):
        first = mock.Mock(local=True)
        folder = self.folder()
        with (
            mock.patch.object(Notebook, "patience", 0),
            self.assertRaisesRegex(OSError, r"the tracker 'mine' did not start \(ConnectionError: the server"),
        ):
            open_trackers({"first": lambda _: first, "mine": Notebook}, folder)
        first.close.assert_called_once_with("FAILED")
        marks = {"mine": {"run_id": "gone", "told": {}}}
        folder.trackers.write_text(json.dumps(marks))
        with self.assertRaisesRegex(OSError, "to go on with the run gone; without .*trackers.json it begins another"):
            open_trackers({"mine": mock.Mock(side_effect=KeyError)}, folder)
        self.assertEqual(json.loads(folder.trackers.read_text()), marks)
        with self.assertRaisesRegex(ImportError, "no such package"):
            open_trackers({"mine": mock.Mock(side_effect=ImportError("no such package"))}, folder)

    def test_a_run_killed_before_its_files_were_handed_over_is_completed(self):
        config, workdir = fixtures_training.config(), self.workdir()
        with mock.patch.object(Notebook, "artifacts", side_effect=SystemExit), self.assertRaises(SystemExit):
            fixtures_training.run(config, workdir, trackers=(Notebook,))
        del Notebook.told[:]
        fixtures_training.run(config, workdir, trackers=(Notebook, "tensorboard", MetricsLogger))
        files = ("best.keras", "config.json", "metrics.jsonl", "run.json")
        completed = [("open", "the first"), ("artifacts", *files), ("close", "FINISHED")]
        self.assertEqual(Notebook.told, completed)
        self.assertIn("telling the end of the run to Notebook.", self.said.getvalue())
        fixtures_training.run(config, workdir, trackers=(Notebook, MetricsLogger))
        self.assertEqual(Notebook.told, completed)

    def test_which_trackers_are_not_finished(self):
        folder, every = self.folder(), {"mine": Notebook, "other": Notebook}
        self.assertEqual(unfinished(every, folder), {})
        for status, wanted in (("KILLED", ["mine"]), ("FAILED", ["mine"]), ("FINISHED", [])):
            (tracker,) = open_trackers({"mine": Notebook}, folder)
            self.assertEqual([*unfinished(every, folder)], ["mine"])
            tracker.close(status)
            self.assertEqual([*unfinished(every, folder)], wanted)
        with mock.patch.object(Notebook, "artifacts", side_effect=ConnectionError):
            (tracker,) = open_trackers({"mine": Notebook}, folder)
            tracker.artifacts([])
            tracker.close("FINISHED")
        self.assertEqual([*unfinished(every, folder)], ["mine"])

    def test_what_is_no_tracker_is_refused_and_the_others_are_closed(self):
        class Scalars:
            def scalars(self, step, values, group):
                pass

        folder = self.folder()
        for made, message in (
            (None, "'bad' must have the methods .* NoneType is without scalars, pictures, artifacts, close"),
            (Scalars(), "'bad' must have the methods .* Scalars is without pictures, artifacts, close"),
            (mock.Mock(local=False, run_id=7), "'bad': run_id must be a text, .* got 7"),
            (mock.Mock(local=False, run_id=None), "'bad': run_id must be a text, .* got None"),
        ):
            del Notebook.told[:]
            with self.assertRaisesRegex(ValueError, message):
                open_trackers({"mine": Notebook, "bad": lambda _, made=made: made}, folder)
            self.assertEqual(Notebook.told[-1], ("close", "FAILED"))
            self.assertEqual([*json.loads(folder.trackers.read_text())], ["mine"])
        made.close.assert_called_once_with("FAILED")
        with self.assertRaises(KeyboardInterrupt):
            open_trackers({"mine": Notebook, "bad": mock.Mock(side_effect=KeyboardInterrupt)}, folder)
        self.assertEqual(Notebook.told[-1], ("close", "KILLED"))
        methods = mock.Mock(spec=["scalars", "pictures", "artifacts", "close"])  # inherits nothing
        (tracker,) = open_trackers({"own": lambda _: methods}, folder)
        tracker.scalars(1, {"loss": 1.0}, "train")
        methods.scalars.assert_called_once_with(1, {"loss": 1.0}, "train")

    def test_a_tracker_changes_only_its_own_copy_of_the_config(self):
        def emptied(run):
            run.parameters.clear()
            run.tags.clear()
            return Notebook(run)

        seen = []
        open_trackers({"first": emptied, "second": lambda run: seen.append(run) or Notebook(run)}, self.folder())
        self.assertEqual(seen[0].parameters["seed"], fixtures_training.config().seed)
        self.assertEqual(seen[0].tags["command"], "python train")

    def test_a_damaged_file_of_marks(self):
        folder = self.folder()
        for text in ("{", "[1]", '{"mine": {"told": {}}}', '{"mine": {"run_id": "a", "told": 3}}'):
            folder.trackers.write_text(text)
            with self.assertRaisesRegex(ValueError, "trackers.json is damaged; without this file, the run begins anew"):
                open_trackers({"mine": Notebook}, folder)


if __name__ == "__main__":
    tf.test.main()
