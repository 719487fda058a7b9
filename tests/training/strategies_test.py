"""Strategies by name: what they are, what they refuse."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training.strategies import from_chief, is_chief
from tests.training import fixtures_training


class StrategiesTest(tf.test.TestCase, parameterized.TestCase):
    def test_builds(self):
        one = training.build_strategy("one_device")
        self.assertEqual(one.num_replicas_in_sync, 1)
        self.assertTrue(is_chief(one))
        two = fixtures_training.mirrored()  # tests/conftest.py makes two logical CPUs
        self.assertEqual(two.num_replicas_in_sync, 2)
        self.assertIs(training.build_strategy("mirrored", devices=2), two)
        self.assertTrue(is_chief(two))
        all_of_them = training.build_strategy("mirrored").num_replicas_in_sync
        self.assertEqual(all_of_them, len(tf.config.list_physical_devices("GPU")) or 1)

    @parameterized.parameters(
        ({"name": "tpu"}, r"strategy must be one of .*mirrored.*multi_worker.*one_device.*got 'tpu'"),
        ({"name": "mirrored", "devices": -1}, r"devices must be an integer >= 0 \(0 for all\), got -1"),
        ({"name": "mirrored", "devices": True}, "devices must be an integer >= 0"),
        ({"name": "mirrored", "devices": 99}, "99 devices were asked for, but this (machine|process) has"),
        ({"name": "one_device", "devices": 2}, "devices is for the strategy 'mirrored', got 2 with 'one_device'"),
        ({"name": "multi_worker", "devices": 2}, "devices is for the strategy 'mirrored', got 2 with 'multi_worker'"),
    )
    def test_refuses(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            training.build_strategy(**arguments)

    def test_one_worker_shares_with_itself(self):
        variable = tf.Variable(3.0)
        numbers = from_chief(training.build_strategy("one_device"), [variable], [1, 0.1, True])
        self.assertAllEqual(numbers, np.array([1, 0.1, 1]))
        self.assertEqual(variable.numpy(), 3.0)


if __name__ == "__main__":
    tf.test.main()
