"""Image files of a user, for training, prediction and restoration alike: found in folders, and read with Pillow.

What a file holds decides how it is read, and not its name; in folders, files with one of `SUFFIXES` count as images.
"""

import contextlib
import os
import pathlib
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

SUFFIXES: tuple[str, ...] = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp")
SUFFIXES += (".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm")
"""In lower case."""
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM")
_MODES = {1: "L", 3: "RGB"}
_GREY = ("1", "L", "LA", "La", "I", "F")
# Left behind by file managers, archives and tools; like names that start with a dot, nobody's images or classes.
_JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}
_JUNK |= {"lost+found", "__pycache__"}
HIDDEN, BROKEN_LINK = "hidden", "broken link"
"""What was passed over, beside files of a suffix, in counts."""


class Entries(NamedTuple):
    """What lies in a folder, sorted by name: full paths of folders and of images, and counts of what is neither."""

    folders: list[str]
    images: list[str]
    skipped: Counter[str]


class Found(NamedTuple):
    """Images, and how many entries were passed over, by suffix such as `.txt`, or `HIDDEN` and the like."""

    files: list[pathlib.Path]
    skipped: Counter[str]


def list_folder(folder: str | os.PathLike[str]) -> Entries:
    """Looks at a folder; links count as what they lead to, one that leads back to a folder around it is passed over.

    Raises:
      OSError: it cannot be listed.
    """
    entries = Entries([], [], Counter())
    here = os.path.realpath(folder)
    with os.scandir(folder) as listing:
        for entry in sorted(listing, key=lambda entry: os.fsencode(entry.name)):
            suffix = os.path.splitext(entry.name)[1].strip().lower()
            if entry.name.startswith(".") or entry.name.lower() in _JUNK:
                entries.skipped[HIDDEN] += 1
            elif os.path.isdir(entry.path):
                there = os.path.realpath(entry.path)
                if entry.is_symlink() and os.path.commonpath([here, there]) == there:
                    entries.skipped[BROKEN_LINK] += 1
                else:
                    entries.folders.append(entry.path)
            elif suffix in SUFFIXES:  # also a link to nothing: reading it says so
                entries.images.append(entry.path)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                entries.skipped[BROKEN_LINK] += 1
            else:
                entries.skipped[suffix or "no suffix"] += 1
    return entries


def find_images(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """The files among `paths`, and every image file in or below the folders among them, sorted folder by folder.

    Raises:
      FileNotFoundError: a path that does not exist, or a folder without images.
    """
    found = Found([], Counter())
    for path in paths:
        if os.path.isdir(path):
            below = _below(path)
            if not below.files:
                raise FileNotFoundError(
                    f"no image in the folder {os.fspath(path)!r}; wanted files {', '.join(SUFFIXES)}"
                    f"{', skipped ' if below.skipped else ''}{describe(below.skipped)}."
                )
            found.files.extend(below.files)
            found.skipped.update(below.skipped)
        elif os.path.lexists(path):
            found.files.append(pathlib.Path(path))
        else:
            raise FileNotFoundError(f"there is no file or folder {os.fspath(path)!r}.")
    return found


def describe(skipped: Mapping[str, int]) -> str:
    """Such as `3 .txt, 1 hidden`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(skipped.items()))


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Opens one image as every part of the package sees it: the first picture of a file, upright, of 8 bits.

    EXIF's orientation is applied, 16-bit values become value / 65535, CMYK and palettes become colour as Pillow
    converts them, and transparency is dropped.

    Args:
      path: PNG, JPEG, WebP, TIFF, BMP, GIF or PPM.

    Returns:
      An image in mode "L" (grey) or "RGB".

    Raises:
      ValueError: no such image; the message starts with the path.
    """
    try:
        with _opened(path) as image:
            grey = _is_grey(image)
            return _eight_bit(_upright(image), "L" if grey else "RGB")
    except UnidentifiedImageError:
        what = f"it is no {', '.join(_FORMATS)} that Pillow reads" if os.path.getsize(path) else "it is empty"
    except OSError as error:
        what = error.strerror or str(error)
    except Exception as error:  # noqa: BLE001 - of damaged bytes Pillow complains in any way
        what = str(error) or type(error).__name__
    raise ValueError(f"{os.fspath(path)}: is not a readable image ({what.rstrip('.')}).")


def is_grey(path: str | os.PathLike[str]) -> bool:
    """Whether `open_image` makes it grey, by its header alone; True also for what it cannot open."""
    try:
        with _opened(path) as image:
            return _is_grey(image)
    except Exception:  # noqa: BLE001 - `open_image` explains it
        return True


def to_array(image: Image.Image, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Resizes (bilinear, antialiased, aspect ratio not kept) and converts to grey or colour.

    Args:
      image: of `open_image`.
      image_shape: height, width and channels, 1 or 3.

    Returns:
      uint8 `[height, width, channels]`.
    """
    height, width, channels = image_shape
    image = _converted(image, _MODES[channels])
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(image_shape)


def read_image(path: str | os.PathLike[str], image_shape: tuple[int, int, int], *, fit: bool = False) -> np.ndarray:
    """Reads one image as uint8 `[height, width, channels]`.

    Args:
      path: see `open_image`.
      image_shape: what the model takes; 1 channel is grey, 3 are colour.
      fit: resize an image of another size, and turn colour into grey or grey into colour; see `to_array`. Otherwise
        such an image is an error.

    Raises:
      ValueError: not an image, or one that does not fit.
    """
    height, width, channels = image_shape
    if channels not in _MODES:
        raise ValueError(f"the model takes images of {channels} channels, which files cannot give; wanted 1 or 3.")
    image = open_image(path)
    wanted = f"{height}x{width} {'grey' if channels == 1 else 'colour'}"
    got = f"{image.height}x{image.width} {'grey' if image.mode == 'L' else 'colour'}"
    if not fit and got != wanted:
        raise ValueError(
            f"{os.fspath(path)}: the model takes {wanted} images, this one is {got}; ask for it to be fitted (--fit) "
            "if that is what you mean."
        )
    return to_array(image, image_shape)


def _below(folder: str | os.PathLike[str]) -> Found:
    """All images in and below a folder, each folder once, whatever links lead to it."""
    found, seen, waiting = Found([], Counter()), set(), [os.fspath(folder)]
    while waiting:
        here = waiting.pop()
        if os.path.realpath(here) not in seen:
            seen.add(os.path.realpath(here))
            entries = list_folder(here)
            found.files.extend(map(pathlib.Path, entries.images))
            found.skipped.update(entries.skipped)
            waiting += reversed(entries.folders)
    return found


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[ImageFile.ImageFile]:
    if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe would be to wait for ever
        raise ValueError("it is not a file")
    # By its name, Pillow would map a rotated TIFF into memory with its sides exchanged.
    with open(path, "rb") as file, Image.open(file, formats=_FORMATS) as image:
        yield image


def _is_grey(image: ImageFile.ImageFile) -> bool:
    """By mode, or by the colours of a palette; to be asked before the pixels are loaded."""
    if image.mode == "P":
        colours: np.ndarray = np.reshape(image.getpalette() or (), (-1, 3))
        return bool((colours == colours[:, :1]).all())
    two_wide = image.format == "PNG" and image.tile and str(image.tile[0][3]).startswith("LA")  # 16 bits; mode is RGBA
    return image.mode in _GREY or image.mode.startswith("I;16") or bool(two_wide)


def _upright(image: Image.Image) -> Image.Image:
    if 2 in getattr(image, "tag_v2", {}).get(339, ()):  # sample format
        raise ValueError("its pixels are signed numbers; save it with 8 or 16 bits without sign")
    image.load()
    if image.format == "TIFF":  # which turns as it loads
        return image
    with contextlib.suppress(Exception):  # damaged EXIF data say nothing, as elsewhere
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        tags = getattr(image, "tag_v2", {})  # of a TIFF: bits, and whether 0 is white, which Pillow leaves to us
        top = 2 ** tags.get(258, (16,))[0] - 1
        values = (np.asarray(image).astype(np.int64) * 255 + top // 2) // top
        return Image.fromarray((255 - values if tags.get(262) == 0 else values).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"nobody knows the range of pixels of Pillow's mode {image.mode!r}; save it with 8 or 16 bits")
    if image.mode in ("P", "PA"):  # first to RGBA, or else Pillow complains of transparency
        image = image.convert("RGBA")
    return _converted(image, mode)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy
