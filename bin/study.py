"""Runs the study of the talk's four claims about standard training: CNN against CNN-F, and what iterations do.

Example:
  python bin/study.py --config=configs/fashion_mnist_study.py --output=runs/study
  python bin/study.py --config=configs/fashion_mnist_study.py:smoke --output=/tmp/study

Trains the networks of the configuration (each in OUTPUT/models/NAME-seedN, as bin/train.py would), then measures
  (a) radii     CNN against CNN-F under PGD (through the full unroll, and through the first pass), over radii
  (b) trained   CNN-F trained and tested with K = 0, 1, 2, 3, 5 iterations
  (c) tested    CNN-F tested with K' = 0 ... 10 iterations
  (d) needed    iterations until the label stays, against attack radius, corruption severity and margin
and writes results.json and, for each of the four, a table (.csv) and a figure (.png, .svg) into --output. A killed
study goes on where it was when the same command is given again. Any value of the configuration can be changed on the
command line as --config.NAME=VALUE.
"""

import pathlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import _app
from absl import flags
from ml_collections import ConfigDict, config_flags

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Configuration file, FILE or FILE:VARIANT; see configs/.", lock_config=True
)
_OUTPUT: flags.FlagHolder = flags.DEFINE_string(
    "output", None, "Folder of the study: its models, record, tables and figures."
)
_DATA_DIR = _app.define_data_dir()

Cells = list[dict[str, Any]]
Job = tuple[str, str, int, Callable[[Any], Cells]]
"""Its name in the record, the model and seed it needs, and what makes its cells from the model."""


def main() -> None:
    _app.require(_CONFIG, _OUTPUT)
    config = _CONFIG.value
    _check(config)

    _app.start_tensorflow()
    import keras
    import tensorflow as tf
    from tqdm import tqdm

    from cnnf_tf import __version__, training
    from cnnf_tf.experiments.claims import report as study_report
    from cnnf_tf.utils.resumable_results import StudyRecord
    from cnnf_tf.zoo import load_model

    about = {
        "study": "standard training: CNN against CNN-F under attack, and what iterations do",
        "command": shlex.join(["python", *sys.argv]),
        "versions": {"cnnf_tf": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    }
    output = pathlib.Path(_OUTPUT.value)
    record = StudyRecord(output, config.to_dict(), about)
    jobs = list(_jobs(config))
    done = {cell["job"] for cell in record.cells}
    needed = list(dict.fromkeys((model, seed) for name, model, seed, _ in jobs if name not in done))
    trained = {}
    for number, (model, seed) in enumerate(needed):
        print(f"network {number + 1} of {len(needed)}: {model}, seed {seed}", flush=True)
        workdir = output / "models" / f"{model}-seed{seed}"
        keras.utils.clear_session()
        trained[model, seed] = training.run(_training_config(config, model, seed), workdir, data_dir=_DATA_DIR.value)

    loaded: dict[tuple[str, int], Any] = {}
    with tqdm(jobs, unit=" measurements", desc="measuring", dynamic_ncols=True) as bar:
        for name, model, seed, measure in bar:
            if name in done:
                continue
            bar.set_postfix_str(name)
            if (model, seed) not in loaded:
                keras.utils.clear_session()
                loaded = {(model, seed): load_model(trained[model, seed].best)}
            start = time.perf_counter()
            cells = measure(loaded[model, seed])
            seconds = round(time.perf_counter() - start, 2)
            common = {"job": name, "part": name.partition("/")[0], "model": model, "seed": seed, "seconds": seconds}
            record.cells += [common | cell for cell in cells]
            record.write()
    print(study_report.write_report(config, record))
    for part in study_report.PARTS:
        print(f"wrote {record.folder / part}.csv, .png, .svg")
    print(f"wrote {record.path}")


def _jobs(config: ConfigDict) -> Iterator[Job]:
    """Every measurement, in an order that needs each network once."""
    from cnnf_tf import data
    from cnnf_tf.experiments.claims import measures as study

    images, labels = data.load_arrays(config.data.name, "test", data_dir=_DATA_DIR.value)
    settings = config.study.attack.to_dict()

    def clean(iterations: int) -> Callable[[Any], Cells]:
        return lambda model: _clean_cells(config, model, iterations)

    def attacked(count: int, iterations: int, readout: str, radius: float) -> Callable[[Any], Cells]:
        def measure(model: Any) -> Cells:
            correct = study.count_standing(
                model, images[:count], labels[:count], iterations=iterations, readout=readout, radius=radius, **settings
            )
            where = {"iterations": iterations, "readout": readout, "radius": radius}
            return [where | {"correct": correct, "num_images": len(images[:count])}]

        return measure

    parts = config.study
    for name, options in parts.models.items():
        trained = options.iterations
        for seed in options.seeds:
            most = trained
            if name in parts.tested.models:
                most = max(most, parts.tested.max_iterations)
            yield f"clean/{name}/{seed}", name, seed, clean(most)
            if name in parts.radii.models:
                for radius in parts.radii.radii:
                    for readout in parts.radii.readouts if trained else parts.radii.readouts[:1]:
                        job = attacked(parts.radii.num_images, trained, readout, radius)
                        yield f"radii/{name}/{seed}/{readout}/{radius:g}", name, seed, job
            if name in parts.trained.models:
                for radius in parts.trained.radii:
                    job = attacked(parts.trained.num_images, trained, "last", radius)
                    yield f"trained/{name}/{seed}/{radius:g}", name, seed, job
            if name in parts.tested.models and seed == options.seeds[0]:
                for iterations in parts.tested.attacked_iterations:
                    job = attacked(parts.tested.num_images, iterations, "last", parts.tested.radius)
                    yield f"tested/{name}/{seed}/{iterations}", name, seed, job
            if name in parts.needed.models and seed == options.seeds[0]:
                count = parts.needed.num_images
                yield from _needed_jobs(config, name, seed, images[:count], labels[:count])


def _clean_cells(config: ConfigDict, model: Any, iterations: int) -> Cells:
    from cnnf_tf import data, evaluation

    dataset = data.load(config.data.name, config.study.clean_split, batch_size=250, data_dir=_DATA_DIR.value)
    result = evaluation.evaluate_passes(model, dataset, iterations=iterations)
    return [
        {
            "iterations": passes,
            "readout": readout,
            "radius": 0.0,
            "correct": correct,
            "num_images": result.num_images,
        }
        for readout, counts in result.correct.items()
        for passes, correct in enumerate(counts)
    ]


def _needed_jobs(config: ConfigDict, name: str, seed: int, images: Any, labels: Any) -> Iterator[Job]:
    import numpy as np

    from cnnf_tf.data import SEVERITIES, corrupt
    from cnnf_tf.experiments.claims import measures as study

    needed, steps, attack_seed = config.study.needed, config.study.attack.steps, config.study.attack.seed

    def cell(difficulty: str, level: float, found: study.Settling) -> dict[str, Any]:
        return {"difficulty": difficulty, "level": level, **found.to_dict()}

    def settle(model: Any, pictures: Any) -> study.Settling:
        return study.settling(model, pictures, labels, iterations=needed.max_iterations)

    def by_radius(radius: float) -> Callable[[Any], Cells]:
        def measure(model: Any) -> Cells:
            hard = study.first_pass_adversaries(model, images, labels, radius=radius, steps=steps, seed=attack_seed)
            return [cell("radius", radius, settle(model, hard))]

        return measure

    def by_severity(corruption: str) -> Callable[[Any], Cells]:
        return lambda model: [
            cell(corruption, severity, settle(model, corrupt(images, corruption, severity, seed=attack_seed).numpy()))
            for severity in SEVERITIES
        ]

    def by_margin(model: Any) -> Cells:
        found = settle(model, images)
        bins = np.array_split(np.argsort(-found.margin), needed.margin_bins)
        return [cell("margin", number + 1, found.subset(chosen)) for number, chosen in enumerate(bins)]

    for radius in needed.radii:
        yield f"needed/{name}/{seed}/radius/{radius:g}", name, seed, by_radius(radius)
    for corruption in needed.corruptions:
        yield f"needed/{name}/{seed}/{corruption}", name, seed, by_severity(corruption)
    yield f"needed/{name}/{seed}/margin", name, seed, by_margin


def _training_config(config: ConfigDict, name: str, seed: int) -> ConfigDict:
    """What bin/train.py would be given for one of the networks."""
    wanted = config.study.models[name]
    options = ConfigDict({part: config[part].to_dict() for part in ("model", "data", "train")})
    options.seed = seed
    options.model.update(iterations=wanted.iterations, training_horizon=wanted.training_horizon)
    options.train.epochs = wanted.epochs
    return options


def _check(config: ConfigDict) -> None:
    if "study" not in config or "models" not in config.study:
        raise _app.UsageError("--config has no `study.models` in it; configs/fashion_mnist_study.py shows one.")
    known = set(config.study.models)
    for part in ("radii", "trained", "tested", "needed"):
        unknown = [name for name in config.study[part].models if name not in known]
        if unknown:
            raise _app.UsageError(f"config.study.{part}.models: wanted some of {sorted(known)}, got {unknown}.")
    for name, options in config.study.models.items():
        if not options.seeds or options.epochs < 1:
            raise _app.UsageError(f"config.study.models.{name}: wanted at least one seed and one epoch, got {options}.")


if __name__ == "__main__":
    _app.run(main)
