"""Evaluation: accuracy of every pass, self-consistency, samples, out-of-distribution scores, figures, and speed."""

from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes
from cnnf_tf.evaluation.benchmark import InferenceTiming, time_inference
from cnnf_tf.evaluation.figures import Picture, picture_grid, reconstruction_figure
from cnnf_tf.evaluation.out_of_distribution import Separation, auroc, fit_scale, image_scores, separation
from cnnf_tf.evaluation.sampling import (
    LatentComparison,
    class_templates,
    compare_latents,
    generative_model,
    render_through,
    sample_pictures,
)
from cnnf_tf.evaluation.self_consistency import self_consistency_figure, self_consistency_table

__all__ = [
    "InferenceTiming",
    "LatentComparison",
    "PassAccuracy",
    "Picture",
    "Separation",
    "auroc",
    "class_templates",
    "compare_latents",
    "evaluate_passes",
    "fit_scale",
    "generative_model",
    "image_scores",
    "picture_grid",
    "reconstruction_figure",
    "render_through",
    "sample_pictures",
    "self_consistency_figure",
    "self_consistency_table",
    "separation",
    "time_inference",
]
