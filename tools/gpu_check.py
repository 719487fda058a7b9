"""What a GPU says of this project in nine minutes, with JAX and without TensorFlow; docs/performance.md tells how.

tools/gpu_check.sh installs what is missing and calls it. One JSON file for each part, written as it goes, and README.md
are in --output; the same command goes on where it was cut short. Exits with 1 where a golden test fails or
did not finish.
"""

import argparse
import math
import os
import pathlib
import sys


def main() -> None:
    os.environ["KERAS_BACKEND"] = "jax"
    from cnnf_tf.experiments.accelerator import parts, report
    from cnnf_tf.experiments.accelerator.golden import passed
    from cnnf_tf.utils.files import write_text

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=pathlib.Path, help="Folder of the records.")
    parser.add_argument("--minutes", default=9.0, type=float, help="For all parts together (default: 9).")
    parser.add_argument("--data", type=pathlib.Path, help="CIFAR-10 as an .npz file; without it nothing is trained.")
    parser.add_argument("--reference", type=pathlib.Path, help="A checkout of https://github.com/yjhuangcd/CNNF.")
    parser.add_argument("--parts", default=",".join(parts.SHARES), help="Some of them, by comma (default: all).")
    parser.add_argument(
        "--tiny", default="", choices=("fashion_cnn", "wide_resnet"), help="Everything in small, to see that it runs."
    )
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = parts.Options(given.output, given.data, given.reference, given.tiny)
    if given.part:
        parts.run_part(given.part, options, given.until)
        return
    wanted = given.parts.split(",")
    if not 0 < given.minutes < math.inf:
        parser.error(f"--minutes must be above 0, got {given.minutes:g}")
    if not set(wanted) <= set(parts.SHARES):
        parser.error(f"--parts must be some of {','.join(parts.SHARES)}, got {given.parts!r}")
    for name in ("data", "reference"):
        path = getattr(given, name)
        if path is not None and not path.exists():
            parser.error(f"--{name} must be there, got {path}")
    try:
        given.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output must be a folder that can be made, got {given.output}: {error.strerror}")
    found = parts.run(
        options,
        minutes=given.minutes,
        command=lambda name, until: [sys.executable, *sys.argv, f"--part={name}", f"--until={until}"],
        parts=wanted,
    )
    text = report.page(found)
    write_text(given.output / "README.md", text)
    print(text)
    sys.exit(0 if "golden" not in wanted or passed(found["golden"]) else 1)


if __name__ == "__main__":
    main()
