"""Optimisers and learning-rate schedules by the names that configs use; all are Keras' own."""

import keras
from ml_collections import ConfigDict

SCHEDULES = ("constant", "cosine", "poly")
OPTIMIZERS = ("adam", "sgd")
POLY_POWER = 0.9
"""Power of the authors' polynomial decay, per step."""


def build_optimizer(config: ConfigDict, total_steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimiser of `config.train.optimizer`.

    Args:
      config: name ("adam", "sgd"), learning_rate > 0, schedule ("constant", "cosine", "poly"), warmup_fraction in
        [0, 1) of all steps (cosine only), momentum in [0, 1) (sgd only), weight_decay >= 0, clip_norm >= 0 (global
        gradient norm; 0 for none).
      total_steps: steps of the whole training; the schedule ends there.

    Raises:
      ValueError: a value out of its range, naming it.
    """
    _check(config)
    rate = _schedule(config, max(total_steps, 1))
    options = {
        "learning_rate": rate,
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm or None,
    }
    if config.name == "adam":
        return keras.optimizers.Adam(**options)
    return keras.optimizers.SGD(momentum=config.momentum, **options)


def _schedule(config: ConfigDict, total_steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "poly":
        return keras.optimizers.schedules.PolynomialDecay(config.learning_rate, total_steps, 0.0, power=POLY_POWER)
    warmup = int(config.warmup_fraction * total_steps)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total_steps - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )


def _check(config: ConfigDict) -> None:
    allowed = {
        "name": (config.name in OPTIMIZERS, f"one of {list(OPTIMIZERS)}"),
        "schedule": (config.schedule in SCHEDULES, f"one of {list(SCHEDULES)}"),
        "learning_rate": (config.learning_rate > 0, "> 0"),
        "warmup_fraction": (0 <= config.warmup_fraction < 1, "in [0, 1)"),
        "momentum": (0 <= config.momentum < 1, "in [0, 1)"),
        "weight_decay": (config.weight_decay >= 0, ">= 0"),
        "clip_norm": (config.clip_norm >= 0, ">= 0 (0 for none)"),
    }
    for name, (good, wanted) in allowed.items():
        if not good:
            raise ValueError(f"config.train.optimizer.{name} must be {wanted}, got {config[name]!r}.")
