"""An empty matplotlib figure that needs no display."""

from typing import Any


def new_figure(width: float, height: float) -> Any:
    """A figure of `width` x `height` inches, drawn by Agg whatever the user's backend is; matplotlib loads here."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
