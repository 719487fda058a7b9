"""Any Keras CNN as the parts of a CNN-F: `cnnf_tf.CNNF.from_keras` is the way in."""

from cnnf_tf.models.conversion.convert import Parts, convert
from cnnf_tf.models.conversion.preprocessing import PREPROCESSING
from cnnf_tf.models.conversion.rules import copy_layer, register_conversion

__all__ = ["PREPROCESSING", "Parts", "convert", "copy_layer", "register_conversion"]
