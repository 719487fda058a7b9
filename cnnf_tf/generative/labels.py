"""Labels at the border of this room: checked once, then one-hot at the top of the network."""

from typing import Any

import tensorflow as tf

from cnnf_tf.layers.base import Tensor


def check_labels(label: Any, num_classes: int) -> Tensor:
    """Returns class ids as an int32 tensor, a scalar or `[batch]`.

    Raises:
      ValueError: not integers, rank above 1, or (where the values are known) a class id outside [0, num_classes).
      tf.errors.InvalidArgumentError: the same for values first known when a graph runs.
    """
    label = tf.convert_to_tensor(label)
    if not label.dtype.is_integer:
        raise ValueError(f"label must be integer class ids, a scalar or [batch], got {label.dtype.name}.")
    if label.shape.rank not in (0, 1):
        raise ValueError(f"label must be integer class ids, a scalar or [batch], got shape {tuple(label.shape)}.")
    message = f"label must be class ids in [0, {num_classes - 1}]"
    known = tf.get_static_value(label)
    if known is not None and known.size and (known.min() < 0 or known.max() >= num_classes):
        raise ValueError(f"{message}, got values from {known.min()} to {known.max()}.")
    if known is None:
        valid = tf.reduce_all((label >= 0) & (label < num_classes))
        with tf.control_dependencies([tf.debugging.Assert(valid, [message + ", got:", label])]):
            label = tf.identity(label)
    return tf.cast(label, tf.int32)


def top_signal(label: Any, num_classes: int, dtype: Any) -> Tensor:
    """What is sent down from the top: `[batch, num_classes]`.

    Args:
      label: class ids, `[batch]` (sent down as one-hot vectors), or floats `[batch, num_classes]` (sent down as they
        are: the raw logits of a CNN-F, or a soft label).
      num_classes: size of the top.
      dtype: of the result.

    Raises:
      ValueError: anything else.
    """
    label = tf.convert_to_tensor(label)
    if label.dtype.is_floating:
        if label.shape.rank != 2 or label.shape[-1] != num_classes:
            raise ValueError(
                f"label must be integer class ids [batch] or floats [batch, {num_classes}], got {label.dtype.name} of "
                f"shape {tuple(label.shape)}."
            )
        return tf.cast(label, dtype)
    label = check_labels(label, num_classes)
    if label.shape.rank != 1:
        raise ValueError(f"label must be integer class ids [batch] or floats [batch, {num_classes}], got a scalar.")
    return tf.one_hot(label, num_classes, dtype=dtype)
