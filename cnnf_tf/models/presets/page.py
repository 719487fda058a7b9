"""The page of a preset, README.md: front matter for the hub, and what everyone must know. All from data.

Of packaged models bin/package_model.py makes the same page with their scores and their training below.
"""

import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnf_tf.models.step_sizes import eta_text

_TEXT = ("a string", lambda value: isinstance(value, str))
_TEXT_OR_NONE = ("a string", lambda value: value is None or isinstance(value, str))
_OBJECT = ("an object", lambda value: isinstance(value, dict))
_FORMS: dict[tuple[str, ...], tuple[str, Callable[[Any], bool]]] = {
    **{(key,): _TEXT for key in ("name", "preset")},
    **{(key,): _TEXT_OR_NONE for key in ("description", "license", "limits")},
    ("front_matter",): _OBJECT,
    ("data",): ("{'name': ..., 'split': ...}", lambda value: isinstance(value, dict)),
    ("data", "name"): _TEXT,
    ("data", "split"): _TEXT,
    ("metrics",): _OBJECT,
    ("metrics", "clean"): ("{'accuracy': ...}, as of evaluation.evaluate_passes(...).to_dict()", _OBJECT[1]),
    ("metrics", "clean", "accuracy"): (
        "{'last': [...], 'average': [...]}, of each pass",
        lambda value: isinstance(value, dict) and all(map(_is_scores, value.values())),
    ),
}
"""What is read of a card, where it is there: how it looks, and whether it does."""


def check_card(card: Mapping[str, Any]) -> None:
    """Raises ValueError where what the page reads of a card, as it comes from JSON, has another form."""
    for keys, (form, fits) in _FORMS.items():
        found: Any = card
        for key in keys:
            found = found.get(key, _MISSING) if found is not _MISSING else found
        if found is not _MISSING and not fits(found):
            place = "".join(f"[{key!r}]" for key in keys)
            raise ValueError(f"card{place} must be {form}, got {found!r}.")


_MISSING = object()


def _is_scores(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(type(score) in (int, float) for score in value)


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 120 characters."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def summary(info: Mapping[str, Any]) -> str:
    """One line on a preset: "CNN-F, K = 1, eta = 0.1, readout `last`, for `mnist` (28 x 28 x 1, 10 classes)".

    Args:
      info: of `preset_info`.
    """
    loop = "Plain CNN (K = 0)"
    if info["iterations"]:
        step = "eta learned from" if info["learn_eta"] else "eta ="
        loop = f"CNN-F, K = {info['iterations']}, {step} {eta_text(info['eta'])}"
    size = " x ".join("any" if side is None else str(side) for side in info["image_shape"])
    data = info["card"].get("data", {}).get("name")
    what = f"for `{data}` ({size}, {info['num_classes']} classes)" if data else f"{size}, {info['num_classes']} classes"
    return f"{loop}, readout `{info['readout']}`, {what}"


def front_matter(info: Mapping[str, Any]) -> dict[str, Any]:
    """What the hub reads, by key, so far as it is known; `front_matter` of the card has the last word."""
    card = info["card"]
    data, clean = card.get("data", {}), card.get("metrics", {}).get("clean")
    found: dict[str, Any] = {
        "license": card.get("license"),
        "library_name": "cnnf_tf",
        "pipeline_tag": "image-classification",
        "tags": ["cnnf", "keras", "recurrent-feedback", "image-classification"],
        "datasets": [data["name"]] if "name" in data else None,
    }
    scores = (clean or {}).get("accuracy", {}).get(info["readout"])
    if scores:
        found["metrics"] = ["accuracy"]
        if {"name", "split"} <= data.keys():
            found["model-index"] = [{"name": info["name"], "results": [_result(info, data, scores)]}]
    return {key: value for key, value in (found | card.get("front_matter", {})).items() if value is not None}


def head(info: Mapping[str, Any]) -> str:
    """The page, as far as every preset has one.

    Args:
      info: of `preset_info`; of its `card` are read: `name`, `preset` (what `from_preset` is given), `description`,
        `license`, `data`, `metrics`, `limits`, and `front_matter`.
    """
    card, name = info["card"], info["name"]
    labels = ""
    if info["class_names"]:
        labels = f" Labels: {', '.join(f'{index} {label}' for index, label in enumerate(info['class_names']))}."
    text = (
        f"{summary(info)}: {info['parameter_count']:,} parameters, {_size(info['weights']['bytes'])} of "
        f"{info['weights']['dtype']}, computed in {info['dtype']}. Images are in [0, 1].{labels} "
        f"{card.get('description') or ''}"
    )
    if info["tolerance"] is not None:
        text += f" The adaptive loop may stop an image that moves less than {info['tolerance']:g}."
    front = [f"{_yaml(str(key))}: {_yaml(value)}\n" for key, value in front_matter(info).items()]
    parts = (
        f"---\n{''.join(front)}---\n",
        f"# {name}\n",
        wrapped(text),
        f"```python\nimport cnnf_tf\n\nmodel = cnnf_tf.CNNF.from_preset({json.dumps(card.get('preset', f'hf://USER/{name}'))})\n```\n",
        f"## Limits\n\n{card.get('limits') or 'None were stated.'}\n",
    )
    return "\n".join(parts)


def _yaml(value: Any) -> str:
    """JSON is YAML, too, but for characters that YAML wants escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _result(info: Mapping[str, Any], data: Mapping[str, Any], scores: Sequence[float]) -> dict[str, Any]:
    """The accuracy of pass K, or of the last one that was measured, as the hub's `model-index` has it."""
    iterations = min(info["iterations"], len(scores) - 1)
    return {
        "task": {"type": "image-classification"},
        "dataset": {"type": data["name"], "name": data["name"], "split": data["split"]},
        "metrics": [{"type": "accuracy", "value": scores[iterations], "name": f"accuracy, K = {iterations}"}],
    }


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
