"""The tables of docs/results.md: a function for each, from the folder of result files to a header and rows.

A page has them between the lines <!-- table: NAME --> and <!-- /table -->; `fill` replaces what is there. Shares of
images are in %, with the interval of `share_interval` in brackets.
"""

import json
import pathlib
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnf_tf.utils.intervals import share_interval

ABSENT = "–"
_PASSES = (0, 1, 2, 3, 5, 7, 10)
_NETWORKS = {"cnn": "CNN", "cnnf_1": "CNN-F, K = 1", "stable": "CNN-F, K = 1, `stable`"}
_METHODS = {
    "gaussian_naive_bayes": "naive Bayes",
    "gaussian_naive_bayes_per_class": "naive Bayes, variances per class",
    "logistic_regression": "logistic regression",
    "cnn": "CNN",
    "cnnf": "CNN-F",
}
Rows = list[list[str]]
Column = tuple[str, list[dict[str, Any]], str]
"""Heading, reports of all seeds, readout."""


def fill(text: str, folder: pathlib.Path) -> str:
    """A page with its tables made anew.

    Args:
      text: Markdown with markers.
      folder: of the result files.

    Raises:
      ValueError: a table of a name that is not in `TABLES`, without its closing marker, or without its result files.
    """

    def made(match: re.Match[str]) -> str:
        name, rest = match[1], match[2]
        if name not in TABLES or "<!-- table:" in rest or not match[3]:
            raise ValueError(
                f"wanted <!-- table: {'|'.join(TABLES)} --> and then <!-- /table -->, got {match[0][:60]!r}."
            )
        try:
            header, *rows = TABLES[name](folder)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"no table {name} from {folder}: a file is not there or not complete ({error!r})."
            ) from error
        return f"<!-- table: {name} -->\n{markdown([header, ['---'] * len(header), *rows])}\n{match[3]}"

    return re.sub(r"<!-- table: (.*?) -->(.*?)(<!-- /table -->|\Z)", made, text, flags=re.DOTALL)


def markdown(rows: Rows) -> str:
    """Rows as Markdown; a `|` in a cell is escaped."""
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def repair(folder: pathlib.Path) -> Rows:
    """PSNR and SSIM of the restored images, bold where both are above those of the corrupted ones."""
    scores = list(_read(folder / "restoration/seed0/restoration.json")["scores"].values())
    found = {"corrupted": [score["corrupted"] for score in scores]}
    found |= {name: [score["baselines"][name] for score in scores] for name in scores[0]["baselines"]}
    for reading, label in (("reconstruction", "g(0)"), ("features", "h")):
        for place, step in enumerate(scores[0]["iterations"]):
            found[f"{label} of iteration {step}"] = [score["restored"][reading][place] for score in scores]
    rows = [["PSNR in dB / SSIM", *(_words(score["corruption"]) for score in scores)]]
    for label, qualities in found.items():
        cells = [f"{quality['psnr']:.1f} / {quality['ssim']:.3f}" for quality in qualities]
        better = [
            all(q[key] > before[key] for key in q) for q, before in zip(qualities, found["corrupted"], strict=True)
        ]
        rows.append([label, *(f"**{cell}**" if bold else cell for cell, bold in zip(cells, better, strict=True))])
    return rows


def epsilons(folder: pathlib.Path) -> Rows:
    """CNN against CNN-F under PGD, by epsilon."""
    record = _read(folder / "study/results.json")
    epsilons = record["config"]["study"]["epsilons"]["epsilons"]
    rows = [["network", "readout", "seeds", "clean", *(f"epsilon {epsilon:g}" for epsilon in epsilons)]]
    for model, label in _NETWORKS.items():
        iterations = record["config"]["study"]["models"][model]["iterations"]
        seeds = len(record["config"]["study"]["models"][model]["seeds"])
        for readout in ("last", "average") if iterations else ("last",):
            where = {"model": model, "readout": readout, "iterations": iterations}
            clean = _study(record, part="clean", **where)
            attacked = [_study(record, part="epsilons", epsilon=epsilon, **where) for epsilon in epsilons]
            rows.append([label, readout if iterations else "", str(seeds), clean, *attacked])
    return rows


def trained(folder: pathlib.Path) -> Rows:
    """Accuracy by the K of training and test."""
    record = _read(folder / "study/results.json")
    options = record["config"]["study"]
    epsilons = options["trained"]["epsilons"]
    rows = [["K", "seeds", "clean", *(f"epsilon {epsilon:g}" for epsilon in epsilons)]]
    for model in options["trained"]["models"]:
        iterations = options["models"][model]["iterations"]
        where = {"model": model, "readout": "last", "iterations": iterations}
        attacked = [_study(record, part="trained", epsilon=epsilon, **where) for epsilon in epsilons]
        label = f"{iterations}{'' if iterations else ' (CNN)'}"
        rows.append(
            [label, str(len(options["models"][model]["seeds"])), _study(record, part="clean", **where), *attacked]
        )
    return rows


def tested(folder: pathlib.Path) -> Rows:
    """Accuracy by the K' of the test."""
    record = _read(folder / "study/results.json")
    options = record["config"]["study"]["tested"]
    rows = [["network", "", *(f"K' = {k}" for k in options["attacked_iterations"])]]
    for model in options["models"]:
        for part, label in (("clean", "clean"), ("tested", f"epsilon {options['epsilon']:g}")):
            where = {"part": part, "model": model, "seed": 0, "readout": "last"}
            shares = [_study(record, iterations=k, **where) for k in options["attacked_iterations"]]
            rows.append([_NETWORKS[model] if part == "clean" else "", label, *shares])
    return rows


def needed(folder: pathlib.Path) -> Rows:
    """Iterations until the label stays, and accuracy of the first and the last pass, from easy to hard."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for cell in _read(folder / "study/results.json")["rows"]["needed"]:
        groups.setdefault(cell["difficulty"], []).append(cell)
    longest = max(map(len, groups.values()))
    rows = [["images made harder by", "level 1 (easiest)", *(f"level {level}" for level in range(2, longest + 1))]]
    names = {"epsilon": "PGD on the first pass, epsilon", "margin": "margin of the first pass, fifth"}
    for difficulty, cells in groups.items():
        label = names.get(difficulty, f"{_words(difficulty)}, severity")
        levels = ", ".join(f"{cell['level']:g}" for cell in cells)
        texts = [
            f"{cell['settled_mean']:.2f} ({100 * cell['first_accuracy']:.1f} → {100 * cell['last_accuracy']:.1f})"
            for cell in cells
        ]
        rows.append([f"{label} {levels}", *texts, *[""] * (longest - len(cells))])
    return rows


def passes(folder: pathlib.Path) -> Rows:
    """Clean accuracy of standard training, stopped after each pass."""
    rows = [["network", "readout", *(f"K' = {k}" for k in _PASSES)]]
    for label, name in (("CNN", "standard/cnn"), ("CNN-F, K = 1", "standard/cnnf"), (_NETWORKS["stable"], "stable")):
        reports = _runs(folder / name, "accuracy.json")
        for readout in ("last", "average") if reports[0]["iterations"] else ("last",):
            shares = zip(*(report["accuracy"][readout] for report in reports), strict=True)
            texts = [_percent(share, reports[0]["num_images"], 2) for share in shares]
            cells = [texts[k] if k < len(texts) else "" for k in _PASSES]
            rows.append([label, readout if reports[0]["iterations"] else "", *cells])
    return rows


def attacks(**networks: str) -> Callable[[pathlib.Path], Rows]:
    """Every attack of `robustness.json`, a column for each network and readout, and the images that stand them all.

    Args:
      **networks: the folder of each; CNNF is printed CNN-F.
    """

    def rows_of(folder: pathlib.Path) -> Rows:
        columns, clean = [], []
        for name, where in networks.items():
            reports, scored = (_runs(folder / where, file) for file in ("robustness.json", "accuracy.json"))
            readouts = list(reports[0]["clean_accuracy"])
            for readout in readouts:
                label = name.replace("CNNF", "CNN-F") + (f", {readout}" if len(readouts) > 1 else "")
                columns.append((label, reports, readout))
                clean.append(_percent([r["accuracy"][readout][-1] for r in scored], scored[0]["num_images"]))
        attacked = columns[0][1][0]
        rows = [["attack", "gradients", *(label for label, *_ in columns)]]
        rows.append([f"none, {scored[0]['num_images']:,} images", "", *clean])
        rows.append([f"none, the first {attacked['num_images']:,}", "", *_of_readouts(columns, "clean_accuracy")])
        scores = [score for _, reports, _ in columns for score in reports[0]["scores"]]
        for name, path, count in dict.fromkeys((s["attack"], s["gradient_path"], s["num_images"]) for s in scores):
            cells = []
            for _, reports, readout in columns:
                wanted = {"attack": name, "gradient_path": path, "readout": readout}.items()
                found = [s["robust_accuracy"] for report in reports for s in report["scores"] if wanted <= s.items()]
                cells.append(_percent(found, count) if len(found) == len(reports) else ABSENT)
            fewer = "" if count == attacked["num_images"] else f", the first {count}"
            rows.append([name + fewer, path.replace("_", " "), *cells])
        return [*rows, ["**stands all of them**", "", *(f"**{cell}**" for cell in _of_readouts(columns, "minimum"))]]

    return rows_of


def corruptions(folder: pathlib.Path) -> Rows:
    """Accuracy by corruption, and error relative to the CNN's."""
    record = _read(folder / "corruption_robustness/seed0/results.json")
    errors = record["errors_in_percent"]["last"]
    shown = (0, 1, 5)
    rows = [["corruption", "CNN", *(f"CNN-F, K' = {k}" for k in shown), *(f"CE, K' = {k}" for k in shown)]]
    for corruption in ("none", *record["config"]["corruptions"]):
        cells = [_words(corruption)]
        for model, k in (("baseline", 0), *(("model", k) for k in shown)):
            found = [c for c in record["cells"] if (c["model"], c["corruption"]) == (model, corruption)]
            # The severities corrupt the same images, which therefore count once.
            mean = statistics.fmean(cell["accuracy"]["last"][k] for cell in found)
            cells.append(_percent([mean], record["num_images"]))
        relative = [
            f"{errors[k]['mce_of_corruptions'][corruption]:.1f}" if corruption != "none" else ABSENT for k in shown
        ]
        rows.append(cells + relative)
    return [
        *rows,
        ["**mean (mCE, our strengths)**", "", *[""] * len(shown), *(f"**{errors[k]['mce']:.1f}**" for k in shown)],
    ]


def learning_curves(folder: pathlib.Path) -> Rows:
    """Test error by the number of training images."""
    record = _read(folder / "generative_vs_discriminative/results.json")
    counts = record["config"]["study"]["num_images"]
    rows = [["", *(f"{count:,}" for count in counts)]]
    for method in record["config"]["study"]["methods"]:
        cells = []
        for count in counts:
            found = [c for c in record["cells"] if (c["method"], c["num_images"]) == (method, count)]
            images = found[0]["num_test_images"]
            cells.append(_percent([1 - cell["num_correct"] / images for cell in found], images))
        rows.append([_METHODS[method], *cells])
    return rows


def out_of_distribution(folder: pathlib.Path) -> Rows:
    """Area under the ROC curve of each score, by the other images."""
    reports = [_read(path) for path in sorted((folder / "out_of_distribution").glob("*.json"))]
    rows = [["score", *(f"{report['ood_dataset']} ({report['num_ood_images']:,})" for report in reports)]]
    return rows + [[name, *(f"{r['scores'][name]['auroc']:.3f}" for r in reports)] for name in reports[0]["scores"]]


def speed(network: str) -> Callable[[pathlib.Path], Rows]:
    """Times of one network, as a graph, and what they are compared with, where there is a target to meet.

    In brackets the ratio to the faster of both floors, where PyTorch gave a second one.
    """

    def rows_of(folder: pathlib.Path) -> Rows:
        cases: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
        for row in _read(folder / "benchmark/benchmark.json")["rows"]:
            if (row["network"], row["mode"], row["unit"]) == (network, "function", "ms") and row["encoder_blocks"]:
                case = (row["kind"], row["iterations"], row["batch_size"], row["dtype"])
                cases.setdefault(case, {})[row["against"]] = row
        header = ["", "K", "ours, ms", "floor, ms", "ours / floor", "target", "other, ms", "times faster", "target"]
        rows = [header]
        for (kind, iterations, _, dtype), found in cases.items():
            if "floor" not in found or all(row["target"] is None for row in found.values()):
                continue
            name, other = next(((name, found[name]) for name in ("authors", "float32") if name in found), ("", None))
            cells = [
                kind if dtype == "float32" else f"{kind}, {dtype}",
                str(iterations),
                f"{found['floor']['value']:.0f}",
            ]
            for prefix, row in (("", found["floor"]), (f"{name}: ", other)):
                if row is None:
                    cells += ["", "", ""]
                else:
                    target = "" if row["target"] is None else f"{row['target']:g}"
                    best = f" ({row['best_ratio']:.2f})" if row.get("best_ratio") else ""
                    cells += [f"{prefix}{row['other']:.0f}", f"{row['ratio']:.2f}{best}", target]
            rows.append(cells)
        return rows

    return rows_of


def first_results(folder: pathlib.Path) -> Rows:
    """Seconds until the first result, of them start-up, and graph nodes, beside Keras' plain CNN and the authors."""
    report = _read(folder / "first_result/benchmark.json")
    found = {(r["network"], r["kind"], r["iterations"], r["by"]): r for r in report["first_results"] if not r["error"]}
    plain = {(network, kind): r for (network, kind, _, by), r in found.items() if by == "keras"}
    ratios = {(r["network"], r["kind"], r["iterations"]): r for r in report["rows"] if r["against"] == "K = 1"}
    heads = ("", "K", "import", "model", "first", "start-up", "/ K = 1", "target", "nodes", "in all, s")
    rows = [[*heads, "Keras' CNN, s", "its nodes", "authors, s"]]
    for (network, kind, iterations, by), ours in found.items():
        if by != "cnnf_tf":
            continue
        ratio = ratios.get((network, f"{kind}, start-up", iterations), {"ratio": None, "target": None})
        keras, authors = plain.get((network, kind)), found.get((network, kind, iterations, "authors"))
        row = [f"{network}, {kind}", str(iterations)]
        row += [f"{ours[part]:.2f}" for part in ("import", "load", "first", "start_up")]
        row += ["" if ratio[name] is None else f"{ratio[name]:.3g}" for name in ("ratio", "target")]
        row += [str(ours["nodes"]), f"{ours['total']:.1f}"]
        row += [ABSENT, ABSENT] if keras is None else [f"{keras['total']:.1f}", str(keras["nodes"])]
        rows.append([*row, ABSENT if authors is None else f"{authors['total']:.1f}"])
    return rows


def trainings(folder: pathlib.Path) -> Rows:
    """What the training of each network took; the files are in folders NAME/seedN or NAME-seedN."""
    groups: dict[str, list[pathlib.Path]] = {}
    for path in sorted(folder.rglob("config.json")):
        groups.setdefault(re.sub(r"[/-]seed\d+$", "", path.parent.relative_to(folder).as_posix()), []).append(
            path.parent
        )
    rows = [["network", "seeds", "K", "epochs", "computed in", "minutes each"]]
    for name, runs in groups.items():
        config, times = _read(runs[0] / "config.json"), []
        for run in runs:
            lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            times.append(f"{sum(json.loads(line).get('seconds', 0.0) for line in lines) / 60:.0f}")
        seeds = ", ".join(run.name.rpartition("seed")[2] for run in runs)
        options = (config["model"]["iterations"], config["train"]["epochs"], config["train"]["dtype_policy"])
        rows.append([f"`{name}`", seeds, *map(str, options), ", ".join(times)])
    return rows


TABLES: Mapping[str, Callable[[pathlib.Path], Rows]] = {
    "repair": repair,
    "epsilons": epsilons,
    "standard_attacks": attacks(CNNF="standard_attacked/cnnf", CNN="standard_attacked/cnn"),
    "trained": trained,
    "tested": tested,
    "needed": needed,
    "passes": passes,
    "adversarial": attacks(CNNF="adversarial_fashion_mnist/cnnf", CNN="adversarial_fashion_mnist/cnn"),
    "corruptions": corruptions,
    "learning_curves": learning_curves,
    "out_of_distribution": out_of_distribution,
    "speed_fashion_cnn": speed("fashion_cnn"),
    "speed_wide_resnet": speed("wide_resnet"),
    "first_results": first_results,
    "trainings": trainings,
}


def _read(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _runs(folder: pathlib.Path, name: str) -> list[dict[str, Any]]:
    """A file of each training seed."""
    return [_read(path) for path in sorted(folder.glob(f"seed*/{name}"))]


def _percent(shares: Sequence[float], images: int, digits: int = 1) -> str:
    """Mean over the seeds and the interval, in %."""
    low, high = share_interval([share * images for share in shares], images)
    return f"{100 * statistics.fmean(shares):.{digits}f} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def _study(record: Mapping[str, Any], **where: Any) -> str:
    """A share of the study over its seeds."""
    cells = [cell for cell in record["cells"] if where.items() <= cell.items()]
    return _percent([cell["correct"] / cell["num_images"] for cell in cells], cells[0]["num_images"])


def _of_readouts(columns: Sequence[Column], key: str) -> list[str]:
    """What `robustness.json` has for every readout, a cell for each column."""
    return [_percent([r[key][readout] for r in reports], reports[0]["num_images"]) for _, reports, readout in columns]


def _words(name: str) -> str:
    return {"none": "none (clean)"}.get(name, name.replace("_", " ").replace("gaussian", "Gaussian"))
