"""RDMs and their comparison against SciPy; the bootstrap against resamples written out pair by pair."""

import itertools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats
from scipy.spatial import distance

from cnnf_tf.evaluation import representations
from cnnf_tf.evaluation.representations.estimates import multiplicities

RNG = np.random.default_rng(0)
FEATURES = RNG.random((3, 12, 5, 4), np.float32)  # [passes, images, ...]
ROUNDED = np.round(3 * RNG.random((2, 12, 6)))  # ties


class DissimilaritiesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("correlation", "cosine", "euclidean")
    def test_matches_scipy(self, metric):
        found = representations.dissimilarities(FEATURES[0], metric=metric)
        rows = FEATURES[0].reshape(12, -1).astype(np.float64)
        self.assertAllClose(found, distance.squareform(distance.pdist(rows, metric)), rtol=0, atol=1e-12)
        self.assertAllEqual(found, found.T)
        self.assertAllEqual(np.diagonal(found), np.zeros(12))

    @parameterized.parameters(
        (np.ones((5, 3)), "constant, the same for all 5 images"),
        ([[1, 2], [np.nan, 3]], "finite features; 1 of 4 are not"),
        ([[1, 2], [3, 3], [0, 1]], "1 of 3 images have features that are constant, the first is image 1"),
        ([[1], [2]], "2 of 2 images have features that are constant"),
        ([1, 2, 3], r"\[images, ...\] of at least 2 images, got shape \(3,\)"),
        ([[1, 2]], "at least 2 images"),
        ([[1, 2j], [1, 3]], "real numbers or truth values, got complex128"),
        ([["1", "2"], ["1", "3"]], "real numbers or truth values, got <U1"),
    )
    def test_bad_features(self, features, message):
        with self.assertRaisesRegex(ValueError, f"features: .*{message}"):
            representations.dissimilarities(features)

    def test_what_another_metric_can_do(self):
        rows = [[1, 2], [3, 3], [0, 1]]
        self.assertAllClose(representations.dissimilarities(rows, metric="euclidean")[0, 1], np.sqrt(5))
        with self.assertRaisesRegex(ValueError, "features that are all 0, the first is image 1; the cosine"):
            representations.dissimilarities([[1, 2], [0, 0]], metric="cosine")
        with self.assertRaisesRegex(ValueError, "metric must be one of .*'correlation'"):
            representations.dissimilarities(rows, metric="hamming")


class CompareTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(("spearman", stats.spearmanr), ("pearson", stats.pearsonr))
    def test_matches_scipy(self, comparison, reference):
        for values in (FEATURES, ROUNDED):
            rdms = [representations.dissimilarities(each, metric="euclidean") for each in values[:2]]
            above = [distance.squareform(rdm, checks=False) for rdm in rdms]
            found = representations.compare_dissimilarities(*rdms, comparison=comparison)
            self.assertAlmostEqual(found, reference(*above).statistic, places=12)

    @parameterized.parameters("correlation", "cosine")
    def test_ties_of_latents(self, metric):
        """Zeros and ones have many pairs that are equally unlike but for the last bit."""
        latents = (RNG.random((2, 40, 30)) < 0.5).astype(np.float32)
        rdms = [representations.dissimilarities(each, metric=metric) for each in latents]
        above = [np.round(distance.pdist(each.astype(np.float64), metric), 9) for each in latents]
        wanted = stats.spearmanr(*above).statistic
        self.assertLess(abs(representations.compare_dissimilarities(*rdms) - wanted), 1e-9)
        found = representations.rsa({"a.z": latents}, metric=metric, resamples=2)
        self.assertLess(abs(found.matrix.value[0, 1] - wanted), 1e-9)

    def test_bad_rdms(self):
        rdm = representations.dissimilarities(FEATURES[0])
        for other in (rdm[:4, :4], rdm[0], rdm[:2, :2]):
            with self.assertRaisesRegex(ValueError, r"two RDMs \[images, images\] of at least 3 images, got"):
                representations.compare_dissimilarities(rdm, other)
        for other in (np.ones_like(rdm), 0 * rdm, 1 + 1e-15 * rdm, np.full_like(rdm, np.nan)):
            with self.assertRaisesRegex(ValueError, "not all equally unlike"):
                representations.compare_dissimilarities(rdm, other)


class RsaTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(("spearman", stats.spearmanr), ("pearson", stats.pearsonr))
    def test_matches_scipy_in_every_resample(self, comparison, reference):
        activations = {"a.f": FEATURES, "b.z": ROUNDED}
        found = representations.rsa(activations, metric="euclidean", comparison=comparison, resamples=20, seed=3)
        self.assertEqual(found.items, [("a.f", 0), ("a.f", 1), ("a.f", 2), ("b.z", 0), ("b.z", 1)])
        rows = [*FEATURES.reshape(3, 12, -1), *ROUNDED]
        rdms = [distance.squareform(distance.pdist(each.astype(np.float64))) for each in rows]

        def between(first, second, draws):
            pairs = [(i, j) for i, j in itertools.combinations(draws, 2) if i != j]  # none of an image with itself
            return reference([first[pair] for pair in pairs], [second[pair] for pair in pairs]).statistic

        draws = [np.repeat(np.arange(12), counts) for counts in multiplicities(12, resamples=20, seed=3)]
        self.assertTrue(any(len(set(each)) < 12 for each in draws))
        for i, j in ((0, 1), (1, 3), (3, 4)):
            self.assertAllClose(found.matrix.value[i, j], between(rdms[i], rdms[j], range(12)), atol=1e-12)
            ends = np.percentile([between(rdms[i], rdms[j], each) for each in draws], [2.5, 97.5])
            self.assertAllClose([found.matrix.low[i, j], found.matrix.high[i, j]], ends, atol=1e-12)

    def test_parts_of_the_matrix(self):
        found = representations.rsa({"a": FEATURES, "b": FEATURES[:2, :, :3]}, resamples=5)
        self.assertAllEqual(found.with_first_pass("a").value, found.matrix.value[0, :3])
        self.assertAllEqual(found.with_first_pass("b").low, found.matrix.low[3, 3:])
        self.assertAllEqual(found.between("a", "b").high, found.matrix.high[[0, 1], [3, 4]])
        self.assertAllClose(np.diagonal(found.matrix.value), np.ones(5))
        self.assertAllEqual(found.matrix.value, found.matrix.value.T)

        for ask in (lambda: found.with_first_pass("c"), lambda: found.between("a", "c")):
            with self.assertRaisesRegex(KeyError, "there is no 'c' here; there are a, b"):
                ask()

    def test_bad_activations(self):
        for activations, message in (
            ({}, "no activations to analyse"),
            ({"a": FEATURES[0, :, 0]}, r"a: wanted activations \[passes, images, ...\], got shape \(12, 4\)"),
            ({"a": FEATURES, "b": FEATURES[:, :5]}, "b: wanted the 12 images of the activations before it, got 5"),
            ({"a": FEATURES[:, :9]}, "images must be an integer >= 10 for an interval, got 9"),
            ({"a": np.stack([FEATURES[0], np.ones_like(FEATURES[0])])}, "a, pass 1: the features are constant"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                representations.rsa(activations)
        with self.assertRaisesRegex(ValueError, "a, pass 0: all pairs of images are equally unlike"):
            representations.rsa({"a": np.eye(12)[np.newaxis]}, metric="euclidean")
        with self.assertRaisesRegex(ValueError, "comparison must be one of"):
            representations.rsa({"a": FEATURES}, comparison="kendall")


if __name__ == "__main__":
    tf.test.main()
