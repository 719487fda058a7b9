"""Shared set-up: two logical CPU devices, so that replicated training is always tested; absl flags at defaults."""

import tensorflow as tf
from absl import flags


def pytest_configure(config) -> None:  # noqa: ARG001
    """Runs before TensorFlow starts."""
    flags.FLAGS.mark_as_parsed()  # absl's create_tempdir reads a flag
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def pytest_collection_modifyitems(items) -> None:
    """Drops `test_session`, which every tf.test.TestCase inherits and skips, so that skips mean something."""
    items[:] = [item for item in items if item.name != "test_session"]
