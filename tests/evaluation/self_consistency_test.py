"""The table and the figure of self-consistency."""

import pathlib

import tensorflow as tf

from cnnf_tf import evaluation
from cnnf_tf.generative import SelfConsistencySummary, summarize_self_consistency
from tests.models import fixtures_models


class SelfConsistencyTest(tf.test.TestCase):
    def test_table_has_a_row_for_each_iteration(self):
        summary = SelfConsistencySummary(8, [0.125, 0.0], [0.25, 0.5], [1.5, 0.75])
        lines = evaluation.self_consistency_table(summary).splitlines()
        self.assertEqual(lines[1].split(), ["1", "12.50", "%", "25.00", "%", "1.5000"])
        self.assertEqual(lines[2].split(), ["2", "0.00", "%", "50.00", "%", "0.7500"])
        self.assertLen({len(line) for line in lines}, 1)

    def test_same_summary_same_bytes(self):
        summary = summarize_self_consistency(fixtures_models.model(), fixtures_models.dataset(20, 8), iterations=3)
        self.assertEqual(summary.num_images, 20)  # 8 + 8 + 4
        paths = [pathlib.Path(self.create_tempdir().full_path, f"{name}.png") for name in "xy"]
        for path in paths:
            evaluation.self_consistency_figure(path, summary, title="title")
        self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())
        self.assertEqual(paths[0].read_bytes()[:4], b"\x89PNG")

    def test_plain_cnn_has_no_figure(self):
        summary = summarize_self_consistency(fixtures_models.model(), fixtures_models.dataset(), iterations=0)
        path = pathlib.Path(self.create_tempdir().full_path, "x.png")
        with self.assertRaisesRegex(ValueError, "wants at least 1 iteration, got a summary of 0"):
            evaluation.self_consistency_figure(path, summary, title="title")
        self.assertFalse(path.exists())


if __name__ == "__main__":
    tf.test.main()
