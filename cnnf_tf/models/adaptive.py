"""The loop that stops each image by itself once it is self-consistent: the adaptive sister of `unroll`.

An image stops after iteration t when, from pass t - 1 to pass t,

    its label held,  its latent flip rate < tolerance,  and  |r(t) - r(t - 1)| < tolerance

with r(t) = |h - g(0)| / |h| the feature residual that iteration t set out to remove; or else at `max_iterations`. The
first iteration has no residual before it, so an image that stops early runs at least two; tolerance 0 never stops one.
An image that stopped is frozen, and taken out of the work: the loop carries the rows that still run and nothing else,
so each image gets what it would get alone. The state's structure is that of the first pass, which is peeled.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from cnnf_tf.layers import FeedbackComposite
from cnnf_tf.layers.base import Tensor, at_least_float32
from cnnf_tf.layers.windows import first_maximum
from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.networks import bernoulli_latents
from cnnf_tf.models.step_sizes import Eta
from cnnf_tf.models.tracing import has_values
from cnnf_tf.models.unroll import (
    FEEDBACK_STARTS,
    READOUTS,
    Feedback,
    State,
    check_iterations,
    first_pass,
    pack,
    step,
    unpack,
)
from cnnf_tf.utils.validation import number, one_of

_IN_GRAPHS = keras.backend.backend() == "tensorflow"
if _IN_GRAPHS:
    import tensorflow as tf


class AdaptiveResult(NamedTuple):
    """What each image ended with; every tensor is `[batch, ...]`, in the order of the images."""

    last_logits: Tensor
    """`[batch, classes]`, float32 (float64 in a float64 model): logits of the image's last pass."""
    average_logits: Tensor
    """`[batch, classes]`: mean of the logits of the image's own `iterations_used + 1` passes."""
    iterations_used: Tensor
    """`[batch]`, int32: feedback passes the image went through."""
    label_changed: Tensor
    """`[batch]`, float: 1 where the image's last iteration moved its label. -1 where it used no iteration, as below."""
    latent_flip_rate: Tensor
    """`[batch]`, float: share of the latents that the image's last iteration flipped."""
    feature_residual: Tensor
    """`[batch]`, float: |h - g(0)| / |h| at the start of the image's last iteration."""

    def logits(self, readout: str) -> Tensor:
        """The logits of a readout, "last" or "average", `[batch, classes]`."""
        return {"last": self.last_logits, "average": self.average_logits}[one_of("readout", readout, READOUTS)]


def infer_adaptive(
    model: CNNF,
    images: Tensor,
    *,
    max_iterations: int | Tensor,
    tolerance: float | Tensor,
    eta: float | Mapping[str, float] | None = None,
) -> AdaptiveResult:
    """Runs a model's adaptive loop on images.

    Args:
      model: a CNNF.
      images: floats in [0, 1], `[batch, *image_shape]`.
      max_iterations: see `adaptive_unroll`, also for `tolerance`.
      eta: a number or a mapping, as in `CNNF`; the model's own step sizes by default.

    Raises:
      ValueError: as `CNNF.infer` and `adaptive_unroll`.
      tf.errors.InvalidArgumentError: pixels outside [0, 1]; on JAX and PyTorch a ValueError.
    """
    return adaptive_unroll(
        model.network,
        model.encode(images),
        max_iterations=max_iterations,
        tolerance=tolerance,
        eta=model.step_sizes(eta),
        feedback_start=model.feedback_start,
    )


def adaptive_unroll(
    network: FeedbackComposite,
    features: Tensor,
    *,
    max_iterations: int | Tensor,
    tolerance: float | Tensor,
    eta: Eta,
    feedback_start: str = "logits",
) -> AdaptiveResult:
    """Runs the loop for inference until every image is self-consistent (see the module docstring).

    Works eagerly and in a `tf.function`; not under XLA, `jax.jit` or `torch.compile`, since the number of rows changes
    as images stop.

    Args:
      network: the part of the CNN inside the loop, from h to the logits.
      features: h, `[batch, ...]`.
      max_iterations: most feedback passes, >= 0; an int, or an integer tensor, one for all or `[batch]`.
      tolerance: >= 0; 0 is the fixed loop of `max_iterations`. A float, or a float tensor, one for all or `[batch]`.
      eta: step size, as in `unroll`.
      feedback_start: "logits", "softmax" or "one_hot".

    Returns:
      The `AdaptiveResult`.

    Raises:
      ValueError: a negative or non-integer `max_iterations`, a negative `tolerance`, an unknown `feedback_start`; a
        call inside of `jax.jit` or `torch.compile`.
    """
    if not ops.is_tensor(max_iterations):
        check_iterations(max_iterations)
    if not ops.is_tensor(tolerance):
        check_tolerance(tolerance)
    one_of("feedback_start", feedback_start, FEEDBACK_STARTS)
    if not (_IN_GRAPHS or has_values(features)):
        raise ValueError("the adaptive loop runs eagerly only: as images stop, the number of rows changes.")

    state = first_pass(network, features).carried()
    logits = at_least_float32(state.logits)
    rows = ops.arange(ops.shape(logits)[0], dtype="int32")
    limits = ops.broadcast_to(ops.cast(max_iterations, "int32"), ops.shape(rows))
    tolerances = ops.broadcast_to(ops.cast(tolerance, logits.dtype), ops.shape(rows))
    unknown = ops.full((ops.shape(rows)[0], 3), -1, logits.dtype)
    never = ops.full(ops.shape(rows), math.inf, logits.dtype)
    running = _keep_rows(limits > 0, [rows, never, *pack(state)])
    result = [logits, logits, ops.zeros_like(rows), unknown]

    def iterate(running: list[Tensor], result: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        rows, residual_before, *packed = running
        last, total, used, report = result
        before = unpack(state, packed)
        after, feedback = step(network, before, eta=eta, feedback_start=feedback_start)
        logits, after_packed = at_least_float32(after.logits), pack(after.carried())
        changed, flips, residual = self_consistency(network, before, after, feedback)

        place = rows[:, None]
        count = ops.take(used, rows) + 1
        result = [
            ops.scatter_update(last, place, logits),
            ops.scatter_update(total, place, ops.take(total, rows, axis=0) + logits),
            ops.scatter_update(used, place, count),
            ops.scatter_update(report, place, ops.stack([changed, flips, residual], axis=-1)),
        ]
        allowed = ops.take(tolerances, rows)
        settled = (changed == 0) & (flips < allowed) & (ops.abs(residual - residual_before) < allowed)
        goes_on = ~settled & (count < ops.take(limits, rows))
        return _keep_rows(goes_on, [rows, residual, *after_packed]), result

    last, total, used, report = _while_rows_run(iterate, running, result)
    average = total / ops.cast(used + 1, total.dtype)[:, None]
    return AdaptiveResult(last, average, used, *(report[:, column] for column in range(3)))


def self_consistency(
    network: FeedbackComposite, before: State, after: State, feedback: Feedback
) -> tuple[Tensor, Tensor, Tensor]:
    """`label_changed`, `latent_flip_rate` and `feature_residual` of one iteration; see `AdaptiveResult`."""
    dtype = at_least_float32(after.logits).dtype
    # Not the argmax of logits: in Keras it looks at bits, which cannot leave TensorFlow.
    labels = [first_maximum(state.logits, axis=-1) for state in (before, after)]
    changed = ops.cast(ops.any(labels[0] != labels[1], axis=-1), dtype)
    old, new = (bernoulli_latents(network, state.latents) for state in (before, after))
    residual = ops.cast(feature_residual(before.features, feedback.reconstruction), dtype)
    return changed, latent_flip_rate(old, new, changed), residual


def latent_flip_rate(before: Sequence[Tensor], after: Sequence[Tensor], like: Tensor) -> Tensor:
    """Share of the latents that differ, `[batch]`.

    Args:
      before: latents of one pass, each `[batch, ...]` of zeros and ones.
      after: those of the next pass, in the same order.
      like: `[batch]`; zeros of its shape and dtype are the answer where there are no latents.
    """
    if not before:
        return ops.zeros_like(like)
    flipped = [
        ops.sum(_example_rows(ops.cast(old != new, "float32")), axis=-1) for old, new in zip(before, after, strict=True)
    ]
    count = sum(math.prod(ops.shape(old)[1:]) for old in before)
    return ops.cast(sum(flipped[1:], start=flipped[0]), like.dtype) / ops.cast(count, like.dtype)


def feature_residual(features: Tensor, reconstruction: Tensor) -> Tensor:
    """|h - g(0)| / |h|, `[batch]`, at least float32. An all-zero h has no scale of its own: then it is |g(0)|."""
    features, reconstruction = _example_rows(features), _example_rows(reconstruction)
    norm = ops.norm(features, axis=-1)
    return ops.norm(features - reconstruction, axis=-1) / ops.where(norm > 0, norm, ops.ones_like(norm))


def check_tolerance(tolerance: Any) -> float:
    """Returns `tolerance` if it is a number >= 0 (infinity too), else raises ValueError."""
    return number("tolerance", tolerance, note=" (0 never stops early)")


def _example_rows(values: Tensor) -> Tensor:
    """`[batch, ...]` to `[batch, units]`, at least float32."""
    return at_least_float32(ops.reshape(values, (-1, math.prod(ops.shape(values)[1:]))))


def _while_rows_run(
    iterate: Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]],
    running: list[Tensor],
    result: list[Tensor],
) -> list[Tensor]:
    """The result after as many iterations as it takes until no row runs; in TensorFlow one loop of the graph."""
    if not _IN_GRAPHS:
        while running[0].shape[0]:
            running, result = iterate(running, result)
        return result
    any_batch = [tf.TensorShape([None, *tensor.shape[1:]]) for tensor in running]
    _, result = tf.while_loop(
        lambda running, result: tf.size(running[0]) > 0,
        iterate,
        (running, result),
        shape_invariants=(any_batch, [tensor.shape for tensor in result]),
        parallel_iterations=1,
    )
    return result


def _keep_rows(keep: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """The rows where `keep` holds; nothing is copied while that is all of them."""

    def kept() -> list[Tensor]:
        rows = ops.nonzero(keep)[0]
        return [ops.take(tensor, rows, axis=0) for tensor in tensors]

    if not _IN_GRAPHS:
        return tensors if ops.all(keep) else kept()
    return tf.cond(tf.reduce_all(keep), lambda: [tf.identity(tensor) for tensor in tensors], kept)
