"""The study's measures against brute force."""

import json

import numpy as np
import tensorflow as tf

from cnnf_tf.experiments.claims import measures as study
from tests.models import fixtures_models

IMAGES, LABELS = fixtures_models.images(12).numpy(), fixtures_models.labels(12)


class SettlingTest(tf.test.TestCase):
    def test_against_brute_force(self):
        model = fixtures_models.model(iterations=1, eta=0.9)
        found = study.settling(model, IMAGES, LABELS, iterations=6)
        guesses = model.infer(IMAGES, iterations=6).logits.numpy().argmax(-1)
        for image, settled in enumerate(found.settled):
            path = guesses[:, image]
            self.assertEqual(settled, min(t for t in range(7) if np.all(path[t:] == path[-1])))
        self.assertAllEqual(found.correct, guesses == LABELS)
        row = found.subset(np.arange(12) < 5).to_dict()
        self.assertEqual(row["num_images"], 5)
        self.assertAlmostEqual(row["settled_mean"], found.settled[:5].mean())
        json.dumps(row, allow_nan=False)

    def test_margin(self):
        model = fixtures_models.model()
        logits = np.sort(model.infer(IMAGES, iterations=0).logits.numpy()[0], -1)
        found = study.settling(model, IMAGES, LABELS, iterations=0)
        self.assertAllClose(found.margin, logits[:, -1] - logits[:, -2])
        self.assertAllEqual(found.settled, np.zeros(12))


class AccuracyRowTest(tf.test.TestCase):
    def test_bars(self):
        cells = [{"correct": correct, "num_images": 1000} for correct in (500, 700, 900)]
        row = study.accuracy_row(cells)
        self.assertAllClose((row["accuracy"], row["low"], row["high"]), (0.7, 0.5, 0.9))
        self.assertIn("seeds", row["bar"])
        row = study.accuracy_row(cells[:1])
        self.assertLess(row["low"], 0.5)
        self.assertGreater(row["high"], 0.5)
        self.assertIn("images", row["bar"])


class AttackedTest(tf.test.TestCase):
    def count(self, model, epsilon, *paths):
        options = {"iterations": 1, "readout": "last", "steps": 3, "seed": 0}
        return study.count_robust(model, IMAGES, LABELS, epsilon=epsilon, paths=paths, **options)

    def test_epsilon_zero_is_clean(self):
        model = fixtures_models.model(iterations=1)
        right = int(np.sum(model(IMAGES).numpy().argmax(-1) == LABELS))
        self.assertEqual(self.count(model, 0.0, "full_unroll"), right)
        same = study.first_pass_adversaries(model, IMAGES, LABELS, epsilon=0.0, steps=2, seed=0)
        self.assertAllEqual(same, IMAGES)

    def test_an_image_must_stand_every_path(self):
        model = fixtures_models.model(iterations=1)
        full, first = self.count(model, 0.1, "full_unroll"), self.count(model, 0.1, "first_pass")
        self.assertLessEqual(self.count(model, 0.1, "full_unroll", "first_pass"), min(full, first))


if __name__ == "__main__":
    tf.test.main()
