"""The accounting of the adaptive loop against a count by hand."""

import numpy as np
import tensorflow as tf

from cnnf_tf.evaluation.adaptive_work import AdaptiveWork, adaptive_work, adaptive_work_table
from cnnf_tf.models import infer_adaptive
from tests.models import fixtures_models


class AdaptiveWorkTest(tf.test.TestCase):
    def test_counts(self):
        model, most = fixtures_models.model(), 6
        rows = adaptive_work(model, fixtures_models.dataset(20, 8), tolerances=(0, 0.05), max_iterations=most)
        labels = fixtures_models.labels(20)
        for row, tolerance in zip(rows, (0.0, 0.05), strict=True):
            found = infer_adaptive(model, fixtures_models.images(20), max_iterations=most, tolerance=tolerance)
            right = int((found.last_logits.numpy().argmax(-1) == labels).sum())
            used = found.iterations_used.numpy()
            self.assertEqual((row.num_images, row.num_correct, row.tolerance), (20, right, tolerance))
            self.assertEqual(row.iterations_used, [int((used == t).sum()) for t in range(most + 1)])
            self.assertAlmostEqual(row.mean_iterations, used.mean())
            self.assertAlmostEqual(row.saved, 1 - used.mean() / most)
        self.assertEqual(rows[0].saved, 0)
        self.assertGreater(rows[1].saved, 0)

    def test_readout(self):
        model = fixtures_models.model()
        (row,) = adaptive_work(model, fixtures_models.dataset(20), tolerances=[0], max_iterations=6, readout="average")
        logits = np.mean(model.infer(fixtures_models.images(20), iterations=6).logits, axis=0)
        self.assertEqual(row.num_correct, int((logits.argmax(-1) == fixtures_models.labels(20)).sum()))

    def test_table(self):
        row = AdaptiveWork(0.1, 4, 10, 9, [0, 0, 5, 0, 5])
        lines = adaptive_work_table([row]).splitlines()
        self.assertEqual(lines[0].split(), ["tolerance", "accuracy", "mean", "iterations", "saved"])
        self.assertEqual(lines[1].split(), ["0.1", "90.00", "%", "3.00", "25.0", "%"])
        self.assertEqual(AdaptiveWork(0.0, 0, 10, 9, [10]).saved, 0)

    def test_errors(self):
        with self.assertRaisesRegex(ValueError, "the data set is empty"):
            adaptive_work(fixtures_models.model(), fixtures_models.dataset(8).take(0), tolerances=[0], max_iterations=2)
        with self.assertRaisesRegex(ValueError, "readout must be one of"):
            adaptive_work(
                fixtures_models.model(), fixtures_models.dataset(8), tolerances=[0], max_iterations=2, readout="x"
            )


if __name__ == "__main__":
    tf.test.main()
