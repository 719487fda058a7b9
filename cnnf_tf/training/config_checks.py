"""Checks of a training configuration, all before any work."""

import operator

from ml_collections import ConfigDict

from cnnf_tf.utils.validation import integer, number

DTYPE_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def check_config(config: ConfigDict, replicas: int) -> None:
    """Raises ValueError for a value that does not fit, naming it; model, data and optimiser check their own.

    Args:
      config: see `training.run`.
      replicas: number of replicas that share each batch.
    """
    least = {
        "seed": 0,
        "data.batch_size": 1,
        "data.crop_padding": 0,
        "train.epochs": 1,
        "train.steps_per_epoch": 0,
        "train.accumulation": 1,
        "train.checkpoint_every": 0,
        "train.evaluate_every": 0,
    }
    if "adversarial" in config:
        least |= {"adversarial.guard_steps": 0, "adversarial.robust_images": 0, "adversarial.robust_steps": 1}
        if "corruptions" in config.data:
            raise ValueError("config has both an adversarial block and data.corruptions; wanted one of them.")
        for name in ("guard_drop", "guard_from"):
            number(f"config.adversarial.{name}", config.adversarial[name], high=1.0)
        if config.adversarial.guard_steps and not (config.data.validation_split and config.adversarial.robust_images):
            raise ValueError(
                "config.adversarial.guard_steps wants a config.data.validation_split and config.adversarial."
                "robust_images > 0 to watch over; 0 is no guard."
            )
    for name, minimum in least.items():
        integer(f"config.{name}", operator.attrgetter(name)(config), least=minimum)
    number("config.train.feedback_from", config.train.get("feedback_from", 0.0), high=1.0)
    number("config.train.ema_decay", config.train.ema_decay, high=1.0)
    if config.train.ema_decay == 1:
        raise ValueError("config.train.ema_decay must be below 1, got 1: the average would never move.")
    if config.train.dtype_policy not in DTYPE_POLICIES:
        raise ValueError(
            f"config.train.dtype_policy must be one of {DTYPE_POLICIES}, got {config.train.dtype_policy!r}."
        )
    batch, accumulation = config.data.batch_size, config.train.accumulation
    if batch % (replicas * accumulation):
        raise ValueError(
            f"config.data.batch_size is the size of the whole batch and must be divisible by {replicas} replicas x "
            f"{accumulation} micro-batches (config.train.accumulation), got {batch}."
        )
