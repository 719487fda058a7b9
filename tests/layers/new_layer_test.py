"""A layer that nothing outside of this file knows goes everywhere: up, down, the loop, the generative model, files."""

import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers
from cnnf_tf.generative import (
    DeconvolutionalGenerativeModel,
    flatten_latents,
    latent_sites,
    linear_forward,
    map_latents,
    nest_latents,
    self_consistency,
)
from cnnf_tf.generative.deconvolutional import answer_all, inexactness
from cnnf_tf.models import infer_adaptive
from cnnf_tf.models.presets.variables import named_variables
from cnnf_tf.utils.dtypes import dtype_policy

IMAGE_SHAPE = (6, 6, 1)


@keras.saving.register_keras_serializable("new_layer_test")
class LeakyAdaReLU(layers.FeedbackLayer):
    """`s(z) (f + b)` up and `s(z) g` down, where s(1) = 1, s(0) = `slope`, and z = 1 where (f + b) g > 0."""

    has_latents = True

    def __init__(self, slope=0.1, **kwargs):
        super().__init__(**kwargs)
        self.slope = slope

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, features, signal=None, *, eta=0.0, training=False):
        features = features + self.in_compute_dtype(self.bias)
        gate = tf.stop_gradient(features if signal is None else features * signal)
        latent = tf.cast(gate > 0, features.dtype)
        return features * self.scale(latent), latent

    def feedback(self, signal, latent=None):
        return self.in_compute_dtype(signal) * self.scale(latent)

    def latent_logits(self, signal):
        return (1 - self.slope) * tf.cast(self.bias, signal.dtype) * signal

    def linear_call(self, features, latent=None, signal=None, *, eta=0.0):
        return (features + self.in_compute_dtype(self.bias)) * self.scale(latent)

    def scale(self, latent):
        return self.slope + (1 - self.slope) * self.in_compute_dtype(latent)

    def get_config(self):
        return super().get_config() | {"slope": self.slope}


@keras.saving.register_keras_serializable("new_layer_test")
class Wired(layers.FeedbackComposite):
    """The sum of two layers' outputs, of which the second reads the first and the input: a wiring of its own."""

    def __init__(self, first, second, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = first, second

    def children(self):
        return [self.first, self.second]

    def sources(self):
        return [(0,), (1, 0), (1, 2)]

    def get_config(self):
        parts = {"first": self.first, "second": self.second}
        return super().get_config() | keras.saving.serialize_keras_object(parts)

    @classmethod
    def from_config(cls, config):
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("first", "second")}
        return cls(**(config | parts))


def model():
    """conv - leaky - wired(leaky, leaky) - pool - dense, in float64, with random weights."""
    with dtype_policy("float64"):
        network = layers.FeedbackSequential(
            [
                layers.FeedbackConv2D(2, name="conv"),
                layers.Tap(LeakyAdaReLU(name="leaky"), name="tap1"),
                Wired(LeakyAdaReLU(name="low"), layers.Tap(LeakyAdaReLU(0.3, name="high"), name="tap2"), name="wired"),
                layers.AdaPool2D(name="pool"),
                layers.FeedbackFlatten(name="flatten"),
                layers.FeedbackDense(3, use_bias=True, name="fc"),
            ],
            name="network",
        )
        found = CNNF(network, image_shape=IMAGE_SHAPE, iterations=2)
    rng = np.random.default_rng(0)
    for variable in found.weights:
        variable.assign(rng.standard_normal(variable.shape) * 0.5)
    return found


def images(count):
    return tf.constant(np.random.default_rng(1).random((count, *IMAGE_SHAPE)))


def random_latents(network, count):
    rng = np.random.default_rng(2)
    draws = {site.name: rng.integers(0, 2, (count, *site.shape)).astype("float64") for site in latent_sites(network)}
    return nest_latents(network, draws)


class NewLayerTest(tf.test.TestCase, parameterized.TestCase):
    def test_sites(self):
        sites = latent_sites(model().network)
        self.assertEqual([site.name for site in sites], ["leaky", "low", "high", "pool"])
        self.assertEqual([site.shape for site in sites], [(6, 6, 2)] * 4)

    def test_linear_forward_is_the_adjoint_of_feedback_for_any_latents(self):
        network = model().network
        latents, rng = random_latents(network, 3), np.random.default_rng(3)
        h, g = rng.standard_normal((3, *IMAGE_SHAPE)), rng.standard_normal((3, 3))
        linear = linear_forward(network, h, latents) - linear_forward(network, np.zeros_like(h), latents)
        below, _ = network.feedback(tf.constant(g), latents)
        self.assertAllClose(np.sum(linear * g), np.sum(h * below), rtol=1e-10)

    def test_linear_forward_at_the_latents_of_a_pass_is_that_pass(self):
        network = model().network
        h = tf.constant(np.random.default_rng(3).standard_normal((3, *IMAGE_SHAPE)))
        logits, latents = network(h)
        self.assertAllClose(linear_forward(network, h, latents), logits, rtol=1e-12)
        adapted, latents = network(h, network.feedback(logits, latents)[1])
        self.assertAllClose(linear_forward(network, h, latents), adapted, rtol=1e-12)
        self.assertNotAllClose(adapted, logits)

    def test_descent_arrives_where_feedback_does(self):
        network = model().network
        latents = random_latents(network, 3)
        values = list(reversed(flatten_latents(network, latents).values()))
        start, seen = tf.constant(np.random.default_rng(3).standard_normal((3, 3))), []

        def answer(signal):
            seen.append(signal)
            return values[len(seen) - 1]

        below, nested = answer_all(network.descend(start), answer)
        wanted, signals = network.feedback(start, latents)
        self.assertAllClose(below, wanted, rtol=1e-12)
        self.assertAllEqual(tf.nest.flatten(nested)[1], tf.nest.flatten(latents)[1])
        self.assertAllClose(seen[-1], signals[1][0], rtol=1e-12)

    def test_samples_and_log_probabilities(self):
        network = model().network
        generative = DeconvolutionalGenerativeModel(network, scale=0.5)
        sample = generative.sample(4, seed=0)
        tf.nest.assert_same_structure(sample.latents, network(sample.features)[1])
        self.assertAllEqual(generative.sample(4, seed=0).features, sample.features)
        terms = generative.log_prob_terms(sample.features, sample.label, sample.latents)
        self.assertEqual(list(terms), ["label", "pool", "high", "low", "leaky", "features"])
        # The lowest latents' term, by hand.
        _, signals = network.feedback(tf.one_hot(sample.label, 3, dtype=tf.float64), sample.latents)
        leaky = network.layers[1].layer
        logits = 0.9 * leaky.bias.numpy() * signals[1][0].numpy()
        z = flatten_latents(network, sample.latents)["leaky"].numpy()
        wanted = np.sum(z * logits - np.logaddexp(0, logits), axis=(1, 2, 3))
        self.assertAllClose(terms["leaky"], wanted, rtol=1e-10)
        total = generative.log_prob(sample.features, sample.label, sample.latents)
        self.assertAllClose(total, tf.add_n(list(terms.values())), rtol=1e-12)
        self.assertAllClose(generative.prior.logits, network.layers[-1].bias)
        self.assertAllClose(
            tf.function(generative.log_prob)(sample.features, sample.label, sample.latents), total, rtol=1e-10
        )

    def test_map_latents_choose_what_the_layer_chooses(self):
        network = model().network
        h, latents = np.random.default_rng(3).standard_normal((3, *IMAGE_SHAPE)), random_latents(network, 3)
        updated = flatten_latents(network, map_latents(network, h, [0, 1, 2], latents))
        self.assertEqual(list(updated), [site.name for site in latent_sites(network)])
        _, signals = network.feedback(tf.eye(3, dtype=tf.float64), latents)
        biased = network.layers[0](h)[0] + network.layers[1].layer.bias
        self.assertAllEqual(updated["leaky"], tf.cast(biased * signals[1][0] > 0, tf.float64))

    def test_a_layer_says_itself_why_the_theorem_is_not_exact(self):
        class Squash(layers.FeedbackLayer):
            inexactness = "squashing is not linear"

        network = layers.FeedbackSequential([Squash(name="a"), Squash(name="b"), layers.FeedbackDense(2)])
        network.build((None, 3))
        self.assertEqual(inexactness(network), ["squashing is not linear (a, b)"])
        self.assertEmpty(inexactness(model().network))

    @parameterized.parameters(False, True)
    def test_loops(self, graph):
        cnnf, batch = model(), images(5)
        run = tf.function(infer_adaptive, autograph=False) if graph else infer_adaptive
        found = run(cnnf, batch, max_iterations=4, tolerance=0.0)
        fixed = cnnf.infer(batch, iterations=4)
        self.assertAllClose(found.last_logits, fixed.logits[-1], rtol=1e-10)
        flips = self_consistency(fixed, cnnf.network).latent_flip_rate
        self.assertAllClose(found.latent_flip_rate, flips[-1], rtol=1e-6)
        self.assertGreater(np.max(flips), 0)

    def test_taps_are_no_latents(self):
        cnnf = model()
        found = cnnf.infer(images(2), iterations=1)
        network, h = cnnf.network, found.features[0]
        low, (leaky,) = network.layers[2].first, network.layers[1].children()
        first = leaky(network.layers[0](h)[0])[0]
        self.assertAllClose(found.taps[0][0], first, rtol=1e-12)
        self.assertAllClose(found.taps[0][1], network.layers[2].second(low(first)[0] + first)[0], rtol=1e-12)
        values = tf.nest.flatten(found.latents[0])
        self.assertEqual([value is None for value in values], [True, False, False, False, False, True, True])
        for value in values:
            if value is not None:
                self.assertAllInSet(value.numpy(), [0.0, 1.0])
        # What leaves the lower tap is what reaches the convolution below it.
        self.assertAllClose(found.tap_reconstructions[0][0], found.signals[0][0], rtol=1e-12)

    def test_file_and_names(self):
        cnnf, path = model(), pathlib.Path(self.create_tempdir().full_path) / "model.keras"
        cnnf.save(path)
        loaded = keras.saving.load_model(path)
        self.assertAllEqual(loaded(images(3)), cnnf(images(3)))
        names = ["conv/kernel", "tap1/leaky/bias", "wired/low/bias", "wired/tap2/high/bias", "fc/kernel", "fc/bias"]
        self.assertEqual(list(named_variables(loaded)), [f"network/{name}" for name in names])

    def test_branches_of_different_shapes(self):
        wired = Wired(layers.FeedbackConv2D(2, name="wide"), layers.FeedbackConv2D(2), name="wired")
        with self.assertRaisesRegex(
            ValueError,
            r"'wired' adds its branches, .* the wide branch ends in shape \(None, 4, 4, 2\), the input branch",
        ):
            wired.build((None, 4, 4, 1))


if __name__ == "__main__":
    tf.test.main()
