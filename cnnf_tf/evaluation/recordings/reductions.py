"""Fewer numbers for each image and pass: the mean over space, principal components, or a random projection."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from cnnf_tf.utils.validation import integer

_WANTED = '"mean", or "pca:N" or "sparse:N" with a number N >= 1, or None'


class Reduction(NamedTuple):
    """What `reduce` asks for."""

    kind: str
    """"", "mean", "pca" or "sparse"."""
    size: int = 0
    """N."""
    seed: int = 0
    """Of "sparse"."""

    @classmethod
    def parse(cls, reduce: Any, *, seed: int = 0) -> "Reduction":
        """Raises ValueError unless `reduce` is None, "mean", "pca:N" or "sparse:N", and the seed one."""
        integer("seed", seed)
        if reduce is None or reduce == "mean":
            return cls(reduce or "")
        kind, _, size = str(reduce).partition(":")
        if not isinstance(reduce, str) or kind not in ("pca", "sparse") or not size.isdecimal() or int(size) < 1:
            raise ValueError(f"reduce must be {_WANTED}, got {reduce!r}.")
        return cls(kind, int(size), seed)

    def check_features(self, name: str, features: int) -> None:
        """Raises ValueError where a name has fewer numbers for an image and pass than N."""
        if self.size > features:
            raise ValueError(
                f'reduce="{self.kind}:{self.size}": {name!r} has {features} numbers for each image and pass, and N may '
                "not be more; choose a smaller N or other layers."
            )

    def check_images(self, images: int) -> None:
        """Raises ValueError where there are fewer images than principal components."""
        if self.kind == "pca" and self.size > images:
            raise ValueError(
                f'reduce="pca:{self.size}": there are {images} images, and N may not be more; give a smaller N or more '
                "images."
            )

    def shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is left of the shape of one image in one pass."""
        if self.kind == "mean":
            return shape[-1:]
        return (self.size,) if self.size else shape


class Projections:
    """A projection for each name, fitted on what they are shown; "" and "mean" change nothing here.

    Principal components are those of all images in all passes, each of which is a row: one space for all passes, in
    which an image moves. A random projection depends on the seed and the number of features alone.
    """

    def __init__(self, reduction: Reduction):
        self._reduction = reduction
        self._fitted: dict[str, Any] = {}
        self._features: dict[str, int] = {}
        self._images = 0

    def fit(self, values: Mapping[str, np.ndarray]) -> None:
        """Shows principal components the next batch of images, `[K + 1, images, ...]` by name."""
        for name, value in values.items():
            found = self._fitted.setdefault(name, _Components(self._reduction.size))
            found.partial_fit(self._rows(name, value).astype(np.float64))
        self._images += next(iter(values.values())).shape[1]

    def check(self) -> None:
        """Raises ValueError if what principal components were shown was too little."""
        self._reduction.check_images(self._images)

    def apply(self, values: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """`[K + 1, images, N]`, float32, by name; where there is no N, the values as they are."""
        if not self._reduction.size:
            return values
        return {name: self._applied(name, value) for name, value in values.items()}

    def _applied(self, name: str, value: np.ndarray) -> np.ndarray:
        rows = self._rows(name, value)
        if name not in self._fitted:
            from sklearn.random_projection import SparseRandomProjection

            seed = self._reduction.seed
            projection = SparseRandomProjection(self._reduction.size, dense_output=True, random_state=seed)
            self._fitted[name] = projection.fit(np.zeros((1, rows.shape[1]), np.float32))
        found = self._fitted[name].transform(rows)
        return np.asarray(found, np.float32).reshape(*value.shape[:2], -1)

    def _rows(self, name: str, value: np.ndarray) -> np.ndarray:
        rows = value.reshape(value.shape[0] * value.shape[1], -1)
        before = self._features.setdefault(name, rows.shape[1])
        if rows.shape[1] != before:
            raise ValueError(
                f'reduce="{self._reduction.kind}:{self._reduction.size}" wants images of one size: {name!r} has '
                f"{rows.shape[1]} numbers for an image, and had {before}."
            )
        self._reduction.check_features(name, rows.shape[1])
        return rows


class _Components:
    """Principal components of rows that come in batches.

    The update of scikit-learn's `IncrementalPCA` (Ross et al., IJCV 2008), of the products of the rows with each other:
    features are many more than the rows of a batch, and a singular value decomposition of these takes twenty times
    longer. Some components more than wanted are kept on the way, so that less is lost from batch to batch.
    """

    def __init__(self, size: int):
        self._size, self._kept = size, 2 * size + 8
        self._seen = 0
        self._mean: Any = 0.0
        self._scaled: Any = None

    def partial_fit(self, rows: np.ndarray) -> None:
        """Takes `[rows, features]`, float64."""
        count, mean = len(rows), rows.mean(axis=0)
        parts = [rows - mean]
        if self._seen:
            between = np.sqrt(self._seen * count / (self._seen + count)) * (self._mean - mean)
            parts += [self._scaled, between[np.newaxis]]
        stacked = np.concatenate(parts)
        _, vectors = np.linalg.eigh(stacked @ stacked.T)  # the largest last
        self._scaled = vectors[:, ::-1][:, : self._kept].T @ stacked
        self._mean = (self._seen * self._mean + count * mean) / (self._seen + count)
        self._seen += count

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """`[rows, components]`; 0 where there are fewer directions than components."""
        scaled = self._scaled[: self._size]
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        components = np.where(lengths > 1e-9 * lengths.max(initial=0.0), scaled / np.maximum(lengths, 1e-300), 0.0)
        # The sign that scikit-learn gives them: the largest entry of each is positive.
        largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, np.newaxis], axis=1)
        components = np.where(largest < 0, -components, components)
        found: np.ndarray = np.zeros((len(rows), self._size))
        found[:, : len(components)] = (rows - self._mean) @ components.T
        return found
