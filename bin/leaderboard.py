"""Makes one page of leaderboard rows: those of bin/evaluate.py --leaderboard, and others that are dropped in.

Example:
  python bin/evaluate.py --model=runs/a/best.keras --robustness=8/255 \\
      --leaderboard --output=rows/a
  python bin/leaderboard.py --rows=rows --output=rows/README.md

--rows is a folder. Every .json in it and in its folders is a row, but where there is a leaderboard.json it is the only
one of its folder. So the results of bin/evaluate.py can lie there as they are, and beside them other people's rows, for
example model information of RobustBench (model_info/cifar10/Linf/*.json). Each row is checked before anything is
written, by cnnf_tf/experiments/leaderboard/schema.json. The page is Markdown: a table for each data set, threat model
and radius, the sturdiest model first.
"""

import _app
from absl import flags

_ROWS = flags.DEFINE_string("rows", None, "Folder of the rows.")
_OUTPUT = _app.define_output("The page.", suffix=".md")


def main() -> None:
    _app.require(_ROWS, _OUTPUT)
    _app.need_extra("bin/leaderboard.py", "jsonschema", "experiments")
    _app.start_tensorflow()
    from cnnf_tf.experiments import leaderboard
    from cnnf_tf.utils.files import write_text

    entries = leaderboard.read_folder(str(_ROWS.value))
    write_text(str(_OUTPUT.value), leaderboard.page(entries))
    print(f"wrote {_OUTPUT.value}: {len(entries)} rows")


if __name__ == "__main__":
    _app.run(main)
