"""The kernels in `keras.ops` alone give what TensorFlow's own give; so do the gradients that converters know."""

import itertools
import threading

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from keras import layers as kl

from cnnf_tf.layers import kernels
from cnnf_tf.layers.kernels import exported, plain
from cnnf_tf.layers.kernels import tensorflow as own

TOLERANCES = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-12}


def numbers(*shape, dtype="float64", seed=0):
    """With ties, zeros of both signs, and negative ones."""
    values = np.random.default_rng(seed).integers(-3, 4, shape) * 0.5
    return tf.constant(np.where(values == 0, np.copysign(0.0, values - 0.1), values), dtype)


class PlainKernelsTest(tf.test.TestCase, parameterized.TestCase):
    def same(self, name, *arguments, watched=()):
        """Equal results, and equal gradients to the arguments at the places given."""
        found = []
        for module in (own, plain):
            with tf.GradientTape() as tape:
                tape.watch([arguments[place] for place in watched])
                results = tf.nest.flatten(getattr(module, name)(*arguments))
                total = tf.add_n([tf.reduce_sum(tf.cast(tf.sin(result + 1), "float64")) for result in results])
            gradients = tape.gradient(total, [arguments[place] for place in watched])
            for result in results:
                self.assertEqual(result.dtype, arguments[0].dtype, name)
            found.append([tf.cast(each, "float64") for each in (*results, *gradients)])
        tolerance = TOLERANCES[arguments[0].dtype.name]
        for ours, theirs in zip(*found, strict=True):
            self.assertAllClose(theirs, ours, rtol=tolerance, atol=tolerance, msg=name)

    def test_has_every_name(self):
        names = {name for name, value in vars(own).items() if callable(value) and name[0] != "_"} - {"Callable", "Any"}
        for module in (plain, exported):
            self.assertLessEqual(names, set(vars(module)))

    @parameterized.parameters("float16", "float32", "float64")
    def test_signs_and_pools(self, dtype):
        values, signs = numbers(4, 5, dtype=dtype), numbers(4, 5, dtype=dtype, seed=1)
        self.same("where_positive", values, signs, watched=[0])
        self.same("flip_where_negative", values, signs, watched=[0])
        for size, sides in itertools.product((2, 3), ((6, 6), (7, 8))):
            features = numbers(2, *sides, 3, dtype=dtype)
            signal = numbers(2, sides[0] // size, sides[1] // size, 3, dtype=dtype, seed=1)
            self.same("max_pool", features, size)
            pooled = own.max_pool(features, size)
            self.same("max_pool_adjoint", features, pooled, signal, size, watched=[2])
            _, latent = own.adaptive_pool(features, None, size)
            for name, arguments, watched in (
                ("adaptive_pool", (features, None, size), [0]),
                ("adaptive_pool", (features, tf.sign(signal), size), [0]),
                ("upsample", (signal, size, sides), [0]),
                ("unpool", (signal, latent, size), [0]),
                ("times_upsampled", (features, signal, size), [0, 1]),
                ("sum_pool", (features, size), [0]),
                ("average_pool", (features, size), [0]),
            ):
                self.same(name, *arguments, watched=watched)

    @parameterized.product(strides=(1, 2, 3), pad=(0, 1), size=(1, 3))
    def test_convolutions(self, strides, pad, size):
        kernel = numbers(size, size, 3, 4, seed=2)
        features = numbers(2, 7, 8, 3)
        self.same("conv2d", features, kernel, strides, pad, watched=[0, 1])
        signal = numbers(*own.conv2d(features, kernel, strides, pad).shape, seed=1)
        self.same("conv2d_adjoint", signal, kernel, strides, pad, (7, 8, 3), watched=[0, 1])
        self.same("matmul_adjoint", numbers(2, 4), numbers(3, 4), watched=[0, 1])

    def test_no_gradient_in_keras_ops(self):
        with self.assertRaisesRegex(NotImplementedError, "keras.ops has no gradients"):
            plain.vector_jacobian_product(tf.sin, tf.zeros(2), tf.zeros(2))

    def test_using_is_for_its_block_and_thread(self):
        seen = []
        with self.assertRaises(ZeroDivisionError), kernels.using("plain"):
            self.assertIs(kernels.conv2d, plain.conv2d)
            thread = threading.Thread(target=lambda: seen.append(kernels.conv2d))
            thread.start()
            thread.join()
            raise ZeroDivisionError
        self.assertEqual([*seen, kernels.conv2d], [own.conv2d] * 2)
        with self.assertRaisesRegex(AttributeError, "nonsense"):
            _ = kernels.nonsense


class ExportedGradientsTest(tf.test.TestCase):
    def test_are_those_of_tensorflow_without_its_kernels(self):
        activations = ("relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "silu")
        functions = [keras.activations.get(name) for name in activations]
        for padding, strides in itertools.product(("same", "valid"), (1, 2, 3)):
            functions += [
                kl.Conv2D(2, 3, strides=strides, padding=padding),
                kl.DepthwiseConv2D(3, strides=strides, padding=padding, depth_multiplier=2),
                kl.AveragePooling2D(3, strides=strides, padding=padding),
            ]
        functions += [
            kl.Conv2D(2, 1, strides=2),
            kl.Conv2D(2, 3, dilation_rate=2, padding="same"),
            kl.GlobalAveragePooling2D(),
            kl.Cropping2D(((1, 2), (0, 3))),
            kl.ZeroPadding2D(2),
            lambda x: x[:, 1:6:2, ::3],
            lambda x: tf.reduce_sum(x, axis=(1, -1)),
        ]
        point = tf.constant(np.random.default_rng(0).normal(size=(2, 7, 8, 4)) * 4, tf.float32)
        signals = [tf.random.stateless_normal(function(point).shape, (0, 1)) for function in functions]

        @tf.function(autograph=False)
        def found(point):
            pairs = zip(functions, signals, strict=True)
            return [exported.vector_jacobian_product(function, point, signal) for function, signal in pairs]

        graph = found.get_concrete_function(tf.TensorSpec((None, 7, 8, 4))).graph
        kinds = {op.type for op in graph.get_operations()}
        self.assertEmpty([kind for kind in kinds if kind.endswith("Grad") or "NativeBackprop" in kind], kinds)
        for function, signal, ours in zip(functions, signals, found(point), strict=True):
            wanted = own.vector_jacobian_product(function, point, signal)
            self.assertAllClose(ours, wanted, rtol=1e-4, atol=1e-4, msg=str(function))

    def test_what_it_cannot_say(self):
        for function, message in (
            (lambda x: tf.nn.conv2d(x, tf.ones((3, 3, 2, 4)), 1, "VALID"), "a convolution in groups"),
            (lambda x: x[..., 1:], "a slice of something else than rows and columns"),
            (lambda x: tf.reduce_sum(x, axis=0), "a sum over the batch"),
        ):
            with tf.Graph().as_default(), self.assertRaisesRegex(NotImplementedError, message):
                point = tf.ones((1, 6, 6, 4))
                exported.vector_jacobian_product(function, point, tf.ones_like(function(point)))


if __name__ == "__main__":
    tf.test.main()
