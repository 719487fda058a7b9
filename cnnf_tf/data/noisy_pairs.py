"""Training data for a model that repairs: each batch corrupted in a way drawn at random, beside its clean images."""

from collections.abc import Sequence

import tensorflow as tf

from cnnf_tf.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt


def noisy_pairs(
    dataset: tf.data.Dataset,
    corruptions: Sequence[str],
    severities: Sequence[int] = SEVERITIES,
    *,
    seed: int,
    clean_share: float = 0.1,
) -> tf.data.Dataset:
    """Pairs of corrupted and clean images, as `CNNF.fit` takes them.

    Args:
      dataset: batches of (images in [0, 1], labels).
      corruptions: names of `CORRUPTIONS`; each batch draws one of them and a severity, with equal chances.
      severities: from 1 to 5.
      seed: at least 0; the same seed gives the same batches, also after `skip`.
      clean_share: the share of batches left as they are, in [0, 1).

    Returns:
      Batches of `({"images": corrupted, "clean": images}, labels)`.

    Raises:
      ValueError: no or unknown corruptions or severities, or a share out of range.
    """
    ways = [(name, severity) for name in corruptions for severity in severities]
    if not ways or set(corruptions) - set(CORRUPTIONS) or set(severities) - set(SEVERITIES):
        raise ValueError(
            f"noisy_pairs wants corruptions among {sorted(CORRUPTIONS)} and severities among {SEVERITIES}, at least "
            f"one each, got {tuple(corruptions)} and {tuple(severities)}."
        )
    if not 0 <= clean_share < 1:
        raise ValueError(f"clean_share must be in [0, 1), got {clean_share!r}.")

    def pair(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        images, labels = batch
        first = number * 2**20  # of this batch in all images seen, so that no two batches draw alike

        def way(name: str, severity: int) -> tf.Tensor:
            return corrupt(images, name, severity, seed=seed, first_index=first)

        draw = tf.random.stateless_uniform([2], tf.stack([tf.constant(seed, tf.int64), number]))
        chosen = tf.cast(tf.floor(draw[0] * len(ways)), tf.int32)
        branches = [lambda way_=way_: way(*way_) for way_ in ways]
        noisy = tf.cond(draw[1] < clean_share, lambda: images, lambda: tf.switch_case(chosen, branches))
        return {"images": tf.ensure_shape(noisy, images.shape), "clean": images}, labels

    numbered = dataset.enumerate()
    return numbered.map(pair, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
