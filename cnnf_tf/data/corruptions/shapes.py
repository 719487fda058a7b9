"""What MNIST-C does to digits: affine maps, stripes, lines, outlines; and the search for outlines."""

import numpy as np
from scipy import ndimage

from cnnf_tf.data.corruptions.base import grey, resampled


def _warped(image: np.ndarray, matrix: np.ndarray, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """The image, black all around, at `matrix` (x, y) + `shift`, where (x, y) is seen from the middle; bilinear."""
    height, width = image.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) - middle
    return resampled(image, (grid @ np.asarray(matrix).T + middle + shift)[..., ::-1], mode="grid-constant")


def shear(image: np.ndarray, angle: float, rng: np.random.Generator) -> np.ndarray:
    """Shears by an angle in radians to the left or right."""
    angle *= rng.choice((-1, 1))
    return _warped(image, np.array([(1, -np.sin(angle)), (0, np.cos(angle))]))


def rotate(image: np.ndarray, angle: float, rng: np.random.Generator) -> np.ndarray:
    """Turns by an angle in radians, either way."""
    angle *= rng.choice((-1, 1))
    return _warped(image, np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))]))


def scale(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Makes the image smaller by a factor."""
    del rng
    return _warped(image, factor * np.eye(2))


def translate(image: np.ndarray, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Moves by so many pixels left or right, and up or down."""
    return _warped(image, np.eye(2), tuple(pixels * rng.choice((-1, 1), 2)))


def stripe(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Inverts a share of the width at the left and at the right."""
    del rng
    width = image.shape[1]
    edge = int(share * width)
    columns = np.arange(width)[:, np.newaxis]
    return np.where((columns < edge) | (columns >= width - edge), 1 - image, image)


def _line(shape: tuple[int, ...], start: tuple[float, float], end: tuple[float, float], reach: float) -> np.ndarray:
    """A white line `[height, width]` between two points (column, row), that fades over `reach` rows."""
    columns, rows = np.arange(shape[1]), np.arange(shape[0])[:, np.newaxis]
    (left, top), (right, bottom) = start, end
    if left == right:
        return np.zeros(shape[:2])
    distance = np.abs(rows - top - (bottom - top) / (right - left) * (columns - left))
    line = np.clip(1 + np.log(1 - np.minimum(distance, reach - 1e-10) / reach), 0, 1)
    return np.where((columns >= np.floor(left)) & (columns < np.ceil(right)), line, 0)


def dotted_line(image: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """A white dotted line from border to border, 2 pixels on and 2 off; it fades over `reach` pixels."""
    height, width = image.shape[:2]
    first, last = rng.integers(max(1, height - 1), size=2)
    line = _line(image.shape, (0, first), (width - 1, last), reach)
    dots = np.arange(width) // 2 % 2 == 1
    return image + (line * dots)[..., np.newaxis]


def zigzag(image: np.ndarray, strength: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """A white zigzag from left to right: how far it swings, and how far it fades, both in pixels."""
    swing, reach = strength
    height, width = image.shape[:2]
    left, right = 2, max(3, width - 3)
    top = rng.integers(max(1, height - 1))
    angle = np.arctan(rng.integers(-5, 5) / (right - left))
    length = (right - left) / np.cos(angle)
    turns = int((length - swing) // (2 * swing)) + 1
    along = [0, *((2 * turn + 1) * swing for turn in range(turns))]
    across = [0, *((-1) ** turn * swing for turn in range(turns))]
    left_over = length - 2 * swing * (length // (2 * swing))
    if left_over:
        along.append(length)
        across.append(across[-1] / (2 * left_over))
    turned = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))]) @ [along, across]
    points = (turned + [[left], [top]]).T
    for start, end in zip(points[:-1], points[1:], strict=True):
        image = np.minimum(image + _line(image.shape, start, end, reach)[..., np.newaxis], 1)
    return image


def canny_edges(image: np.ndarray, strength: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Outlines, white on black: the deviation of a Gaussian before the search, and the two thresholds of slopes."""
    del rng
    sigma, low, high = strength
    weights = ndimage.gaussian_filter(np.ones(image.shape[:2]), sigma, mode="constant")
    smooth = ndimage.gaussian_filter(grey(image), sigma, mode="constant") / weights
    return np.broadcast_to(edges(smooth, low=low, high=high, norm=2, border=False)[..., np.newaxis], image.shape)


def edges(image: np.ndarray, *, low: float, high: float, norm: int, border: bool) -> np.ndarray:
    """Outlines after J. Canny, "A computational approach to edge detection", 1986.

    Args:
      image: `[height, width]`.
      low: slopes (by Sobel's filter, which is not normalised) that go on with an outline.
      high: slopes that start one.
      norm: 1 or 2, of the two parts of a slope.
      border: whether the pixels at the border count.

    Returns:
      bool `[height, width]`: the places on a ridge of the slope.
    """
    slopes = np.stack([ndimage.sobel(image, axis, mode="reflect") for axis in (0, 1)])
    size = np.linalg.norm(slopes, ord=norm, axis=0)
    largest = np.abs(slopes).max(0)
    direction = slopes / np.where(largest > 0, largest, 1)
    grid = np.indices(image.shape)
    beside = [ndimage.map_coordinates(size, grid + sign * direction, order=1, mode="constant") for sign in (-1, 1)]
    ridge = (size > 0) & (size >= np.maximum(*beside) - 1e-12)
    if not border:
        ridge &= ndimage.binary_erosion(np.ones(image.shape, bool), np.ones((3, 3)))
    parts, count = ndimage.label(ridge & (size >= low), np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[parts[ridge & (size >= high)]] = True
    strong[0] = False
    return strong[parts]
