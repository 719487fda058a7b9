"""Accuracy under corruptions as a table and as a figure."""

import os
import pathlib
from typing import Any

from cnnf_tf.evaluation.corruptions import CorruptionAccuracy, mean_corruption_error, strengths_label
from cnnf_tf.models import READOUTS
from cnnf_tf.utils.plotting import new_figure, save_figure
from cnnf_tf.utils.tables import markdown
from cnnf_tf.utils.validation import one_of


def corruption_table(
    result: CorruptionAccuracy, baseline: CorruptionAccuracy | None = None, *, readout: str = "last"
) -> str:
    """A Markdown table: mean accuracy over severities in %, of the baseline and of every pass, then mCE, relative mCE.

    Args:
      result: of the model.
      baseline: what the errors are in % of, at its last pass, see `mean_corruption_error`; None for accuracies alone.
      readout: "last" or "average", of both.

    Raises:
      ValueError: unknown readout, or results that cannot be compared.
    """
    one_of("readout", readout, READOUTS)
    label = strengths_label(result.strengths)
    passes = [f"pass {index}" for index in range(1, result.iterations + 1)]
    columns = [(result, index) for index in range(result.iterations + 1)]
    heads = [label, "pass 0 (CNN)", *passes]
    if baseline is not None:
        columns.insert(0, (baseline, -1))
        heads = [label, "baseline", *heads[1:], "CE of the last pass"]
    shares = {}
    if all(found.clean is not None for found, _ in columns):
        shares["clean"] = [found.clean.accuracy[readout][index] for found, index in columns if found.clean]
    for name in result.corrupted:
        shares[name] = [found.mean_accuracy(name, readout=readout, index=index) for found, index in columns]
    total = f"mean accuracy of {len(result.corrupted)} ({label})"
    shares[total] = [found.mean_accuracy(readout=readout, index=index) for found, index in columns]
    lines = [[name, *(f"{100 * value:.2f}" for value in values)] for name, values in shares.items()]
    if baseline is not None:
        measures = {"mCE": False} | ({"relative mCE": True} if "clean" in shares else {})
        errors = {
            name: [
                mean_corruption_error(found, baseline, readout=readout, index=index, relative=relative)
                for found, index in columns
            ]
            for name, relative in measures.items()
        }
        for line in lines:
            error = errors["mCE"][-1].corruptions.get(line[0])
            line.append("" if error is None else f"{error:.1f}")
        for name, found_errors in errors.items():
            means = (found.mean for found in found_errors)
            lines.append([f"{name} ({label})", *("-" if mean is None else f"{mean:.1f}" for mean in means), ""])
    return markdown([heads, *lines])


def corruption_figure(
    stem: str | os.PathLike[str],
    result: CorruptionAccuracy,
    *,
    title: str,
    readout: str = "last",
    baseline: CorruptionAccuracy | None = None,
) -> list[pathlib.Path]:
    """Draws accuracy against severity (0 is clean), a panel for each corruption, a line for each pass.

    The heading says whose strengths these are and, with a baseline, the mCE of the last pass; the legend says the mean
    accuracy over corruptions and severities.

    Args:
      stem: path of the files without ".png" and ".svg"; both are written.
      result: to draw.
      title: heading of the figure.
      readout: "last" or "average".
      baseline: another model, on the same corruptions and severities, whose last pass is one more line.

    Returns:
      The files.

    Raises:
      ValueError: unknown readout, or results that cannot be compared.
    """
    one_of("readout", readout, READOUTS)
    lines: list[tuple[CorruptionAccuracy, int, dict[str, Any]]] = []
    if baseline is not None:
        lines.append((baseline, -1, {"color": "tab:orange", "label": "baseline"}))
    lines.append((result, 0, {"color": "black", "linestyle": "--", "label": "pass 0 (CNN)"}))
    for index in range(1, result.iterations + 1):
        shade = 0.35 + 0.65 * index / result.iterations
        lines.append((result, index, {"color": (0.12, 0.31, 0.47, shade), "label": f"CNN-F, pass {index}"}))
    columns = min(4, len(result.corrupted))
    rows = -(-len(result.corrupted) // columns)
    figure = new_figure(max(4.0, 2.7 * columns), 2.5 * rows + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axis in axes.flat[len(result.corrupted) :]:
        axis.set_axis_off()
    for found, index, style in lines:
        style["label"] += f" (mean {100 * found.mean_accuracy(readout=readout, index=index):.1f} %)"
    for axis, name in zip(axes.flat, result.corrupted, strict=False):
        for found, index, style in lines:
            entries = {0: found.clean} | dict(zip(found.severities, found.corrupted[name], strict=True))
            points = {level: 100 * entry.accuracy[readout][index] for level, entry in entries.items() if entry}
            axis.plot([*points], [*points.values()], marker="o", markersize=3, linewidth=1.2, **style)
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.set_xticks([0, *result.severities])
        axis.set_xlabel("severity (0: clean)", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy (%)", fontsize=8)
    heading = f"{title}\n{strengths_label(result.strengths)}"
    if baseline is not None:
        error = mean_corruption_error(result, baseline, readout=readout).mean
        heading += f"; mCE of the last pass {'-' if error is None else f'{error:.1f}'}"
    figure.suptitle(heading, fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, columns, len(labels)), fontsize=8)
    return save_figure(figure, stem)
