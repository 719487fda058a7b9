"""How far two passes of the loop are apart: what self-consistency reports and adaptive stopping watches."""

import math
from collections.abc import Sequence

from keras import ops

from cnnf_tf.layers.base import Tensor, at_least_float32


def example_rows(values: Tensor) -> Tensor:
    """`[batch, ...]` to `[batch, units]`, at least float32."""
    return at_least_float32(ops.reshape(values, (-1, math.prod(values.shape[1:]))))


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
        ops.sum(example_rows(ops.cast(old != new, "float32")), axis=-1) for old, new in zip(before, after, strict=True)
    ]
    count = sum(example_rows(old).shape[-1] for old in before)
    return ops.cast(sum(flipped[1:], start=flipped[0]), like.dtype) / count


def feature_residual(features: Tensor, reconstruction: Tensor) -> Tensor:
    """|h - g(0)| / |h|, `[batch]`, at least float32. An all-zero h has no scale of its own: then it is |g(0)|."""
    features, reconstruction = example_rows(features), example_rows(reconstruction)
    norm = ops.norm(features, axis=-1)
    return ops.norm(features - reconstruction, axis=-1) / ops.where(norm > 0, norm, ops.ones_like(norm))
