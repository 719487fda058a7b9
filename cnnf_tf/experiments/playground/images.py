"""Images to play with: examples of a data set, pictures that a person draws or uploads, and one for want of others."""

import base64
import binascii
import contextlib
import dataclasses
import math
import pathlib
import tempfile
import warnings

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from cnnf_tf.data import image_files

LARGEST_FILE = 50_000_000
"""Bytes of an upload."""
LARGEST_PICTURE = 50_000_000
"""Its pixels: they take three bytes each, and more while they are scaled."""
# A T-shirt, in shares of height and width.
_OUTLINE = [(0.36, 0.1), (0.64, 0.1), (0.95, 0.3), (0.83, 0.47), (0.72, 0.4), (0.72, 0.92), (0.28, 0.92), (0.28, 0.4)]
_OUTLINE += [(0.17, 0.47), (0.05, 0.3)]
_DRAWN = "data:image/png;base64,"


@dataclasses.dataclass(frozen=True)
class Example:
    """An image and what is known of it."""

    image: np.ndarray  # float32 `[height, width, channels]` in [0, 1]
    label: int | None  # its class, where somebody knows it
    name: str  # for people


def uploaded(content: bytes, name: str, image_shape: tuple[int, int, int]) -> Example:
    """Reads an image file of any size: upright, its middle cut out in the proportions of the model, and scaled.

    Args:
      content: of the file; PNG, JPEG, WebP, TIFF, BMP, GIF or PPM.
      name: of the file, for people.
      image_shape: height, width and channels, 1 or 3, of the model.

    Raises:
      ValueError: not an image, or too large a file; the message is for people.
    """
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{name} is larger than {LARGEST_FILE // 10**6} MB.")
    height, width, _ = image_shape
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "upload")
        path.write_bytes(content)
        _check_size(path, name)
        try:
            picture = image_files.open_image(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), name)) from None
    cut = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return Example(image_files.to_array(cut, image_shape).astype(np.float32) / 255, None, name)


def _check_size(path: pathlib.Path, name: str) -> None:
    """Raises ValueError for a picture of too many pixels, before it is decoded."""
    pixels = 0
    with contextlib.suppress(OSError), warnings.catch_warnings():  # what is no image is refused by who reads it
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as picture:
                pixels = math.prod(picture.size)
        except Image.DecompressionBombError:
            pixels = LARGEST_PICTURE + 1
    if pixels > LARGEST_PICTURE:
        raise ValueError(f"{name} has more than {LARGEST_PICTURE // 10**6} million pixels.")


def drawn(address: str, image_shape: tuple[int, int, int]) -> Example:
    """Reads the PNG that a browser makes of its canvas, `data:image/png;base64,...`; see `uploaded`."""
    try:
        if not isinstance(address, str) or not address.startswith(_DRAWN):
            raise ValueError("it does not say that it is a PNG")
        content = base64.b64decode(address.removeprefix(_DRAWN), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"your drawing: is not a readable image ({error}).") from None
    return uploaded(content, "your drawing", image_shape)


def placeholder(image_shape: tuple[int, int, int]) -> Example:
    """A T-shirt, light on dark like the images of Fashion-MNIST, for where no data set is prepared."""
    height, width, _ = image_shape
    picture = Image.new("L", (8 * width, 8 * height))
    outline = [(8 * width * x, 8 * height * y) for x, y in _OUTLINE]
    ImageDraw.Draw(picture).polygon(outline, fill=190)
    array = image_files.to_array(picture, image_shape).astype(np.float32) / 255
    return Example(array, None, "a drawn T-shirt")
