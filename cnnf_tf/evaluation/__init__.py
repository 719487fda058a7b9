"""Evaluation: accuracy of every pass, and figures."""

from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes
from cnnf_tf.evaluation.figures import reconstruction_figure

__all__ = ["PassAccuracy", "evaluate_passes", "reconstruction_figure"]
