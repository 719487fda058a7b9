"""What a batch must be before a model works on it: images in [0, 1], labels that fit the loss.

What shape and dtype tell is checked before anything runs, and is a ValueError. Values are known in eager execution, and
in a running graph of TensorFlow: there faults raise `tf.errors.InvalidArgumentError`, on JAX and PyTorch ValueError.
XLA drops assertions, so `KerasTraining` checks a batch outside of the step that is compiled, before it or by assertions
around it, and `CNNF.infer` returns NaN for pixels out of range, whatever compiles it.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops, tree

from cnnf_tf.layers.base import Tensor
from cnnf_tf.models.tracing import has_values

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

TOLERANCE = 1e-3
"""How far pixels may lie outside of [0, 1]: augmentation and resizing round."""


def check_image_spec(images: Any, image_shape: Sequence[int | None]) -> None:
    """Raises ValueError unless shape and dtype are those of images; sizes that are not known before may be right.

    Args:
      images: anything with a shape, perhaps of unknown rank, and a dtype.
      image_shape: `(height, width, channels)` of the model, height and width perhaps None.
    """
    shape = _static_shape(images)
    wanted = (None, *image_shape)
    pairs = zip(wanted, shape or wanted, strict=False)
    if shape is not None and (len(shape) != 4 or any(None not in pair and pair[0] != pair[1] for pair in pairs)):
        height, width, channels = (size or "any" for size in image_shape)
        raise ValueError(
            f"CNNF wants images [batch, {height}, {width}, {channels}] (float, pixels in [0, 1]), got shape {shape}; a "
            "single image needs a leading batch dimension, a grey one a trailing channel dimension."
        )
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise ValueError(f"CNNF wants float images with pixels in [0, 1], got {dtype}; divide uint8 by 255 first.")


def check_label_spec(labels: Any, loss: Any, num_classes: int) -> None:
    """Raises ValueError unless shape and dtype of labels fit a loss; a loss that is not Keras' own may want others.

    Args:
      labels: anything with a shape and a dtype, or None.
      loss: as `compile` took it.
      num_classes: of the model.
    """
    if labels is None:
        raise ValueError("CNNF wants labels in fit and evaluate: fit(images, labels), or data of such pairs; got none.")
    if getattr(labels.dtype, "kind", "number") in "USO" or getattr(labels.dtype, "name", "") == "string":
        raise ValueError(
            f"CNNF wants labels that are numbers, class ids from 0 to {num_classes - 1}, got the dtype {labels.dtype}; "
            "of Python's integers labels.astype(int) makes some."
        )
    shape = _static_shape(labels)
    if shape is None:
        return
    ids = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
    vectors = len(shape) == 2 and shape[1] in (None, num_classes)
    if wants_class_ids(loss) and not ids:
        raise ValueError(
            f"CNNF wants class ids as labels, [batch], got shape {shape}; for one-hot labels [batch, {num_classes}] "
            "compile with loss=keras.losses.CategoricalCrossentropy(from_logits=True)."
        )
    if _of_keras(loss) and not wants_class_ids(loss) and not vectors:
        raise ValueError(
            f"CNNF wants one-hot labels [batch, {num_classes}] for this loss, got shape {shape}; for class ids leave "
            "the loss at its default."
        )
    if not (ids or vectors):
        raise ValueError(f"CNNF wants labels [batch], or one-hot ones [batch, {num_classes}]; got shape {shape}.")


def checked_images(images: Tensor) -> Tensor:
    """The images, after `image_faults`."""
    faults = image_faults(images)
    if not faults:
        return images
    with tf.control_dependencies(faults):
        return tf.identity(images)


def image_faults(images: Tensor) -> list[Any]:
    """Raises for pixels out of range or no image at all: now, or in a graph by the operations that it returns."""
    low, high = _extremes(images)
    in_range = (low >= -TOLERANCE) & (high <= 1 + TOLERANCE)
    # oneDNN's pooling kernels end the process when there is no image, so that is refused before any of them runs.
    return [
        *_require(ops.size(images) > 0, "CNNF wants at least one image; got an empty batch."),
        *_require(
            in_range | (ops.size(images) == 0),
            "CNNF wants pixels in [0, 1] and no NaN (divide 0 to 255 by 255, and clip what resizing or augmentation "
            "overshoots); got minimum and maximum:",
            low,
            high,
        ),
    ]


def label_faults(labels: Tensor, loss: Any, num_classes: int) -> list[Any]:
    """As `image_faults`, for labels that must be class ids, whole numbers but for what the loss ignores, or one-hot."""
    if not wants_class_ids(loss):
        return _one_hot_faults(labels) if _of_keras(loss) else []
    whole = True
    if "float" in keras.backend.standardize_dtype(labels.dtype):
        whole = ops.all(labels == ops.floor(labels))
    else:
        labels = ops.cast(labels, "int32" if keras.backend.backend() == "jax" else "int64")
    ignored = getattr(loss, "ignore_class", None)
    if ignored is not None:
        labels = ops.where(labels == ops.cast(ignored, labels.dtype), ops.zeros_like(labels), labels)
    low, high = _extremes(labels)
    valid = (ops.size(labels) == 0) | ((low >= 0) & (high < num_classes) & whole)
    message = f"CNNF wants class ids as labels, whole numbers from 0 to {num_classes - 1}; got minimum and maximum:"
    return _require(valid, message, low, high)


def _one_hot_faults(labels: Tensor) -> list[Any]:
    low, high = _extremes(ops.cast(labels, "float32"))
    valid = (ops.size(labels) == 0) | ((low >= -TOLERANCE) & (high <= 1 + TOLERANCE))
    return _require(valid, "CNNF wants one-hot labels, from 0 to 1 and no NaN; got minimum and maximum:", low, high)


def weight_faults(weights: Tensor) -> list[Any]:
    """As `image_faults`, for weights of examples."""
    low, high = _extremes(ops.cast(weights, "float32"))
    finite = ops.isfinite(low) & ops.isfinite(high) | (ops.size(weights) == 0)
    return _require(finite, "CNNF wants finite sample_weight; got minimum and maximum:", low, high)


def check_is_array(name: str, values: Any) -> None:
    """Raises ValueError for a list or tuple that is neither empty nor of one array; Keras takes those for inputs."""
    entries = list(values) if isinstance(values, (list, tuple)) else []
    if len(entries) > 1 or (entries and not hasattr(entries[0], "shape")):
        raise ValueError(f"CNNF wants {name} as one array, got a {type(values).__name__}; np.stack({name}) makes one.")


def nan_where_faulty(values: Any, images: Tensor) -> Any:
    """A nest of tensors, all NaN if any pixel is out of range: XLA keeps this, where it drops assertions."""
    in_range = ops.all((images >= -TOLERANCE) & (images <= 1 + TOLERANCE))  # minimum and maximum in XLA may miss NaN
    return tree.map_structure(lambda tensor: ops.where(in_range, tensor, ops.cast(float("nan"), tensor.dtype)), values)


def with_known_sizes(images: Tensor, image_shape: Sequence[int | None]) -> Tensor:
    """Images with the sizes that the model knows, where the graph, as of a generator's data, does not know them."""
    if keras.backend.backend() != "tensorflow" or None not in (_static_shape(images) or (None, None))[1:]:
        return images
    return tf.ensure_shape(images, (None, *image_shape))


def with_known_rank(labels: Any, loss: Any, num_classes: int) -> Any:
    """Labels with the rank that a loss wants, where the graph, as of a generator's data, does not know it."""
    if keras.backend.backend() != "tensorflow" or _static_shape(labels) is not None:
        return labels
    return tf.ensure_shape(labels, [None] if wants_class_ids(loss) else [None, num_classes])


def wants_class_ids(loss: Any) -> bool:
    """Whether a loss is Keras' cross-entropy of class ids."""
    return isinstance(loss, keras.losses.SparseCategoricalCrossentropy)


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Raises what a check in a graph found by its message alone, without the graph's own story."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"CNNF wants [^\n]*", error.message)
        sizes = re.search(
            r"Shape of tensor \S+ (\[.*?\]) is not compatible with expected shape (\[.*?\])", error.message
        )
        if found is not None:
            message = re.sub(r":\] \[(.*?)\] \[(.*?)\]$", r": \1, \2", found[0]).removesuffix("]")
        elif sizes is not None:
            message = f"CNNF wants a batch of shape {sizes[2]}, got {sizes[1]}."
        else:
            raise
        raise tf.errors.InvalidArgumentError(None, None, message) from None


def _require(condition: Any, message: str, *values: Tensor) -> list[Any]:
    native = keras.backend.backend() == "tensorflow"
    if not has_values(condition):
        return [tf.debugging.Assert(condition, [message, *values])] if native else []
    if not condition:
        text = " ".join([message, ", ".join(f"{float(value):g}" for value in values)]).strip()
        raise tf.errors.InvalidArgumentError(None, None, text) if native else ValueError(text)
    return []


def _extremes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Minimum and maximum; of nothing, which backends do not agree on, two zeros."""
    if 0 in (_static_shape(values) or ()):
        values = ops.zeros((1,), values.dtype)
    low, high = ops.min(values), ops.max(values)
    if keras.backend.backend() == "jax":  # whose minimum and maximum may miss NaN
        missed = ops.any(ops.isnan(values))
        return ops.where(missed, float("nan"), low), ops.where(missed, float("nan"), high)
    return low, high


def _static_shape(values: Any) -> tuple[int | None, ...] | None:
    """The shape as far as it is known; None where not even the rank is."""
    shape = values.shape
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def _of_keras(loss: Any) -> bool:
    known = vars(keras.losses).values()
    return isinstance(loss, str) or any(loss is each or type(loss) is each for each in known)
