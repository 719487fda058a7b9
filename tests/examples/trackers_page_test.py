"""docs/trackers.md: the tracker that it shows tracks."""

import csv
import importlib
import pathlib
import re
import sys
from unittest import mock

import tensorflow as tf

from cnnf_tf.training import run_log
from tests.imports import ROOT
from tests.training import fixtures_training


class TrackersPageTest(tf.test.TestCase):
    def test_another_tracker(self):
        page = (ROOT / "docs" / "trackers.md").read_text(encoding="utf-8")
        (code,) = re.findall(r'```python title="my_tracker.py"\n(.*?)```', page, re.DOTALL)
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / "my_tracker.py").write_text(code, encoding="utf-8")
        with mock.patch.object(sys, "path", [str(folder), *sys.path]), mock.patch.object(run_log, "_SCALARS_EVERY", 1):
            importlib.invalidate_caches()
            run = fixtures_training.run(
                fixtures_training.config(), folder / "run", trackers=("my_tracker:Table",), progress=False
            )
        with (run.root / "table.csv").open(newline="") as file:
            rows = {(int(step), name): float(value) for step, name, value in csv.reader(file)}
        self.assertEqual({step for step, _ in rows}, {1, 2})
        (entry,) = run.history()
        self.assertAllClose((rows[1, "train/loss"] + rows[2, "train/loss"]) / 2, entry["loss"], atol=1e-5)
        self.assertAllClose(rows[2, "validation/accuracy"], entry["val_accuracy"], atol=1e-5)


if __name__ == "__main__":
    tf.test.main()
