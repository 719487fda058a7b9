"""Evaluation: accuracy of every pass, robustness, corruptions, restoration, self-consistency, samples, activations."""

from cnnf_tf.utils.backend import need_tensorflow as _need_tensorflow

_need_tensorflow(__name__, "measures in TensorFlow's graphs, on tf.data")

from cnnf_tf.evaluation import representations
from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes, pass_job
from cnnf_tf.evaluation.brain_score import BrainScoreModel
from cnnf_tf.evaluation.corruption_report import corruption_figure, corruption_table
from cnnf_tf.evaluation.corruptions import (
    CorruptionAccuracy,
    CorruptionError,
    evaluate_corrupted_sets,
    evaluate_corruptions,
    mean_corruption_error,
)
from cnnf_tf.evaluation.figures import Picture, picture_grid, reconstruction_figure
from cnnf_tf.evaluation.out_of_distribution import (
    Separation,
    auroc,
    fit_scale,
    image_scores,
    score_job,
    scores_of,
    separation,
)
from cnnf_tf.evaluation.recordings.names import list_activations
from cnnf_tf.evaluation.recordings.recording import Recording, activations
from cnnf_tf.evaluation.recordings.store import ActivationFile, open_activations, read_activations
from cnnf_tf.evaluation.recordings.writing import write_activations
from cnnf_tf.evaluation.restoration.quality import (
    RESTORED,
    Quality,
    RestorationQuality,
    evaluate_restoration,
    image_qualities,
    restoration_figure,
    restoration_job,
    restore,
)
from cnnf_tf.evaluation.restoration.restorers import denoising_autoencoder, median_filter
from cnnf_tf.evaluation.robustness.attack_specs import AttackSpec, adaptive_suite, autoattack_suite, baseline_suite
from cnnf_tf.evaluation.robustness.report import RobustnessReport, Score
from cnnf_tf.evaluation.robustness.run import RobustnessEvaluation, evaluate_robustness, run_sanity_checks
from cnnf_tf.evaluation.robustness.sanity_checks import SanityCheck
from cnnf_tf.evaluation.sampling import (
    LatentComparison,
    class_templates,
    compare_latents,
    generative_model,
    render_through,
    sample_pictures,
)
from cnnf_tf.evaluation.self_consistency import self_consistency_figure, self_consistency_table
from cnnf_tf.utils.batches import BatchRunner, Job
from cnnf_tf.utils.intervals import wilson_interval

__all__ = [
    "RESTORED",
    "ActivationFile",
    "BatchRunner",
    "BrainScoreModel",
    "CorruptionAccuracy",
    "CorruptionError",
    "SanityCheck",
    "Job",
    "LatentComparison",
    "PassAccuracy",
    "Picture",
    "Quality",
    "Recording",
    "RobustnessEvaluation",
    "RestorationQuality",
    "RobustnessReport",
    "Score",
    "Separation",
    "AttackSpec",
    "activations",
    "adaptive_suite",
    "auroc",
    "baseline_suite",
    "autoattack_suite",
    "class_templates",
    "compare_latents",
    "corruption_figure",
    "corruption_table",
    "denoising_autoencoder",
    "evaluate_corrupted_sets",
    "evaluate_corruptions",
    "evaluate_passes",
    "evaluate_restoration",
    "evaluate_robustness",
    "fit_scale",
    "generative_model",
    "image_qualities",
    "image_scores",
    "list_activations",
    "mean_corruption_error",
    "median_filter",
    "open_activations",
    "pass_job",
    "picture_grid",
    "read_activations",
    "reconstruction_figure",
    "render_through",
    "representations",
    "restoration_figure",
    "restoration_job",
    "restore",
    "run_sanity_checks",
    "sample_pictures",
    "score_job",
    "scores_of",
    "self_consistency_figure",
    "self_consistency_table",
    "separation",
    "wilson_interval",
    "write_activations",
]
