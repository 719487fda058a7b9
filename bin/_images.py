"""Pictures of a user, for the binaries that take those beside or instead of a data set: --images, --fit, --skip_bad."""

import csv
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import _app
from absl import flags

_SHAPE = tuple[int, int, int]


def define_images(instead: str = "") -> flags.FlagHolder:
    """Defines the three flags; returns --images, a list of values that `find` takes apart."""
    flags.DEFINE_bool("fit", False, "Resize --images of another size; turn colour into grey or grey into colour.")
    flags.DEFINE_bool("skip_bad", False, "Go on without --images that cannot be read or do not fit, and count them.")
    return flags.DEFINE_multi_string(
        "images",
        [],
        f"Image files (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM), and folders of them{instead}; several by comma, or by "
        "giving the flag again. Colour follows the model.",
    )


def find() -> list[pathlib.Path]:
    """The files of --images; says what was passed over in folders.

    Raises:
      FileNotFoundError: a file or folder is not there, or a folder has no images.
    """
    from cnnf_tf.data import image_files

    paths = [path for text in flags.FLAGS.images for path in _split(text)]
    if flags.FLAGS.images and not paths:
        raise _app.UsageError("--images wants files or folders, got nothing.")
    found = image_files.find_images(paths)
    if found.skipped:
        print(f"passed over: {image_files.describe(found.skipped)}", file=sys.stderr)
    return found.files


def read(files: Sequence[pathlib.Path], image_shape: _SHAPE) -> Iterator[tuple[pathlib.Path, Any]]:
    """Files and their uint8 images `[height, width, channels]`, fitted if --fit says so.

    Raises:
      ValueError: one is bad, and it comes to that; with --skip_bad, all are.
    """
    from cnnf_tf.data import image_files

    problems = []
    for file in files:
        try:
            yield file, image_files.read_image(file, image_shape, fit=flags.FLAGS.fit)
        except ValueError as error:
            if not flags.FLAGS.skip_bad:
                raise
            problems.append(str(error))
    if problems and len(problems) == len(files):
        raise ValueError(f"all of the {len(files)} images are bad. First: {problems[0]}")
    if problems:
        print(f"went on without {len(problems)} of {len(files)} images. First: {problems[0]}", file=sys.stderr)


def _split(text: str) -> list[str]:
    """The paths in a value: commas part them, unless they belong to the name of a file that is there."""
    pieces, paths = text.split(","), []
    while pieces:
        length = next((n for n in range(len(pieces), 0, -1) if os.path.lexists(",".join(pieces[:n]))), 0)
        if not length:  # also quoted names, and blanks after commas, as flags of absl have them
            paths += [path.strip() for path in next(csv.reader([",".join(pieces)]))]
            break
        paths.append(",".join(pieces[:length]))
        pieces = pieces[length:]
    return [path for path in paths if path]
