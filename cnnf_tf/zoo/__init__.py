"""Trained models: those that come with the package, presets, files of your own, and the authors' PyTorch checkpoints."""

from cnnf_tf.models.presets import preset_info, upload_preset
from cnnf_tf.zoo.pretrained import as_preset, load_model, load_pretrained, model_sha256, pretrained_names

__all__ = [
    "as_preset",
    "load_model",
    "load_pretrained",
    "model_sha256",
    "preset_info",
    "pretrained_names",
    "upload_preset",
]
