"""Accuracy of CNN-F and of a plain CNN under corruptions, pass by pass, and the mean corruption error (mCE).

Example:
  python bin/corruption_robustness.py --model=runs/standard/best.keras \\
      --baseline=runs/cnn/best.keras --output=runs/mce
  python bin/corruption_robustness.py --model=runs/standard/best.keras \\
      --baseline=runs/cnn/best.keras --output=/tmp/mce --num_images=1000 \\
      --corruptions=shot_noise,dotted_line --severities=3,5

The corruptions are brightness, contrast, dotted_line, gaussian_blur, gaussian_noise, impulse_noise, occlusion and
shot_noise. mCE is the error of --model in % of that of --baseline, summed over severities and averaged over
corruptions; the relative mCE compares what corruption adds to the error on clean images (Hendrycks and Dietterich
2019). The baseline runs with the iterations it was saved with (0 for a plain CNN) and counts with its last pass.
Prints the table in Markdown and writes into --output
  results.json                settings, models, every cell, mCE of every pass
  corruption_robustness.csv   a row for each model, corruption, severity,
                              readout and pass
  corruption_robustness.png   accuracy against severity, in the readout of
                              --model; the same as .svg
A killed run goes on after its last finished cell (corruption, severity and model) when the same command is given
again. Equal commands write equal files.
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import _app
from absl import flags

import cnnf_tf
from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.tables import csv_text

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
_OUTPUT = _app.define_output("Folder of the record, the table and the figure.")

_ROLES = ("model", "baseline")
_FIELDS = ("model", "corruption", "severity", "readout", "pass", "num_images", "correct", "accuracy")


def main() -> None:
    _app.require(_MODEL, _BASELINE, _OUTPUT)
    severities = _app.integers("severities")

    _app.start_tensorflow()
    from cnnf_tf.evaluation import accuracy
    from cnnf_tf.evaluation import corruptions as lib

    try:
        corruptions, severities = lib.check_grid(_CORRUPTIONS.value or tuple(cnnf_tf.data.CORRUPTIONS), severities)
    except ValueError as error:
        raise _app.UsageError(f"--{error}") from error
    model = cnnf_tf.load_model(_MODEL.value)
    models = {"model": model, "baseline": _app.load_other_model(model, "baseline")}
    dataset = _app.load_data_for(model, limit=_NUM_IMAGES.value or None)
    iterations = {"model": _app.iterations_of(models["model"]), "baseline": models["baseline"].iterations}
    config = {"corruptions": corruptions, "severities": severities, "seed": _SEED.value, "iterations": iterations}
    record = _open_record(models, config)
    _known(record, iterations)  # refuses a damaged record before any work
    scorers = {role: accuracy.pass_scorer(models[role], iterations[role]) for role in _ROLES}

    def score(role: str, corruption: str, severity: int) -> list[dict[str, Any]]:
        place = {"model": role, "corruption": corruption, "severity": severity}
        images = dataset
        if (corruption, severity) != lib.CLEAN:
            images = cnnf_tf.data.corrupted(dataset, corruption, severity, seed=_SEED.value)
        found = accuracy.evaluate_passes(models[role], images, iterations=iterations[role], scorer=scorers[role])
        shares = {readout: [round(share, 6) for share in shares] for readout, shares in found.accuracy.items()}
        return [place | {"num_images": found.num_images, "correct": found.correct, "accuracy": shares}]

    grid = [lib.CLEAN, *((corruption, severity) for corruption in corruptions for severity in severities)]
    jobs = {(role, *place): functools.partial(score, role, *place) for role in _ROLES for place in grid}
    record.complete(jobs, name_of=lambda cell: (cell["model"], cell["corruption"], cell["severity"]), verb="scoring")
    results = {}
    for role, known in _known(record, iterations).items():
        options = {"iterations": iterations[role], "seed": _SEED.value, "known": known}
        results[role] = lib.evaluate_corruptions(models[role], dataset, corruptions, severities, **options)
    _report(record, results, models["model"].readout)


def _open_record(models: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """The record in --output, which can be written."""
    from cnnf_tf.utils import environment
    from cnnf_tf.utils.resumable_results import ResumableResults

    files = {"model": _MODEL.value, "baseline": _BASELINE.value}
    sha256 = {role: cnnf_tf.zoo.model_sha256(file) for role, file in files.items()}
    config = {
        "sha256": sha256,
        "dataset": _DATASET.value,
        "split": _SPLIT.value,
        "num_images": _NUM_IMAGES.value,
        **settings,
    }
    facts = {
        role: {
            "file": files[role],
            "sha256": sha256[role],
            "trained_iterations": model.iterations,
            "eta": model.reported_eta(),
            "readout": model.readout,
        }
        for role, model in models.items()
    }
    study = "accuracy under corruptions, and errors in % of the baseline's"
    about = {"study": study, "models": facts, "versions": environment.versions()}
    with _app.writing_to("output", _OUTPUT.value):
        record = ResumableResults(_OUTPUT.value, config, about)
        record.write()
    return record


def _known(record: Any, iterations: Mapping[str, int]) -> dict[str, dict[tuple[str, int], Any]]:
    """For "model" and "baseline" the `PassAccuracy` of each finished corruption and severity."""
    known: dict[str, dict[tuple[str, int], Any]] = {role: {} for role in _ROLES}
    for cell in record.cells:
        try:
            correct = {name: [int(count) for count in cell["correct"][name]] for name in cnnf_tf.models.READOUTS}
            if any(len(counts) != 1 + iterations[cell["model"]] for counts in correct.values()):
                raise ValueError(f"a cell of another number of passes: {cell}")
            found = cnnf_tf.evaluation.PassAccuracy(int(cell["num_images"]), correct, [], [])
            known[cell["model"]][str(cell["corruption"]), int(cell["severity"])] = found
        except (KeyError, TypeError, ValueError) as error:
            raise record.damaged(error) from error
    return known


def _report(record: Any, results: Mapping[str, Any], own_readout: str) -> None:
    """Writes what follows from the cells, and prints the tables, that of the model's own readout first."""
    from cnnf_tf.evaluation import corruptions as lib

    found, baseline = results["model"], results["baseline"]
    readouts = sorted(cnnf_tf.models.READOUTS, key=lambda name: name != own_readout)
    record.write(
        num_images=found.clean.num_images,
        errors_in_percent={name: _errors(found, baseline, name) for name in cnnf_tf.models.READOUTS},
    )
    table = record.folder / "corruption_robustness.csv"
    rows = [{"model": role} | row for role in _ROLES for row in results[role].rows()]
    write_text(table, csv_text(_FIELDS, rows))
    kind, _, path = _DATASET.value.partition(":")
    where = f"{found.clean.num_images} images of {pathlib.Path(path).name or kind} {_SPLIT.value}, seed {found.seed}"
    style = {"title": f"{where}, readout {own_readout}", "readout": own_readout, "baseline": baseline}
    figures = lib.corruption_figure(table.with_suffix(""), found, **style)
    for readout in readouts if found.iterations else readouts[:1]:
        print(f"\n{_MODEL.value} against {_BASELINE.value}, {where}, readout {readout}: accuracy in %, means over")
        print(f"severities {', '.join(map(str, found.severities))}; CE and mCE: errors in % of the baseline's\n")
        print(lib.corruption_table(found, baseline, readout=readout))
    print("\n" + "\n".join(f"wrote {path}" for path in (record.path, table, *figures)))


def _errors(found: Any, baseline: Any, readout: str) -> list[dict[str, Any]]:
    """mCE and relative mCE of every pass of the model; null where the baseline leaves nothing to compare with."""
    rows = []
    for index in range(found.iterations + 1):
        row: dict[str, Any] = {"pass": index}
        for name, relative in (("mce", False), ("relative_mce", True)):
            errors = cnnf_tf.evaluation.mean_corruption_error(
                found, baseline, readout=readout, index=index, relative=relative
            )
            row |= {name: errors.mean, f"{name}_of_corruptions": errors.corruptions}
        rows.append(row)
    return rows


if __name__ == "__main__":
    _app.run(main)
