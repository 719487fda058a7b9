"""The page of results, and the block of it in the README: sections in the order of the talk's slides."""

import os
import pathlib
import re
from collections.abc import Callable

from cnnf_tf.experiments.results import (
    adversarial,
    clean,
    corruptions,
    generative,
    iterations,
    restoration,
    speed,
    standard_attacks,
)
from cnnf_tf.experiments.results.markdown import anchor, bullets, paragraph, table
from cnnf_tf.experiments.results.results import Results
from cnnf_tf.experiments.results.section import FILES, NOT_MEASURED, Section

TALK: tuple[Callable[[Results], Section], ...] = (
    restoration.section,
    standard_attacks.section,
    iterations.trained_section,
    iterations.tested_section,
    iterations.needed_section,
    adversarial.fashion_section,
    adversarial.cifar_section,
)
"""The sections that follow the talk, slide by slide."""

BEYOND: tuple[Callable[[Results], Section], ...] = (
    corruptions.section,
    clean.clean_section,
    clean.stable_section,
    generative.learning_section,
    generative.likelihood_section,
    speed.section,
)
"""What the talk does not speak of."""

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
"""Between these lines of the README stands its block."""

_NOTICE = "<!-- Made by `python bin/report.py` from the files in {results}: edit those, or cnnf_tf/reporting. -->"
_INTRODUCTION = """
Every number here is read from a file in [{results}]({results}/README.md): the unchanged output of one of our binaries
or, where others are quoted, an entry with its source. `python bin/report.py` makes this page from them, and a test
fails where the two do not agree. Read the comparisons, not the times: the machine was shared with other work.
"""
_READING = (
    "`a ± b` is the mean and one sample standard deviation over training seeds; `a [b, c]` is one training seed, "
    "and the 95 % interval (Wilson) over its images.",
    "Two values are *level within the intervals* where these overlap; for several seeds the interval is the wider "
    "of one standard deviation and the 95 % interval over the images. *Higher*, *lower* and *level* are computed "
    "by this rule.",
    "Pixels are in [0, 1], and so are radii; `K` is the number of feedback iterations in training, `K'` in the test. "
    "Readout `last` takes the logits of the last pass, `average` the mean of those of all passes.",
)


def render_page(results: Results, *, results_link: str = "results") -> str:
    """The whole page.

    Args:
      results: the result files.
      results_link: their folder, as seen from the folder of the page.

    Raises:
      ValueError: a result file has not what its binary writes into it.
    """
    talk, beyond = (_sections(results, makers) for makers in (TALK, BEYOND))
    blocks = [
        "# Results",
        _NOTICE,
        paragraph(_INTRODUCTION),
        bullets(_READING),
        _overview([*talk, *beyond]),
        *(section.markdown() for section in talk),
        "# Beyond the talk",
        *(section.markdown() for section in beyond),
    ]
    return "\n\n".join(blocks).replace(FILES, results_link) + "\n"


def render_readme_block(results: Results, *, page_link: str = "docs/results.md") -> str:
    """What stands in the README: a sentence for each section that was measured, and the table of clean accuracy.

    Args:
      results: the result files.
      page_link: the page, as seen from the folder of the README.

    Raises:
      ValueError: as `render_page`.
    """
    sections = _sections(results, (*TALK, *BEYOND))
    measured = [section for section in sections if section.summary != NOT_MEASURED]
    items = [
        f"[{section.title}]({page_link}#{anchor(section.title)}): {_plain(section.summary)}" for section in measured
    ]
    missing = [section.title for section in sections if section.summary == NOT_MEASURED]
    blocks = [
        paragraph(
            f"Made by `bin/report.py` from the files beside [the page of results]({page_link}), which has the "
            "commands, seeds, hardware and intervals. *Level* and *higher* follow its rule: intervals overlap, or "
            "they do not."
        ),
        clean.clean_table(results),
        bullets(items),
        paragraph(f"Not measured yet: {'; '.join(missing)}.") if missing else "",
    ]
    return "\n\n".join(block for block in blocks if block)


def replace_block(text: str, block: str) -> str:
    """A text in which `block` stands between the lines `BEGIN` and `END`; unchanged where it has no such lines.

    Raises:
      ValueError: one of the lines is missing, stands twice, or they are in the wrong order.
    """
    counts = text.count(BEGIN), text.count(END)
    if counts == (0, 0):
        return text
    if counts != (1, 1) or text.index(BEGIN) > text.index(END):
        raise ValueError(
            f"wanted one line {BEGIN} and after it one line {END}, found {counts[0]} and {counts[1]} of them."
        )
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    return f"{before}{BEGIN}\n{block}\n{after}"


def relative_link(target: str | os.PathLike[str], page: str | os.PathLike[str]) -> str:
    """How a file links to another file or folder."""
    return pathlib.Path(os.path.relpath(target, pathlib.Path(page).parent)).as_posix()


def _sections(results: Results, makers: tuple[Callable[[Results], Section], ...]) -> list[Section]:
    found = []
    for make in makers:
        try:
            found.append(make(results))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(
                f"a result file of {make.__module__.rpartition('.')[2]}.{make.__name__} has not what its binary writes "
                f"into it ({type(error).__name__}: {error}); see {results.folder}/README.md."
            ) from error
    return found


def _overview(sections: list[Section]) -> str:
    rows = [[f"[{section.title}](#{anchor(section.title)})", _plain(section.summary)] for section in sections]
    return table(["section", "what came out"], rows)


def _plain(text: str) -> str:
    """Without emphasis, which is for the conclusion in its section."""
    return re.sub(r"\*\*", "", text)
