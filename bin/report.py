"""Makes docs/results.md from the result files in docs/results, so that no number in it is typed by hand.

Example:
  python bin/report.py
  python bin/report.py --check
  python bin/report.py --results=docs/results --output=/tmp/results.md

What was not measured is named on the page with the command that would measure it. docs/results/README.md says where
which file goes. With --check nothing is written: the exit code is 1, with the difference, if a file is not what would
be written. A README with the lines <!-- results:begin --> and <!-- results:end --> gets a short version between them.
"""

import difflib
import pathlib
import sys
import types

import _app
from absl import flags

_RESULTS = flags.DEFINE_string("results", "docs/results", "Folder of the result files.")
_OUTPUT = flags.DEFINE_string("output", "docs/results.md", "The page, a .md file.")
_README = flags.DEFINE_string(
    "readme", None, "A .md file with a block of results. Default: README.md, if --output has its default, too."
)
_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail if a file is not what would be written.")

_MOST_LINES = 40  # of a difference


def main() -> int:
    output = pathlib.Path(_OUTPUT.value)
    readme = _README.value
    if readme is None and not flags.FLAGS["output"].present:
        readme = "README.md"
    for flag, value in (("output", _OUTPUT.value), ("readme", readme)):
        if value and not value.endswith(".md"):
            raise _app.UsageError(f"--{flag} wants a .md file, got {value!r}.")

    _without_tensorflow()
    from cnnf_tf.experiments import results as reporting
    from cnnf_tf.utils.files import write_text

    results = reporting.Results(_RESULTS.value)
    link = reporting.relative_link(_RESULTS.value, output)
    wanted = {output: reporting.render_page(results, results_link=link)}
    if readme and pathlib.Path(readme).exists():
        path = pathlib.Path(readme)
        block = reporting.render_readme_block(results, page_link=reporting.relative_link(output, path))
        wanted[path] = reporting.replace_block(path.read_text(encoding="utf-8"), block)
    code = 0
    for path, text in wanted.items():
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there == text:
            print(f"{path} is up to date")
        elif _CHECK.value:
            code = 1
            print(f"Error: {path} is not what {_RESULTS.value} says; run python bin/report.py.", file=sys.stderr)
            _print_difference(there, text, path)
        else:
            with _app.writing_to("output", path.parent):
                write_text(path, text)
            print(f"wrote {path}")
    return code


def _without_tensorflow() -> None:
    """Lets `cnnf_tf.reporting` be imported without cnnf_tf/__init__.py, which imports TensorFlow."""
    if "cnnf_tf" not in sys.modules:
        package = types.ModuleType("cnnf_tf")
        package.__path__ = [str(pathlib.Path(__file__).resolve().parent.parent / "cnnf_tf")]
        sys.modules["cnnf_tf"] = package


def _print_difference(there: str, wanted: str, path: pathlib.Path) -> None:
    lines = list(difflib.unified_diff(there.splitlines(), wanted.splitlines(), str(path), "wanted", lineterm="", n=0))
    print("\n".join(lines[:_MOST_LINES]), file=sys.stderr)
    if len(lines) > _MOST_LINES:
        print(f"... and {len(lines) - _MOST_LINES} more lines", file=sys.stderr)


if __name__ == "__main__":
    _app.run(main)
