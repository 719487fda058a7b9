"""One row of a leaderboard, and how it is read and checked."""

import functools
import importlib.resources
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from cnnf_tf.evaluation.robustness.report import RobustnessReport
from cnnf_tf.utils.intervals import wilson_interval

Entry = dict[str, Any]

_OURS = "leaderboard.json"
_PASSED_OVER = ("corruptions", "corruptions_3d")
_THREAT_MODELS = {"linf": "Linf", "l2": "L2"}


def make(report: RobustnessReport, *, readout: str, clean_correct: int, clean_images: int, **facts: Any) -> Entry:
    """A row from a robustness table that holds AutoAttack.

    Args:
      report: the table.
      readout: of the model that is entered.
      clean_correct: how many images of the whole split it classifies.
      clean_images: of how many.
      **facts: name, dataset, architecture, eps (as the radius was given), additional_data, and more of the schema's.

    Raises:
      ValueError: a table without AutoAttack on all of its images, or facts that the schema refuses.
    """
    rows = [score for score in report.scores if score.readout == readout]
    count = len(report.clean[readout])
    standard = [score for score in rows if score.attack_name == "AutoAttack" and len(score.survived) == count]
    if not standard:
        raise ValueError(f"a leaderboard wants AutoAttack on all {count} images, in readout {readout}; there is none.")
    standing = report.clean[readout].copy()
    for score in standard:
        standing &= score.survived
    kept = ("attack", "gradient_path", "num_images", "robust_accuracy", "seconds", "settings")
    flags = [found for found in report.sanity_checks.get(readout, []) if not found.passed]
    low, high = wilson_interval(int(standing.sum()), count)
    entry = {
        "threat_model": _THREAT_MODELS[standard[0].report["settings"]["norm"]],
        "clean_acc": _percent(clean_correct / clean_images),
        "autoattack_acc": _percent(standing.mean()),
        "interval_95": [100 * low, 100 * high],
        "minimum_acc": _percent(report.minimum(readout)),
        "clean_images": clean_images,
        "attacked_images": count,
        "number_forward_passes": 1 + report.iterations,
        "iterations": report.iterations,
        "readout": readout,
        "seed": report.seed,
        "attacks": [{name: score.to_dict()[name] for name in kept} for score in rows],
        "flags": [f"{found.check}: {found.evidence}" for found in flags],
        **facts,
    }
    check(entry, "the row")
    return entry


def check(entry: Any, name: str) -> None:
    """Raises ValueError, which says what is wrong where, unless a row is one of the schema."""
    values = entry.values() if isinstance(entry, dict) else ()
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise ValueError(f"{name} is not a row of a leaderboard: a number in it is not finite.")
    errors = sorted(_validator().iter_errors(entry), key=lambda error: [str(part) for part in error.absolute_path])
    if errors:
        texts = [f"{'.'.join(map(str, error.absolute_path)) or 'it'}: {error.message}" for error in errors[:3]]
        more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
        raise ValueError(f"{name} is not a row of a leaderboard: {'; '.join(texts)}{more}.")


def read_folder(folder: str | os.PathLike[str]) -> dict[str, Entry]:
    """All rows in a folder and the folders in it, by the files' names without ".json".

    Every .json is one, but where there is a leaderboard.json it is the only one of its folder, and RobustBench's
    folders of corruptions are passed over. A row that does not say its threat model has the one that its folder is
    named after, as in RobustBench, or else Linf.

    Raises:
      ValueError: no folder, no file there, or one that is no row.
    """
    place = pathlib.Path(folder)
    if not place.is_dir():
        raise ValueError(f"wanted a folder of leaderboard rows (.json), got {os.fspath(folder)!r}, which is none.")
    found: dict[str, Entry] = {}
    for path in sorted(place.rglob("*.json")):
        of_other_kind = path.name != _OURS and path.with_name(_OURS).exists()
        if of_other_kind or not path.is_file() or path.parent.name in _PASSED_OVER:
            continue
        try:
            entry = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
            json.dumps(entry, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except (ValueError, OSError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read as JSON ({error}).") from error
        check(entry, str(path))
        by_folder = path.parent.name if path.parent.name in _THREAT_MODELS.values() else "Linf"
        entry.setdefault("threat_model", by_folder)
        found[str(path.relative_to(place).with_suffix(""))] = entry
    if not found:
        raise ValueError(f"{place} holds no .json file; bin/evaluate.py --leaderboard writes one.")
    return found


def number(value: Any) -> float:
    """A number of a row, which may be text, such as "66.56" or "8/255"."""
    above, _, below = str(value).partition("/")
    return float(above) / float(below or 1)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


@functools.cache
def _validator() -> Any:
    import jsonschema

    text = importlib.resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
    schema: Mapping[str, Any] = json.loads(text)
    return jsonschema.Draft202012Validator(schema)


def _percent(share: float) -> float:
    return round(100 * float(share), 2)
