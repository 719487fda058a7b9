"""Self-consistency over the iterations, for a reader: a table and a picture of what `cnnf_tf.generative` summed up.

Per iteration t = 1, ..., K, means over the images of a data set (see `generative.SelfConsistencySummary`): the share of
images whose label changed, the share of latents that flipped, and |h - g(0)| / |h|. All are 0 where label, features and
latents agree with one another (paper section 2.4).
"""

import os

from cnnf_tf.evaluation.figures import save_png
from cnnf_tf.generative import SelfConsistencySummary
from cnnf_tf.utils.plotting import new_figure
from cnnf_tf.utils.tables import aligned

_PANELS = (
    ("label_changed", "label changed (% of images)", 100.0),
    ("latent_flip_rate", "latents flipped (% of all latents)", 100.0),
    ("feature_residual", "feature residual |h - g(0)| / |h|", 1.0),
)


def self_consistency_table(summary: SelfConsistencySummary) -> str:
    """A table with a row for each iteration."""
    rows = [("iteration", "label changed", "latents flipped", "|h - g(0)| / |h|")]
    values = zip(summary.label_changed, summary.latent_flip_rate, summary.feature_residual, strict=True)
    for index, (changed, flipped, residual) in enumerate(values, start=1):
        rows.append((str(index), f"{100 * changed:.2f} %", f"{100 * flipped:.2f} %", f"{residual:.4f}"))
    return aligned(rows)


def self_consistency_figure(path: str | os.PathLike[str], summary: SelfConsistencySummary, *, title: str) -> None:
    """Writes a PNG with three panels over the iterations.

    Args:
      path: file to write.
      summary: of at least one iteration.
      title: heading of the figure.

    Raises:
      ValueError: a summary of a plain CNN, which has no iteration.
    """
    iterations = range(1, len(summary.label_changed) + 1)
    if not iterations:
        raise ValueError("self_consistency_figure wants at least 1 iteration, got a summary of 0.")
    figure = new_figure(9.0, 3.0)
    for axis, (name, label, factor) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        values = [factor * value for value in getattr(summary, name)]
        axis.plot(iterations, values, marker="o", markersize=4, color="#1f4e79")
        axis.set_title(label, fontsize=9)
        axis.set_xlabel("iteration", fontsize=8)
        axis.set_ylim(0, 1.15 * max(*values, 1e-3 * factor))
        axis.set_xlim(0.5, len(values) + 0.5)
        axis.set_xticks(list(iterations)[:: 1 + len(values) // 12])
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=10)
    save_png(figure, path)
