"""The deconvolutional generative model behind CNN-F: samples, MAP updates, self-consistency."""

from cnnf_tf.utils.backend import need_tensorflow as _need_tensorflow

_need_tensorflow(__name__, "has TensorFlow Probability's distributions")

from cnnf_tf.generative.deconvolutional import DeconvolutionalGenerativeModel, Sample
from cnnf_tf.generative.latents import LatentSite, flatten_latents, latent_sites, nest_latents
from cnnf_tf.generative.map_updates import linear_forward, map_features, map_label, map_latents
from cnnf_tf.generative.self_consistency import (
    SelfConsistency,
    SelfConsistencySummary,
    self_consistency,
    self_consistency_job,
    summarize_self_consistency,
)

__all__ = [
    "DeconvolutionalGenerativeModel",
    "LatentSite",
    "Sample",
    "SelfConsistency",
    "SelfConsistencySummary",
    "flatten_latents",
    "latent_sites",
    "linear_forward",
    "map_features",
    "map_label",
    "map_latents",
    "nest_latents",
    "self_consistency",
    "self_consistency_job",
    "summarize_self_consistency",
]
