"""Bad input to the generative model: what was wanted, what came, what is allowed."""

import warnings

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import layers
from cnnf_tf.generative import (
    DeconvolutionalGenerativeModel,
    flatten_latents,
    linear_forward,
    map_features,
    map_label,
    map_latents,
    nest_latents,
)
from tests.generative import fixtures_networks
from tests.models import fixtures_models


class ConstructionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({"scale": 0.0}, r"scale \(sigma\) must be positive and finite, got 0.0"),
        ({"scale": -1}, "must be positive and finite, got -1"),
        ({"scale": float("nan")}, "must be positive and finite, got nan"),
        ({"scale": np.ones((4, 3, 1))}, r"broadcast to the shape \(4, 4, 1\) of h, got \(4, 3, 1\)"),
        ({"scale": np.ones((5, 4, 4, 1))}, r"broadcast to the shape \(4, 4, 1\) of h"),
        ({"prior": [0.5, 0.5]}, "prior must be 3 positive probabilities that sum to 1, or None, got"),
        ({"prior": [0.5, 0.5, 0.5]}, "3 positive probabilities that sum to 1"),
        ({"prior": [0.5, 0.5, 0.0]}, "3 positive probabilities"),
    )
    def test_bad_arguments(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            DeconvolutionalGenerativeModel(fixtures_networks.conv(), **arguments)

    def test_bad_networks(self):
        with self.assertRaisesRegex(
            ValueError, "must be a FeedbackComposite, such as FeedbackSequential, got CNNF; of a CNNF, model.network"
        ):
            DeconvolutionalGenerativeModel(fixtures_models.model())
        with self.assertRaisesRegex(ValueError, r"is not built; call network.build\(\(None, \*shape of h\)\) first"):
            DeconvolutionalGenerativeModel(fixtures_models.network())
        network = layers.FeedbackSequential([layers.FeedbackConv2D(2)])
        network.build((None, 4, 4, 1))
        with self.assertRaisesRegex(ValueError, r"end in logits \[batch, classes\], but ends in shape"):
            DeconvolutionalGenerativeModel(network)

    def test_names(self):
        def build(*rectifiers):
            network = layers.FeedbackSequential([*rectifiers, layers.FeedbackDense(2)])
            network.build((None, 3))
            return network

        with self.assertRaisesRegex(ValueError, r"\['features'\] name terms of the model"):
            DeconvolutionalGenerativeModel(build(layers.AdaReLU(name="features")))
        twice = layers.AdaReLU(name="twice")
        with self.assertRaisesRegex(ValueError, r"wants a name of its own, got twice: \['twice'\]"):
            DeconvolutionalGenerativeModel(build(twice, twice))

    def test_composites_that_do_not_say_what_is_inside(self):
        class Strange(layers.FeedbackComposite):
            pass

        network = layers.FeedbackSequential([Strange()])
        with self.assertRaisesRegex(NotImplementedError, "Strange .* must say which layers are inside: `children`"):
            network.build((None, 3))

    def test_warns_once_where_the_theorem_is_not_exact(self):
        model = fixtures_models.model()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            generative = DeconvolutionalGenerativeModel(model.network)
            sample = generative.sample(2, seed=0)
            generative.log_prob(sample.features, sample.label, sample.latents)
        (warning,) = (str(entry.message) for entry in caught if issubclass(entry.category, UserWarning))
        self.assertRegex(warning, r"not exactly the model's inference: instance normalisation .*norm_up, norm_down")
        self.assertRegex(warning, r"adjoint=True .*average_pool")
        self.assertNotIn("dense biases", warning)

    def test_warns_of_hidden_biases_and_the_talk_rule(self):
        with fixtures_networks.float64():
            network = layers.FeedbackSequential(
                [layers.FeedbackDense(3, use_bias=True, name="hidden"), layers.FeedbackDense(2, use_bias=True)]
            )
            network.build((None, 3))
        with self.assertWarnsRegex(UserWarning, r"dense biases below the last layer .* \(hidden\)"):
            DeconvolutionalGenerativeModel(network)
        with self.assertWarnsRegex(UserWarning, r'rule="slide" does not maximise'):
            DeconvolutionalGenerativeModel(fixtures_networks.dense("slide"))

    @parameterized.parameters(*sorted(fixtures_networks.NETWORKS))
    def test_exact_networks_do_not_warn(self, name):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            DeconvolutionalGenerativeModel(fixtures_networks.NETWORKS[name]())


class ArgumentsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.network = fixtures_networks.conv()
        self.model = DeconvolutionalGenerativeModel(self.network)
        self.features, self.latents = (
            fixtures_networks.features(self.network, 2),
            fixtures_networks.random_latents(self.network, 2),
        )

    @parameterized.parameters(
        ([0, 3], r"class ids in \[0, 2\], got values from 0 to 3"),
        (-1, r"class ids in \[0, 2\], got values from -1 to -1"),
        ([0.0, 1.0], r"integer class ids, a scalar or \[batch\], got float32"),
        ([[0, 1]], r"integer class ids, a scalar or \[batch\], got shape \(1, 2\)"),
        ([0, 1, 2], "one class id for each of 2 examples, got 3"),
    )
    def test_bad_labels(self, label, message):
        for call in (
            lambda: self.model.log_prob(self.features, label, self.latents),
            lambda: self.model.reconstruct(label, self.latents),
            lambda: self.model.sample(2, label, seed=0),
        ):
            with self.assertRaisesRegex(ValueError, message):
                call()

    def test_bad_labels_in_a_graph(self):
        log_prob = tf.function(lambda y: self.model.log_prob(self.features, y, self.latents))
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r"class ids in \[0, 2\], got"):
            log_prob(tf.constant([0, 7]))

    @parameterized.parameters(
        (np.zeros((2, 4, 4)), r"shape \[batch, 4, 4, 1\] of this network's h, got \(2, 4, 4\)"),
        (np.zeros((2, 4, 5, 1)), r"got \(2, 4, 5, 1\)"),
        (np.zeros((2, 4, 4, 1), "uint8"), "must be floats, got uint8"),
        (np.zeros((3, 4, 4, 1)), "of one batch, got 3 features and latents of 'ada_relu1' for 2"),
    )
    def test_bad_features(self, features, message):
        with self.assertRaisesRegex(ValueError, message):
            self.model.log_prob(features, 0, self.latents)

    def test_latents_of_another_network(self):
        other = fixtures_networks.random_latents(fixtures_networks.dense(), 2)
        larger = fixtures_networks.random_latents(fixtures_networks.conv(image_shape=(8, 8, 1)), 2)
        for call in (
            lambda z: self.model.log_prob(self.features, 0, z),
            lambda z: self.model.reconstruct(0, z),
            lambda z: linear_forward(self.network, self.features, z),
            lambda z: map_label(self.network, self.features, z),
            lambda z: map_features(self.network, self.features, [0, 1], z),
            lambda z: map_latents(self.network, self.features, [0, 1], z),
        ):
            with self.assertRaisesRegex(
                ValueError, "'conv_network' has 7 layers and wants .* as many entries as latent, got 3;"
            ):
                call(other)
            with self.assertRaisesRegex(ValueError, r"'ada_relu1' must be .* \[batch, 4, 4, 2\], got shape \(2, 8, 8"):
                call(larger)
            with self.assertRaisesRegex(ValueError, "must be a tensor of shape .*, got NoneType"):
                call([None] * 7)
            with self.assertRaisesRegex(ValueError, "latents of 'ada_relu1' must be a tensor of shape"):
                call([tf.zeros(2)] * 7)

    def test_latents_that_are_not_binary(self):
        values = flatten_latents(self.network, self.latents)
        latents = nest_latents(self.network, values | {"ada_relu2": np.full((2, 3), 0.5)})
        for log_prob in (self.model.log_prob, tf.function(self.model.log_prob)):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "layer ada_relu2 must be 0 or 1"):
                log_prob(self.features, 0, latents)

    def test_names_of_latents(self):
        with self.assertRaisesRegex(ValueError, r"the names \['ada_relu1', 'ada_pool', 'ada_relu2'\], got \['z'\]"):
            nest_latents(self.network, {"z": tf.zeros(1)})

    @parameterized.parameters(0, -1, 2.0, True)
    def test_bad_sample_counts(self, n):
        with self.assertRaisesRegex(ValueError, "n must be a positive integer, got"):
            self.model.sample(n, seed=0)

    @parameterized.parameters(None, 0.5, [[1, 2, 3]], [[1.0, 2.0]])
    def test_bad_seeds(self, seed):
        with self.assertRaisesRegex(ValueError, "seed must be an int or two ints, got"):
            self.model.sample(1, seed=seed)

    @parameterized.parameters(
        (0, "class ids .batch. or floats .batch, 3., got a scalar"),
        (np.zeros((2, 4)), r"floats \[batch, 3\], got float64 of shape \(2, 4\)"),
        ([0, 5], r"class ids in \[0, 2\]"),
    )
    def test_bad_labels_of_map_updates(self, label, message):
        for update in (map_features, map_latents):
            with self.assertRaisesRegex(ValueError, message):
                update(self.network, self.features, label, self.latents)


if __name__ == "__main__":
    tf.test.main()
