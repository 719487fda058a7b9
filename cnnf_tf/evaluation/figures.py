"""Figures, drawn without a display and written atomically."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnf_tf.files import atomic_path


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
    figure = _new_figure(1.35 * (1 + len(reconstructions)) + 0.3, 1.55 * len(images) + 0.8)
    axes = figure.subplots(len(images), 1 + len(reconstructions), squeeze=False)
    for row, image in enumerate(images):
        for column, picture in enumerate([image, *reconstructions[:, row]]):
            axis = axes[row, column]
            axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel(captions[row][column], fontsize=8)
            if row == 0:
                axis.set_title("image" if column == 0 else f"iteration {column}", fontsize=9)
    figure.suptitle(title, fontsize=10)
    save_png(figure, path)


def _new_figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Any, path: str | os.PathLike[str]) -> None:
    """Saves a matplotlib figure as PNG without time stamps, so that equal figures are equal files."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
