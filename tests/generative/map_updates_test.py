"""The CNN-F step is the three MAP updates, and each of them is the maximum it claims to be."""

import itertools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import layers
from cnnf_tf.generative import (
    DeconvolutionalGenerativeModel,
    flatten_latents,
    latent_sites,
    linear_forward,
    map_features,
    map_label,
    map_latents,
    nest_latents,
)
from cnnf_tf.models import first_pass, step
from tests.generative import fixtures_networks


def score(network, features, latents, label):
    """The objective of all three updates, linear_forward(h; z)_y, `[batch]`."""
    return linear_forward(network, features, latents).numpy()[np.arange(len(label)), label]


def cnn_latents(network, count, seed):
    """The CNN's own latents of other random features: one unit in each window of a pool."""
    return network(fixtures_networks.features(network, count, seed))[1]


def one_example(by_name, index):
    return {name: z[index : index + 1] for name, z in by_name.items()}


def choices_of(site):
    """All latents of one layer: every subset of rectifiers; one unit in every window of a pool, `[choices, ...]`."""
    units = int(np.prod(site.shape))
    if isinstance(site.layer, layers.AdaReLU):
        return np.array(list(itertools.product([0.0, 1.0], repeat=units))).reshape(-1, *site.shape)
    size, _ = site.layer.pool_size
    height, width, channels = site.shape
    windows = list(itertools.product(range(height // size), range(width // size), range(channels)))
    found = []
    for picks in itertools.product(range(size * size), repeat=len(windows)):
        z = np.zeros(site.shape)
        for (row, column, channel), pick in zip(windows, picks, strict=True):
            z[row * size + pick // size, column * size + pick % size, channel] = 1
        found.append(z)
    return np.stack(found)


class StepTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(name=sorted(fixtures_networks.NETWORKS), eta=(0.0, 0.3, 1.0), start=("one_hot", "logits"))
    def test_step_is_the_three_updates(self, name, eta, start):
        network = fixtures_networks.NETWORKS[name]()
        state = first_pass(network, tf.constant(fixtures_networks.features(network, 5)))
        label = map_label(network, state.features, state.latents)
        for _ in range(3):
            down = label if start == "one_hot" else state.logits
            features = map_features(network, state.features, down, state.latents, eta=eta)
            latents = map_latents(network, features, down, state.latents, eta=eta)
            state, feedback = step(network, state, eta=eta, feedback_start=start)
            self.assertAllClose(features, state.features, rtol=0, atol=1e-12)
            updated, expected = flatten_latents(network, latents), flatten_latents(network, state.latents)
            for site in latent_sites(network):
                self.assertAllEqual(updated[site.name], expected[site.name])
            label = map_label(network, features, latents, signals=feedback.signals, eta=eta)
            self.assertAllEqual(label, tf.argmax(state.logits, -1))
            if eta == 1.0:
                self.assertAllClose(features, feedback.reconstruction, rtol=0, atol=1e-12)

    def test_runs_in_a_graph(self):
        network = fixtures_networks.conv()
        features, latents = tf.constant(fixtures_networks.features(network, 3)), cnn_latents(network, 3, 8)
        label = tf.constant([0, 1, 2])
        eager = (map_features(network, features, label, latents), map_label(network, features, latents))
        graph = tf.function(
            lambda h, y, z: (map_features(network, h, y, z), map_label(network, h, z), map_latents(network, h, y, z))
        )(features, label, latents)
        self.assertAllClose(graph[0], eager[0], rtol=1e-12)
        self.assertAllEqual(graph[1], eager[1])
        self.assertAllEqual(graph[2][1], map_latents(network, features, label, latents)[1])


class MaximumTest(tf.test.TestCase, parameterized.TestCase):
    def test_features_are_the_peak_of_the_density(self):
        network = fixtures_networks.conv()
        model = DeconvolutionalGenerativeModel(network, scale=0.8)
        latents, label = fixtures_networks.random_latents(network, 4), np.array([0, 1, 2, 0])
        start = tf.constant(fixtures_networks.features(network, 4))
        peak = map_features(network, start, label, latents)
        self.assertAllClose(peak, model.reconstruct(label, latents), rtol=1e-12)
        with tf.GradientTape() as tape:
            tape.watch(peak)
            value = model.log_prob(peak, label, latents)
        self.assertAllClose(tape.gradient(value, peak), np.zeros(peak.shape), atol=1e-12)
        for seed in range(3):
            other = peak + 0.1 * fixtures_networks.features(network, 4, seed)
            self.assertAllLess(model.log_prob(other, label, latents) - value, 0)

    def test_damped_features_are_the_proximal_peak(self):
        """h + eta (g(0) - h) maximises log p(h' | y, z) - (1 - eta) / eta |h' - h|^2 / (2 sigma^2)."""
        network, eta, sigma = fixtures_networks.dense(), 0.25, 0.8
        model = DeconvolutionalGenerativeModel(network, scale=sigma)
        latents, label, start = (
            fixtures_networks.random_latents(network, 4),
            np.array([0, 1, 2, 0]),
            fixtures_networks.features(network, 4),
        )
        damped = map_features(network, start, label, latents, eta=eta)
        with tf.GradientTape() as tape:
            tape.watch(damped)
            penalty = (1 - eta) / eta * tf.reduce_sum(tf.square(damped - start), -1) / (2 * sigma**2)
            value = model.log_prob(damped, label, latents) - penalty
        self.assertAllClose(tape.gradient(value, damped), np.zeros(damped.shape), atol=1e-12)

    def test_label_is_the_posterior_mode(self):
        network = fixtures_networks.symmetric()
        features, latents = fixtures_networks.features(network, 20), fixtures_networks.symmetric_latents(network, 20)
        posterior = DeconvolutionalGenerativeModel(network).label_log_posterior(features, latents)
        label = map_label(network, features, latents)
        self.assertEqual(label.dtype, tf.int32)
        self.assertAllEqual(label, tf.argmax(posterior, -1))
        self.assertGreater(len(set(label.numpy())), 1)

    @parameterized.parameters("map", "reference")
    def test_rectifier_latents_equal_brute_force(self, rule):
        network = fixtures_networks.dense(rule, hidden=6)
        (site,) = latent_sites(network)
        features, label = fixtures_networks.features(network, 9), np.arange(9) % 3
        found = map_latents(network, features, label, fixtures_networks.random_latents(network, 9))[1].numpy()
        every = choices_of(site)
        self.assertLen(every, 64)
        for index in range(9):
            repeated = np.repeat(features[index : index + 1], len(every), axis=0)
            scores = score(network, repeated, [None, every, None], np.full(len(every), label[index]))
            self.assertAllEqual(found[index], every[scores.argmax()])

    def test_pool_latents_equal_brute_force(self):
        with fixtures_networks.float64():
            network = layers.FeedbackSequential(
                [
                    layers.FeedbackConv2D(1),
                    layers.AdaPool2D(name="pool"),
                    layers.FeedbackFlatten(),
                    layers.FeedbackDense(3),
                ]
            )
            network.build((None, 4, 4, 1))
        fixtures_networks.randomise(network)
        (site,) = latent_sites(network)
        features, label = fixtures_networks.features(network, 6), np.arange(6) % 3
        found = map_latents(network, features, label, fixtures_networks.random_latents(network, 6))[1].numpy()
        every = choices_of(site)
        self.assertLen(every, 4**4)
        for index in range(6):
            repeated = np.repeat(features[index : index + 1], len(every), axis=0)
            scores = score(network, repeated, [None, every, None, None], np.full(len(every), label[index]))
            self.assertAllEqual(found[index], every[scores.argmax()])

    @parameterized.parameters(0, 1, 2)
    def test_each_layer_of_a_deep_network_equals_brute_force(self, seed):
        """Given the new latents below and the old ones above, no other latents of a layer do better."""
        network = fixtures_networks.conv(image_shape=(2, 4, 1), filters=1)
        count = 4
        features, label = fixtures_networks.features(network, count, seed), np.arange(count) % 3
        before = flatten_latents(network, cnn_latents(network, count, seed + 20))
        after = flatten_latents(network, map_latents(network, features, label, nest_latents(network, before)))
        sites = latent_sites(network)
        for position, site in enumerate(sites):
            every = choices_of(site)
            for index in range(count):
                new, old = one_example(after, index), one_example(before, index)
                fixed = {other.name: (new if k < position else old)[other.name] for k, other in enumerate(sites)}
                tiled = {name: np.repeat(z, len(every), axis=0) for name, z in fixed.items()} | {site.name: every}
                repeated = np.repeat(features[index : index + 1], len(every), axis=0)
                scores = score(network, repeated, nest_latents(network, tiled), np.full(len(every), label[index]))
                chosen = nest_latents(network, fixed | {site.name: new[site.name]})
                reached = score(network, features[index : index + 1], chosen, label[index : index + 1])
                self.assertAllClose(reached, scores.max(keepdims=True), rtol=0, atol=1e-12)

    @parameterized.parameters(*sorted(fixtures_networks.NETWORKS))
    def test_sweeps_never_lower_the_score(self, name):
        network = fixtures_networks.NETWORKS[name]()
        features, label = fixtures_networks.features(network, 8), np.arange(8) % 3
        latents = cnn_latents(network, 8, 30)
        scores = [score(network, features, latents, label)]
        for _ in range(4):
            latents = map_latents(network, features, label, latents)
            scores.append(score(network, features, latents, label))
        self.assertAllGreaterEqual(np.diff(scores, axis=0), -1e-12)
        self.assertAllGreater(scores[1] - scores[0], 0)


if __name__ == "__main__":
    tf.test.main()
