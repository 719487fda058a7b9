"""What binaries say: errors in one paragraph, and --help, with the symbols of the paper explained where they occur."""

import itertools
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator

_GLOSSARY = {
    "K, K'": (r"\bK\b", "feedback passes: K of the training, K' of this run. K' = 0 is the plain CNN"),
    "h": (r"(?<![\w/.'=-])h(?![\w/.'=-]\S)", "what the loop moves: the image, or what the encoder makes of it"),
    "g(0)": (r"\bg\(0", "what the feedback renders of h, the network's picture of what it saw"),
    "z": (r"(?<![\w/.'=-])z(?![\w/.'=-]\S)", "the latents: which rectifier and pooling units are on"),
    "encoder_blocks": (r"\bencoder_blocks\b", "blocks in front of the loop, which run once; with 0, h is the image"),
    "eta": (r"\beta\b", "step size of the loop, from 0 to 1: h becomes h + eta (g(0) - h)"),
    "dlr": (r"\bdlr\b", "difference of logits ratio, a loss that does not depend on the scale of the logits"),
    "SPSA": (r"(?i)\bspsa\b", "an attack that needs no gradients: differences along random directions"),
}


def fail(message: str, code: int) -> int:
    """Prints an error as one paragraph on stderr, its symbols explained; returns the exit code it was given."""
    paragraph = " ".join(f"Error: {message}".split())
    symbols = "; ".join(f"{symbol}: {meaning}" for symbol, meaning in _explained(paragraph))
    text = f"{paragraph} ({symbols}.)" if symbols else paragraph
    print(textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return code


def help_text(doc: str, flags: str) -> str:
    """The text of --help, prose as wide as the terminal; indented lines, which are examples and tables, as they are.

    Args:
      doc: docstring of the binary.
      flags: its flags, as absl describes them.
    """
    width = shutil.get_terminal_size((80, 1)).columns
    lines: list[str] = []
    for prose, part in itertools.groupby(doc.strip("\n").splitlines(), lambda line: line[:1] not in ("", " ")):
        some = list(part)
        lines += textwrap.wrap(" ".join(some), width, break_on_hyphens=False) if prose else some
    lines += ["", "flags:", flags]
    symbols = list(_explained(f"{doc}\n{flags}"))
    if symbols:
        lines += ["", "symbols:"]
        for symbol, meaning in symbols:
            lines += textwrap.wrap(f"{symbol}: {meaning}.", width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join([*lines, "", "Try --helpfull to get a list of all flags."])


def _explained(text: str) -> Iterator[tuple[str, str]]:
    """The symbols that occur in a text, and in what explains them, with their meanings."""
    found: dict[str, str] = {}
    while True:
        everything = " ".join([text, *found.values()])
        new = {name: means for name, (pattern, means) in _GLOSSARY.items() if re.search(pattern, everything)}
        if new == found:
            return iter(new.items())
        found = new
