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


class ConvolutionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(strides=(1, 2, 3), pad=(0, 1, 2), size=(3, 5), sides=((7, 8), (9, 6)))
    def test_equals_brute_force_and_its_transpose_is_its_adjoint(self, strides, pad, size, sides):
        rng = np.random.default_rng(0)
        features, kernel = rng.normal(size=(2, *sides, 3)), rng.normal(size=(size, size, 3, 4))
        padded = np.pad(features, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        height, width = ((side + 2 * pad - size) // strides + 1 for side in sides)
        expected = np.zeros((2, height, width, 4))
        for row, column in itertools.product(range(height), range(width)):
            top, left = row * strides, column * strides
            window = padded[:, top : top + size, left : left + size]
            expected[:, row, column] = np.einsum("bijc,ijcf->bf", window, kernel)
        found = kernels.conv2d(features, kernel, strides, pad)
        self.assertAllClose(found, expected, rtol=1e-10, atol=1e-10)
        signal = rng.normal(size=expected.shape)
        down = kernels.conv2d_adjoint(tf.constant(signal), tf.constant(kernel), strides, pad, (*sides, 3))
        self.assertEqual(down.shape, (2, *sides, 3))
        self.assertAllClose(np.sum(down * features), np.sum(signal * expected), rtol=1e-10)

    def test_no_gradient_falls_back_on_the_slow_kernels(self):
        @tf.function(autograph=False)
        def up_and_down(features, kernel):
            with tf.GradientTape() as tape:
                tape.watch((features, kernel))
                up = kernels.conv2d(features, kernel, 2, 1)
                down = kernels.conv2d_adjoint(up, kernel, 2, 1, features.shape[1:])
            return tape.gradient(down, (features, kernel))

        graph = up_and_down.get_concrete_function(tf.zeros((2, 8, 8, 3)), tf.zeros((3, 3, 3, 4))).graph
        paddings = {op.get_attr("padding") for op in graph.get_operations() if op.type.startswith("Conv2D")}
        self.assertEqual(paddings, {b"VALID"})


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
