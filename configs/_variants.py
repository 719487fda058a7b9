"""The one check that every configuration makes of its variant."""

from collections.abc import Mapping


def check(variant: str, variants: Mapping[str, str], file: str) -> None:
    """Raises ValueError that lists `variants` (name to description) unless `variant` is one of them."""
    if variant not in variants:
        known = "; ".join(f"{name or '(none)'}: {text}" for name, text in variants.items())
        raise ValueError(f"unknown variant {variant!r} of {file}; wanted one of: {known}.")
