"""Representational similarity analysis: which images are alike to a layer, and do others agree with it?

A representational dissimilarity matrix (RDM) holds how unlike each pair of images is in one pass of one layer. It has
nothing of the units left in it, so that RDMs of layers, models and brains can be compared: by the rank correlation of
their upper triangles (Kriegeskorte, Mur and Bandettini 2008, doi:10.3389/neuro.06.004.2008).
"""

from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.estimates import bootstrapped, multiplicities
from cnnf_tf.evaluation.representations.features import Activations, every_pass, image_features
from cnnf_tf.evaluation.representations.similarity import Similarity
from cnnf_tf.utils.validation import one_of

METRICS = ("correlation", "cosine", "euclidean")
COMPARISONS = ("pearson", "spearman")


def dissimilarities(features: Any, *, metric: str = "correlation", name: str = "features") -> np.ndarray:
    """The RDM of one pass.

    Args:
      features: `[images, ...]`, at least 2 images.
      metric: "correlation": 1 - Pearson's correlation over the features, in [0, 2]; "cosine": 1 - cosine, in [0, 2];
        "euclidean": in units of the features.
      name: of the features, for messages.

    Returns:
      float64 `[images, images]`, symmetric, 0 on the diagonal.

    Raises:
      ValueError: an unknown metric, features that are not finite or the same for all images, or an image for which the
        metric is not defined: all its features are equal ("correlation") or 0 ("cosine").
    """
    from sklearn.metrics import pairwise_distances

    one_of("metric", metric, METRICS)
    rows = image_features(name, features)
    if metric == "correlation":
        rows = np.where(np.ptp(rows, axis=1, keepdims=True) == 0, 0.0, rows - rows.mean(axis=1, keepdims=True))
    empty = ~rows.any(axis=1)
    if metric != "euclidean" and empty.any():
        what = "constant" if metric == "correlation" else "all 0"
        raise ValueError(
            f"{name}: {empty.sum()} of {len(rows)} images have features that are {what}, the first is image "
            f"{int(np.argmax(empty))}; the {metric} distance is not defined for them, the euclidean one is: leave it "
            "out with --layers, or take --metric=euclidean."
        )
    found = pairwise_distances(rows, metric="euclidean" if metric == "euclidean" else "cosine")
    return (found + found.T) / 2  # some builds of BLAS differ by a rounding above and below the diagonal


def compare_dissimilarities(first: Any, second: Any, *, comparison: str = "spearman") -> float:
    """How well two RDMs of the same images agree.

    Args:
      first: `[images, images]`, at least 3 images; only what is above the diagonal is looked at.
      second: likewise.
      comparison: "spearman", over ranks, of which ties share their mean (pairs that differ by less than 1e-12
        of the largest value tie); or "pearson".

    Returns:
      A correlation in [-1, 1].

    Raises:
      ValueError: an unknown comparison, shapes that differ, too few images, values that are not finite, or an RDM of
        which all pairs are equally unlike.
    """
    pair = [np.asarray(rdm, np.float64) for rdm in (first, second)]
    images = len(pair[0]) if pair[0].ndim else 0
    if images < 3 or any(rdm.shape != (images, images) for rdm in pair):
        shapes = " and ".join(str(rdm.shape) for rdm in pair)
        raise ValueError(f"wanted two RDMs [images, images] of at least 3 images, got {shapes}.")
    vectors = np.stack([rdm[np.triu_indices(images, 1)] for rdm in pair])
    if not np.isfinite(vectors).all() or any(map(_all_equal, vectors)):
        raise ValueError("wanted finite RDMs whose pairs of images are not all equally unlike; one of these is not.")
    return float(_Comparison(vectors, comparison)(np.ones(vectors.shape[1]))[0, 1])


def rsa(
    activations: Activations,
    *,
    metric: str = "correlation",
    comparison: str = "spearman",
    resamples: int = 200,
    seed: int = 0,
) -> Similarity:
    """Compares the RDMs of every pass of every name.

    Args:
      activations: by name `[passes, images, ...]`, of the same images in the same order; at least 10 of them.
      metric: of `dissimilarities`.
      comparison: of `compare_dissimilarities`.
      resamples: of the bootstrap over images; pairs of an image drawn twice are left out.
      seed: of the bootstrap.

    Raises:
      ValueError: as `dissimilarities` and `compare_dissimilarities`; different numbers of images; no name.
    """
    items, vectors = [], []
    for name, index, features in every_pass(activations):
        rdm = dissimilarities(features, metric=metric, name=f"{name}, pass {index}")
        above = np.triu_indices(len(rdm), 1)
        items.append((name, index))
        vectors.append(rdm[above])
        if _all_equal(vectors[-1]):
            raise ValueError(f"{name}, pass {index}: all pairs of images are equally unlike; no ranks to compare.")
    compare = _Comparison(np.stack(vectors), comparison)
    draws = multiplicities(len(rdm), resamples=resamples, seed=seed)
    resampled = np.stack([compare((row[above[0]] * row[above[1]]).astype(np.float64)) for row in draws])
    measure = f"{comparison.capitalize()} correlation of RDMs ({metric} distance)"
    return Similarity(measure, items, bootstrapped(compare(np.ones(len(above[0]))), resampled))


class _Comparison:
    """Correlations between vectors `[vectors, pairs]`, each pair counted as often as a weight `[pairs]` says."""

    def __init__(self, vectors: np.ndarray, comparison: str):
        self._values: np.ndarray = vectors
        self._ranks: list[np.ndarray] = []
        if one_of("comparison", comparison, COMPARISONS) == "spearman":
            self._ranks = [np.unique(_rounded(vector), return_inverse=True)[1] for vector in vectors]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """`[vectors, vectors]`; NaN where, among the pairs that count, a vector is constant."""
        values = self._values
        if self._ranks:
            values = np.stack([_mean_ranks(ranks, weights) for ranks in self._ranks])
        with np.errstate(invalid="ignore", divide="ignore"):
            counted = (values - (values @ weights)[:, np.newaxis] / weights.sum()) * np.sqrt(weights)
            lengths = np.linalg.norm(counted, axis=1, keepdims=True)
            unit = counted / lengths
        return np.clip(unit @ unit.T, -1, 1)


def _rounded(vector: np.ndarray) -> np.ndarray:
    """In units of its largest value, to 12 digits, so that pairs of images that are equally unlike tie."""
    return np.round(vector / (np.abs(vector).max() or 1.0), 12)


def _all_equal(vector: np.ndarray) -> bool:
    return bool(np.ptp(_rounded(vector)) == 0)


def _mean_ranks(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean rank of each value among all, from its place among the different values, 0, 1, ..."""
    mass = np.bincount(ranks, weights)
    return (np.cumsum(mass) - (mass - 1) / 2)[ranks]
