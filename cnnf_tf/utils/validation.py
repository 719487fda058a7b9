"""Checks of arguments that every room makes: what was wanted, what came."""

import math
import numbers
from typing import Any


def integer(name: str, value: Any, *, least: int = 0, note: str = "") -> int:
    """Returns `value` if it is an int >= `least`, else raises ValueError; `note` tells more of what was wanted."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}{note}, got {value!r}.")
    return value


def positive_int(name: str, value: Any) -> int:
    """Returns `value` if it is a positive int, else raises ValueError naming the argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    return value


def pair(name: str, value: Any) -> tuple[int, int]:
    """Returns `value` as two positive ints, itself twice if it is one, else raises ValueError."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be a positive integer or two of them, got {value!r}.")
    return positive_int(name, values[0]), positive_int(name, values[1])


def number(name: str, value: Any, *, low: float = 0.0, high: float = math.inf, note: str = "") -> float:
    """Returns `value` as a float if it is a number in [low, high], else raises ValueError; `note` as in `integer`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
        wanted = f">= {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
        raise ValueError(f"{name} must be a number {wanted}{note}, got {value!r}.")
    return float(value)


def one_of(name: str, value: Any, allowed: Any) -> Any:
    """Returns `value` if it is among `allowed`, else raises ValueError that lists them."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}.")
    return value
