"""Accuracy of CNN-F under corruptions, pass by pass, and against a plain CNN the mean corruption error (mCE).

Example:
  python bin/corruption_robustness.py --model=runs/standard/best.keras \\
      --baseline=runs/cnn/best.keras --output=runs/mce
  python bin/corruption_robustness.py --model=runs/standard/best.keras \\
      --output=/tmp/mce --num_images=1000 \\
      --corruptions=shot_noise,dotted_line --severities=3,5
  python bin/corruption_robustness.py --model=runs/wrn/best.keras \\
      --dataset=cifar10 --strengths=cifar10_c --output=runs/cifar10_c
  python bin/corruption_robustness.py --model=runs/wrn/best.keras \\
      --premade=npy:CIFAR-10-C --output=runs/premade

--strengths says whose corruptions are made of --dataset. "ours" are brightness, contrast, dotted_line, gaussian_blur,
gaussian_noise, impulse_noise, occlusion and shot_noise, with strengths of our own: their means are no published
measure. "cifar10_c" and "imagenet_c" are the 15 of that benchmark by its authors' constants, with other random numbers;
--corruptions also takes their extras speckle_noise, gaussian_blur, spatter and saturate. "mnist_c" are the 15 of
MNIST-C, in one severity. frost is left out, and the output says so, unless the environment variable
CNNF_TF_FROST_PICTURES names a folder of its photographs, frost1.png to frost5.jpg of github.com/hendrycks/robustness.

--premade takes corrupted images as they were published: cifar10_corrupted, imagenet2012_corrupted or mnist_corrupted,
prepared by bin/prepare_data.py, or npy:PATH, a folder with an array KIND.npy (uint8, 5 x N images in the order of
severities) for each corruption and labels.npy. --dataset then names the clean images that belong to them; without it
there is no accuracy on clean images and no relative mCE.

The mean accuracy is that over corruptions and severities, as RobustBench has it. mCE is the error of --model in % of
that of --baseline, summed over severities and averaged over corruptions; the relative mCE compares what corruption adds
to the error on clean images (Hendrycks and Dietterich 2019). The baseline runs with the iterations it was saved with (0
for a plain CNN) and counts with its last pass. Prints the table in Markdown and writes into --output
  results.json                settings, models, every cell, means of every pass
  corruption_robustness.csv   a row for each model, corruption, severity,
                              readout and pass
  corruption_robustness.png   accuracy against severity, in the readout of
                              --model; the same as .svg
A killed run goes on after its last finished cell (corruption, severity and model) when the same command is given
again. Equal commands write equal files. --strategy=mirrored uses all GPUs of this machine, --shard and --merge several
machines (docs/scaling.md).
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import _app
import _batches
from absl import flags

import cnnf_tf
from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.tables import csv_text

_MODEL = _app.define_model()
_BASELINE = _app.define_model(
    "baseline", "The model that errors are compared with, as a rule trained with 0 iterations, none for no mCE"
)
_STRENGTHS = flags.DEFINE_enum(
    "strengths", "ours", ["ours", "cifar10_c", "imagenet_c", "mnist_c"], "Whose corruptions and strengths."
)
_PREMADE = flags.DEFINE_string("premade", None, "Published files in place of --strengths: a TFDS name or npy:PATH.")
_CORRUPTIONS = flags.DEFINE_list("corruptions", [], "Corruptions, separated by commas; default: the benchmark's.")
_SEVERITIES = flags.DEFINE_list("severities", [], "Severities from 1 to 5, ascending; default: all.")
_app.define_iterations(5)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 10_000, "Score the first so many images of --split; 0: all.", lower_bound=0
)
_DATASET, _SPLIT = _app.define_data(
    "Split to corrupt and score; slices such as test[:1000] are allowed.", batch_size=250
)
_SEED = _app.define_seed("the corruptions")
_batches.define_batches()
_OUTPUT = _app.define_output("Folder of the record, the table and the figure.")

_FIELDS = ("model", "corruption", "severity", "readout", "pass", "num_images", "correct", "accuracy")


def main() -> None:
    _app.require(_MODEL, _OUTPUT)
    severities = _app.integers("severities") if _SEVERITIES.value else None
    if _PREMADE.value and flags.FLAGS["strengths"].present:
        raise _app.UsageError("--premade and --strengths do not go together: published files have their own strengths.")

    _app.start_tensorflow()
    from cnnf_tf.evaluation import accuracy
    from cnnf_tf.evaluation import corruptions as lib

    places = _places(_CORRUPTIONS.value or None, severities)
    strategy = _batches.strategy()
    with strategy.scope():
        models = {"model": cnnf_tf.load_model(_MODEL.value)}
        if _BASELINE.value:
            models["baseline"] = _app.load_other_model(models["model"], "baseline")
    clean, sets = _data(models["model"], places)
    iterations = {role: model.iterations for role, model in models.items()}
    iterations["model"] = _app.iterations_of(models["model"])
    names, levels = (list(dict.fromkeys(place[part] for place in places)) for part in (0, 1))
    config: dict[str, Any] = {"corruptions": names, "severities": levels, "iterations": iterations}
    grid = [*([] if clean is None else [lib.CLEAN]), *places]
    first = sets[next(iter(places))]() if clean is None else clean
    _note_size(models["model"].image_shape)
    shared = _batches.is_part() or flags.FLAGS.merge  # the cells of a whole run are record enough
    output = pathlib.Path(_OUTPUT.value) if shared else None
    with _batches.opened(strategy, output, models["model"], first) as batches:

        def score(role: str, corruption: str, severity: int) -> list[dict[str, Any]]:
            place = {"model": role, "corruption": corruption, "severity": severity}
            images = clean if (corruption, severity) == lib.CLEAN else sets[corruption, severity]()
            name = f"{role} {corruption} {severity}"
            job = accuracy.pass_job(models[role], images, iterations=iterations[role], name=name)
            facts = batches.run([job])[job.name]
            if _batches.is_part():
                return []
            found = accuracy.PassAccuracy.from_facts(facts)
            shares = {readout: [round(share, 6) for share in shares] for readout, shares in found.accuracy.items()}
            return [place | {"num_images": found.num_images, "correct": found.correct, "accuracy": shares}]

        jobs = {(role, *place): functools.partial(score, role, *place) for role in models for place in grid}
        if _batches.is_part():
            for job in jobs.values():
                job()
            return
        record = _open_record(models, config | {"data": _batches.fingerprint(first)["sha256"]})
        _known(record, iterations)  # refuses a damaged record before any work
        record.complete(
            jobs, name_of=lambda cell: (cell["model"], cell["corruption"], cell["severity"]), verb="scoring"
        )
        options = {"seed": None if _PREMADE.value else _SEED.value, "strengths": _strengths(), "clean": clean}
        results = {
            role: lib.evaluate_corrupted_sets(models[role], sets, iterations=iterations[role], known=known, **options)
            for role, known in _known(record, iterations).items()
        }
        _report(record, results, models["model"].readout)


def _note_size(image_shape: tuple[Any, ...]) -> None:
    """Says so where a published set of strengths meets images of another size than its own."""
    side = {"cifar10_c": 32, "imagenet_c": 224, "mnist_c": 28}.get(_STRENGTHS.value or "")
    if side and not _PREMADE.value and image_shape[:2] != (side, side):
        height, width = image_shape[:2]
        print(
            f"note: the lengths of {_STRENGTHS.value} are pixels of images of {side}x{side}; on {height}x{width} its "
            "results do not compare with published ones."
        )


def _strengths() -> str:
    """What the corruptions are called: a set, or published files."""
    kind, _, path = (_PREMADE.value or _STRENGTHS.value).partition(":")
    return f"{kind}:{pathlib.Path(path).name}" if path else kind


def _places(corruptions: Any, severities: Any) -> dict[tuple[str, int], str]:
    """Each corruption and severity; of published files also what `cnnf_tf.data.load` calls them."""
    from cnnf_tf.data.corruptions import benchmark_corruptions, lacking
    from cnnf_tf.evaluation.corruptions import check_grid

    if _PREMADE.value:
        try:
            return cnnf_tf.data.premade_corruptions(
                _PREMADE.value, corruptions, severities, data_dir=flags.FLAGS.data_dir
            )
        except ValueError as error:
            raise _app.UsageError(f"--premade={error}") from error
    try:
        names, levels = check_grid(corruptions, severities, _STRENGTHS.value)
    except ValueError as error:
        raise _app.UsageError(f"--{error}") from error
    missing = lacking(_STRENGTHS.value)
    for name in set(names) & set(missing):
        raise _app.UsageError(f"--corruptions: {missing[name]}")
    for name in set(benchmark_corruptions(_STRENGTHS.value)) & set(missing) if corruptions is None else ():
        print(f"Without {name}, so that means are over {len(names)} of the benchmark's corruptions: {missing[name]}\n")
    return {(name, level): "" for name in names for level in levels}


def _data(model: Any, places: Mapping[tuple[str, int], str]) -> tuple[Any, dict[tuple[str, int], Any]]:
    """The clean images, None where published files come without, and what makes those of each place."""
    limit = _NUM_IMAGES.value or None
    clean = None
    if not _PREMADE.value or flags.FLAGS["dataset"].present:
        clean = _app.load_data_for(model, limit=limit)
    if not _PREMADE.value:
        options = {"seed": _SEED.value, "strengths": _STRENGTHS.value}
        cnnf_tf.data.corrupted(clean, *next(iter(places)), **options)  # refuses what is wrong before any work
        return clean, {place: functools.partial(cnnf_tf.data.corrupted, clean, *place, **options) for place in places}
    counts = {name: _count(model, "premade", name) for name in places.values()}
    if clean is not None:
        counts[_DATASET.value] = _count(model, "dataset", _DATASET.value)
    if len({*counts.values()}) > 1:
        raise _app.UsageError(
            f"--premade and --dataset want equally many images, got {counts}; --num_images takes fewer."
        )
    load = functools.partial(_app.load_data_for, model, flag="premade", limit=limit)
    return clean, {place: functools.partial(load, dataset=name) for place, name in places.items()}


def _count(model: Any, flag: str, name: str) -> int:
    """How many images of a data set are scored; refuses one that does not fit the model."""
    from cnnf_tf.data.sources.splits import parse_split

    facts = _app.data_info(name)
    _app.check_data(model, flag, name, facts)
    count = sum(part.count for part in parse_split(_SPLIT.value, facts.num_examples))
    return min(count, _NUM_IMAGES.value or count)


def _open_record(models: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """The record in --output, which can be written."""
    from cnnf_tf.utils import environment
    from cnnf_tf.utils.resumable_results import ResumableResults

    files: dict[str, Any] = {role: flags.FLAGS[role].value for role in models}
    sha256 = {role: cnnf_tf.zoo.model_sha256(file) for role, file in files.items()}
    config = {
        "sha256": sha256,
        "strengths": _strengths(),
        "premade": _PREMADE.value,
        "dataset": None if _PREMADE.value and not flags.FLAGS["dataset"].present else _DATASET.value,
        "seed": None if _PREMADE.value else _SEED.value,
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
    """For each model the `PassAccuracy` of each finished corruption and severity."""
    known: dict[str, dict[tuple[str, int], Any]] = {role: {} for role in iterations}
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
    from cnnf_tf.evaluation import corruption_report as lib
    from cnnf_tf.evaluation.corruptions import strengths_label

    found, baseline = results["model"], results.get("baseline")
    readouts = sorted(cnnf_tf.models.READOUTS, key=lambda name: name != own_readout)
    derived: dict[str, Any] = {"mean_accuracy": {role: _means(result) for role, result in results.items()}}
    if baseline is not None:
        derived["errors_in_percent"] = {name: _errors(found, baseline, name) for name in cnnf_tf.models.READOUTS}
    record.write(num_images=found.num_images, **derived)
    table = record.folder / "corruption_robustness.csv"
    rows = [{"model": role} | row for role, result in results.items() for row in result.rows()]
    write_text(table, csv_text(_FIELDS, rows))
    kind, _, path = (_PREMADE.value or _DATASET.value).partition(":")
    where = f"{found.num_images} images of {pathlib.Path(path).name or kind} {_SPLIT.value}"
    where += "" if _PREMADE.value else f", seed {found.seed}"
    style: dict[str, Any] = {"title": f"{where}, readout {own_readout}", "readout": own_readout, "baseline": baseline}
    figures = lib.corruption_figure(table.with_suffix(""), found, **style)
    for readout in readouts if found.iterations else readouts[:1]:
        against = "" if baseline is None else f" against {_BASELINE.value}"
        print(f"\n{_MODEL.value}{against}, {where}, readout {readout}: accuracy in %, means over")
        error = "" if baseline is None else "; CE and mCE: errors in % of the baseline's"
        print(f"severities {', '.join(map(str, found.severities))}; {strengths_label(found.strengths)}{error}\n")
        print(lib.corruption_table(found, baseline, readout=readout))
    print("\n" + "\n".join(f"wrote {path}" for path in (record.path, table, *figures)))


def _means(found: Any) -> dict[str, Any]:
    """Mean accuracy over corruptions and severities of every pass, and whose corruptions these are."""
    from cnnf_tf.evaluation.corruptions import strengths_label

    means = {
        readout: [round(found.mean_accuracy(readout=readout, index=index), 6) for index in range(found.iterations + 1)]
        for readout in cnnf_tf.models.READOUTS
    }
    return {"strengths": strengths_label(found.strengths), "num_corruptions": len(found.corrupted)} | means


def _errors(found: Any, baseline: Any, readout: str) -> list[dict[str, Any]]:
    """mCE and relative mCE of every pass of the model; null where the baseline leaves nothing to compare with."""
    from cnnf_tf.evaluation.corruptions import strengths_label

    rows = []
    for index in range(found.iterations + 1):
        row: dict[str, Any] = {"pass": index, "strengths": strengths_label(found.strengths)}
        for name, relative in (("mce", False), *([("relative_mce", True)] if found.clean else [])):
            errors = cnnf_tf.evaluation.mean_corruption_error(
                found, baseline, readout=readout, index=index, relative=relative
            )
            row |= {name: errors.mean, f"{name}_of_corruptions": errors.corruptions}
        rows.append(row)
    return rows


if __name__ == "__main__":
    _app.run(main)
