"""The study in docs/results is that of the committed configuration, and its files agree with each other."""

import csv
import json
import pathlib
import shutil

import tensorflow as tf

from cnnf_tf.experiments.claims import report as study_report
from cnnf_tf.utils.resumable_results import ResumableResults
from configs import fashion_mnist_study

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent


class CommittedResultsTest(tf.test.TestCase):
    def test_results(self):
        folder = ROOT / "docs" / "results" / "study"
        if not (folder / "results.json").exists():
            self.skipTest("docs/results is not among the files of this test run")
        config = fashion_mnist_study.get_config()
        copy = pathlib.Path(self.create_tempdir().full_path)
        shutil.copy(folder / "results.json", copy)
        record = ResumableResults(copy, config.to_dict(), {})  # refuses another configuration
        saved = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        study_report.write_report(config, record)
        self.assertEqual(json.loads(record.path.read_text(encoding="utf-8"))["rows"], saved["rows"])
        for part in study_report.PARTS:
            self.assertEqual((copy / f"{part}.csv").read_bytes(), (folder / f"{part}.csv").read_bytes())
            with (folder / f"{part}.csv").open(encoding="utf-8") as file:
                self.assertLen(list(csv.DictReader(file)), len(saved["rows"][part]))


if __name__ == "__main__":
    tf.test.main()
