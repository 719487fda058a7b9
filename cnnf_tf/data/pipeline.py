"""The tf.data pipelines: ordering, augmenting, batching.

With images in memory, order and augmentation of epoch k are functions of the seed and k. A repeating pipeline counts
its epochs from 0 each time it is iterated, so `skip(steps)` continues exactly where another run stopped. A pipeline of
one epoch, iterated again and again, draws its epoch numbers from a generator with the same seed instead. `load` orders
a stream by `tf.data.Dataset.shuffle`, whose sequence of epochs starts with the dataset object. All iterators can be
checkpointed.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.data import augmentation as augmentation_lib

_READ_BATCH = 256  # examples decoded together where no batch size was asked for
_ORDER, _AUGMENTATION = 0, 1  # what a seed is used for


Decode = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]
Read = Callable[[Any], tuple[tf.Tensor, tf.Tensor]]  # a batch of items to uint8 images and int32 labels


def from_memory(
    images: np.ndarray, labels: np.ndarray, shuffle_seed: int | None, repeat: bool
) -> tuple[tf.data.Dataset, Read]:
    """Items and how to read them, for images in memory; a shuffled epoch is a permutation, each equally likely.

    Args:
      images: uint8 array of shape `[count, height, width, channels]`.
      labels: Integer array of shape `[count]`.
      shuffle_seed: See `load`.
      repeat: See `load`.

    Returns:
      Dataset of indices, and a function from a batch of them to the images and labels.
    """
    count = len(labels)
    with tf.device("/CPU:0"):  # a copy on an accelerator would be of no use to tf.data
        all_images = tf.constant(images)
        all_labels = tf.constant(labels, tf.int32)

    def permutation(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), seed, alg="philox")

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(all_images, indices), tf.gather(all_labels, indices)

    if shuffle_seed is not None:
        return _per_epoch(shuffle_seed, _ORDER, repeat, count, permutation), gather
    order = tf.data.Dataset.range(count)
    return order.repeat() if repeat else order, gather


def decoder(decode: Decode, num_classes: int) -> Read:
    """How to read raw elements; a label outside [0, num_classes) raises `tf.errors.InvalidArgumentError`."""

    def read(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.cast(batch["label"], tf.int32)
        sound = tf.reduce_all((labels >= 0) & (labels < num_classes))
        tf.debugging.Assert(sound, [f"wanted labels in [0, {num_classes}), got", labels], summarize=1024)
        return decode(batch), labels

    return read


def batches(
    items: tf.data.Dataset,
    read: Read,
    count: int,
    *,
    batch_size: int | None,
    repeat: bool,
    augmentation: augmentation_lib.Augmentation,
    augment_seed: int,
    drop_remainder: bool,
) -> tf.data.Dataset:
    """Batches items, reads them, augments, converts to float and prefetches.

    Args:
      items: What `read` takes, one by one; for ever if `repeat`.
      read: Reads a batch of items.
      count: Number of items in an epoch.
      batch_size: See `load`, also for the rest.

    Returns:
      As `load`.
    """
    draws = tf.data.Dataset.from_tensors(tf.zeros((0,), tf.int32)).repeat()  # of nothing
    if not augmentation.is_identity:
        draw_all = functools.partial(augmentation_lib.draw, augmentation, count)
        draws = _per_epoch(augment_seed, _AUGMENTATION, repeat, count, draw_all)

    def to_batch(item: Any, draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = read(item)
        return tf.cast(augmentation_lib.apply(augmentation, images, draw), tf.float32) / 255.0, labels

    # A repeating pipeline fills every batch, across the border of two epochs: dropping only makes the shape static.
    drop_remainder = batch_size is not None and (drop_remainder or repeat)
    dataset = tf.data.Dataset.zip(items, draws).batch(batch_size or _READ_BATCH, drop_remainder=drop_remainder)
    dataset = dataset.map(to_batch, num_parallel_calls=tf.data.AUTOTUNE)
    if batch_size is None:
        cardinality = tf.data.INFINITE_CARDINALITY if repeat else count
        dataset = dataset.unbatch().apply(tf.data.experimental.assert_cardinality(cardinality))
    settings = tf.data.Options()
    settings.deterministic = True
    settings.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(settings)


def _per_epoch(
    seed: int, use: int, repeat: bool, count: int, values: Callable[[tf.Tensor], tf.Tensor]
) -> tf.data.Dataset:
    """The rows of `values(seed of the epoch)`, a tensor with `count` rows, for one epoch or for epochs without end."""
    if repeat:
        epochs = tf.data.Dataset.counter()
    else:
        epochs = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
        epoch_seed = tf.random.experimental.stateless_fold_in(epoch_seed, tf.constant(use, tf.int64))
        return tf.data.Dataset.from_tensor_slices(values(epoch_seed))

    cardinality = tf.data.INFINITE_CARDINALITY if repeat else count
    return epochs.flat_map(one_epoch).apply(tf.data.experimental.assert_cardinality(cardinality))
