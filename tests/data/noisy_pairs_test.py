"""Pairs of corrupted and clean images: every way is drawn, alike for a seed, and wrong arguments are refused."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from tests.models import fixtures_models


def pairs(**options):
    batches = (
        tf.data.Dataset.from_tensor_slices((fixtures_models.images(8), fixtures_models.labels(8)))
        .repeat()
        .batch(4)
        .take(40)
    )
    defaults = {"corruptions": ("gaussian_noise", "contrast"), "severities": (1, 5), "seed": 0}
    return data.noisy_pairs(batches, **(defaults | options))


class NoisyPairsTest(tf.test.TestCase, parameterized.TestCase):
    def test_pairs(self):
        changes = []
        for batch, (pair, labels) in enumerate(pairs(clean_share=0.3).as_numpy_iterator()):
            rows = slice(4 * (batch % 2), 4 * (batch % 2) + 4)
            self.assertAllEqual(pair["clean"], fixtures_models.images(8)[rows])
            self.assertAllEqual(labels, fixtures_models.labels(8)[rows])
            changes.append(float(np.abs(pair["images"] - pair["clean"]).mean()))
        self.assertBetween(np.mean(np.array(changes) == 0), 0.1, 0.5)
        self.assertGreater(len(set(np.round(changes, 4))), 10)  # noise differs from batch to batch

    def test_each_way_is_one_of_corrupt(self):
        first, _ = next(iter(pairs(corruptions=("brightness",), severities=(3,), clean_share=0.0)))
        self.assertAllClose(first["images"], data.corrupt(first["clean"], "brightness", 3, seed=0))

    def test_same_seed_same_pairs_also_after_skip(self):
        everything = [pair["images"] for pair, _ in pairs().take(6).as_numpy_iterator()]
        later = [pair["images"] for pair, _ in pairs().skip(3).take(3).as_numpy_iterator()]
        self.assertAllEqual(everything[3:], later)
        other = [pair["images"] for pair, _ in pairs(seed=1).take(6).as_numpy_iterator()]
        self.assertFalse(np.array_equal(everything, other))

    @parameterized.parameters(
        ({"corruptions": ()}, "at least one each"),
        ({"corruptions": ("fog",)}, "corruptions among .*'gaussian_noise'"),
        ({"severities": (0,)}, "severities among \\(1, 2, 3, 4, 5\\)"),
        ({"clean_share": 1.0}, "clean_share must be in \\[0, 1\\)"),
    )
    def test_rejects(self, options, message):
        with self.assertRaisesRegex(ValueError, message):
            pairs(**options)


class TrainingOnPairsTest(tf.test.TestCase):
    def test_reconstruction_is_compared_with_the_clean_images(self):
        model = fixtures_models.model(iterations=1)
        model.compile(optimizer="sgd")
        (pair, labels) = next(iter(pairs(clean_share=0.0)))
        found = model.test_on_batch(pair, labels, return_dict=True)["reconstruction_loss"]
        noisy, clean = model.infer(pair["images"]), model.infer(pair["clean"])
        errors = [
            tf.reduce_mean(tf.square(reconstruction - target))
            for reconstruction, target in zip(
                [noisy.reconstructions[0], *noisy.tap_reconstructions[0]],
                [clean.features[0], *clean.taps[0]],
                strict=True,
            )
        ]
        self.assertAllClose(found, np.mean(errors), rtol=1e-5)
        history = model.fit(pairs(), verbose=0, shuffle=False).history
        self.assertTrue(np.isfinite(history["reconstruction_loss"][0]))

    def test_rejects_other_keys(self):
        model = fixtures_models.model()
        model.compile(optimizer="sgd")
        with self.assertRaisesRegex(ValueError, '"images" and "clean", got .*noisy'):
            model.test_on_batch(
                {"noisy": fixtures_models.images(2), "clean": fixtures_models.images(2)}, fixtures_models.labels(2)
            )


if __name__ == "__main__":
    tf.test.main()
