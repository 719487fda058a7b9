"""matplotlib figures that need no display: an empty one, and writing one as PNG and SVG."""

import os
import pathlib
from typing import Any

from cnnf_tf.utils.files import atomic_path


def new_figure(width: float, height: float) -> Any:
    """A figure of `width` x `height` inches, drawn by Agg whatever the user's backend is; matplotlib loads here.

    Its texts are no formulas, for they name files and classes of users, which may hold dollars; ticks may be.
    """
    from matplotlib.axis import Tick
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class PlainFigure(Figure):
        def draw(self, renderer: Any) -> None:
            ticks = {label for tick in self.findobj(Tick) for label in (tick.label1, tick.label2)}
            for text in {*self.findobj(Text)} - ticks:
                text.set_parse_math(False)
            super().draw(renderer)

    figure = PlainFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, stem: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Writes `stem`.png and `stem`.svg atomically, without dates: equal figures are equal files."""
    import matplotlib

    paths = [pathlib.Path(f"{os.fspath(stem)}{suffix}") for suffix in (".png", ".svg")]
    with matplotlib.rc_context({"svg.hashsalt": "cnnf_tf"}):
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None}), strict=True):
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=path.suffix[1:], dpi=120, metadata=metadata)
    return paths
