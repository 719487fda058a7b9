"""Decoders against the same loss minimised by SciPy, arrivals against a loop over images, intervals, and refusals."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import optimize, special
from sklearn import linear_model, preprocessing
from sklearn.model_selection import StratifiedKFold

from cnnf_tf.evaluation import representations
from cnnf_tf.evaluation.representations import decoding
from cnnf_tf.utils.intervals import wilson_interval

RNG = np.random.default_rng(0)
LABELS = np.tile([0, 2, 5], 20)


def reference_decoder(train, classes, test):
    """Standardises, minimises the penalised cross-entropy from 0 by BFGS, predicts."""
    mean, deviation = train.mean(0), train.std(0)
    train, test = ((rows - mean) / deviation for rows in (train, test))
    known, targets = np.unique(classes, return_inverse=True)

    def parts(flat):
        return np.split(flat.reshape(len(known), -1), [train.shape[1]], axis=1)

    def loss(flat):
        weights, biases = parts(flat)
        log_softmax = special.log_softmax(train @ weights.T + biases.T, axis=1)
        return -log_softmax[np.arange(len(train)), targets].sum() + 0.5 * np.sum(weights**2)

    found = optimize.minimize(loss, np.zeros(len(known) * (train.shape[1] + 1)), method="BFGS")
    weights, biases = parts(found.x)
    return known[np.argmax(test @ weights.T + biases.T, axis=1)]


def class_features(places, noise, seed=0):
    """`[passes, images, 2]`: at each pass the classes around the corners of a triangle, turned by `places` of it."""
    corners = np.searchsorted([0, 2, 5], LABELS)
    angles = 2 * np.pi * (corners + np.array(places)[:, np.newaxis]) / 3
    points = np.stack([np.cos(angles), np.sin(angles)], -1)
    return points + noise * np.random.default_rng(seed).normal(size=points.shape)


class DecodeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_matches_another_optimiser(self, transfer):
        features = class_features([0, 0.3], 0.8)
        found = representations.decode(features, LABELS, transfer=transfer, folds=3, seed=4)
        wanted = np.empty_like(found)
        for training, held_out in StratifiedKFold(3, shuffle=True, random_state=4).split(LABELS, LABELS):
            for index, rows in enumerate(features):
                fitted = features[0] if transfer else rows
                wanted[index, held_out] = reference_decoder(fitted[training], LABELS[training], rows[held_out])
        self.assertAllEqual(found, wanted)
        self.assertBetween(np.mean(found == LABELS), 0.4, 0.95)

    def test_more_features_than_images(self):
        """The fit over sums of images is that over features."""
        rows, classes = RNG.normal(size=(60, 90)) + np.eye(3, 90)[LABELS % 3], LABELS
        scaler = preprocessing.StandardScaler().fit(rows[:40])
        direct = linear_model.LogisticRegression(tol=1e-8, max_iter=1000).fit(scaler.transform(rows[:40]), classes[:40])
        found = decoding.fit_decoder(rows[:40], classes[:40])
        wanted = direct.decision_function(scaler.transform(rows))
        self.assertAllClose(found.decision_function(rows), wanted, atol=0.01 * np.abs(wanted).max())

    def test_a_code_that_moves(self):
        """Pass 1 holds the classes as well as pass 0 does, elsewhere."""
        features = class_features([0, 1], 0.1)
        for transfer, accuracy in ((False, [1, 1]), (True, [1, 0])):
            found = representations.decode(features, LABELS, transfer=transfer)
            self.assertAllEqual((found == LABELS).mean(1), accuracy)

    def test_nothing_to_read(self):
        """More features than images: every decoder fits its own images, and reads others by chance."""
        noise = RNG.normal(size=(1, 60, 4, 20))
        found = representations.decode(noise, RNG.permutation(LABELS))
        self.assertLess(np.mean(found == LABELS), 0.6)

    def test_seed(self):
        features = class_features([0], 1.0)
        first, again, other = (representations.decode(features, LABELS, seed=seed) for seed in (1, 1, 2))
        self.assertAllEqual(first, again)
        self.assertNotAllEqual(first, other)

    def test_errors(self):
        features = class_features([0, 0], 0.1)
        broken = features.copy()
        broken[1, 3, 0] = np.nan
        for arguments, message in (
            ((features, None), "labels are wanted here, and these activations have none"),
            ((features, LABELS[:9]), r"labels: wanted 60 integers >= 0, .* got int64 \(9,\)"),
            ((features, LABELS + 0.0), "labels: wanted 60 integers >= 0"),
            ((features, LABELS - 1), "labels: wanted 60 integers >= 0"),
            ((features, 0 * LABELS), r"at least 2 classes, got 60 of class \[0\]"),
            ((features, np.where(np.arange(60) < 4, 7, LABELS)), "at least 5 images of each class, got 4 of class 7; "),
            ((broken, LABELS), "features, pass 1: wanted finite features; 1 of 120"),
            ((np.ones((2, 60, 3)), LABELS), "features, pass 0: the features are constant"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                representations.decode(*arguments)
        with self.assertRaisesRegex(ValueError, "folds must be an integer >= 2, got 1"):
            representations.decode(features, LABELS, folds=1)


class DecodabilityTest(tf.test.TestCase):
    def test_intervals(self):
        predictions = np.tile(LABELS, (3, 1))
        predictions[0, :30] = 9
        predictions[2, 25:40] = 9
        found = representations.decodability(predictions, LABELS, seed=1)
        self.assertAllClose(found.accuracy.value, [0.5, 1, 0.75])
        for index, hits in enumerate((30, 60, 45)):
            self.assertEqual((found.accuracy.low[index], found.accuracy.high[index]), wilson_interval(hits, 60))
        self.assertAllClose(found.gain.value, [0, 0.5, 0.25])
        self.assertAllEqual(found.gain[0].low, 0)
        self.assertTrue(0 < found.gain.low[2] < 0.25 < found.gain.high[2] < 0.5)

    def test_paired_bootstrap(self):
        """Its spread is that of the mean of the differences."""
        values = RNG.normal(size=(2, 400))
        found = representations.mean_over_images(values, resamples=2000)
        self.assertAllClose(found.value, values.mean(1))
        half = 1.96 * values.std(1) / 20
        self.assertAllClose(found.low, found.value - half, atol=0.1 * half.max())
        self.assertAllClose(found.high, found.value + half, atol=0.1 * half.max())

    def test_share_of_no_image(self):
        for bad in (np.zeros((2, 0), bool), np.zeros((2, 3))):
            with self.assertRaisesRegex(ValueError, "wanted truth values .* of at least 1 image, got"):
                representations.share_of_images(bad)

    def test_table(self):
        rows = {"a": representations.share_of_images(np.eye(2, 20) > 0), "b": representations.share_of_images([[True]])}
        lines = representations.estimate_table("what", rows, digits=2).splitlines()
        self.assertEqual(lines[0].split(), ["what", "pass", "0", "pass", "1", "95", "%", "of", "the", "last"])
        self.assertEqual(lines[2].split(), ["b", "1.00", "[0.21,", "1.00]"])


class ArrivalTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 2, 5)
    def test_matches_a_loop(self, passes):
        predictions = RNG.integers(0, 2, (passes, 200))
        labels = RNG.integers(0, 2, 200)
        found = representations.arrival_passes(predictions, labels)
        for image in range(200):
            right = [predictions[index, image] == labels[image] for index in range(passes)]
            wanted = next((index for index in range(passes) if all(right[index:])), representations.NEVER)
            self.assertEqual(found[image], wanted, right)

    def test_curves(self):
        """20 images each that are right always, from pass 1 on, from pass 2 on, until pass 1, and never."""
        kinds = [[1, 1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
        predictions, labels = 1 - np.repeat(kinds, 20, axis=0).T, np.zeros(100, int)
        found = representations.arrival(predictions, labels)
        self.assertAllEqual(found.passes, np.repeat([0, 1, 2, -1, -1], 20))
        self.assertAllClose(found.curve.value, [0.2, 0.4, 0.6])
        self.assertEqual((found.curve.low[1], found.curve.high[1]), wilson_interval(40, 100))
        self.assertAllClose(found.challenge_curve.value, [0, 1 / 3, 2 / 3])
        self.assertEqual((found.challenge_curve.low[1], found.challenge_curve.high[1]), wilson_interval(20, 60))
        self.assertAllClose(found.lost.value, 0.2)
        other = np.zeros((3, 100), int)
        other[0, 90:] = 1
        challenge = representations.challenge_images([predictions, other], labels)
        self.assertAllEqual(np.flatnonzero(challenge), range(90, 100))
        pair = [representations.arrival(each, labels, challenge) for each in (predictions, other)]
        difference = representations.arrival_difference(*pair, challenge)
        self.assertAllClose(difference.value, [0, 1, 1])
        self.assertAllClose((difference.low, difference.high), [[0, 1, 1], [0, 1, 1]])
        with self.assertRaisesRegex(ValueError, "got 3 and 2 passes; cut the predictions"):
            representations.arrival_difference(pair[0], representations.arrival(other[:2], labels), challenge)
        for bad in (challenge[:9], challenge.astype(int)):
            with self.assertRaisesRegex(ValueError, r"a truth value for each of 100 images, got (bool \(9,|int64)"):
                representations.arrival(predictions, labels, bad)
            with self.assertRaisesRegex(ValueError, "a truth value for each of 100 images"):
                representations.arrival_difference(*pair, bad)
        self.assertIsNone(representations.arrival(np.zeros((2, 100), int), labels).challenge_curve)

    def test_errors(self):
        for predictions in (np.zeros(3, int), np.zeros((0, 3), int)):
            with self.assertRaisesRegex(ValueError, r"wanted predictions \[passes, images\]"):
                representations.arrival_passes(predictions, [0, 1, 2])
        with self.assertRaisesRegex(ValueError, "labels: wanted 4 integers"):
            representations.arrival_passes(np.zeros((2, 4), int), [0, 1, 2])


if __name__ == "__main__":
    tf.test.main()
