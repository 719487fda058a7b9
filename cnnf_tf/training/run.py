"""Training from a configuration: one call from nothing, or from where a killed run stopped, to trained checkpoints."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from cnnf_tf import data
from cnnf_tf.data.splits import parse_split
from cnnf_tf.models import CNNF
from cnnf_tf.training.callbacks import Checkpoints, Events
from cnnf_tf.training.optimizers import build_optimizer
from cnnf_tf.training.workdir import Workdir, open_workdir

DTYPE_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
_NUM_PICTURES = 8


def build_model(config: ConfigDict, image_shape: Sequence[Any], num_classes: int) -> CNNF:
    """Builds the model that `config.model` describes, uncompiled."""
    options = config.model.to_dict()
    name, network = options.pop("name"), options.pop("network")
    return CNNF.from_name(name, image_shape=image_shape, network=network | {"num_classes": num_classes}, **options)


def run(
    config: ConfigDict, workdir: str | os.PathLike[str], *, data_dir: str | None = None, verbose: Any = "auto"
) -> Workdir:
    """Trains with Keras' `fit`, epoch by epoch, and resumes after the newest finished epoch.

    Args:
      config: as in `configs/`; every value is checked before any work starts. A block `config.data.corruptions` (the
        arguments of `data.noisy_pairs`) trains on corrupted images with the clean ones as targets of reconstruction.
      workdir: folder of this run; see `cnnf_tf.training.workdir`.
      data_dir: folder of prepared TFDS data; None for the default of `cnnf_tf.data.load`.
      verbose: as in `keras.Model.fit`; "auto" shows a progress bar on a terminal and a line per epoch elsewhere.

    Returns:
      The workdir, with `last.keras` and `best.keras` in it.

    Raises:
      ValueError: a config value out of its range, or a workdir that holds another config.
      FileNotFoundError: the data set is not prepared.
    """
    _check(config)
    facts = data.info(config.data.name, data_dir=data_dir)
    steps, batch_size = _steps_per_epoch(config, facts), config.data.batch_size
    total_steps = steps * config.train.epochs
    optimizer = build_optimizer(config.train.optimizer, total_steps)

    keras.utils.set_random_seed(config.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.train.dtype_policy)
    try:
        model = build_model(config, facts.image_shape, facts.num_classes)
        folder = open_workdir(workdir, config)
        finished = 0
        if folder.last.exists():
            model = keras.saving.load_model(folder.last)
            finished = int(model.optimizer.iterations) // steps
        else:
            model.compile(optimizer=optimizer)
        if finished >= config.train.epochs:
            print(f"{folder.root}: all {config.train.epochs} epochs are done already; nothing to train.")
            return folder
        if finished:
            print(f"{folder.root}: going on after epoch {finished} of {config.train.epochs}.")
        _fit(model, config, folder, steps, finished, data_dir, verbose)
    finally:
        keras.config.set_dtype_policy(policy)
    print(f"{folder.root}: {steps} steps of {batch_size} images, {config.train.epochs} epochs; saved {folder.best}.")
    return folder


def _fit(
    model: CNNF, config: ConfigDict, folder: Workdir, steps: int, finished: int, data_dir: str | None, verbose: Any
) -> None:
    train = data.load(
        config.data.name,
        config.data.train_split,
        batch_size=config.data.batch_size,
        shuffle_seed=config.seed,
        repeat=True,
        augment=data.Augmentation(crop_padding=config.data.crop_padding, horizontal_flip=config.data.horizontal_flip),
        data_dir=data_dir,
    )
    validation = None
    if config.data.validation_split:
        validation = data.load(
            config.data.name, config.data.validation_split, batch_size=config.data.batch_size, data_dir=data_dir
        )
    pictures = next(iter((validation or train).take(1)))[0][:_NUM_PICTURES]
    if "corruptions" in config.data:
        options = config.data.corruptions.to_dict() | {"seed": config.seed}
        train = data.noisy_pairs(train, **options)
        validation = validation and data.noisy_pairs(validation, **options)
        pictures = next(iter((validation or train).take(1)))[0]["images"][:_NUM_PICTURES]
    train = train.skip(finished * steps)
    if verbose == "auto":
        verbose = 1 if sys.stdout.isatty() else 2
    model.fit(
        train,
        validation_data=validation,
        epochs=config.train.epochs,
        initial_epoch=finished,
        steps_per_epoch=steps,
        shuffle=False,  # the data set shuffles itself
        verbose=verbose,
        callbacks=[
            Events(str(folder.tensorboard), tf.convert_to_tensor(pictures), first_step=finished * steps),
            Checkpoints(folder, steps * config.data.batch_size),
        ],
    )


def _steps_per_epoch(config: ConfigDict, facts: data.DatasetInfo) -> int:
    count = sum(part.count for part in parse_split(config.data.train_split, facts.num_examples))
    return config.train.steps_per_epoch or max(1, count // config.data.batch_size)


def _check(config: ConfigDict) -> None:
    wanted = {
        "seed": (config.seed, 0),
        "data.batch_size": (config.data.batch_size, 1),
        "data.crop_padding": (config.data.crop_padding, 0),
        "train.epochs": (config.train.epochs, 1),
        "train.steps_per_epoch": (config.train.steps_per_epoch, 0),
    }
    for name, (value, least) in wanted.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"config.{name} must be an integer >= {least}, got {value!r}.")
    if config.train.dtype_policy not in DTYPE_POLICIES:
        raise ValueError(
            f"config.train.dtype_policy must be one of {DTYPE_POLICIES}, got {config.train.dtype_policy!r}."
        )
