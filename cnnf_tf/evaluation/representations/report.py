"""The analyses of a study: numbers, table and figure of each. Another one is a function more in `ANALYSES`."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.arrival import arrival, arrival_difference, challenge_images
from cnnf_tf.evaluation.representations.cka import cka
from cnnf_tf.evaluation.representations.decoding import chance, decodability
from cnnf_tf.evaluation.representations.dimensionality import dimensionality
from cnnf_tf.evaluation.representations.estimates import LEAST_IMAGES, Estimate, estimate_table
from cnnf_tf.evaluation.representations.features import class_labels
from cnnf_tf.evaluation.representations.figures import MOST_RDMS, Curves, curves_figure, similarity_figure
from cnnf_tf.evaluation.representations.rsa import dissimilarities, rsa
from cnnf_tf.evaluation.representations.similarity import Similarity
from cnnf_tf.evaluation.representations.study import Study
from cnnf_tf.utils import environment
from cnnf_tf.utils.validation import integer, one_of

_DECODING = ("decoding", "arrival")
"""The analyses that read classes."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one analysis found.

    Attributes:
      numbers: for JSON.
      table: for a terminal.
      draw: writes the figure, a PNG: `draw(path, title=...)`.
    """

    numbers: Mapping[str, Any]
    table: str
    draw: Callable[..., None]


def _rsa(study: Study) -> Finding:
    found = rsa(study.flat, metric=study.metric, comparison=study.comparison, **study.sampling)
    return _similarity(study, found, rdms=lambda: _pictures(study, found))


def _cka(study: Study) -> Finding:
    return _similarity(study, cka(study.flat, debiased=study.debiased, **study.sampling))


def _similarity(study: Study, found: Similarity, rdms: Callable[[], Any] = dict) -> Finding:
    between = {f"{name}, of both models": found.between(*pair) for name, pair in study.pairs.items()}
    tables = [estimate_table("likeness with pass 0", {name: found.with_first_pass(name) for name in found.names()})]
    if between:
        tables.append(estimate_table("likeness of the models", between))

    def draw(path: Any, *, title: str) -> None:
        more = {"models": study.models, "pairs": study.pairs, "rdms": rdms()}
        similarity_figure(path, found, title=f"{title}: {found.measure}", **more)

    return Finding(found.to_dict(), "\n\n".join([found.measure, *tables]), draw)


def _pictures(study: Study, similarity: Similarity) -> dict[str, np.ndarray]:
    """RDMs of pass 0 and the last one of the last layers, those that all models have, the images sorted by class."""
    own = [[study.text(model, name) for name in each] for model, each in study.activations.items()]
    groups = list(study.pairs.values()) or list(zip(*map(reversed, own), strict=False))[::-1]
    last = dict(similarity.items)  # by name
    shown: list[tuple[str, int]] = []
    for group in reversed(groups):
        more = [(text, index) for text in group for index in dict.fromkeys((0, last[text]))]
        if shown and len(shown) + len(more) > MOST_RDMS:
            break
        shown = [*more, *shown]
    order = None if study.labels is None else np.argsort(study.labels, kind="stable")
    found = {}
    for name in dict.fromkeys(name for name, _ in shown):
        values = study.flat[name]
        for index in dict.fromkeys((0, last[name])):
            features = values[index] if order is None else values[index][order]
            found[f"{name}, pass {index}"] = dissimilarities(features, metric=study.metric)
    return found


def _decoding(study: Study) -> Finding:
    level = chance(study.labels)
    numbers: dict[str, Any] = {"chance": level, "folds": study.folds, "logits": study.logits}
    tables, panels = [f"share of images read correctly; always the commonest class: {level:.3f}"], []
    for head, read in (("own decoders", study.predictions), ("decoder of pass 0", study.transferred)):
        found = {name: decodability(each, study.labels, **study.sampling) for name, each in read.items()}
        numbers[head] = {name: row.to_dict() for name, row in found.items()}
        if found:
            accuracy = {name: row.accuracy for name, row in found.items()}
            tables.append(estimate_table(head, accuracy))
            tables.append(estimate_table("less pass 0", {name: row.gain for name, row in found.items()}))
            label = "share of images read correctly (line: by chance)"
            panels.append(Curves(f"{head}, {study.folds} folds", accuracy, label=label, level=level))
    return Finding(numbers, "\n\n".join(tables), _curves(study, panels, "linear decoding", one_range=True))


def _arrival(study: Study) -> Finding:
    read = {name: study.predictions[name][: study.shared_passes(name)] for name in study.flat}
    hard = {name: challenge_images([read[one] for one in study.compared(name)], study.labels) for name in read}
    found = {name: arrival(read[name], study.labels, hard[name]) for name in read}
    differences = {
        name: arrival_difference(found[first], found[second], hard[first], **study.sampling)
        for name, (first, second) in study.pairs.items()
        if hard[first].sum() >= LEAST_IMAGES
    }
    counts = {name: f"{name} ({row.sum()} images)" for name, row in hard.items()}
    whole = {name: row.curve for name, row in found.items()}
    challenge = {name: row.challenge_curve for name, row in found.items() if row.challenge_curve is not None}
    panels = [Curves("all images", whole, label="share of images that have arrived")]
    tables = [estimate_table("arrived, of all images", whole)]
    if challenge:
        panels.append(Curves("challenge images", challenge))
        tables.append(estimate_table("of the challenge images", {counts[name]: row for name, row in challenge.items()}))
    if differences:
        panels.append(Curves("challenge images: second model less first", differences, level=0.0))
        tables.append(estimate_table("second model less first", differences))
    numbers = {
        "logits": study.logits,
        "arrivals": {name: {"challenge_images": int(hard[name].sum()), **row.to_dict()} for name, row in found.items()},
        "differences": {name: row.to_dict() for name, row in differences.items()},
    }
    return Finding(numbers, "\n\n".join(tables), _curves(study, panels, "arrival of information"))


def _dimensionality(study: Study) -> Finding:
    found = dimensionality(study.flat, **study.sampling)
    ratios = {name: row.participation_ratio for name, row in found.items()}
    components = {
        name: Estimate(row.components_95, *2 * [np.full(len(row.components_95), np.nan)]) for name, row in found.items()
    }
    panels = [
        Curves("participation ratio", ratios, label="dimensions"),
        Curves("components for 95 % of the variance", components),
    ]
    table = estimate_table("participation ratio", ratios, digits=1)
    return Finding(
        {name: row.to_dict() for name, row in found.items()}, table, _curves(study, panels, "dimensionality")
    )


def _curves(study: Study, panels: Sequence[Curves], what: str, **options: Any) -> Callable[..., None]:
    def draw(path: Any, *, title: str) -> None:
        curves_figure(path, panels, title=f"{title}: {what}", models=study.models, **options)

    return draw


def analyse(study: Study, analyses: Sequence[str]) -> Iterator[tuple[str, Finding]]:
    """Makes analyses one after the other; what can be wrong with the study is looked for before the first.

    Args:
      study: what to analyse.
      analyses: of `ANALYSES`.

    Yields:
      The name of each, and what it found.

    Raises:
      ValueError: an unknown analysis; too few images for intervals; labels that do not go with them; no labels where
        classes are read, or too few images of a class where they are decoded; logits of another shape; matrices of all
        pairs of images that do not fit into memory; whatever an analysis raises.
    """
    for name in analyses:
        one_of("analysis", name, ANALYSES)
    first = {model: np.shape(next(iter(each.values()))) for model, each in study.activations.items()}
    if any(len(shape) < 3 for shape in first.values()):
        raise ValueError(f"a study wants activations [passes, images, ...], got {first}.")
    images = next(iter(first.values()))[1]
    items = sum(len(study.activations[model]) * shape[0] for model, shape in first.items())
    integer("images", images, least=LEAST_IMAGES, note=" for an interval")
    if study.labels is not None:
        class_labels(study.labels, images)
    if {*_DECODING} & {*analyses}:
        try:
            study.check_labels()
        except ValueError as error:
            others = ",".join(name for name in ANALYSES if name not in _DECODING)
            raise ValueError(f"{str(error).removesuffix('.')}, or --analyses={others}.") from error
    study.check_logits()
    need, free = 3 * 8 * items * images**2, environment.free_memory()
    if need > free and {*analyses} - {*_DECODING}:
        raise ValueError(
            f"{items} passes of {images} images want matrices of {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            "free; take fewer images or fewer layers."
        )
    return ((name, ANALYSES[name](study)) for name in analyses)


ANALYSES: Mapping[str, Callable[[Study], Finding]] = {
    "rsa": _rsa,
    "cka": _cka,
    "decoding": _decoding,
    "arrival": _arrival,
    "dimensionality": _dimensionality,
}
"""By name, what makes a `Finding` of a `Study`."""
