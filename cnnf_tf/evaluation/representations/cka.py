"""Centred kernel alignment (CKA) of linear kernels: are two sets of features alike up to a rotation and a scale?

Kornblith et al. 2019 (arXiv:1905.00414). With K = X X^T and L = Y Y^T of features X and Y of the same images, centred,

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))

The plain estimator has HSIC = tr(K L). Where images are fewer than features it is too high, up to 1 for noise. The
debiased one has the U-statistic of HSIC in its place (Song et al. 2012, equation 5; so has Kornblith's own code): near
0 for features that have nothing to do with each other, and at times below.
"""

from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.estimates import bootstrapped, multiplicities
from cnnf_tf.evaluation.representations.features import Activations, image_features
from cnnf_tf.evaluation.representations.grams import Grams, centre
from cnnf_tf.evaluation.representations.similarity import Similarity

_LEAST_IMAGES = 4  # the groups of the U-statistic
_LEAST_HSIC = 1e-12  # of K with itself, for |X| = 1; below is rounding


def linear_cka(first: Any, second: Any, *, debiased: bool = True) -> float:
    """CKA of two sets of features, by products of images or of features, whichever are fewer.

    Args:
      first: `[images, ...]`, at least 4 images.
      second: `[images, ...]`, of the same images in the same order.
      debiased: the debiased estimator; else the plain one.

    Returns:
      At most 1; at least 0 for the plain estimator.

    Raises:
      ValueError: different numbers of images, too few, features that are not finite or the same for all images, or so
        nearly the same that the debiased estimator does not exist.
    """
    x, y = (image_features(*pair, least=_LEAST_IMAGES) for pair in (("first", first), ("second", second)))
    if len(x) != len(y):
        raise ValueError(f"wanted features of the same images, got {len(x)} and {len(y)} of them.")
    x, y = centre(x), centre(y)
    found = np.array([[_hsic(one, other, debiased) for other in (x, y)] for one in (x, y)])
    return float(_aligned(found, ["first", "second"])[0, 1])


def cka(activations: Activations, *, debiased: bool = True, resamples: int = 200, seed: int = 0) -> Similarity:
    """The CKA of every pass of every name with every other.

    Args:
      activations: by name `[passes, images, ...]`, of the same images in the same order; at least 10 of them.
      debiased: the debiased estimator; else the plain one.
      resamples: of the bootstrap over images; pairs of an image drawn twice are left out.
      seed: of the bootstrap.

    Raises:
      ValueError: as `linear_cka`; no name.
    """
    grams = Grams(activations, least=_LEAST_IMAGES)
    hsic = grams.debiased_hsic if debiased else grams.hsic
    names = [f"{name}, pass {index}" for name, index in grams.items]
    value = _aligned(hsic(np.ones(grams.images)), names)
    draws = multiplicities(grams.images, resamples=resamples, seed=seed)
    resampled = np.stack([_aligned(hsic(row)) for row in draws])
    measure = f"linear CKA, {'debiased' if debiased else 'plain'}"
    return Similarity(measure, grams.items, bootstrapped(value, resampled))


def _hsic(x: np.ndarray, y: np.ndarray, debiased: bool) -> float:
    """HSIC of centred features, up to a factor that depends on the number of images alone."""
    images = len(x)
    by_features = x.shape[1] * y.shape[1] < images**2
    found = float(np.sum((x.T @ y) ** 2 if by_features else (x @ x.T) * (y @ y.T)))
    if debiased:
        squares = [np.sum(rows**2, axis=1) for rows in (x, y)]
        found -= images / (images - 2) * float(np.dot(*squares))
        found += float(squares[0].sum() * squares[1].sum()) / ((images - 1) * (images - 2))
    return found


def _aligned(hsic: np.ndarray, names: list[str] | None = None) -> np.ndarray:
    """HSIC `[items, items]` as CKA; NaN, or an error for those with names, where HSIC(K, K) is not above 0."""
    own = np.diagonal(hsic)
    if names is not None and (own < _LEAST_HSIC).any():
        raise ValueError(
            f"{names[int(np.argmin(own))]}: too few of the images differ from the rest for a debiased CKA; the plain "
            "one exists: leave it out with --layers, or take --nodebiased."
        )
    roots = np.sqrt(np.where(np.isfinite(own) & (own >= _LEAST_HSIC), own, np.nan))
    return hsic / np.outer(roots, roots)
