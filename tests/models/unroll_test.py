"""The loop against a hand-written NumPy CNN-F, and its laws."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.layers import AdaReLU, FeedbackDense, FeedbackSequential
from cnnf_tf.models import CNNF, READOUTS, unroll
from tests.models import fixtures_models


def dense_network(seed=0):
    network = FeedbackSequential([FeedbackDense(6), AdaReLU(), FeedbackDense(3, use_bias=True)])
    network.build((None, 4))
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        variable.assign(rng.standard_normal(variable.shape))
    return network


def numpy_unroll(network, h, iterations, eta, start):
    """The loop of the paper on a network dense - AdaReLU("map") - dense, step by step in float64."""
    w1, b1, w2, b2 = (np.asarray(variable, "float64") for variable in network.get_weights())
    z = None
    g = None
    h = np.asarray(h, "float64")
    features, logits, reconstructions = [h], [], []
    for t in range(iterations + 1):
        f = h @ w1 + b1
        if t:
            f = f + eta * (g - f)
            z = np.where(g < 0, f < 0, f > 0)
        else:
            z = f > 0
        y = (f * z) @ w2 + b2
        logits.append(y)
        if t == iterations:
            return features, logits, reconstructions
        g = start(y) @ w2.T
        reconstruction = (g * z) @ w1.T
        reconstructions.append(reconstruction)
        h = h + eta * (reconstruction - h)
        features.append(h)
    raise AssertionError


def softmax(y):
    e = np.exp(y - y.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


STARTS = {"logits": lambda y: y, "softmax": softmax, "one_hot": lambda y: np.eye(3)[y.argmax(-1)]}


class UnrollTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(start=sorted(STARTS), eta=(0.0, 0.1, 0.7), iterations=(0, 1, 3))
    def test_matches_numpy(self, start, eta, iterations):
        network, h = dense_network(), np.random.default_rng(1).standard_normal((5, 4)).astype("float32")
        trajectory = unroll(network, h, iterations=iterations, eta=eta, feedback_start=start)
        features, logits, reconstructions = numpy_unroll(network, h, iterations, eta, STARTS[start])
        self.assertAllClose(trajectory.logits, np.stack(logits), rtol=1e-4, atol=1e-4)
        self.assertAllClose(trajectory.features, features, rtol=1e-4, atol=1e-4)
        self.assertLen(trajectory.reconstructions, iterations)
        for ours, expected in zip(trajectory.reconstructions, reconstructions, strict=True):
            self.assertAllClose(ours, expected, rtol=1e-4, atol=1e-4)

    def test_fewer_iterations_are_a_prefix(self):
        model, images = fixtures_models.model(), fixtures_models.images(4)
        longer, shorter = model.infer(images, iterations=4), model.infer(images, iterations=2)
        self.assertAllEqual(longer.logits[:3], shorter.logits)
        self.assertAllEqual(longer.reconstructions[1], shorter.reconstructions[1])

    def test_no_step_and_positive_signals_change_nothing(self):
        """With eta = 0 h stays; only the latents can move the logits."""
        model, images = fixtures_models.model(), fixtures_models.images(3)
        trajectory = model.infer(images, iterations=2, eta=0.0)
        self.assertAllEqual(trajectory.features[2], trajectory.features[0])

    def test_examples_do_not_see_each_other(self):
        model, images = fixtures_models.model(), fixtures_models.images(5)
        whole = model.infer(images, iterations=2).logits
        alone = tf.concat([model.infer(images[i : i + 1], iterations=2).logits for i in range(5)], axis=1)
        self.assertAllClose(whole, alone, rtol=1e-4, atol=1e-5)

    def test_interleaved_batches_equal_fresh_objects(self):
        model, first, second = fixtures_models.model(), fixtures_models.images(3), fixtures_models.images(2, seed=9)
        expected = fixtures_models.model().infer(first, iterations=2).logits
        model.infer(second, iterations=3)
        self.assertAllEqual(model.infer(first, iterations=2).logits, expected)

    def test_a_step_towards_self_consistency_is_the_map_rule(self):
        """h moves along the gradient of -|h - g(0)|^2 / 2, which is the model's log-likelihood of the pixels."""
        model, images = fixtures_models.model(), fixtures_models.images(2)
        trajectory = model.infer(images, iterations=1, eta=0.25)
        h, g = trajectory.features[0], trajectory.reconstructions[0]
        with tf.GradientTape() as tape:
            tape.watch(h)
            likelihood = -0.5 * tf.reduce_sum(tf.square(h - g))
        self.assertAllClose(trajectory.features[1], h + 0.25 * tape.gradient(likelihood, h), atol=1e-6)

    def test_structures(self):
        model = fixtures_models.model()
        trajectory = model.infer(fixtures_models.images(2), iterations=2)
        self.assertLen(trajectory.latents, 3)
        self.assertLen(trajectory.signals, 2)
        self.assertLen(trajectory.taps, 3)
        for latents, signals in zip(trajectory.latents, trajectory.signals, strict=False):
            self.assertLen(latents, len(model.network.layers))
            self.assertLen(signals, len(model.network.layers))
        for tap, reconstruction in zip(trajectory.taps[0], trajectory.tap_reconstructions[0], strict=True):
            self.assertEqual(tap.shape, reconstruction.shape)

    def test_a_network_without_taps_computes_the_same(self):
        image = tf.constant(np.random.default_rng(0).random((1, 28, 28, 1)), tf.float32)
        found = {}
        for taps in (True, False):
            keras.utils.set_random_seed(0)
            model = CNNF.from_name("fashion_cnn", image_shape=(28, 28, 1), network={"taps": taps}, iterations=1)
            found[taps] = model.infer(image)
        self.assertAllEqual(found[True].logits, found[False].logits)
        self.assertAllEqual(found[True].reconstructions[0], found[False].reconstructions[0])
        self.assertEqual([len(found[True].taps[0]), len(found[False].taps[0])], [2, 0])
        self.assertEqual([len(found[True].tap_reconstructions[0]), len(found[False].tap_reconstructions[0])], [2, 0])

    def test_readouts(self):
        logits = tf.constant([[[1.0, 2.0]], [[3.0, 6.0]]])
        self.assertAllEqual(READOUTS["last"](logits), [[3.0, 6.0]])
        self.assertAllEqual(READOUTS["average"](logits), [[2.0, 4.0]])

    @parameterized.parameters(-1, 1.0, True, "2", None)
    def test_bad_iterations(self, iterations):
        with self.assertRaisesRegex(ValueError, "iterations must be an integer >= 0"):
            unroll(dense_network(), tf.zeros((1, 4)), iterations=iterations, eta=0.1)

    def test_bad_start(self):
        with self.assertRaisesRegex(ValueError, r"feedback_start must be one of \['logits', 'one_hot', 'softmax'\]"):
            unroll(dense_network(), tf.zeros((1, 4)), iterations=0, eta=0.1, feedback_start="labels")


class TracingTest(tf.test.TestCase, parameterized.TestCase):
    """Iterations are traced once where no gradient is wanted."""

    def test_the_graph_does_not_grow_with_iterations(self):
        model, images = fixtures_models.model(), fixtures_models.images(2)
        sizes = []
        for iterations in (2, 12):
            compute = tf.function(lambda x, k=iterations: model.infer(x, iterations=k).logits, autograph=False)
            sizes.append(len(compute.get_concrete_function(images).graph.get_operations()))
        self.assertLess(sizes[1], sizes[0] + 10 * 10)  # a call for each, and what it hands on

    @parameterized.parameters(False, True)
    def test_gradients_taken_later_are_the_same(self, jit):
        """Of a function that was traced while no tape watched."""
        model, images = fixtures_models.model(), fixtures_models.images(2)
        compute = tf.function(lambda x: model.infer(x, iterations=3).logits[-1], autograph=False, jit_compile=jit)
        compute(images)
        found = []
        for function in (compute, compute.python_function):
            with tf.GradientTape() as tape:
                tape.watch(images)
                top = function(images)
            found.append((top, *tape.gradient(top, [images, model.trainable_variables[0].value])))
        for first, second in zip(*found, strict=True):
            self.assertAllClose(first, second, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    tf.test.main()
