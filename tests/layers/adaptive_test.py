"""AdaReLU, AdaPool and InstanceNorm against independent NumPy, by hand, and by brute force over all latents."""

import itertools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.layers import AdaPool2D, AdaReLU, InstanceNorm


def relu(values):
    return np.maximum(values, 0)


# The case table of the rules, written out case by case.
RELU_CASES = {
    "map": lambda f, g: relu(f) if g >= 0 else -relu(-f),
    "slide": lambda f, g: relu(f) if g >= 0 else relu(-f),
    "reference": lambda f, g: relu(f) if g > 0 else (-relu(-f) if g < 0 else 0.0),
}


def random_with_zeros(shape, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    values[rng.random(shape) < 0.3] = 0
    return values.astype("float32")


class AdaReLUTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("map", "slide", "reference")
    def test_matches_numpy(self, rule):
        f, g, b = random_with_zeros((2, 3, 3, 4), 0), random_with_zeros((2, 3, 3, 4), 1), np.float32([0.5, -0.5, 0, 1])
        layer = AdaReLU(rule=rule)
        layer.build(f.shape)
        layer.bias.assign(b)
        for eta in (0.0, 0.1, 1.0):
            output, latent = layer(f, g, eta=eta)
            moved = (f + b) + np.float32(eta) * (g - (f + b))
            expected = np.vectorize(RELU_CASES[rule])(moved, g)
            self.assertAllClose(output, expected, rtol=1e-6, atol=1e-7)
            on = (moved * g > 0) | ((g == 0) & (moved > 0) & (rule != "reference"))
            self.assertAllEqual(latent, on.astype("float32"))

    def test_first_pass_is_relu(self):
        f = random_with_zeros((2, 5), 2)
        output, latent = AdaReLU()(f)
        self.assertAllEqual(output, relu(f))
        self.assertAllEqual(latent, (f > 0).astype("float32"))

    @parameterized.parameters(
        ("map", [2, 0, 0, -3, 2, 0]), ("slide", [2, 0, 0, 3, 2, 0]), ("reference", [2, 0, 0, -3, 0, 0])
    )
    def test_by_hand(self, rule, expected):
        f, g = np.float32([[2, -3, 2, -3, 2, -3]]), np.float32([[1, 1, -1, -1, 0, 0]])
        self.assertAllEqual(AdaReLU(rule=rule, use_bias=False)(f, g)[0], [expected])

    def test_map_rule_maximises_the_inner_product(self):
        """Over all 2^n latents, sum_j z_j f_j g_j is largest at the latents of the map rule."""
        f, g = np.random.default_rng(0).standard_normal((2, 1, 8)).astype("float32")
        _, latent = AdaReLU(use_bias=False)(f, g)
        scores = {z: float(np.sum(np.array(z) * f * g)) for z in itertools.product((0, 1), repeat=8)}
        best = max(scores, key=scores.__getitem__)
        self.assertAllEqual(latent[0], np.float32(best))

    def test_feedback_masks(self):
        signal, latent = random_with_zeros((2, 4), 3), np.float32([[0, 1, 1, 0], [1, 0, 0, 1]])
        layer = AdaReLU()
        self.assertAllEqual(layer.feedback(signal, latent), signal * latent)
        self.assertAllEqual(layer.feedback(signal, latent.astype(bool)), signal * latent)


def pool_by_loops(f, g, size, rule):
    """AdaPool window by window; returns output and z_P."""
    batch, height, width, channels = f.shape
    output = np.zeros((batch, height // size, width // size, channels), f.dtype)
    latent = np.zeros_like(f)
    for b, i, j, c in np.ndindex(output.shape):
        rows, columns = slice(i * size, (i + 1) * size), slice(j * size, (j + 1) * size)
        window, signal = f[b, rows, columns, c], g[b, i, j, c]
        if rule == "reference" and signal == 0:
            continue
        pick = np.argmax(-window if signal < 0 else window)  # the first one, in row-major order
        output[b, i, j, c] = window.flat[pick]
        latent[b, i * size + pick // size, j * size + pick % size, c] = 1
    return output, latent


class AdaPoolTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        rule=("map", "reference"), size=(2, 3), shape=((6, 6), (7, 8)), mode=("eager", "graph", "xla")
    )
    def test_matches_loops_with_ties(self, rule, size, shape, mode):
        rng = np.random.default_rng(0)
        f = rng.integers(-1, 2, (3, *shape, 5)).astype("float32")  # ties everywhere
        g = rng.integers(-1, 2, (3, shape[0] // size, shape[1] // size, 5)).astype("float32")
        layer = AdaPool2D(size, rule=rule)
        function = layer if mode == "eager" else tf.function(layer, jit_compile=mode == "xla")
        output, latent = function(f, g)
        expected_output, expected_latent = pool_by_loops(f, g, size, rule)
        self.assertAllEqual(output, expected_output)
        self.assertAllEqual(latent, expected_latent)

    def test_first_pass_is_max_pool(self):
        f = random_with_zeros((2, 4, 4, 3), 0)
        output, latent = AdaPool2D()(f)
        expected = pool_by_loops(f, np.ones((2, 2, 2, 3)), 2, "map")
        self.assertAllEqual(output, expected[0])
        self.assertAllEqual(latent, expected[1])

    def test_one_unit_per_window(self):
        _, latent = AdaPool2D()(np.zeros((1, 4, 4, 1), "float32"))
        self.assertAllEqual(latent[0, :, :, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])

    def test_by_hand(self):
        f = np.float32([[1, -4], [3, 2]]).reshape(1, 2, 2, 1)
        for signal, picked, where in ((2.0, 3.0, (1, 0)), (-2.0, -4.0, (0, 1))):
            g = np.full((1, 1, 1, 1), signal, "float32")
            output, latent = AdaPool2D()(f, g)
            self.assertEqual(float(output[0, 0, 0, 0]), picked)
            below = AdaPool2D().feedback(g, latent).numpy()[0, :, :, 0]
            self.assertEqual(below[where], signal)
            self.assertEqual(np.count_nonzero(below), 1)

    def test_map_rule_maximises_over_all_latents_with_one_per_window(self):
        rng = np.random.default_rng(4)
        f, g = rng.standard_normal((1, 2, 2, 1)).astype("float32"), np.float32(-0.7).reshape(1, 1, 1, 1)
        _, latent = AdaPool2D()(f, g)
        scores = f.ravel() * float(g[0, 0, 0, 0])
        self.assertAllEqual(tf.reshape(latent, [-1]), np.eye(4)[np.argmax(scores)])

    def test_gradient_goes_to_the_picked_unit(self):
        f = tf.constant(random_with_zeros((2, 5, 4, 2), 5))
        g = tf.constant(random_with_zeros((2, 2, 2, 2), 6))
        with tf.GradientTape() as tape:
            tape.watch(f)
            output, latent = AdaPool2D()(f, g)
        upstream = tf.random.stateless_normal(output.shape, (0, 1))
        expected = AdaPool2D().feedback(upstream, latent)
        self.assertAllClose(tape.gradient(output, f, upstream), expected)

    def test_unpooling_gradients_match_finite_differences(self):
        with tf.device("CPU"):
            latent = tf.constant(pool_by_loops(random_with_zeros((1, 5, 4, 2), 7), np.ones((1, 2, 2, 2)), 2, "map")[1])
            signal = tf.random.stateless_normal((1, 2, 2, 2), (1, 1))
            layer = AdaPool2D()
            theoretical, numerical = tf.test.compute_gradient(
                lambda g: tf.square(layer.feedback(g, latent)), [signal], delta=1e-2
            )
        self.assertAllClose(theoretical, numerical, atol=2e-2)


class InstanceNormTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((True, False), (False, True), (True, True))
    def test_matches_numpy(self, up, down):
        values = random_with_zeros((2, 3, 4, 5), 0)
        values[0, :, :, 0] = 0  # a silent channel stays silent
        expected = values / np.sqrt(np.mean(values.astype("float64") ** 2, axis=(1, 2), keepdims=True) + 1e-8)
        layer = InstanceNorm(up=up, down=down)
        self.assertAllClose(layer(values)[0], expected if up else values, rtol=1e-5)
        self.assertAllClose(layer.feedback(values), expected if down else values, rtol=1e-5)

    @parameterized.parameters("float16", "bfloat16")
    def test_half_precision_does_not_overflow(self, dtype):
        values = tf.constant(random_with_zeros((2, 30, 4, 5), 0) * 3e4 / 5, dtype)
        upstream = tf.constant(random_with_zeros((2, 30, 4, 5), 1) * 3e4 / 5, dtype)
        found = []
        for cast in (dtype, "float64"):
            layer = InstanceNorm(dtype=cast)
            wide = tf.cast(values, cast)
            with tf.GradientTape() as tape:
                tape.watch(wide)
                output = layer(wide)[0]
            found.append((output, tape.gradient(output, wide, tf.cast(upstream, cast))))
        for half, exact in zip(*found, strict=True):
            self.assertAllClose(tf.cast(half, tf.float64), exact, rtol=0.03, atol=0.03 * np.abs(exact).mean())


if __name__ == "__main__":
    tf.test.main()
