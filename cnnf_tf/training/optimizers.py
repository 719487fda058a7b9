"""Optimisers and learning-rate schedules by the names that configs use."""

from typing import Any

import keras
from keras import ops
from ml_collections import ConfigDict

from cnnf_tf.layers.base import register

SCHEDULES = ("constant", "cosine", "cyclic", "poly")
OPTIMIZERS = ("adam", "sgd")
POLY_POWER = 0.9
"""Power of the authors' polynomial decay, per step."""


@register
class SGD(keras.optimizers.SGD):
    """Stochastic gradient descent with PyTorch's momentum, `v <- m v + g` and `w <- w - rate v`; no Nesterov.

    Keras makes the rate a part of the velocity, `v <- m v - rate g`, and so lags behind a rate that changes.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        gradient = ops.cast(gradient, variable.dtype)
        if self.momentum:
            velocity = self.momentums[self._get_variable_index(variable)]
            gradient = ops.cast(self.momentum, variable.dtype) * velocity + gradient
            self.assign(velocity, gradient)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * gradient)


@register
class CyclicDecay(keras.optimizers.schedules.LearningRateSchedule):
    """One cycle: from 0 up to the peak in a straight line, and down to 0 again (Wong et al., arXiv:2001.03994).

    Args:
      peak: the highest rate.
      steps: length of the cycle.
      rising: share of the steps that go up, in [0, 1).
    """

    def __init__(self, peak: float, steps: int, rising: float):
        self.peak, self.steps, self.rising = float(peak), int(steps), float(rising)

    def __call__(self, step: int) -> float:
        done = ops.cast(step, "float32") / max(self.steps, 1)
        down = (1.0 - done) / (1.0 - self.rising)
        rate = ops.minimum(done / self.rising, down) if self.rising else down
        return self.peak * ops.clip(rate, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        return {"peak": self.peak, "steps": self.steps, "rising": self.rising}


def build_optimizer(
    config: ConfigDict, total_steps: int, *, loss_scaling: bool = False, **options: Any
) -> keras.optimizers.Optimizer:
    """Builds the optimiser of `config.train.optimizer`; clipping and weight decay are the training step's.

    Args:
      config: name ("adam", "sgd"), learning_rate > 0, schedule ("constant", "cosine", "cyclic", "poly"),
        warmup_fraction in [0, 1) of all steps (cosine and cyclic only), momentum in [0, 1) (sgd only), weight_decay
        >= 0 (L2, added to the gradient), clip_norm >= 0 (global gradient norm; 0 for none).
      total_steps: steps of the whole training; the schedule ends there.
      loss_scaling: for float16.
      **options: further arguments of the Keras optimiser, such as `use_ema` and `ema_momentum`.

    Raises:
      ValueError: a value out of its range, naming it.
    """
    _check(config)
    options["learning_rate"] = _schedule(config, max(total_steps, 1))
    sgd = config.name == "sgd"
    optimizer = SGD(momentum=config.momentum, **options) if sgd else keras.optimizers.Adam(**options)
    return keras.optimizers.LossScaleOptimizer(optimizer) if loss_scaling else optimizer


def _schedule(config: ConfigDict, total_steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "cyclic":
        return CyclicDecay(config.learning_rate, total_steps, config.warmup_fraction)
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
