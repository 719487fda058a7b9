"""Accuracy per pass against NumPy, uneven batches included; the figure; the benchmark."""

import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import evaluation
from tests.models import fixtures_models


class AccuracyTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 5, 24)
    def test_matches_numpy_for_every_batch_size(self, batch_size):
        model, images, labels = (
            fixtures_models.model(iterations=1),
            fixtures_models.images(24),
            fixtures_models.labels(24),
        )
        result = evaluation.evaluate_passes(model, fixtures_models.dataset(24, batch_size), iterations=3)
        trajectory = model.infer(images, iterations=3)
        logits = trajectory.logits.numpy().astype("float64")
        averages = np.cumsum(logits, axis=0) / np.arange(1, 5)[:, None, None]
        self.assertEqual(result.num_images, 24)
        self.assertEqual(result.correct["last"], list((logits.argmax(-1) == labels).sum(1)))
        self.assertEqual(result.correct["average"], list((averages.argmax(-1) == labels).sum(1)))
        losses = np.log(np.exp(logits).sum(-1)) - logits[:, np.arange(24), labels]
        self.assertAllClose(result.cross_entropy, losses.mean(1), rtol=1e-4)
        errors = [np.mean(np.square(g - trajectory.features[0])) for g in trajectory.reconstructions]
        self.assertAllClose(result.reconstruction_error, errors, rtol=1e-4)

    def test_plain_cnn(self):
        result = evaluation.evaluate_passes(fixtures_models.model(), fixtures_models.dataset(), iterations=0)
        self.assertLen(result.accuracy["last"], 1)
        self.assertEqual(result.reconstruction_error, [])

    def test_table_has_a_row_for_each_pass(self):
        lines = (
            evaluation.evaluate_passes(fixtures_models.model(), fixtures_models.dataset(), iterations=2)
            .table()
            .splitlines()
        )
        self.assertLen(lines, 4)
        self.assertIn("0 (plain CNN)", lines[1])
        self.assertLen({len(line) for line in lines}, 1)

    def test_empty_data_set(self):
        with self.assertRaisesRegex(ValueError, "data set to evaluate is empty"):
            evaluation.evaluate_passes(fixtures_models.model(), fixtures_models.dataset().take(0), iterations=1)


class FigureTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 3)
    def test_same_input_same_bytes(self, channels):
        images = np.random.default_rng(0).random((2, 8, 8, channels))
        reconstructions = np.random.default_rng(1).random((3, 2, 8, 8, channels))
        captions = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
        paths = [pathlib.Path(self.create_tempdir().full_path, "deep", f"{name}.png") for name in "xy"]
        for path in paths:
            evaluation.reconstruction_figure(path, images, reconstructions, captions, title="title")
        self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())
        self.assertEqual(paths[0].read_bytes()[:8], b"\x89PNG\r\n\x1a\n")


if __name__ == "__main__":
    tf.test.main()
