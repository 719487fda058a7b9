"""The record of a study: it goes on, refuses another configuration and a damaged file, and loses nothing."""

import json
import pathlib

import tensorflow as tf

from cnnf_tf.utils.resumable_results import ResumableResults


class ResumableResultsTest(tf.test.TestCase):
    def test_goes_on(self):
        folder = pathlib.Path(self.create_tempdir().full_path) / "deep" / "study"
        record = ResumableResults(folder, {"a": (1, 2)}, {"command": "x"})
        self.assertEqual(record.cells, [])
        self.assertFalse(folder.exists())
        record.cells.append({"job": "one", "value": 0.5})
        record.write(rows=[1])
        again = ResumableResults(folder, {"a": (1, 2)}, {"command": "y"})
        self.assertEqual(again.cells, record.cells)
        saved = json.loads(again.path.read_text())
        self.assertEqual((saved["command"], saved["rows"], saved["config"]), ("x", [1], {"a": [1, 2]}))

    def test_complete_runs_what_is_missing_and_keeps_the_order_of_the_jobs(self):
        record, ran = ResumableResults(self.create_tempdir().full_path, {}, {}), []

        def job(name):
            ran.append(name)
            if name == "c" and len(ran) == 1:
                raise OSError("killed")
            return [{"job": name, "part": part} for part in (1, 2)]

        jobs = {name: lambda name=name: job(name) for name in "abc"}
        record.cells = [{"job": "b", "part": 0}]
        with self.assertRaisesRegex(OSError, "killed"):
            record.complete({"b": jobs["b"], "c": jobs["c"]}, name_of=lambda cell: cell["job"], verb="testing")
        record.complete(jobs, name_of=lambda cell: cell["job"], verb="testing")
        self.assertEqual(ran, ["c", "a", "c"])
        self.assertEqual([cell["job"] for cell in record.cells], ["a", "a", "b", "c", "c"])
        self.assertEqual(json.loads(record.path.read_text())["cells"], record.cells)

    def test_refuses(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        ResumableResults(folder, {"a": 1}, {}).write()
        with self.assertRaisesRegex(ValueError, "another config .a: 1 there, 2 asked"):
            ResumableResults(folder, {"a": 2}, {})
        (folder / "results.json").write_text("{}")
        with self.assertRaisesRegex(ValueError, "is not the record of a study"):
            ResumableResults(folder, {"a": 1}, {})
        with self.assertRaisesRegex(ValueError, "must be a folder, but it is a file"):
            ResumableResults(folder / "results.json", {}, {})


if __name__ == "__main__":
    tf.test.main()
