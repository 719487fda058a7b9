"""Fog, frost, snow, drops of water or mud, and brightness, of the published sets."""

import functools
import os
import pathlib

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnf_tf.data.corruptions.base import grey
from cnnf_tf.data.corruptions.blur import smeared, smooth, zoomed
from cnnf_tf.data.corruptions.shapes import edges

FROST_VARIABLE = "CNNF_TF_FROST_PICTURES"
"""The environment variable that names the folder of the pictures that `frost` needs."""
FROST_PICTURES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")

_WATER = np.array((175, 238, 238)) / 255
_MUD = np.array((63, 42, 20)) / 255


def brightness(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Adds `amount` to the value V of HSV; in a grey image, to every pixel."""
    del rng
    value = image.max(-1, keepdims=True)
    brighter = np.minimum(value + amount, 1)
    return np.where(value > 0, image * brighter / np.where(value > 0, value, 1), brighter)


def plasma(size: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """A fractal cloud `[size, size]` from 0 to 1 by the diamond-square algorithm on a torus.

    Args:
      size: a power of 2.
      decay: what the roughness is divided by from one level to the next finer one.
      rng: the random numbers.
    """
    heights = np.zeros((size, size))
    step, rough = size, 100.0

    def rugged(total: np.ndarray) -> np.ndarray:
        return total / 4 + rough * rng.uniform(-rough, rough, total.shape)

    while step > 1:
        half = step // 2
        corners = heights[::step, ::step]
        right, below = np.roll(corners, -1, 1), np.roll(corners, -1, 0)
        middles = rugged(corners + right + below + np.roll(below, -1, 1))
        heights[half::step, half::step] = middles
        heights[::step, half::step] = rugged(corners + right + middles + np.roll(middles, 1, 0))
        heights[half::step, ::step] = rugged(corners + below + middles + np.roll(middles, 1, 1))
        step, rough = half, rough / decay
    heights -= heights.min()
    return heights / heights.max()


def fog(image: np.ndarray, strength: tuple[float, float, int], rng: np.random.Generator) -> np.ndarray:
    """Adds a fractal cloud: how much, how fast its roughness decays, and the least side of the map it is cut from."""
    amount, decay, side = strength
    height, width = image.shape[:2]
    cloud = plasma(max(side, 2 ** (max(height, width) - 1).bit_length()), decay, rng)[:height, :width, np.newaxis]
    brightest = image.max()
    return (image + amount * cloud) * brightest / (brightest + amount)


def check_frost_pictures() -> pathlib.Path:
    """The folder of the pictures of frost, or ValueError."""
    named = os.environ.get(FROST_VARIABLE)
    folder = pathlib.Path(named or ".").expanduser()
    missing = [name for name in FROST_PICTURES if not (folder / name).is_file()]
    if not named or missing:
        found = f"where {' '.join(missing)} cannot be found" if named else "which is not set"
        raise ValueError(
            f"frost needs the photographs of ice {' '.join(FROST_PICTURES)}, which do not come with this package: take "
            "them from the folder ImageNet-C/imagenet_c/imagenet_c/frost of https://github.com/hendrycks/robustness, "
            f"and name their folder in the environment variable {FROST_VARIABLE}, {found}{f': {named}' * bool(named)}."
        )
    return folder


@functools.lru_cache(maxsize=2 * len(FROST_PICTURES))
def _frost_picture(path: pathlib.Path, channels: int) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L" if channels == 1 else "RGB")).reshape(*picture.size[::-1], channels)


def frost(image: np.ndarray, strength: tuple[float, float, int], rng: np.random.Generator) -> np.ndarray:
    """Adds a part of a photograph of ice: weight of the image, weight of the photograph, how often that is reduced."""
    weight, weight_of_ice, step = strength
    height, width, channels = image.shape
    path = check_frost_pictures() / FROST_PICTURES[rng.integers(len(FROST_PICTURES))]
    ice = _frost_picture(path, channels)[step // 2 :: step, step // 2 :: step]
    top, left = (rng.integers(max(1, have - want)) for have, want in zip(ice.shape, (height, width), strict=False))
    rows, columns = ((first + np.arange(size)) for first, size in ((top, height), (left, width)))
    part = ice[rows % len(ice)][:, columns % ice.shape[1]]
    return weight * image + weight_of_ice * part / 255


def snow(
    image: np.ndarray, strength: tuple[float, float, float, float, int, float, float], rng: np.random.Generator
) -> np.ndarray:
    """Flakes that fall at a slant, and a paler image.

    The strength is mean and deviation of the noise that flakes are cut from, how much it is enlarged, the least value
    that is a flake, radius and deviation in pixels of their smear, and the weight of the image against its paler self.
    """
    mean, deviation, zoom, least, radius, sigma, weight = strength
    layer = zoomed(rng.normal(mean, deviation, image.shape[:2]), zoom)
    layer = np.floor(255 * np.clip(np.where(layer < least, 0, layer), 0, 1)) / 255
    layer = smeared(layer, radius, sigma, degrees=rng.uniform(-135, -45))[..., np.newaxis]
    pale = weight * image + (1 - weight) * np.maximum(image, 1.5 * grey(image)[..., np.newaxis] + 0.5)
    return pale + layer + layer[::-1, ::-1]


def spatter(
    image: np.ndarray, strength: tuple[float, float, float, float, float, int], rng: np.random.Generator
) -> np.ndarray:
    """Drops of water, or of mud.

    The strength is mean, deviation and smoothness (deviation in pixels) of the noise that drops are cut from, the least
    value that is a drop, how bright water or how soft mud is, and 0 for water or 1 for mud. A grey image gets the red
    of the colour, as in MNIST-C.
    """
    mean, deviation, sigma, least, look, mud = strength
    layer = smooth(rng.normal(mean, deviation, image.shape[:2]), sigma)
    channels = image.shape[-1]
    if mud:
        cover = smooth((layer > least).astype(np.float64), look)
        cover = np.where(cover < 0.8, 0, cover)[..., np.newaxis]
        return image * (1 - cover) + _MUD[:channels] * cover
    drops = np.floor(255 * np.where(layer < least, 0, np.clip(layer, 0, 1)))
    shine = drops * _relief(drops)
    shine *= look / max(shine.max(), 1e-9)
    return image + _WATER[:channels] * shine[..., np.newaxis]


def _relief(drops: np.ndarray) -> np.ndarray:
    """Light and shade on drops, 0 to 255: how the distance to the nearest outline slopes."""
    outlines = edges(drops, low=50, high=150, norm=1, border=True)
    distance = np.minimum(ndimage.distance_transform_edt(~outlines), 20) if outlines.any() else np.full(drops.shape, 20)
    levels = np.floor(ndimage.uniform_filter(distance.astype(np.float64), 3, mode="mirror") + 1e-6).astype(int)
    counts = np.bincount(levels.ravel(), minlength=256)
    rest = levels.size - counts[levels.min()]
    if rest > 0:  # equalise: as many pixels at every level
        levels = np.rint((np.cumsum(counts) - counts[levels.min()]) * 255 / rest).astype(int)[levels]
    slope = ndimage.correlate(levels.astype(np.float64), [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], mode="mirror")
    return np.rint(ndimage.uniform_filter(np.clip(slope, 0, 255), 3, mode="mirror"))
