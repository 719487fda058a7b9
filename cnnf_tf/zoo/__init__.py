"""Trained models: those of the package, presets, files of your own, and the authors' PyTorch checkpoints."""

from cnnf_tf.models.presets import preset_info, upload_preset
from cnnf_tf.zoo.pretrained import class_names, load_model, load_pretrained, model_sha256, pretrained_names

__all__ = [
    "class_names",
    "load_model",
    "load_pretrained",
    "model_sha256",
    "preset_info",
    "pretrained_names",
    "upload_preset",
]
