"""Step sizes: how far h and the features of each adaptive layer move towards their signal.

One number does for all. A mapping gives each its own, by patterns as in file names (`*`, `?`, `[ab]`), of which the
first that matches wins. A pattern is held against the path of a layer, "tap3/ada_relu3", and against its bare name,
"ada_relu3"; "h" is the step of h, which "*" matches too:

    CNNF(network, eta={"h": 0.5, "tap*": 0.2, "*": 0.1}, ...)

With `learn_eta=True` training finds the numbers, one for each adaptive layer and one for h. They are the sigmoid of
logits that start from `eta`, and so stay between 0 and 1.
"""

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from cnnf_tf.layers import FeedbackComposite
from cnnf_tf.layers.base import FeedbackLayer, Tensor
from cnnf_tf.models.networks import named_leaves
from cnnf_tf.utils.validation import number

FEATURES = "h"
"""The name of the step of h, beside the paths of layers."""
MARGIN = 1e-3
"""Learning starts at least so far from 0 and from 1, where the sigmoid has no slope."""


class StepSizes(NamedTuple):
    """A step for each place that takes one; what the loop takes for `eta` where a number for all is not enough."""

    features: float | Tensor
    """Of h."""
    network: Any
    """Nested like the network; None at layers that do not adapt."""


Eta = float | Tensor | StepSizes
"""What the loop takes: one step for all, or one for each."""


def apart(eta: Eta) -> tuple[float | Tensor, Any]:
    """The step of h, and what the network takes for `eta`."""
    return (eta.features, eta.network) if isinstance(eta, StepSizes) else (eta, eta)


def places(network: FeedbackComposite) -> list[str]:
    """What takes a step: "h", then the paths of the adaptive layers, bottom to top.

    A layer that stands at one path several times is one place.
    """
    adaptive = [path[1:] for path, leaf in named_leaves(network) if leaf.adapts]
    return list(dict.fromkeys([FEATURES, *adaptive]))


def check_eta(network: FeedbackComposite, eta: Any) -> float | dict[str, float]:
    """Returns a number in [0, 1], or a mapping from patterns to such, as a float or a dict of floats.

    Raises:
      ValueError: anything else; a mapping that leaves a place of the network without a step; a pattern that decides
        nothing, because it matches no place or only those that patterns before it take.
    """
    if not isinstance(eta, Mapping):
        return number("eta", eta, high=1.0)
    checked = {str(pattern): number(f"eta[{pattern!r}]", value, high=1.0) for pattern, value in eta.items()}
    _deciding(network, checked)
    return checked


def constant_steps(network: FeedbackComposite, eta: Any) -> float | StepSizes:
    """What the loop takes, from a number or a mapping; raises as `check_eta`."""
    checked = check_eta(network, eta)
    return _nest(network, _numbers(network, checked).__getitem__) if isinstance(checked, dict) else checked


def initial_logits(network: FeedbackComposite, eta: Any) -> np.ndarray:
    """Logits to start learning from, `[places]`: the sigmoid's inverse of `eta`, clipped to [0.001, 0.999]."""
    values = np.clip(list(_numbers(network, check_eta(network, eta)).values()), MARGIN, 1 - MARGIN)
    return np.log(values / (1 - values)).astype(np.float32)


def learned_steps(network: FeedbackComposite, logits: Tensor) -> StepSizes:
    """What the loop takes, from logits `[places]`; scalar tensors, through which gradients flow."""
    names = places(network)
    values = dict(zip(names, ops.unstack(ops.sigmoid(logits), len(names)), strict=True))
    return _nest(network, values.__getitem__)


def learned_values(network: FeedbackComposite, logits: Tensor) -> dict[str, float]:
    """The numbers that logits `[places]` stand for, by place."""
    values = ops.convert_to_numpy(ops.sigmoid(logits))
    return dict(zip(places(network), map(float, values), strict=True))


def eta_text(eta: float | Mapping[str, float]) -> str:
    """One phrase for reports: "0.1", or "0.5 (h), 0.1 (*)"."""
    if not isinstance(eta, Mapping):
        return f"{eta:g}"
    return ", ".join(f"{value:.3g} ({name})" for name, value in eta.items())


def _nest(network: FeedbackComposite, step_at: Callable[[str], Any]) -> StepSizes:
    def steps(layer: FeedbackLayer, path: str) -> Any:
        if isinstance(layer, FeedbackComposite):
            return [steps(child, f"{path}/{child.name}") for child in layer.children()]
        return step_at(path[1:]) if layer.adapts else None

    return StepSizes(step_at(FEATURES), steps(network, ""))


def _numbers(network: FeedbackComposite, eta: float | dict[str, float]) -> dict[str, float]:
    """The step of each place, from what `check_eta` returned."""
    if not isinstance(eta, dict):
        return dict.fromkeys(places(network), eta)
    return {place: eta[pattern] for place, pattern in _deciding(network, eta).items()}


def _deciding(network: FeedbackComposite, eta: dict[str, float]) -> dict[str, str]:
    """The pattern that decides for each place."""
    names = places(network)
    found = {name: next((pattern for pattern in eta if matches(name, pattern)), None) for name in names}
    open_ = [name for name, pattern in found.items() if pattern is None]
    if open_:
        raise ValueError(
            f"eta has no pattern for {', '.join(open_)}; a mapping must give a step to h and to each adaptive layer "
            '(a last pattern "*" gives it to all that are left).'
        )
    idle = [pattern for pattern in eta if pattern not in found.values()]
    if idle:
        raise ValueError(
            f"eta: {', '.join(map(repr, idle))} decides nothing; the first pattern that matches wins, and there are "
            f"{', '.join(names)}."
        )
    return {name: pattern for name, pattern in found.items() if pattern is not None}


def matches(name: str, pattern: str) -> bool:
    """Whether a path, or the bare name at its end, fits a pattern as in file names."""
    return any(fnmatch.fnmatchcase(part, pattern) for part in (name, name.rpartition("/")[2]))
