"""Pairs of corrupted and clean images, to train a model that repairs."""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.data.corruptions.apply import corrupt
from cnnf_tf.data.corruptions.sets import CORRUPTION_SETS, severities_of
from cnnf_tf.utils.validation import one_of


def noisy_pairs(
    dataset: tf.data.Dataset,
    corruptions: Sequence[str],
    severities: Sequence[int] | None = None,
    *,
    seed: int,
    strengths: str = "ours",
    clean_share: float = 0.1,
) -> tf.data.Dataset:
    """Pairs of corrupted and clean images, as `CNNF.fit` takes them.

    Args:
      dataset: batches of (images in [0, 1], labels).
      corruptions: kinds of a set; each batch draws one of them and a severity, with equal chances.
      severities: from 1 to 5; None for all that the set has.
      seed: at least 0; the same seed gives the same batches, also after `skip`.
      strengths: the set, as in `corrupt`.
      clean_share: the share of batches left as they are, in [0, 1).

    Returns:
      Batches of `({"images": corrupted, "clean": images}, labels)`.

    Raises:
      ValueError: no or unknown corruptions or severities, or a share out of range.
    """
    kinds, known = CORRUPTION_SETS[one_of("strengths", strengths, CORRUPTION_SETS)], severities_of(strengths)
    severities = known if severities is None else severities
    ways = [(name, severity) for name in corruptions for severity in severities]
    if not ways or set(corruptions) - set(kinds) or set(severities) - set(known):
        raise ValueError(
            f"noisy_pairs wants corruptions among {sorted(kinds)} and severities among {known}, at least "
            f"one each, got {tuple(corruptions)} and {tuple(severities)}."
        )
    if not 0 <= clean_share < 1:
        raise ValueError(f"clean_share must be in [0, 1), got {clean_share!r}.")

    options: dict[str, Any] = {"seed": seed, "strengths": strengths}

    def pair(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        images, labels = batch
        first = number * 2**20  # of this batch in all images seen, so that no two batches draw alike
        branches = [functools.partial(corrupt, images, *way, **options, first_index=first) for way in ways]
        draw = tf.random.stateless_uniform([2], tf.stack([tf.constant(seed, tf.int64), number]))
        chosen = tf.cast(tf.floor(draw[0] * len(ways)), tf.int32)
        noisy = tf.cond(draw[1] < clean_share, lambda: images, lambda: tf.switch_case(chosen, branches))
        return {"images": tf.ensure_shape(noisy, images.shape), "clean": images}, labels

    numbered = dataset.enumerate()
    return numbered.map(pair, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
