"""How many dimensions do activations fill? The spread of their variance over the principal components.

The participation ratio (sum of lambda)^2 / sum of lambda^2, lambda the eigenvalues of the covariance over the images,
is d where d components share the variance evenly, and 1 where one has it all (Rajan, Abbott and Sompolinsky 2010; Gao
et al. 2017, doi:10.1101/214262). This is the plug-in estimator: with n images it is at most n - 1, and too low where
images are few, so compare passes, layers and models by the same images.
"""

import dataclasses
from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.estimates import Estimate, bootstrapped, multiplicities
from cnnf_tf.evaluation.representations.features import Activations, image_features
from cnnf_tf.evaluation.representations.grams import Grams, centre


@dataclasses.dataclass(frozen=True)
class Dimensionality:
    """Of one name, over its passes.

    Attributes:
      participation_ratio: at least 1; its intervals leave out the pairs of an image that was drawn twice.
      components_95: int `[passes]`: how many components it takes for 95 % of the variance.
    """

    participation_ratio: Estimate
    components_95: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "participation_ratio": self.participation_ratio.to_dict(),
            "components_95": self.components_95.tolist(),
        }


def participation_ratio(features: Any) -> float:
    """The participation ratio of one pass, by products of images or of features, whichever are fewer.

    Args:
      features: `[images, ...]`, at least 2 images.

    Raises:
      ValueError: features that are not finite or the same for all images.
    """
    rows = centre(image_features("features", features))
    products = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    return float(np.trace(products) ** 2 / np.sum(products**2))


def dimensionality(activations: Activations, *, resamples: int = 200, seed: int = 0) -> dict[str, Dimensionality]:
    """The dimensionality of every pass of every name.

    Args:
      activations: by name `[passes, images, ...]`, of the same images; at least 10 of them.
      resamples: of the bootstrap over images.
      seed: of the bootstrap.

    Raises:
      ValueError: as `participation_ratio`; no name.
    """
    grams = Grams(activations, least=2)
    draws = multiplicities(grams.images, resamples=resamples, seed=seed)
    value, *resampled = (_ratios(grams, row) for row in [np.ones(grams.images), *draws])
    ratios = bootstrapped(value, np.stack(resampled))
    shares = np.cumsum(grams.spectra(), axis=1)
    needed = 1 + np.sum(shares < 0.95 * shares[:, -1:], axis=1)
    found = {}
    for name in dict.fromkeys(name for name, _ in grams.items):
        places = [place for place, (other, _) in enumerate(grams.items) if other == name]
        found[name] = Dimensionality(ratios[places], needed[places])
    return found


def _ratios(grams: Grams, draws: np.ndarray) -> np.ndarray:
    return grams.squared_traces(draws) / np.diagonal(grams.hsic(draws))
