"""Image files of a user: found in folders, read with Pillow, and made to fit the model only if asked."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg")
_MODES = {1: "L", 3: "RGB"}
_READABLE = ("1", "L", "LA", "P", "RGB", "RGBA")


def find_images(paths: Sequence[str | os.PathLike[str]]) -> list[pathlib.Path]:
    """The files among `paths`, and every image file in or below the folders among them, sorted within each.

    Raises:
      FileNotFoundError: a path that does not exist, or a folder without images.
    """
    files: list[pathlib.Path] = []
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not found:
                raise FileNotFoundError(f"no image in the folder {str(path)!r}; wanted files {', '.join(SUFFIXES)}.")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise FileNotFoundError(f"there is no file or folder {str(path)!r}.")
    return files


def read_image(path: pathlib.Path, image_shape: tuple[int, int, int], *, fit: bool = False) -> np.ndarray:
    """Reads one image as uint8 `[height, width, channels]`.

    Args:
      path: a PNG or JPEG file. Transparency is dropped.
      image_shape: what the model takes; 1 channel is grey, 3 are colour.
      fit: resize an image of another size (bilinear, antialiased, aspect ratio not kept), and turn colour into grey
        or grey into colour. Otherwise such an image is an error.

    Raises:
      ValueError: not an image, or one that does not fit.
    """
    height, width, channels = image_shape
    if channels not in _MODES:
        raise ValueError(f"the model takes images of {channels} channels, which files cannot give; wanted 1 or 3.")
    try:
        with Image.open(path) as image:
            image.load()
            mode = image.mode
            if mode not in _READABLE:
                raise ValueError(f"{path}: pixels of the kind {mode!r} are not read; wanted 8-bit grey or colour.")
            wanted = f"{height}x{width} {'grey' if channels == 1 else 'colour'}"
            got = f"{image.height}x{image.width} {'grey' if mode in ('1', 'L', 'LA') else 'colour'}"
            if not fit and got != wanted:
                raise ValueError(
                    f"{path}: the model takes {wanted} images, this one is {got}; ask for it to be fitted (--fit) if "
                    "that is what you mean."
                )
            converted = image.convert("RGBA").convert("RGB") if mode == "P" else image
            converted = converted.convert(_MODES[channels])
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: is not a readable image ({error}).") from error
    converted = converted.resize((width, height), Image.Resampling.BILINEAR)  # a copy where the size is right
    return np.asarray(converted, np.uint8).reshape(height, width, channels)
