"""Makes the tables of docs/results.md from the result files in docs/results, and checks the numbers in its sentences.

Example:
  python bin/report.py
  python bin/report.py --check
  python bin/report.py --results=docs/results --pages=docs/results.md,README.md

docs/results/README.md says where which file goes, and how a sentence names the file of its numbers. The page beside the
folder of results (results.md beside results) is checked from top to bottom, other pages in the sections that name
files. The exit code is 1 if a number is not what its file says, or names none; with --check also if a table is not what
it would be, and nothing is written.
"""

import glob
import os
import pathlib
import sys

import _app
from absl import flags

_RESULTS = flags.DEFINE_string("results", "docs/results", "Folder of the result files.")
_PAGES = flags.DEFINE_list("pages", ["README.md", "docs/*.md", "docs/models/*.md"], "Markdown files, * and ? allowed.")
_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail if a table is not what would be written.")


def main() -> int:
    from cnnf_tf.experiments import results
    from cnnf_tf.utils.files import write_text

    folder = pathlib.Path(_RESULTS.value)
    if not folder.is_dir():
        raise _app.UsageError(f"--results wants a folder of result files such as docs/results, got {_RESULTS.value!r}.")
    if not _PAGES.value:
        raise _app.UsageError("--pages wants .md files that exist, got nothing.")
    problems = []
    for pattern in _PAGES.value:
        names = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
        pages = [pathlib.Path(name) for name in names]
        if not pages or any(page.suffix != ".md" for page in pages):
            raise _app.UsageError(f"--pages wants .md files that exist, got {pattern!r}.")
        for page in pages:
            there = page.read_text(encoding="utf-8")
            made = results.fill(there, folder)
            if made != there and _CHECK.value:
                lines = zip(there.splitlines(), made.splitlines(), strict=False)
                line = next((number for number, (old, new) in enumerate(lines, start=1) if old != new), 1)
                problems.append(f"{page}:{line}: the table is not what {folder} says; run python bin/report.py.")
            elif made != there:
                with _app.writing_to("pages", page.parent):
                    write_text(page, made)
                print(f"wrote {page}")
            problems += results.drift(page, folder, everywhere=page.with_suffix("") == folder)
    print("\n".join(problems) or "every number is that of its file", file=sys.stderr if problems else sys.stdout)
    return 1 if problems else 0


if __name__ == "__main__":
    _app.run(main)
