"""Images and labels as `tf.data.Dataset`: TensorFlow Datasets, IDX files and image folders. See `load`."""

from cnnf_tf.data.augmentation import Augmentation
from cnnf_tf.data.datasets import info, load
from cnnf_tf.data.sources import DatasetInfo

__all__ = ["Augmentation", "DatasetInfo", "info", "load"]
