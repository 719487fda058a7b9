"""Evaluation: accuracy of every pass, figures, and speed."""

from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes
from cnnf_tf.evaluation.benchmark import InferenceTiming, time_inference
from cnnf_tf.evaluation.figures import reconstruction_figure

__all__ = ["InferenceTiming", "PassAccuracy", "evaluate_passes", "reconstruction_figure", "time_inference"]
