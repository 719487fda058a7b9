"""What the playground shows of its measures: texts, a table of pictures, and charts as options of ECharts."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnf_tf.evaluation.figures import picture_address
from cnnf_tf.experiments.playground.measures import Lab, Passes
from cnnf_tf.utils.templates import template

FEEDBACK, PLAIN, OTHERS = "#d9661f", "#4a7fd6", ("#2f9e55", "#9668cf")
"""Colours of CNN-F, CNN, and further classes; they can be read on light and on dark ground."""
_INK, _GRID = "#8a857c", "#8a857c44"
_SHOWN = 3  # classes in a row of the table, and lines of a chart
MOST_CLASSES = 12
"""Bars of a chart; of more classes it shows the most probable."""

Options = dict[str, Any]
"""Of an ECharts chart."""


def percent(share: float) -> str:
    """Such as 93.1 %."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def pair_text(lab: Lab, names: tuple[str, str]) -> str:
    """Which networks these are, and what the pictures of h are of.

    Args:
      lab: the two.
      names: of CNN-F and CNN.
    """
    model = lab.cnnf.model
    own = f"trained with K = {model.iterations} and eta = {lab.cnnf.eta:.3g}"
    if not lab.cnnf.own_eta_is_one_number:
        own += " for h (its layers have steps of their own, which the slider replaces)"
    what = "h is the image itself: h and g(0) are pictures."
    if model.encoder is not None:
        what = (
            "h is not the image but features of it: the pictures of h and g(0) are sketches, sent down through the "
            "first layers and scaled to fit the image best."
        )
    return f"CNN-F: {names[0]}, {own}. {what} CNN: {names[1]}."


def answer(passes: Passes, iterations: int, names: Sequence[str]) -> tuple[int, str, str]:
    """The class after so many passes, its name and probability."""
    shares = passes.probabilities[min(iterations, len(passes.probabilities) - 1)]
    best = int(np.argmax(shares))
    return best, names[best], percent(float(shares[best]))


def comparison(
    before: np.ndarray, found: tuple[Passes, Passes], iterations: int, names: Sequence[str], label: int | None
) -> str:
    """HTML: the image, and what CNN and CNN-F were given and answer.

    Args:
      before: the image before it was changed, `[height, width, channels]`.
      found: of `Lab.watch`.
      iterations: K to show.
      names: of the classes.
      label: the right class, if it is known.
    """
    cards = []
    for title, kind, passes, count in (("CNN", "plain", found[1], 0), ("CNN-F", "feedback", found[0], iterations)):
        best, name, share = answer(passes, count, names)
        verdict = "" if label is None else "right" if best == label else "wrong"
        cards.append(
            {"title": title, "kind": kind, "image": passes.image, "name": name, "share": share, "verdict": verdict}
        )
    truth = None if label is None else names[label]
    return _template().render(part="comparison", before=before, truth=truth, cards=cards, iterations=iterations)


def table(passes: Passes, iterations: int, names: Sequence[str], label: int | None, sketches: bool) -> str:
    """HTML: a row for each of K + 1 passes of the CNN-F, with g(0), h and the most probable classes.

    Args:
      passes: of the CNN-F.
      iterations: K to show.
      names: of the classes.
      label: the right class, if it is known.
      sketches: whether h is no image, so that its pictures are sketches.
    """
    rows = []
    for step in range(iterations + 1):
        shares = passes.probabilities[step]
        best = np.argsort(-shares, kind="stable")[:_SHOWN]
        rows.append(
            {
                "step": step,
                "h": passes.features[step],
                "g": passes.reconstructions[step - 1] if step else None,
                "classes": [
                    (names[index], percent(shares[index]), float(shares[index]), index == label) for index in best
                ],
                "changed": bool(step and passes.label_changed[step - 1]),
            }
        )
    return _template().render(part="table", rows=rows, sketches=sketches)


def class_chart(found: tuple[Passes, Passes], iterations: int, names: Sequence[str]) -> Options:
    """Bars: the probability of each class, or of the `MOST_CLASSES` largest, by CNN and by CNN-F after K passes."""
    cnnf, cnn = found[0].probabilities[iterations], found[1].probabilities[0]
    largest = np.sort(np.argsort(-np.maximum(cnnf, cnn), kind="stable")[:MOST_CLASSES])
    bars = (("CNN", PLAIN, cnn), (f"CNN-F, K = {iterations}", FEEDBACK, cnnf))
    return _options(
        {"type": "value", "min": 0, "max": 100},
        {"type": "category", "data": [names[index] for index in largest], "inverse": True},
        [
            {"name": name, "type": "bar", "barGap": "10%", "color": colour, "data": _percents(shares[largest])}
            for name, colour, shares in bars
        ],
    )


def pass_chart(found: tuple[Passes, Passes], iterations: int, names: Sequence[str], label: int | None) -> Options:
    """Lines over the passes: CNN-F's probability of the label, or its first answer, and of two rivals; dashed, CNN's.

    Args:
      found: of `Lab.watch`.
      iterations: K to show.
      names: of the classes.
      label: the right class, if it is known.
    """
    cnnf, cnn = found[0].probabilities[: iterations + 1], found[1].probabilities[0]
    first = int(np.argmax(cnnf[0])) if label is None else label
    others = [int(index) for index in np.argsort(-cnnf.max(axis=0), kind="stable") if index != first]
    lines = [
        _line(names[index], colour, _percents(cnnf[:, index]))
        for index, colour in zip([first, *others[: _SHOWN - 1]], (FEEDBACK, *OTHERS), strict=False)
    ]
    dashed = _line(f"{names[first]}, CNN", PLAIN, _percents(np.full(iterations + 1, cnn[first])))
    dashed |= {"lineStyle": {"type": "dashed", "color": PLAIN}, "symbol": "none"}
    return _options(_steps(0, iterations), {"type": "value", "min": 0, "max": 100}, [*lines, dashed])


def consistency_chart(passes: Passes, iterations: int) -> Options:
    """Lines over the iterations: the residual of h, and the latents that flipped; 0 where all agree."""
    lines = [
        _line("|h \N{MINUS SIGN} g(0)| / |h|", FEEDBACK, _percents(passes.feature_residual[:iterations])),
        _line("latents that flipped", OTHERS[1], _percents(passes.latent_flip_rate[:iterations])),
    ]
    return _options(_steps(1, iterations), {"type": "value", "min": 0}, lines)


def _steps(first: int, last: int) -> Options:
    return {"type": "category", "data": [str(step) for step in range(first, last + 1)], "name": "pass"}


def _line(name: str, colour: str, values: list[float]) -> Options:
    return {"name": name, "type": "line", "symbolSize": 7, "color": colour, "lineStyle": {"width": 2.5}, "data": values}


def _percents(shares: np.ndarray) -> list[float]:
    return [round(100 * float(share), 2) for share in shares]


def _options(horizontal: Options, vertical: Options, series: list[Options]) -> Options:
    def axis(options: Options) -> Options:
        label: Options = {"color": _INK} | ({"formatter": "{value} %"} if options["type"] == "value" else {})
        looks = {"axisLabel": label, "nameTextStyle": {"color": _INK}, "splitLine": {"lineStyle": {"color": _GRID}}}
        return (
            looks | {"axisLine": {"lineStyle": {"color": _GRID}}, "axisTick": {"show": False}, "nameGap": 8} | options
        )

    return {
        "animationDuration": 150,
        "animationDurationUpdate": 150,
        "aria": {"enabled": True},
        "grid": {"left": 4, "right": 40, "top": 62, "bottom": 8, "containLabel": True},
        "legend": {"left": 0, "top": 0, "textStyle": {"color": _INK}, "itemGap": 12, "itemWidth": 18},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": axis(horizontal),
        "yAxis": axis(vertical),
        "series": series,
    }


@functools.cache
def _template() -> Any:
    return template(pathlib.Path(__file__).with_name("parts.html.j2"), picture=picture_address)
