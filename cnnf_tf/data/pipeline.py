"""The tf.data pipelines: reading images into memory, ordering, augmenting, batching.

With images in memory, order and augmentation of epoch k are functions of the seed and k. A repeating pipeline counts
its epochs from 0 each time it is iterated, so `skip(steps)` continues exactly where another run stopped. A pipeline of
one epoch, iterated again and again, draws its epoch numbers from a generator with the same seed instead. A stream is
ordered by `tf.data.Dataset.shuffle`, whose sequence of epochs starts with the dataset object. All iterators can be
checkpointed.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from cnnf_tf.data import augmentation as augmentation_lib

_READ_BATCH = 256  # examples decoded together when reading into memory, or where no batch size was asked for
_ORDER, _AUGMENTATION = 0, 1  # what a seed is used for


@dataclasses.dataclass(frozen=True)
class Options:
    """What `load` was asked for; see there."""

    batch_size: int | None
    shuffle_seed: int | None
    shuffle_buffer: int
    repeat: bool
    augmentation: augmentation_lib.Augmentation
    augment_seed: int
    drop_remainder: bool


Decode = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]


def read_all(elements: tf.data.Dataset, decode: Decode, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Reads and decodes every element.

    Args:
      elements: Finite dataset of raw elements of known cardinality; see `sources.Source.elements`.
      decode: Decodes a batch of them.
      shape: Height, width and channels of an image.

    Returns:
      uint8 images `[count, *shape]` and int64 labels `[count]`, as stored: nothing has checked the labels' range.

    Raises:
      tf.errors.OpError: If an element cannot be read or decoded.
      ValueError: If there are fewer elements than there should be.
    """
    count = int(elements.cardinality())
    images: np.ndarray = np.empty((count, *shape), np.uint8)
    labels: np.ndarray = np.empty((count,), np.int64)
    batches = elements.batch(_READ_BATCH).map(lambda e: (decode(e), e["label"]), num_parallel_calls=tf.data.AUTOTUNE)
    position = 0
    for image_batch, label_batch in batches.prefetch(tf.data.AUTOTUNE):
        stop = position + len(label_batch)
        images[position:stop], labels[position:stop] = image_batch.numpy(), label_batch.numpy()
        position = stop
    if position != count:
        raise ValueError(f"wanted {count} examples, got only {position}: the files do not hold what they promise.")
    return images, labels


def from_memory(images: np.ndarray, labels: np.ndarray, options: Options) -> tf.data.Dataset:
    """The pipeline over images in memory; a shuffled epoch is a permutation of all examples, each equally likely.

    Args:
      images: uint8 array of shape `[count, height, width, channels]`.
      labels: Integer array of shape `[count]`.
      options: What was asked for.

    Returns:
      Dataset of (float32 images in [0, 1], int32 labels).
    """
    count = len(labels)
    with tf.device("/CPU:0"):  # a copy on an accelerator would be of no use to tf.data
        all_images = tf.constant(images)
        all_labels = tf.constant(labels, tf.int32)
    order = tf.data.Dataset.range(count)
    if options.shuffle_seed is not None:

        def permutation(seed: tf.Tensor) -> tf.Tensor:
            return tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), seed, alg="philox")

        order = _per_epoch(options.shuffle_seed, _ORDER, options.repeat, count, permutation)
    elif options.repeat:
        order = order.repeat()

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(all_images, indices), tf.gather(all_labels, indices)

    return _finish(order, gather, count, options)


def from_stream(elements: tf.data.Dataset, decode: Decode, num_classes: int, options: Options) -> tf.data.Dataset:
    """The pipeline that reads and decodes images as they are needed; shuffles within a buffer of encoded examples.

    Args:
      elements: As in `read_all`.
      decode: As in `read_all`.
      num_classes: A label outside [0, num_classes) raises `tf.errors.InvalidArgumentError` on iteration.
      options: What was asked for.

    Returns:
      As `from_memory`.
    """
    count = int(elements.cardinality())
    if options.shuffle_seed is not None:
        elements = elements.shuffle(min(options.shuffle_buffer, count), seed=options.shuffle_seed)
    if options.repeat:
        elements = elements.repeat()

    def read(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.cast(batch["label"], tf.int32)
        sound = tf.reduce_all((labels >= 0) & (labels < num_classes))
        tf.debugging.Assert(sound, [f"wanted labels in [0, {num_classes}), got", labels], summarize=1024)
        return decode(batch), labels

    return _finish(elements, read, count, options)


def _finish(
    items: tf.data.Dataset, read: Callable[..., tuple[tf.Tensor, tf.Tensor]], count: int, options: Options
) -> tf.data.Dataset:
    """Batches items, reads them (uint8 images, int32 labels), augments, converts to float and prefetches."""
    augmentation = options.augmentation
    draws = tf.data.Dataset.from_tensors(tf.zeros((0,), tf.int32)).repeat()  # of nothing
    if not augmentation.is_identity:
        draw_all = functools.partial(augmentation_lib.draw, augmentation, count)
        draws = _per_epoch(options.augment_seed, _AUGMENTATION, options.repeat, count, draw_all)

    def to_batch(item: tf.Tensor | Mapping[str, tf.Tensor], draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = read(item)
        return tf.cast(augmentation_lib.apply(augmentation, images, draw), tf.float32) / 255.0, labels

    # A repeating pipeline fills every batch, across the border of two epochs: dropping only makes the shape static.
    drop_remainder = options.batch_size is not None and (options.drop_remainder or options.repeat)
    dataset = tf.data.Dataset.zip(items, draws).batch(options.batch_size or _READ_BATCH, drop_remainder=drop_remainder)
    dataset = dataset.map(to_batch, num_parallel_calls=tf.data.AUTOTUNE)
    if options.batch_size is None:
        cardinality = tf.data.INFINITE_CARDINALITY if options.repeat else count
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
