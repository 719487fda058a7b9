"""Checks of arguments that every room makes: what was wanted, what came."""

from typing import Any


def positive_int(name: str, value: Any) -> int:
    """Returns `value` if it is a positive int, else raises ValueError naming the argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    return value


def one_of(name: str, value: Any, allowed: Any) -> Any:
    """Returns `value` if it is among `allowed`, else raises ValueError that lists them."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}.")
    return value
