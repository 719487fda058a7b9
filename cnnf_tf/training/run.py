"""Training from a configuration: one call from nothing, or from where a killed run stopped, to trained checkpoints."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from cnnf_tf import data
from cnnf_tf.data.sources.splits import parse_split
from cnnf_tf.models import CNNF
from cnnf_tf.models.memory import check_memory
from cnnf_tf.training.config_checks import check_config
from cnnf_tf.training.loop import Loop
from cnnf_tf.training.optimizers import build_optimizer
from cnnf_tf.training.overfitting import build_curriculum
from cnnf_tf.training.strategies import is_chief, with_all_workers
from cnnf_tf.training.trackers import find_trackers
from cnnf_tf.training.trackers.base import TrackerFactory
from cnnf_tf.training.workdir import Workdir, open_workdir
from cnnf_tf.utils.dtypes import dtype_policy


def build_model(config: ConfigDict, image_shape: Sequence[Any], num_classes: int) -> CNNF:
    """Builds the model that `config.model` describes, uncompiled.

    `config.model.eta` may be a number, or `((pattern, number), ...)`: a `ConfigDict` would sort the patterns, of which
    the first that matches wins.
    """
    options = config.model.to_dict()
    if isinstance(options.get("eta"), (list, tuple)):
        options["eta"] = dict(options["eta"])
    name, network = options.pop("name"), options.pop("network")
    return CNNF.from_name(name, image_shape=image_shape, network=network | {"num_classes": num_classes}, **options)


def run(
    config: ConfigDict,
    workdir: str | os.PathLike[str],
    *,
    data_dir: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    progress: bool = True,
    trackers: Sequence[str | TrackerFactory] = ("tensorboard",),
    command: str | None = None,
) -> Workdir:
    """Trains, and goes on after the newest checkpoint if the folder has one.

    A run that is killed and started again ends with the same weights as one that was not, bit by bit where TensorFlow's
    ops are deterministic (`tf.config.experimental.enable_op_determinism`, which bin/train.py calls).

    Args:
      config: as in `configs/`; every value is checked before any work starts. The optional block `config.adversarial`
        (arguments of `AdversarialObjective` and of the held-out attack) makes it adversarial training, and
        `config.data.corruptions` (arguments of `data.noisy_pairs`) training on corrupted images; see `configs/`.
      workdir: folder of this run; see `cnnf_tf.training.workdir`. With several workers, only the first one uses it.
      data_dir: folder of prepared TFDS data; None for the default of `cnnf_tf.data.load`.
      strategy: from `build_strategy`; None for one device. It does not belong to the configuration: a run may go on
        with another one.
      progress: whether to show how far it is, on stderr, and to print a line for each evaluation.
      trackers: where scalars, pictures and files go beside the workdir: names such as "tensorboard", "mlflow" and
        "wandb", texts such as "my_module:MyTracker", or classes (see `MetricsLogger`). None of them changes what is
        trained.
      command: the command line that asks for this, for `run.json`.

    Returns:
      The workdir, with `last.keras` and `best.keras` in it.

    Raises:
      ValueError: a config value out of its range, a workdir that holds another config or is in use, damaged
        checkpoints, an unknown tracker, or a loss that is not finite (the batch is then in `bad_batch.npz`).
      ImportError: a tracker needs an extra that is not installed.
      FileNotFoundError: the data set is not prepared.
      OSError: a file could not be written, or a tracker does not start; as ConnectionError, another worker was lost.
    """
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    factories = find_trackers(trackers)
    check_config(config, strategy.num_replicas_in_sync)
    facts = data.info(config.data.name, data_dir=data_dir)
    train, validation = _datasets(config, data_dir)  # first: it says how to prepare data that are not there
    count = sum(part.count for part in parse_split(config.data.train_split, facts.num_examples))
    if config.data.batch_size > count:
        raise ValueError(
            f"config.data.batch_size must be at most {count:,}, the images of config.data.train_split "
            f"{config.data.train_split!r}, got {config.data.batch_size:,}."
        )
    at_once = config.data.batch_size // config.train.accumulation
    steps_per_epoch = config.train.steps_per_epoch or max(1, count // config.data.batch_size)

    with with_all_workers(strategy), dtype_policy(config.train.dtype_policy), strategy.scope():
        keras.utils.set_random_seed(config.seed)
        model = build_model(config, facts.image_shape, facts.num_classes)
        check_memory(model, at_once, iterations=model.iterations, gradients=True)
        average = {"use_ema": True, "ema_momentum": config.train.ema_decay} if config.train.ema_decay else {}
        optimizer = build_optimizer(
            config.train.optimizer,
            steps_per_epoch * config.train.epochs,
            loss_scaling=config.train.dtype_policy == "mixed_float16",
            **average,
        )
        optimizer.build(model.trainable_variables)
        curriculum = build_curriculum(model, config, total_steps=steps_per_epoch * config.train.epochs)
        with contextlib.ExitStack() as stack:
            if not is_chief(strategy):  # all workers train alike, but only the files of the first one are kept
                workdir = stack.enter_context(tempfile.TemporaryDirectory())
            folder = open_workdir(workdir, config)
            stack.enter_context(folder.locked())
            loop = Loop(config, folder, model, optimizer, curriculum, steps_per_epoch=steps_per_epoch)
            loop.run(train, validation, progress=progress, trackers=factories, command=command)
    return folder


def _datasets(config: ConfigDict, data_dir: str | None) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
    options = config.data
    train = data.load(
        options.name,
        options.train_split,
        batch_size=options.batch_size,
        shuffle_seed=config.seed,
        repeat=True,
        augment=data.Augmentation(crop_padding=options.crop_padding, horizontal_flip=options.horizontal_flip),
        data_dir=data_dir,
    )
    validation = None
    if options.validation_split:
        validation = data.load(options.name, options.validation_split, batch_size=options.batch_size, data_dir=data_dir)
    if "corruptions" in options:
        pairs = options.corruptions.to_dict() | {"seed": config.seed}
        train = data.noisy_pairs(train, **pairs)
        validation = validation and data.noisy_pairs(validation, **pairs)
    return train, validation
