"""Resolved configurations: flat, by dotted names; and compared, for errors that say what is not the same."""

from collections.abc import Mapping
from typing import Any

_ABSENT = "(absent)"


def config_diff(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """One phrase for each value that differs, such as "model.eta: 0.1 there, 0.2 asked"; sorted by name.

    Args:
      there: nested configuration of what exists, as read from JSON.
      asked: nested configuration of what is wanted, as written to JSON.
    """
    old, new = flatten(there), flatten(asked)
    return [
        f"{key}: {old.get(key, _ABSENT)!r} there, {new.get(key, _ABSENT)!r} asked"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested configuration by names such as "model.eta"; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
