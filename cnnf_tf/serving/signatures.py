"""The signatures of an exported model: plain TensorFlow ops, no custom ones, no code of this package at run time.

    signature                         inputs                                outputs
    serving_default, serving_uint8    images                                PREDICTION
    classify, classify_uint8          images, max_iterations, tolerance     PREDICTION
    reconstruct                       images                                reconstructions
    trajectory                        images                                logits, label

Images are `[batch, height, width, channels]`, float32 in [0, 1] or, for `_uint8`, bytes from 0 to 255. `max_iterations`
(int32) and `tolerance` (float32) are one number for each image, `[batch]`, or one for all. PREDICTION is

    logits            [batch, classes]  float32
    probabilities     [batch, classes]  float32, their softmax
    label             [batch]           int64, the class id
    class_name        [batch]           string
    iterations_used   [batch]           int32
    self_consistency  [batch, 3]        float32: label changed (0 or 1), latent flip rate, feature residual, each of
                                        the image's last iteration; -1 where it used none

`reconstructions` are g(0) of every feedback pass as pixels, `[batch, K, height, width, channels]`; `trajectory` gives
the logits and labels of every pass, `[batch, max_iterations + 1, classes]` and `[batch, max_iterations + 1]`. The first
dimension of every output is the batch, as batching in the server needs it. An empty batch gives empty outputs.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, check_tolerance, infer_adaptive
from cnnf_tf.utils.validation import positive_int

Outputs = dict[str, tf.Tensor]

_RANGE_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class ServingOptions:
    """Defaults and limits that go into the exported graph; `ServingOptions.for_model` fills them in.

    Attributes:
      iterations: most feedback passes of `serving_default`; also those of `reconstruct` (at least 1 there).
      tolerance: of `serving_default`: an image stops once it is self-consistent; 0 runs all `iterations`.
      max_iterations: most feedback passes a request may ask for; those of `trajectory`.
      chunk_size: images that are in work at once. More in one request are done in turn, so that memory stays flat.
      max_images: most images in one request.

    Raises:
      ValueError: a value out of its range.
    """

    iterations: int
    tolerance: float = 0.0
    max_iterations: int = 10
    chunk_size: int = 128
    max_images: int = 16_384

    def __post_init__(self) -> None:
        for name in ("max_iterations", "chunk_size", "max_images"):
            positive_int(name, getattr(self, name))
        if type(self.iterations) is not int or not 0 <= self.iterations <= self.max_iterations:
            raise ValueError(
                f"iterations must be an integer from 0 to max_iterations ({self.max_iterations}), "
                f"got {self.iterations!r}."
            )
        check_tolerance(self.tolerance)

    @classmethod
    def for_model(
        cls, model: CNNF, *, iterations: int | None = None, max_iterations: int | None = None, **others: Any
    ) -> "ServingOptions":
        """Fills in what is None: the model's own iterations, and a limit of 10 or, if more, those iterations."""
        iterations = model.iterations if iterations is None else iterations
        limit = max(cls.max_iterations, iterations) if max_iterations is None else max_iterations
        return cls(iterations, max_iterations=limit, **others)


def endpoints(model: CNNF, options: ServingOptions, class_names: Sequence[str]) -> dict[str, Callable[..., Outputs]]:
    """The `tf.function`s by the names under which they are served; for the arguments see `write_module`."""
    shape = [None, *model.image_shape]
    floats = tf.TensorSpec(shape, tf.float32, name="images")
    bytes_ = tf.TensorSpec(shape, tf.uint8, name="images")
    request = [
        tf.TensorSpec([None], tf.int32, name="max_iterations"),
        tf.TensorSpec([None], tf.float32, name="tolerance"),
    ]

    def predict_chunk(images: tf.Tensor, max_iterations: tf.Tensor, tolerance: tf.Tensor) -> Outputs:
        result = infer_adaptive(model, images, max_iterations=max_iterations, tolerance=tolerance)
        logits = tf.cast(result.logits(model.readout), tf.float32)
        label = tf.argmax(logits, axis=-1)
        measured = [result.label_changed, result.latent_flip_rate, result.feature_residual]
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "label": label,
            "class_name": tf.gather(tf.constant(list(class_names)), label),
            "iterations_used": result.iterations_used,
            "self_consistency": tf.cast(tf.stack(measured, axis=-1), tf.float32),
        }

    def reconstruct_chunk(images: tf.Tensor) -> Outputs:
        pictures = model.reconstruct(images, iterations=max(1, options.iterations))
        return {"reconstructions": tf.cast(tf.transpose(pictures, [1, 0, 2, 3, 4]), tf.float32)}

    def trajectory_chunk(images: tf.Tensor) -> Outputs:
        logits = model.infer(images, iterations=options.max_iterations).logits
        logits = tf.cast(tf.transpose(logits, [1, 0, 2]), tf.float32)
        return {"logits": logits, "label": tf.argmax(logits, axis=-1)}

    predict = _traced(predict_chunk, floats, *request)
    reconstruct, trajectory = _traced(reconstruct_chunk, floats), _traced(trajectory_chunk, floats)

    def checked(images: tf.Tensor) -> tf.Tensor:
        images = _check_image_shapes(images, model.image_shape, options.max_images)
        return images if images.dtype == tf.uint8 else _check_pixels(images)

    def serve(images: tf.Tensor) -> Outputs:
        images = checked(images)
        count = tf.shape(images)[0]
        limits, tolerances = tf.fill([count], options.iterations), tf.fill([count], options.tolerance)
        return _in_chunks(predict, options.chunk_size, images, limits, tolerances)

    def classify(images: tf.Tensor, max_iterations: tf.Tensor, tolerance: tf.Tensor) -> Outputs:
        images = checked(images)
        count = tf.shape(images)[0]
        limits = _check_per_image(max_iterations, "max_iterations", count, 0, options.max_iterations)
        tolerances = _check_per_image(tolerance, "tolerance", count, 0.0, float("inf"))
        return _in_chunks(predict, options.chunk_size, images, limits, tolerances)

    bodies = {
        "serving_default": (serve, [floats]),
        "serving_uint8": (serve, [bytes_]),
        "classify": (classify, [floats, *request]),
        "classify_uint8": (classify, [bytes_, *request]),
        "reconstruct": (lambda images: _in_chunks(reconstruct, options.chunk_size, checked(images)), [floats]),
        "trajectory": (lambda images: _in_chunks(trajectory, options.chunk_size, checked(images)), [floats]),
    }
    return {name: tf.function(body, input_signature=specs, autograph=False) for name, (body, specs) in bodies.items()}


def write_module(
    model: CNNF, directory: str | os.PathLike[str], options: ServingOptions, class_names: Sequence[str]
) -> None:
    """Writes a SavedModel with all signatures.

    Args:
      model: the model to serve.
      directory: where to.
      options: defaults and limits.
      class_names: a name for each class; kept one a line as the asset `class_names.txt` too.
    """
    module = tf.Module(name="cnnf")
    # What a SavedModel must hold; the Keras objects themselves stay out of it.
    module.weights = [weight.value for weight in model.weights]
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "class_names.txt"
        file.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
        module.class_names_file = tf.saved_model.Asset(str(file))
        tf.saved_model.save(module, str(directory), signatures=endpoints(model, options, class_names))


def _traced(body: Callable[..., Outputs], *specs: tf.TensorSpec) -> tf.types.experimental.ConcreteFunction:
    return tf.function(body, input_signature=specs, autograph=False).get_concrete_function()


def _in_chunks(body: tf.types.experimental.ConcreteFunction, size: int, *inputs: tf.Tensor) -> Outputs:
    """`body` of all rows, a chunk at a time: memory is that of one chunk. No rows give outputs of no rows."""
    count = tf.shape(inputs[0])[0]
    shapes = {name: [None, *output.shape[1:]] for name, output in body.structured_outputs.items()}
    empty = {
        name: tf.TensorArray(output.dtype, 0, dynamic_size=True, infer_shape=False, element_shape=shapes[name])
        for name, output in body.structured_outputs.items()
    }

    def work(start: tf.Tensor, arrays: dict[str, tf.TensorArray]) -> tuple[tf.Tensor, dict[str, tf.TensorArray]]:
        outputs = body(*(_to_float(tensor[start : start + size]) for tensor in inputs))
        return start + size, {name: array.write(start // size, outputs[name]) for name, array in arrays.items()}

    loop_variables = (tf.constant(0), empty)
    _, arrays = tf.while_loop(lambda start, _: start < count, work, loop_variables, parallel_iterations=1)
    return {name: tf.ensure_shape(array.concat(), shapes[name]) for name, array in arrays.items()}


def _to_float(values: tf.Tensor) -> tf.Tensor:
    """Bytes to the floats that `data.load` gives, bit by bit; what is not bytes stays as it is.

    A table, because the graph optimiser turns a division by 255 into a product that differs in the last bit.
    """
    if values.dtype != tf.uint8:
        return values
    return tf.gather(tf.constant(np.arange(256, dtype=np.float32) / np.float32(255)), tf.cast(values, tf.int32))


# Checks inside the exported graph: a bad request gets INVALID_ARGUMENT, and no layer ever sees it.


def _forget_shape(tensor: tf.Tensor) -> tf.Tensor:
    """The same tensor, but neither tracing nor the graph optimiser knows its shape; every input passes it first.

    A server feeds whatever a client sent: neither TensorFlow's C++ session nor a loaded signature compares shapes with
    the signature, and a convolution handed a matrix takes the whole process down. TensorFlow would trust the signature
    and remove the checks as always true.
    """
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))


def _check_image_shapes(
    images: tf.Tensor, image_shape: tuple[int | None, int | None, int], max_images: int
) -> tf.Tensor:
    """Images `[batch, *image_shape]` of at most `max_images`; the batch may be 0."""
    images = _forget_shape(images)
    height, width, channels = ("any" if size is None else size for size in image_shape)
    shape = tf.shape(images)
    # Padded, so that tensors of any rank can be compared without an error of another kind.
    sizes = tf.concat([shape, [-1] * 5], axis=0)
    right = [sizes[axis] if size is None else size for axis, size in enumerate(image_shape, start=1)]
    fits = tf.reduce_all(tf.equal(sizes[1:5], [*right, -1])) & tf.reduce_all(sizes[1:4] > 0)
    wanted = f"images must have the shape [batch, {height}, {width}, {channels}]; got the shape:"
    images = tf.ensure_shape(_checked(images, fits, wanted, shape), [None, *image_shape])
    count = tf.shape(images)[0]
    limit = f"a request may hold at most {max_images} images (fixed at export); got:"
    return _checked(images, count <= max_images, limit, count)


def _check_pixels(images: tf.Tensor) -> tf.Tensor:
    """Floats in [0, 1], and no NaN."""
    # Comparisons with NaN are false.
    in_range = tf.reduce_all((images >= -_RANGE_TOLERANCE) & (images <= 1 + _RANGE_TOLERANCE))
    finite = tf.reduce_all(tf.math.is_finite(images))
    wanted = "pixels must be floats in [0, 1] without NaN (send bytes 0 to 255 to a signature that ends in _uint8);"
    got = ("got minimum and maximum:", tf.reduce_min(images), tf.reduce_max(images), "all finite:", finite)
    return _checked(images, in_range, wanted, *got)


def _check_per_image(values: tf.Tensor, name: str, count: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """One number for all images or one for each, in [low, high]; returns `[batch]`."""
    values = _forget_shape(values)
    wanted = f"{name} must be one number or one for each image; got the shape:"
    fits = (tf.size(values) == 1) | (tf.size(values) == count)
    values = _checked(values, fits, wanted, tf.shape(values), "for so many images:", count)
    values = tf.reshape(values, [-1])
    allowed = tf.reduce_all((values >= low) & (values <= high))  # also false for NaN
    fixed = "" if high == float("inf") else " (the limit was fixed at export)"
    limits = f"{name} must be in [{low}, {high}]{fixed}; got minimum and maximum:"
    values = _checked(values, allowed, limits, tf.reduce_min(values), tf.reduce_max(values))
    return tf.broadcast_to(values, [count])


def _checked(tensor: tf.Tensor, condition: tf.Tensor, *message: str | tf.Tensor) -> tf.Tensor:
    """The tensor, once the condition holds: the message comes before any complaint of what uses the tensor."""
    with tf.control_dependencies([tf.debugging.Assert(condition, message, summarize=8)]):
        return tf.identity(tensor)
