"""Images and labels as `tf.data.Dataset`: TensorFlow Datasets, IDX files, image folders; corruptions. See `load`."""

from cnnf_tf.utils.backend import need_tensorflow as _need_tensorflow

_need_tensorflow(__name__, "gives images as tf.data", as_backend=False)

from cnnf_tf.data.augmentation import Augmentation
from cnnf_tf.data.corruptions import (
    CORRUPTION_SETS,
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    corrupt,
    corrupted,
    noisy_pairs,
)
from cnnf_tf.data.datasets import info, load, load_arrays
from cnnf_tf.data.premade import PREMADE, premade_corruptions
from cnnf_tf.data.sources.base import DatasetInfo

__all__ = [
    "CORRUPTIONS",
    "CORRUPTION_SETS",
    "PREMADE",
    "SEVERITIES",
    "Augmentation",
    "Corruption",
    "DatasetInfo",
    "corrupt",
    "corrupted",
    "info",
    "load",
    "load_arrays",
    "noisy_pairs",
    "premade_corruptions",
]
