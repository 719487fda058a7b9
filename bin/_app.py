"""What every binary shares: flag parsing, one-paragraph errors, exit codes.

A binary defines its flags at import time, imports TensorFlow only inside `main`, and ends with

    if __name__ == "__main__":
        _app.run(main)

Exit codes: 0 success; 1 the work failed (bad data, missing file, ...); 2 the command line was wrong. Errors are one
paragraph on stderr that names what was wanted, what came and what is allowed; `--debug` shows the traceback instead.
"""

import os
import pathlib
import sys
import textwrap
from collections.abc import Callable

# The package is importable from a plain checkout, without installation.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
# TensorFlow's C++ start-up chatter hides our own messages; an explicit setting of the user wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags  # noqa: E402

_DEBUG = flags.DEFINE_bool("debug", False, "On failure, show the Python traceback instead of one paragraph.")


class UsageError(Exception):
    """The command line asks for something that cannot be: exit code 2."""


def _fail(message: str, code: int) -> int:
    paragraph = " ".join(message.split())
    print(textwrap.fill(f"Error: {paragraph}", 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return code


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses flags the absl way, but explains a bad one in a paragraph and exits with 2."""
    try:
        return flags.FLAGS(argv)
    except Exception as error:  # noqa: BLE001 - a config file is executed here and may raise anything
        if "--debug" in argv:
            raise
        hint = f" Run `python {argv[0]} --help` for all flags."
        sys.exit(_fail(str(error) + hint, 2))


def run(main: Callable[[], int | None]) -> None:
    """Parses the flags, calls `main()` and exits with its code; see the module docstring for errors."""

    def guarded(argv: list[str]) -> int:
        try:
            if len(argv) > 1:
                raise UsageError(f"no positional arguments are taken, got {argv[1:]}; write flags as --name=value.")
            return main() or 0
        except KeyboardInterrupt:
            return _fail("interrupted.", 130)
        except Exception as error:  # noqa: BLE001 - the last line of defence before the user
            if _DEBUG.value:
                raise
            if isinstance(error, UsageError):
                return _fail(str(error), 2)
            if isinstance(error, (ValueError, OSError, ImportError)):
                return _fail(str(error), 1)
            return _fail(f"{type(error).__name__}: {error} (run again with --debug for the traceback)", 1)

    # `--help` is absl's own; flags such as --helpfull keep working through `app.run`.
    app.run(guarded, flags_parser=_parse_help_or_flags)


def _parse_help_or_flags(argv: list[str]) -> list[str]:
    app.define_help_flags()
    return _parse_flags(argv)
