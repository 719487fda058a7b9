"""An attack over a data set: order, batch size, sums."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import PGD, SPSA, run_attack
from tests.attacks import linear

IMAGES, LABELS = linear.images(23), linear.labels(23, wrong=3)


def batches(size):
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(size)


class RunTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(PGD(epsilon=0.1, steps=4), SPSA(epsilon=0.1, steps=3, samples=8))
    def test_batch_size_does_not_matter(self, attack):
        predict = linear.predictor()
        whole, parts = (run_attack(attack, predict, batches(size), seed=1) for size in (23, 5))
        one = attack(predict, IMAGES, LABELS, seed=1)
        for report in (whole, parts):
            for name in ("images", "distance", "losses"):
                self.assertAllClose(getattr(report, name), getattr(one, name), atol=1e-5, msg=name)
            for name in ("success", "predictions", "clean_correct", "queries"):
                self.assertAllEqual(getattr(report, name), getattr(one, name), name)
        self.assertAllEqual(whole.images, one.images)
        self.assertAllEqual(parts.labels, LABELS)

    def test_numbers_and_progress(self):
        seen = []
        attack = PGD(epsilon=0.1, steps=4)
        report = run_attack(
            attack, linear.predictor(), batches(10), seed=1, progress=lambda *values: seen.append(values)
        )
        self.assertEqual([size for size, _ in seen], [10, 10, 3])
        self.assertAllClose(seen[0][1], np.mean(~report.success[:10]))
        self.assertEqual(seen[-1][1], report.robust_accuracy)
        self.assertAllClose(report.clean_accuracy, 20 / 23)
        self.assertAllClose(report.robust_accuracy, 1 - report.success_rate)
        values = report.to_dict()
        self.assertEqual(values["num_images"], 23)
        self.assertAllClose(values["max_distance"], 0.1, atol=1e-6)
        self.assertLen(values["losses"], 5)

    def test_targets_come_from_labels(self):
        attack = PGD(epsilon=0.5, steps=4)
        report = run_attack(attack, linear.predictor(), batches(10), seed=1, targets=lambda labels: (labels + 1) % 5)
        self.assertAllEqual(report.success, report.predictions == (LABELS + 1) % 5)
        self.assertLessEqual(report.success_rate, 1 - report.robust_accuracy)

    def test_nothing_left_to_attack(self):
        wrong = (LABELS + 1) % 5
        dataset = tf.data.Dataset.from_tensor_slices((IMAGES[3:], wrong[3:])).batch(8)
        report = run_attack(PGD(epsilon=0.1, steps=2), linear.predictor(), dataset, seed=0)
        self.assertEqual((report.clean_accuracy, report.robust_accuracy, report.success_rate), (0, 0, 1))
        self.assertEqual(report.to_dict()["losses"], [None] * 3)


if __name__ == "__main__":
    tf.test.main()
