"""Accuracy of CNN-F and of a plain CNN under corruptions, pass by pass, and the mean corruption error (mCE).

Example:
  python bin/corruption_robustness.py --model=runs/standard/best.keras --baseline=runs/cnn/best.keras --output=runs/mce
  python bin/corruption_robustness.py --model=runs/standard/best.keras --baseline=runs/cnn/best.keras \
      --corruptions=shot_noise,dotted_line --severities=3,5 --num_images=1000 --output=/tmp/mce

The corruptions are brightness, contrast, dotted_line, gaussian_blur, gaussian_noise, impulse_noise, occlusion and
shot_noise. mCE is the error of --model in % of that of --baseline, summed over severities and averaged over
corruptions; the relative mCE compares what corruption adds to the error on clean images (Hendrycks and Dietterich
2019). The baseline runs with the iterations it was saved with (0 for a plain CNN) and counts with its last pass.
Prints the table in Markdown and writes into --output
  results.json                        settings, models, every cell, mCE of every pass for both readouts
  corruption_robustness.csv           a row for each model, corruption, severity, readout and pass
  corruption_robustness.png, .svg     accuracy against severity, in the readout of --model
A killed run goes on after its last finished cell (corruption, severity and model) when the same command is given
again. Equal commands write equal files.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import _app
from absl import flags

_MODEL = _app.define_model()
_BASELINE = _app.define_model(
    "baseline", "The model that errors are compared with, as a rule trained with 0 iterations"
)
_CORRUPTIONS = flags.DEFINE_list("corruptions", [], "Corruptions, separated by commas; default: all.")
_SEVERITIES = flags.DEFINE_list("severities", ["1", "2", "3", "4", "5"], "Severities from 1 to 5, ascending.")
_app.define_iterations(5)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 10_000, "Score the first so many images of --split; 0: all.", lower_bound=0
)
_DATASET, _SPLIT = _app.define_data(
    "Split to corrupt and score; slices such as test[:1000] are allowed.", batch_size=250
)
_SEED = _app.define_seed("the corruptions")
_OUTPUT: flags.FlagHolder = flags.DEFINE_string("output", None, "Folder of the record, the table and the figure.")

_ROLES = ("model", "baseline")
_FIELDS = ("model", "corruption", "severity", "readout", "pass", "num_images", "correct", "accuracy")

Known = dict[str, dict[tuple[str, int], Any]]
"""For "model" and "baseline" the `PassAccuracy` of each finished corruption and severity."""


def main() -> None:
    _app.require(_MODEL, _BASELINE, _OUTPUT)
    severities = _app.integers("severities")

    _app.start_tensorflow()
    from tqdm import tqdm

    from cnnf_tf import data, evaluation
    from cnnf_tf.evaluation import corruptions as lib
    from cnnf_tf.zoo import load_model

    try:
        corruptions, severities = lib.check_grid(_CORRUPTIONS.value or tuple(data.CORRUPTIONS), severities)
    except ValueError as error:
        raise _app.UsageError(f"--{error}") from error
    models = {"model": load_model(_MODEL.value), "baseline": load_model(_BASELINE.value)}
    _check_models(models)
    dataset = _load(models["model"])
    iterations = {"model": _app.iterations_of(models["model"]), "baseline": models["baseline"].iterations}
    record, known = _open_record(models, iterations, corruptions, severities)

    grid = [lib.CLEAN, *((corruption, severity) for corruption in corruptions for severity in severities)]
    batches = max(0, int(dataset.cardinality()))
    results = {}
    with tqdm(
        total=batches * len(_ROLES) * len(grid) or None,
        initial=batches * sum(map(len, known.values())),
        unit=" batches",
        desc="scoring",
        dynamic_ncols=True,
    ) as bar:
        for role, model in models.items():

            def finished(corruption: str, severity: int, found: Any, role: str = role) -> None:
                known[role][corruption, severity] = found
                # In the order of the grid, so that a run that was cut off ends in the same file.
                record.cells = [
                    _cell(name, *at, known[name][at]) for name in _ROLES for at in grid if at in known[name]
                ]
                record.write()
                bar.set_postfix_str(f"{role}, {corruption} {severity}", refresh=False)

            results[role] = evaluation.evaluate_corruptions(
                model,
                dataset,
                corruptions,
                severities,
                iterations=iterations[role],
                seed=_SEED.value,
                progress=lambda _: bar.update(),
                known=known[role],
                finished=finished,
            )
    _report(record, results, models["model"].readout)


def _check_models(models: Mapping[str, Any]) -> None:
    """Refuses a baseline that cannot see the images or know the classes of the model."""
    for what, attribute in (("images of the shape", "image_shape"), ("number of classes", "num_classes")):
        wanted, found = (getattr(models[role], attribute) for role in _ROLES)
        if found != wanted:
            raise _app.UsageError(
                f"--baseline wants the {what} that --model has, {wanted}; {_BASELINE.value!r} has {found}."
            )


def _load(model: Any) -> Any:
    """The images as batches, if they fit the model."""
    dataset = _app.load_data(limit=_NUM_IMAGES.value or None)
    shape = tuple(dataset.element_spec[0].shape[1:])
    classes = _app.data_info().num_classes
    if shape != model.image_shape or classes > model.num_classes:
        raise _app.UsageError(
            f"--dataset wants images {model.image_shape} of at most {model.num_classes} classes, as --model takes "
            f"them; {_DATASET.value!r} has images {shape} of {classes} classes."
        )
    return dataset


def _open_record(
    models: Mapping[str, Any], iterations: Mapping[str, int], corruptions: Sequence[str], severities: Sequence[int]
) -> tuple[Any, Known]:
    """The record in --output, which can be written, and what it holds already."""
    import keras
    import tensorflow as tf

    from cnnf_tf import __version__
    from cnnf_tf.evaluation import PassAccuracy
    from cnnf_tf.models import READOUTS
    from cnnf_tf.utils.resumable_results import StudyRecord
    from cnnf_tf.zoo import model_sha256

    files = {"model": _MODEL.value, "baseline": _BASELINE.value}
    sha256 = {role: model_sha256(file) for role, file in files.items()}
    config = {
        "sha256": sha256,
        "dataset": _DATASET.value,
        "split": _SPLIT.value,
        "num_images": _NUM_IMAGES.value,
        "corruptions": corruptions,
        "severities": severities,
        "seed": _SEED.value,
        "iterations": iterations,
    }
    about = {
        "study": "accuracy under corruptions, and errors in % of the baseline's",
        "models": {
            role: {
                "file": files[role],
                "sha256": sha256[role],
                "trained_iterations": model.iterations,
                "step_size": model.step_size,
                "readout": model.readout,
            }
            for role, model in models.items()
        },
        "versions": {"cnnf_tf": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    }
    with _app.writing_to("output", _OUTPUT.value):
        record = StudyRecord(_OUTPUT.value, config, about)
        record.write()
    known: Known = {role: {} for role in _ROLES}
    for cell in record.cells:
        try:
            correct = {readout: [int(count) for count in cell["correct"][readout]] for readout in READOUTS}
            if any(len(counts) != 1 + iterations[cell["model"]] for counts in correct.values()):
                raise ValueError(f"a cell of another number of passes: {cell}")
            place = (str(cell["corruption"]), int(cell["severity"]))
            known[cell["model"]][place] = PassAccuracy(int(cell["num_images"]), correct, [], [])
        except (KeyError, TypeError, ValueError) as error:
            raise record.damaged(error) from error
    return record, known


def _cell(role: str, corruption: str, severity: int, found: Any) -> dict[str, Any]:
    """For the record: counts and shares of correct images after each pass, by readout."""
    accuracy = {readout: [round(share, 6) for share in shares] for readout, shares in found.accuracy.items()}
    place = {"model": role, "corruption": corruption, "severity": severity}
    return place | {"num_images": found.num_images, "correct": found.correct, "accuracy": accuracy}


def _report(record: Any, results: Mapping[str, Any], own_readout: str) -> None:
    """Writes what follows from the cells, and prints the tables, that of the model's own readout first."""
    from cnnf_tf import evaluation
    from cnnf_tf.evaluation.corruptions import corruption_table
    from cnnf_tf.models import READOUTS
    from cnnf_tf.utils.files import write_text
    from cnnf_tf.utils.tables import csv_text

    found = results["model"]
    record.write(
        num_images=found.clean.num_images,
        errors_in_percent={readout: _errors(results, readout) for readout in READOUTS},
    )
    table = record.folder / "corruption_robustness.csv"
    rows = [{"model": role} | row for role in _ROLES for row in results[role].rows()]
    write_text(table, csv_text(_FIELDS, rows))
    kind, _, path = _DATASET.value.partition(":")
    where = f"{found.clean.num_images} images of {pathlib.Path(path).name or kind} {_SPLIT.value}, seed {found.seed}"
    figures = evaluation.corruption_figure(
        table.with_suffix(""),
        found,
        title=f"{where}, readout {own_readout}",
        readout=own_readout,
        baseline=results["baseline"],
    )
    for readout in sorted(READOUTS, key=lambda name: name != own_readout) if found.iterations else [own_readout]:
        print(f"\n{_MODEL.value} against {_BASELINE.value}, {where}, readout {readout}: accuracy in %, means over")
        print(f"severities {', '.join(map(str, found.severities))}; CE and mCE: errors in % of the baseline's\n")
        print(corruption_table(found, results["baseline"], readout=readout))
    print("\n" + "\n".join(f"wrote {path}" for path in (record.path, table, *figures)))


def _errors(results: Mapping[str, Any], readout: str) -> list[dict[str, Any]]:
    """mCE and relative mCE of every pass of the model; null where the baseline leaves nothing to compare with."""
    from cnnf_tf.evaluation import mean_corruption_error

    rows = []
    for index in range(results["model"].iterations + 1):
        row: dict[str, Any] = {"pass": index}
        for name, relative in (("mce", False), ("relative_mce", True)):
            found = mean_corruption_error(
                results["model"], results["baseline"], readout=readout, index=index, relative=relative
            )
            row[name] = found.mean
            row[f"{name}_of_corruptions"] = found.corruptions
        rows.append(row)
    return rows


if __name__ == "__main__":
    _app.run(main)
