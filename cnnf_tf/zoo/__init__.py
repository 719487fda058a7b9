"""Trained models: those that come with the package, files of your own, and the authors' PyTorch checkpoints."""

from cnnf_tf.zoo.pretrained import load_model, load_pretrained, model_sha256, pretrained_card, pretrained_names

__all__ = ["load_model", "load_pretrained", "model_sha256", "pretrained_card", "pretrained_names"]
