"""CKA and dimensionality against the papers' formulas written out, with centring matrices and loops."""

import itertools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.evaluation import representations
from cnnf_tf.evaluation.representations.estimates import multiplicities
from cnnf_tf.evaluation.representations.grams import Grams, centre

RNG = np.random.default_rng(0)


def plain_hsic(k, l):  # noqa: E741
    """Kornblith et al. 2019, equation 3, times (n - 1)^2."""
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return np.trace(k @ h @ l @ h)


def song_hsic(k, l):  # noqa: E741
    """Song et al. 2012, equation 5, with diagonals of 0."""
    n, one = len(k), np.ones(len(k))
    k, l = (m - np.diag(np.diagonal(m)) for m in (k, l))  # noqa: E741
    middle = one @ k @ one * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ l @ one)
    return (np.trace(k @ l) + middle) / (n * (n - 3))


def reference_cka(x, y, hsic):
    k, l = (rows.reshape(len(rows), -1) @ rows.reshape(len(rows), -1).T for rows in (x, y))  # noqa: E741
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def looped_hsic(k, l, draws):  # noqa: E741
    """The U-statistic: means over groups of draws, each of different images."""

    def groups(size):
        return [g for g in itertools.product(draws, repeat=size) if len(set(g)) == size]

    two = np.mean([k[i, j] * l[i, j] for i, j in groups(2)])
    three = np.mean([k[i, j] * l[i, q] for i, j, q in groups(3)])
    four = np.mean([k[i, j] * l[q, r] for i, j, q, r in groups(4)])
    return len(groups(2)) * (two + four - 2 * three)


def looped_plain_hsic(k, l, draws):  # noqa: E741
    """tr(K L) of the draws, K and L centred by all images, without the pairs of two draws of one image."""
    h = np.eye(len(k)) - np.ones_like(k) / len(k)
    k, l = (h @ m @ h for m in (k, l))  # noqa: E741
    places = itertools.product(enumerate(draws), repeat=2)
    return sum(k[i, j] * l[i, j] for (a, i), (b, j) in places if a == b or i != j)


class LinearCkaTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        shapes=[((20, 3), (20, 4)), ((20, 300), (20, 50)), ((20, 6, 5, 4), (20, 2)), ((4, 9), (4, 9))],
        debiased=[False, True],
    )
    def test_matches_the_papers(self, shapes, debiased):
        x, y = (RNG.normal(3, 2, shape) for shape in shapes)
        y[:, 0] += x.reshape(len(x), -1)[:, :1].reshape(len(x), *[1] * (y.ndim - 2))
        found = representations.linear_cka(x, y, debiased=debiased)
        wanted = reference_cka(x, y, song_hsic if debiased else plain_hsic)
        self.assertAllClose(found, wanted, rtol=1e-9, atol=1e-9)

    @parameterized.parameters(False, True)
    def test_what_does_not_matter(self, debiased):
        x = RNG.normal(size=(30, 8))
        turned = -7 * (x @ np.linalg.qr(RNG.normal(size=(8, 8)))[0]) + 5
        self.assertAllClose(representations.linear_cka(x, turned, debiased=debiased), 1, atol=1e-12)

    def test_noise(self):
        x, y = RNG.normal(size=(2, 20, 600))
        self.assertGreater(representations.linear_cka(x, y, debiased=False), 0.9)
        self.assertLess(abs(representations.linear_cka(x, y)), 0.3)

    def test_errors(self):
        x, one = RNG.normal(size=(9, 5)), np.eye(9)[:, :1]
        for pair, message in (
            ((x, x[:8]), "of the same images, got 9 and 8"),
            ((x[:3], x[:3]), "first: .* at least 4 images"),
            ((x, np.zeros((9, 2))), "second: the features are constant"),
            ((x, np.full((9, 2), np.inf)), "second: wanted finite features; 18 of 18"),
            ((x, one), "second: too few of the images differ from the rest for a debiased CKA; the plain one exists"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                representations.linear_cka(*pair)
        self.assertGreater(representations.linear_cka(x, one, debiased=False), 0)


class GramsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(([1] * 7,), ([2, 0, 1, 1, 3, 0, 0],), ([0, 1, 2, 1, 1, 1, 1],))
    def test_resamples_without_pairs_of_one_image(self, draws):
        x, y = RNG.normal(1, 1, (7, 3)), RNG.normal(size=(7, 20))
        grams = Grams({"x": x[np.newaxis], "y": y[np.newaxis]}, least=4)
        k, l = (centre(rows) @ centre(rows).T for rows in (x, y))  # noqa: E741
        drawn = np.repeat(np.arange(7), draws)
        for found, looped in ((grams.debiased_hsic, looped_hsic), (grams.hsic, looped_plain_hsic)):
            wanted = [[looped(one, other, drawn) for other in (k, l)] for one in (k, l)]
            self.assertAllClose(found(np.array(draws)), wanted, rtol=1e-9, atol=1e-13)
        self.assertAllClose(grams.traces(np.array(draws)), [np.sum(m[drawn, drawn]) for m in (k, l)], rtol=1e-9)
        places = list(itertools.product(enumerate(drawn), repeat=2))
        wanted = [sum(m[i, i] * m[j, j] for (a, i), (b, j) in places if a == b or i != j) for m in (k, l)]
        self.assertAllClose(grams.squared_traces(np.array(draws)), wanted, rtol=1e-9)


class CkaTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_matrix_and_intervals(self, debiased):
        shared = RNG.normal(size=(1, 60, 30))
        activations = {"a": shared + RNG.normal(size=(3, 60, 30)), "b": shared[..., :5] + RNG.normal(size=(2, 60, 5))}
        found = representations.cka(activations, debiased=debiased, resamples=100)
        rows = [*activations["a"], *activations["b"]]
        wanted = [[reference_cka(x, y, song_hsic if debiased else plain_hsic) for y in rows] for x in rows]
        self.assertAllClose(found.matrix.value, wanted, atol=1e-9)
        pairs = [representations.linear_cka(*pair, debiased=debiased) for pair in zip(rows[:2], rows[3:], strict=True)]
        self.assertAllClose(found.between("a", "b").value, pairs, atol=1e-9)
        other = ~np.eye(5, dtype=bool)
        self.assertTrue((found.matrix.low < found.matrix.value)[other].all())
        self.assertTrue((found.matrix.value < found.matrix.high)[other].all())

    def test_intervals_cover(self):
        """The CKA of 3000 images lies in most intervals of 40 images each; 95 % of them, were there many."""
        mixing = RNG.normal(size=(2, 4, 30))
        latent = RNG.normal(size=(3000, 4))
        x, y = (latent @ mix + 2 * RNG.normal(size=(3000, 30)) for mix in mixing)
        truth = representations.linear_cka(x, y)
        inside = 0
        for start in range(0, 1200, 40):
            few = {"x": x[np.newaxis, start : start + 40], "y": y[np.newaxis, start : start + 40]}
            found = representations.cka(few, resamples=100).between("x", "y")
            inside += bool(found.low[0] <= truth <= found.high[0])
        self.assertGreaterEqual(inside, 24)


class DimensionalityTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(((30, 4),), ((12, 5, 6),), ((12, 90),))
    def test_matches_eigenvalues_of_the_covariance(self, shape):
        x = RNG.normal(2, 1, shape) * np.linspace(0.1, 3, shape[-1])
        values = np.linalg.eigvalsh(np.cov(x.reshape(len(x), -1), rowvar=False))[::-1]
        ratio = values.sum() ** 2 / np.sum(values**2)
        self.assertAllClose(representations.participation_ratio(x), ratio, rtol=1e-9)
        found = representations.dimensionality({"x": np.stack([x, 7 * x - 1])}, resamples=50)["x"]
        self.assertAllClose(found.participation_ratio.value, [ratio, ratio], rtol=1e-9)
        needed = next(k for k in range(1, 91) if values[:k].sum() >= 0.95 * values.sum())
        self.assertAllEqual(found.components_95, [needed, needed])

    def test_known(self):
        x = np.concatenate([np.eye(3), -np.eye(3)])
        self.assertAllClose(representations.participation_ratio(x), 3)
        self.assertAllClose(representations.participation_ratio(x[:, :1] * [[1, 2, 3]]), 1)

    def test_one_feature_fills_one_dimension_in_every_resample(self):
        found = representations.dimensionality({"x": RNG.normal(size=(2, 12, 1))}, resamples=50)["x"]
        for ends in (found.participation_ratio.low, found.participation_ratio.high):
            self.assertAllClose(ends, [1, 1], rtol=1e-9)

    def test_intervals_are_not_below(self):
        """An image drawn twice would make the space look smaller than it is."""
        found = representations.dimensionality({"x": RNG.normal(size=(1, 50, 200))}, resamples=100)[
            "x"
        ].participation_ratio
        self.assertLess(found.low[0], found.value[0])
        self.assertLess(found.value[0], found.high[0])


class MultiplicitiesTest(tf.test.TestCase):
    def test_draws(self):
        draws = multiplicities(12, resamples=2000, seed=1)
        self.assertAllEqual(draws.sum(1), np.full(2000, 12))
        self.assertAllClose(draws.mean(0), np.ones(12), atol=0.1)
        self.assertAllClose((draws == 0).mean(), (11 / 12) ** 12, atol=0.02)
        self.assertAllEqual(draws, multiplicities(12, resamples=2000, seed=1))
        for arguments in ({"images": 9}, {"images": 12, "resamples": 0}, {"images": 12, "seed": -1}):
            with self.assertRaisesRegex(ValueError, f"{list(arguments)[-1]} must be"):
                multiplicities(**arguments)


if __name__ == "__main__":
    tf.test.main()
