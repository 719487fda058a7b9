"""Figures, drawn without a display and written atomically; pictures in the text of a page."""

import base64
import dataclasses
import io
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnf_tf.utils.files import atomic_path
from cnnf_tf.utils.plotting import new_figure


def reconstruction_figure(
    path: str | os.PathLike[str],
    images: np.ndarray,
    reconstructions: np.ndarray,
    captions: Sequence[Sequence[str]],
    *,
    title: str,
) -> None:
    """Writes a PNG: a row for each image, first the image, then its reconstruction at each iteration.

    Args:
      path: file to write.
      images: `[n, height, width, channels]` in [0, 1].
      reconstructions: `[K, n, height, width, channels]` in [0, 1].
      captions: for each image, a caption for each of the 1 + K pictures.
      title: heading of the figure.
    """
    pictures = np.concatenate([images[np.newaxis], reconstructions])
    rows = [
        [Picture(*pair) for pair in zip(pictures[:, index], texts, strict=True)] for index, texts in enumerate(captions)
    ]
    columns = ["image", *(f"iteration {step}" for step in range(1, len(pictures)))]
    picture_grid(path, rows, title=title, column_titles=columns)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of a `picture_grid`.

    Attributes:
      values: `[height, width]` or `[height, width, 1 or 3 channels]` in [0, 1].
      caption: text below it.
      colours: matplotlib's name of the colour map of a picture with one channel.
    """

    values: np.ndarray
    caption: str = ""
    colours: str = "gray"


def picture_grid(
    path: str | os.PathLike[str],
    rows: Sequence[Sequence[Picture]],
    *,
    title: str,
    caption: str = "",
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
) -> None:
    """Writes a PNG: a grid of small pictures with a heading, and a paragraph below that says how to read it.

    Args:
      path: file to write.
      rows: the pictures, equally many in each row.
      title: heading of the figure.
      caption: paragraph below the pictures.
      row_titles: one text for each row, at its left.
      column_titles: one text for each column, above it.
    """
    row_titles = [textwrap.fill(text, 24) for text in row_titles]
    margin = 0.08 * max((len(line) for text in row_titles for line in text.split("\n")), default=0)
    width = max(5.5, 1.25 * len(rows[0]) + 0.3 + margin)
    lines = textwrap.wrap(caption, int(14.5 * width))
    figure = new_figure(width, 1.4 * len(rows) + 0.8 + 0.15 * len(lines))
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            axis = axes[row, column]
            axis.imshow(picture.values.squeeze(), cmap=picture.colours, vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel(picture.caption, fontsize=8)
            if row == 0 and column_titles:
                axis.set_title(textwrap.fill(column_titles[column], 18), fontsize=9)
        if row_titles:
            axes[row, 0].set_ylabel(row_titles[row], fontsize=9, rotation=0, ha="right", va="center", labelpad=6)
    figure.suptitle(title, fontsize=11)
    if caption:
        figure.supxlabel("\n".join(lines), fontsize=8.5, x=0.01, ha="left")
    save_png(figure, path)


def save_png(figure: Any, path: str | os.PathLike[str]) -> None:
    """Saves a matplotlib figure as PNG without time stamps, so that equal figures are equal files."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})


def picture_address(values: np.ndarray) -> str:
    """`[height, width, 1 or 3]` in [0, 1] as a PNG, one byte a value, in the address of an image."""
    from PIL import Image

    pixels = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stored, "PNG", optimize=True)
    return png_address(stored.getvalue())


def png_address(png: bytes) -> str:
    """A PNG as the address of an image."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
