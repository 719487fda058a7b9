"""Runs the study of the talk's four claims about standard training: CNN against CNN-F, and what iterations do.

Example:
  python bin/study.py --output=runs/study \\
      --config=configs/fashion_mnist_study.py
  python bin/study.py --output=/tmp/study \\
      --config=configs/fashion_mnist_study.py:smoke

Trains the networks of the configuration (each in OUTPUT/models/NAME-seedN, as bin/train.py would), then measures
  (a) epsilons  CNN against CNN-F under PGD (through the full unroll, and
                through the first pass), over epsilons
  (b) trained   CNN-F trained and tested with K = 0, 1, 2, 3, 5 iterations
  (c) tested    CNN-F tested with K' = 0 ... 10 iterations
  (d) needed    iterations until the label stays, against attack epsilon,
                corruption severity and margin
and writes results.json and, for each of the four, a table (.csv) and a figure (.png, .svg) into --output. A killed
study goes on where it was when the same command is given again. Any value of the configuration can be changed on the
command line as --config.NAME=VALUE.
"""

import functools
import time
from typing import Any

import _app
from ml_collections import ConfigDict

import cnnf_tf

_CONFIG = _app.define_config("configs/fashion_mnist_study.py", "study.models", "model", "data", "train")
_OUTPUT = _app.define_output("Folder of the study: its models, record, tables and figures.")
_DATA_DIR = _app.define_data_dir()


def main() -> None:
    _app.require(_CONFIG, _OUTPUT)
    config = _CONFIG.value
    _check(config)

    _app.start_tensorflow()
    import keras

    from cnnf_tf.experiments.claims import measures, report
    from cnnf_tf.utils.resumable_results import ResumableResults

    about = {
        "study": "standard training: CNN against CNN-F under attack, and what iterations do",
        **_app.provenance(),
    }
    strange = set(config.study.needed.corruptions) - set(cnnf_tf.data.CORRUPTIONS)
    if strange:
        raise _app.UsageError(
            f"config.study.needed.corruptions: wanted some of {list(cnnf_tf.data.CORRUPTIONS)}, got {sorted(strange)}."
        )
    for split in (config.study.clean_split, "test"):  # found now, not after the trainings
        cnnf_tf.data.load(config.data.name, split, limit=1, data_dir=_DATA_DIR.value)
    record = ResumableResults(_OUTPUT.value, config.to_dict(), about)
    done = {cell["job"] for cell in record.cells}
    jobs = {name: (model, seed, measure) for name, model, seed, measure in measures.jobs(config, _DATA_DIR.value)}
    needed = dict.fromkeys((model, seed) for name, (model, seed, _) in jobs.items() if name not in done)
    trained = {}
    for number, (model, seed) in enumerate(needed, start=1):
        print(f"network {number} of {len(needed)}: {model}, seed {seed}", flush=True)
        workdir = record.folder / "models" / f"{model}-seed{seed}"
        keras.utils.clear_session()
        options = _training_config(config, model, seed)
        trained[model, seed] = cnnf_tf.training.run(options, workdir, data_dir=_DATA_DIR.value)

    @functools.lru_cache(maxsize=1)
    def load(model: str, seed: int) -> Any:
        keras.utils.clear_session()
        return cnnf_tf.load_model(trained[model, seed].best)

    def cells_of(name: str) -> list[dict[str, Any]]:
        model, seed, measure = jobs[name]
        network, start = load(model, seed), time.perf_counter()
        cells = measure(network)
        seconds = round(time.perf_counter() - start, 2)
        common = {"job": name, "part": name.partition("/")[0], "model": model, "seed": seed, "seconds": seconds}
        return [common | cell for cell in cells]

    work = {name: functools.partial(cells_of, name) for name in jobs}
    record.complete(work, name_of=lambda cell: cell["job"], verb="measuring")
    print(report.write_report(config, record))
    for part in report.PARTS:
        print(f"wrote {record.folder / part}.csv, .png, .svg")
    print(f"wrote {record.path}")


def _training_config(config: ConfigDict, name: str, seed: int) -> ConfigDict:
    """What bin/train.py would be given for one of the networks."""
    wanted = config.study.models[name]
    options = ConfigDict({part: config[part].to_dict() for part in ("model", "data", "train")})
    options.seed = seed
    options.model.update(iterations=wanted.iterations, training_horizon=wanted.training_horizon)
    options.train.epochs = wanted.epochs
    return options


def _check(config: ConfigDict) -> None:
    known = set(config.study.models)
    parts = ("epsilons", "trained", "tested", "needed")
    for part in parts:
        unknown = [name for name in config.study[part].models if name not in known]
        if unknown:
            raise _app.UsageError(f"config.study.{part}.models: wanted some of {sorted(known)}, got {unknown}.")
    for name, options in config.study.models.items():
        if not options.seeds or options.epochs < 1 or options.iterations < 0:
            raise _app.UsageError(
                f"config.study.models.{name}: wanted at least one seed and one epoch, and iterations >= 0, got "
                f"{options.to_dict()}."
            )
    counts = {f"{part}.num_images": config.study[part].num_images for part in parts}
    counts |= {"attack.steps": config.study.attack.steps, "needed.margin_bins": config.study.needed.margin_bins}
    for name, count in counts.items():
        if count < 1:
            raise _app.UsageError(f"config.study.{name} must be at least 1, got {count}.")


if __name__ == "__main__":
    _app.run(main)
