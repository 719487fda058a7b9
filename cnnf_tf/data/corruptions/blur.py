"""Blurs of the published sets; lengths are in pixels, whatever the size of the image."""

import numpy as np
from scipy import ndimage

Sigma = float | tuple[float, float]


def smooth(image: np.ndarray, sigma: Sigma, *, mode: str = "nearest", truncate: float = 4.0) -> np.ndarray:
    """Smooths `[height, width]` or `[height, width, channels]` with a Gaussian, of one deviation or of two (rows,
    columns); `mode` is SciPy's word for what lies beyond the border, and it is cut off after `truncate` deviations."""
    rows, columns = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    return ndimage.gaussian_filter(image, (rows, columns, 0.0)[: image.ndim], mode=mode, truncate=truncate)


def zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    """The middle of an image, `factor` >= 1 times as large, of the same shape."""
    parts = []
    for size in image.shape[:2]:
        kept = int(np.ceil(size / factor))
        parts.append(slice((size - kept) // 2, (size - kept) // 2 + kept))
    large = ndimage.zoom(image[tuple(parts)], (factor, factor, 1.0)[: image.ndim], order=1)
    rows, columns = ((there - size) // 2 for there, size in zip(large.shape[:2], image.shape[:2], strict=True))
    return large[rows : rows + image.shape[0], columns : columns + image.shape[1]]


def smeared(image: np.ndarray, radius: int, sigma: float, degrees: float) -> np.ndarray:
    """Averages each pixel with those that follow it in one direction, as ImageMagick's motion blur does, in 8 bits.

    Args:
      image: `[height, width]` or `[height, width, channels]`, in [0, 1].
      radius: `2 radius` pixels follow.
      sigma: weights fall like a Gaussian of this deviation in pixels.
      degrees: 0 is to the right, 90 down. Beyond the border is the pixel at the border.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * np.square(steps / sigma))
    angle = np.deg2rad(degrees)
    places = (np.ceil(steps * np.sin(angle) - 0.5).astype(int), np.ceil(steps * np.cos(angle) - 0.5).astype(int))
    total = np.zeros_like(image)
    height, width = image.shape[:2]
    for weight, down, right in zip(weights / weights.sum(), *places, strict=True):
        rows, columns = np.arange(height) + down, np.arange(width) + right
        total += weight * image[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
    return np.rint(255 * total) / 255


def gaussian_blur(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Smooths with a Gaussian of the given deviation in pixels."""
    del rng
    return smooth(image, sigma)


def defocus_blur(image: np.ndarray, strength: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Averages over a disc: its radius, and the deviation of a Gaussian that softens its edge, both in pixels."""
    del rng
    radius, softness = strength
    reach = 8 if radius <= 8 else int(radius)
    steps = np.arange(-reach, reach + 1)
    disc = (np.square(steps) + np.square(steps)[:, np.newaxis] <= radius**2).astype(np.float64)
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    edge = np.exp(-0.5 * np.square(taps / softness))
    for axis in (0, 1):
        disc = ndimage.correlate1d(disc, edge / edge.sum(), axis, mode="mirror")
    return ndimage.correlate(image, (disc / disc.sum())[..., np.newaxis], mode="mirror")


def glass_blur(image: np.ndarray, strength: tuple[Sigma, int, int, float], rng: np.random.Generator) -> np.ndarray:
    """Frosted glass: a Gaussian's deviation, how far pixels move, how often, and the share of them that does.

    The published code means to swap neighbouring pixels. In a colour image it copies one over the other, because its
    rows are views; the published files are made so, and so is this.
    """
    sigma, reach, times, share = strength
    height, width, channels = image.shape
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    places = list(range(height * width))
    moves = rng.integers(-reach, reach, (times, len(rows), len(columns), 2))
    moving = rng.random(moves.shape[:-1]) < share
    for move, moves_at_all in zip(moves.tolist(), moving.tolist(), strict=True):
        for row, row_moves, row_moving in zip(rows, move, moves_at_all, strict=True):
            for column, (right, down), moves_now in zip(columns, row_moves, row_moving, strict=True):
                if moves_now:
                    here, there = row * width + column, (row + down) * width + column + right
                    old, places[here] = places[here], places[there]
                    if channels == 1:
                        places[there] = old
    soft = np.floor(255 * smooth(image, sigma) + 1e-6) / 255
    return smooth(soft.reshape(-1, channels)[places].reshape(image.shape), sigma)


def motion_blur(image: np.ndarray, strength: tuple[int, float], rng: np.random.Generator) -> np.ndarray:
    """Smears along a line at most 45 degrees from the horizontal: its radius, and the deviation of the weights."""
    return smeared(image, *strength, degrees=rng.uniform(-45, 45))


def zoom_blur(image: np.ndarray, strength: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Mean of the image and of its enlargements from 1 up to a factor, in steps: the factor and the step."""
    del rng
    factors = np.arange(1, *strength)
    return np.mean([image, *(zoomed(image, float(factor)) for factor in factors)], axis=0)
