"""Learning-rate schedules and optimisers against NumPy, and what their configuration may not say."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training.optimizers import SGD, CyclicDecay
from configs import fashion_mnist_standard


def options(**changes):
    config = fashion_mnist_standard.get_config().train.optimizer.copy_and_resolve_references()
    config.unlock()
    config.update(changes)
    return config


class ScheduleTest(tf.test.TestCase, parameterized.TestCase):
    def test_schedules(self):
        rates = {}
        for schedule in ("constant", "cosine", "poly"):
            config = options(schedule=schedule)
            rate = training.build_optimizer(config, 100)._learning_rate
            rates[schedule] = [float(rate(step)) if callable(rate) else float(rate) for step in (0, 5, 50, 100)]
        peak = config.learning_rate
        self.assertAllClose(rates["constant"], [peak] * 4)
        self.assertAllClose(rates["poly"], [peak, peak * 0.95**0.9, peak * 0.5**0.9, 0])
        self.assertAllClose(rates["cosine"][0::3], [0, 0])
        self.assertAllClose(rates["cosine"][1], peak)

    @parameterized.parameters((200, 0.3), (10, 0.0), (7, 0.5), (1, 0.3))
    def test_cyclic_equals_numpy(self, steps, rising):
        schedule = training.build_optimizer(
            options(schedule="cyclic", learning_rate=0.2, warmup_fraction=rising), steps
        )._learning_rate
        wanted = np.interp(np.arange(steps + 3), [-1e-9, rising * steps, steps], [0, 0.2, 0])
        if not rising:
            wanted[0] = 0.2
        self.assertAllClose([float(schedule(step)) for step in range(steps + 3)], wanted, atol=1e-7)
        traced = tf.function(schedule)(tf.constant(steps // 2, tf.int64))
        self.assertAllClose(traced, wanted[steps // 2], atol=1e-7)

    def test_cyclic_comes_back_from_its_configuration(self):
        schedule = CyclicDecay(0.3, 50, 0.2)
        saved = keras.saving.serialize_keras_object(SGD(schedule, momentum=0.9))
        again = keras.saving.deserialize_keras_object(saved)
        self.assertIsInstance(again, SGD)
        self.assertIsInstance(again._learning_rate, CyclicDecay)
        self.assertEqual(again._learning_rate.get_config(), {"peak": 0.3, "steps": 50, "rising": 0.2})
        self.assertEqual(again.momentum, 0.9)

    def test_cosine_without_warmup_starts_at_the_top(self):
        schedule = training.build_optimizer(options(schedule="cosine", warmup_fraction=0.0), 10)._learning_rate
        self.assertAllClose([float(schedule(0)), float(schedule(5)), float(schedule(10))], [2e-3, 1e-3, 0.0])


class OptimizerTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(0.9, 0.0)
    def test_sgd_equals_numpy(self, momentum):
        """The rate multiplies the velocity when it is used, so that a falling rate holds for all past gradients."""
        variable = keras.Variable([1.0, -2.0])
        optimizer = training.build_optimizer(
            options(name="sgd", schedule="poly", learning_rate=0.5, momentum=momentum), 4
        )
        wanted, velocity = np.array([1.0, -2.0]), np.zeros(2)
        for step in range(4):
            gradient = np.array([0.3, step - 1.0])
            optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
            velocity = momentum * velocity + gradient
            wanted = wanted - 0.5 * (1 - step / 4) ** 0.9 * velocity
            self.assertAllClose(variable, wanted)

    def test_clipping_and_weight_decay_are_left_to_the_step(self):
        optimizer = training.build_optimizer(options(name="sgd", clip_norm=0.5, weight_decay=5e-4), 10)
        self.assertIsInstance(optimizer, keras.optimizers.SGD)
        self.assertEqual((optimizer.momentum, optimizer.nesterov), (0.9, False))
        self.assertEqual((optimizer.global_clipnorm, optimizer.weight_decay), (None, None))

    def test_loss_scaling_and_average(self):
        optimizer = training.build_optimizer(options(), 10, loss_scaling=True, use_ema=True, ema_momentum=0.99)
        self.assertIsInstance(optimizer, keras.optimizers.LossScaleOptimizer)
        self.assertIsInstance(optimizer.inner_optimizer, keras.optimizers.Adam)
        self.assertTrue(optimizer.inner_optimizer.use_ema)
        self.assertEqual(optimizer.inner_optimizer.ema_momentum, 0.99)

    @parameterized.parameters(
        ("name", "lion", r"one of \['adam', 'sgd'\], got 'lion'"),
        ("schedule", "steps", r"one of \['constant', 'cosine', 'cyclic', 'poly'\], got 'steps'"),
        ("learning_rate", 0.0, "> 0, got 0.0"),
        ("learning_rate", float("nan"), "> 0, got nan"),
        ("warmup_fraction", 1.0, r"in \[0, 1\), got 1.0"),
        ("momentum", 1.0, r"in \[0, 1\), got 1.0"),
        ("weight_decay", -1e-4, ">= 0, got -0.0001"),
        ("clip_norm", -0.5, r">= 0 \(0 for none\), got -0.5"),
    )
    def test_refuses(self, name, value, message):
        with self.assertRaisesRegex(ValueError, f"config.train.optimizer.{name} must be {message}"):
            training.build_optimizer(options(**{name: value}), 10)


if __name__ == "__main__":
    tf.test.main()
