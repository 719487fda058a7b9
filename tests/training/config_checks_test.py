"""Every message of the check of a configuration."""

import tensorflow as tf
from absl.testing import parameterized
from ml_collections import ConfigDict

from cnnf_tf.training.config_checks import check_config
from tests.training import fixtures_training


class CheckConfigTest(tf.test.TestCase, parameterized.TestCase):
    def refused(self, message):
        return self.assertRaisesRegex(ValueError, message)

    @parameterized.parameters("standard", "adversarial", "restore")
    def test_accepts(self, kind):
        check_config(fixtures_training.config(kind), 1)
        check_config(fixtures_training.config(kind, data__batch_size=16, train__accumulation=4), 4)

    @parameterized.product(
        setting=(
            ("seed", 0),
            ("data.batch_size", 1),
            ("data.crop_padding", 0),
            ("train.epochs", 1),
            ("train.steps_per_epoch", 0),
            ("train.accumulation", 1),
            ("train.checkpoint_every", 0),
            ("train.evaluate_every", 0),
            ("adversarial.guard_steps", 0),
            ("adversarial.robust_images", 0),
            ("adversarial.robust_steps", 1),
        ),
        wrong=(-1, True, 1.0, "4", None),
    )
    def test_integers(self, setting, wrong):
        name, least = setting
        message = rf"config\.{name} must be an integer >= {least}, got {wrong!r}\."
        with self.refused(message):
            check_config(unchecked(name, wrong), 1)
        with self.refused(rf"config\.{name} must be an integer >= {least}, got {least - 1}\."):
            check_config(unchecked(name, least - 1), 1)

    @parameterized.product(
        name=("train.ema_decay", "adversarial.guard_drop", "adversarial.guard_from"),
        wrong=(-0.1, 1.1, True, "0.5", None),
    )
    def test_numbers(self, name, wrong):
        with self.refused(rf"config\.{name} must be a number in \[0, 1\], got {wrong!r}\."):
            check_config(unchecked(name, wrong), 1)
        with self.refused(rf"config\.{name} must be a number in \[0, 1\], got nan\."):
            check_config(unchecked(name, float("nan")), 1)

    @parameterized.parameters(
        ({"train__ema_decay": 1.0}, 1, "config.train.ema_decay must be below 1, got 1: the average would never move"),
        ({"train__dtype_policy": "float8"}, 1, r"dtype_policy must be one of \('float32', .*\), got 'float8'"),
        (
            {"data__batch_size": 9},
            2,
            r"config.data.batch_size is the size of the whole batch and must be divisible by 2 replicas x 1 "
            r"micro-batches \(config.train.accumulation\), got 9",
        ),
        ({"data__batch_size": 8, "train__accumulation": 4}, 4, "divisible by 4 replicas x 4 micro-batches"),
        ({"data__corruptions": ConfigDict()}, 1, "both an adversarial block and data.corruptions; wanted one of them"),
        (
            {"adversarial__guard_steps": 2, "data__validation_split": ""},
            1,
            "config.adversarial.guard_steps wants a config.data.validation_split and .*robust_images > 0",
        ),
        ({"adversarial__guard_steps": 2, "adversarial__robust_images": 0}, 1, "guard_steps wants a config.data"),
    )
    def test_refuses(self, changes, replicas, message):
        with self.refused(message):
            check_config(fixtures_training.config("adversarial", **changes), replicas)


def unchecked(name, value):
    """A configuration with one value of any type."""
    config = fixtures_training.config("adversarial").to_dict()
    group, _, key = name.rpartition(".")
    (config[group] if group else config)[key] = value
    return ConfigDict(config)


if __name__ == "__main__":
    tf.test.main()
