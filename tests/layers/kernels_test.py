"""The native kernels do what their formulas say, for every dtype, with zeros of both signs and with gradients."""

import itertools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import layers
from cnnf_tf.layers import kernels

DTYPES = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


class SignsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(dtype=sorted(DTYPES), mode=("eager", "graph", "xla"))
    def test_flips_below_zero_only(self, dtype, mode):
        least = 2.0**-14 if mode == "xla" and dtype == "float16" else DTYPES[dtype]
        numbers = np.array([-3.0, -1.0, -2 * least, -0.0, 0.0, 2 * least, 1.0, 3.0])
        values, signal = np.array(list(itertools.product(numbers, numbers))).T
        function = kernels.flip_where_negative
        if mode != "eager":
            function = tf.function(function, jit_compile=mode == "xla")
        found = function(tf.constant(values, dtype), tf.constant(signal, dtype))
        self.assertAllEqual(tf.cast(found, tf.float64), np.where(signal < 0, -values, values))

    @parameterized.parameters(*sorted(DTYPES))
    def test_keeps_above_zero_only(self, dtype):
        values, gate = np.array(list(itertools.product((-2.0, 0.0, 3.0), (-1.0, -0.0, 0.0, 0.5)))).T
        found = kernels.where_positive(tf.constant(values, dtype), tf.constant(gate, dtype))
        self.assertAllEqual(tf.cast(found, tf.float64), np.where(gate > 0, values, 0))

    def test_gradients_go_to_the_values_alone(self):
        values, signal = tf.constant([2.0, -3.0, 4.0]), tf.constant([-1.0, 0.0, 1.0])
        for function, expected in ((kernels.flip_where_negative, [-1, 1, 1]), (kernels.where_positive, [0, 0, 1])):
            with tf.GradientTape() as tape:
                tape.watch(values)
                result = function(values, signal)
            self.assertAllEqual(tape.gradient(result, values), expected)


class WrittenOutGradientsTest(tf.test.TestCase, parameterized.TestCase):
    """Gradients that are written by hand, against finite differences."""

    @parameterized.named_parameters(
        ("norm_up", lambda x: layers.InstanceNorm(dtype="float64")(x)[0]),
        ("norm_down", lambda x: layers.InstanceNorm(dtype="float64").feedback(x)),
        ("pool", lambda x: layers.AdaPool2D(dtype="float64")(x)[0]),
        ("pool_of_three", lambda x: layers.AdaPool2D(3, dtype="float64")(x)[0]),
        (
            "unpool",
            lambda x: kernels.unpool(x, tf.tile(tf.eye(2, 12, dtype=x.dtype)[:, None, :, None], (1, 10, 1, 3)), 2),
        ),
    )
    def test_match_finite_differences(self, function):
        shape = (2, 5, 6, 3)
        rng = np.random.default_rng(0)
        images = tf.constant(rng.permutation(np.prod(shape)).reshape(shape) / 50 - 1, tf.float64)  # no ties
        weights = None

        def total(x):
            nonlocal weights
            result = function(x)
            weights = tf.constant(rng.normal(size=result.shape)) if weights is None else weights
            return tf.reduce_sum(result * weights)

        expected, found = tf.test.compute_gradient(total, [images], delta=1e-6)
        self.assertAllClose(found, expected, atol=1e-6)


if __name__ == "__main__":
    tf.test.main()
