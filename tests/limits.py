"""How long a test waits for another process or thread: it guards against hanging, never against a slow machine."""

HANGING = 1800
"""Seconds."""
