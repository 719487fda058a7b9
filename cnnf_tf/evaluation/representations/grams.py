"""Gram matrices of all passes, and what is made of pairs of images, for any resample of the images."""

import numpy as np

from cnnf_tf.evaluation.representations.features import Activations, every_pass, image_features


class Grams:
    """K = X X^T of every pass of every name, for features X centred and scaled to |X| = 1.

    Attributes:
      items: name and pass of each matrix.

    Args:
      activations: by name `[passes, images, ...]`, of the same images in the same order.
      least: fewest images that will do.

    Raises:
      ValueError: as `image_features`.
    """

    def __init__(self, activations: Activations, *, least: int):
        self.items: list[tuple[str, int]] = []
        matrices = []
        for name, index, features in every_pass(activations):
            centred = centre(image_features(f"{name}, pass {index}", features, least=least))
            self.items.append((name, index))
            matrices.append(centred @ centred.T)
        self._diagonals = np.stack([np.diagonal(matrix) for matrix in matrices])
        for matrix in matrices:
            np.fill_diagonal(matrix, 0)
        self._pairs: np.ndarray = np.stack(matrices)  # of two images: 0 on the diagonals
        self.images = len(matrices[0])

    def hsic(self, draws: np.ndarray) -> np.ndarray:
        """tr(K L), without pairs of two draws of one image.

        X stays centred by all images: to first order a mean of its own changes nothing in a resample, and it would make
        all of them smaller, as images drawn twice pull it towards themselves.

        Args:
          draws: how often each image counts, `[images]`; all ones: the plain estimator.

        Returns:
          `[items, items]`.
        """
        w: np.ndarray = draws.astype(np.float64)
        return self._products(np.outer(w, w)) + (self._diagonals * w) @ self._diagonals.T

    def debiased_hsic(self, draws: np.ndarray) -> np.ndarray:
        """The U-statistic of Song et al. 2012, over groups of two, three and four draws of different images.

        mean K_ij L_ij + mean K_ij L_qr - 2 mean K_ij L_iq, each over different images i, j, q, r; times the number of
        pairs, to be of the size of `hsic`.

        Args:
          draws: how often each image counts, `[images]`; at least 4 images count.

        Returns:
          `[items, items]`; not finite where fewer images count.
        """
        w: np.ndarray = draws.astype(np.float64)
        one, two, three, four = (float(np.sum(w**power)) for power in (1, 2, 3, 4))
        pairs = one**2 - two  # how many there are of each group
        triples = one**3 - 3 * one * two + 2 * three
        quadruples = one**4 - 6 * one**2 * two + 3 * two**2 + 8 * one * three - 6 * four
        rows = self._pairs @ w
        totals = rows @ w
        # All groups of three and four, less those in which an image occurs twice.
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.outer(w, w) / pairs + 2 * np.outer(w**2, w**2) / quadruples + 2 * np.outer(w, w**2) / triples
            found = self._products(weights) + np.outer(totals, totals) / quadruples
            return pairs * (found - (rows * (4 * w**2 / quadruples + 2 * w / triples)) @ rows.T)

    def traces(self, draws: np.ndarray) -> np.ndarray:
        """tr K, `[items]`; see `hsic`."""
        return self._diagonals @ draws.astype(np.float64)

    def squared_traces(self, draws: np.ndarray) -> np.ndarray:
        """(tr K)^2, `[items]`, without pairs of two draws of one image; see `hsic`."""
        w: np.ndarray = draws.astype(np.float64)
        return self.traces(w) ** 2 - self._diagonals**2 @ (w**2 - w)

    def spectra(self) -> np.ndarray:
        """The eigenvalues of each K, from the largest, `[items, images]`; rounding leaves none below 0."""
        whole = zip(self._pairs, map(np.diag, self._diagonals), strict=True)
        return np.maximum(np.stack([np.linalg.eigvalsh(pairs + own)[::-1] for pairs, own in whole]), 0)

    def _products(self, weights: np.ndarray) -> np.ndarray:
        """The sums of K_ij L_ij over i != j with weights, `[items, items]`."""
        flat = self._pairs.reshape(len(self._pairs), -1)
        return (flat * weights.ravel()) @ flat.T


def centre(rows: np.ndarray) -> np.ndarray:
    """Features `[images, features]`, not constant, less their mean over the images, scaled to a norm of 1."""
    rows = rows / np.abs(rows).max()
    rows -= rows.mean(axis=0)
    return rows / np.linalg.norm(rows)
