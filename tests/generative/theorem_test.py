"""The theorem of docs/theory.md in float64: the CNN with fixed latents is the generative model's exact classifier."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import layers
from cnnf_tf.generative import (
    DeconvolutionalGenerativeModel,
    flatten_latents,
    latent_sites,
    linear_forward,
)
from tests.generative import fixtures_networks


def render(network, label, latents):
    """g(0) and the signals at latent layers by name, for one label everywhere."""
    count = next(iter(flatten_latents(network, latents).values())).shape[0]
    start = tf.constant(fixtures_networks.one_hot(np.full(count, label), network))
    below, signals = network.feedback(start, latents)
    # A signal of an AdaPool has the shape of its output; b = 0 there, so only rectifiers matter below.
    return below.numpy(), signals_by_name(network, signals)


def signals_by_name(network, signals):
    """g at every latent layer's output side: read from the loop's own nested signals, not from this room's walk."""

    def collect(layer, entry):
        if isinstance(layer, layers.FeedbackComposite):
            return [pair for child, own in zip(layer.children(), entry, strict=True) for pair in collect(child, own)]
        return [entry.numpy()] if isinstance(layer, (layers.AdaReLU, layers.AdaPool2D)) else []

    return dict(zip([site.name for site in latent_sites(network)], collect(network, signals), strict=True))


def inner_products(network, features, latents):
    """<h, g(0; y, z)> + sum_i <b(i), z(i) * g(i; y, z)> + c_y, `[batch, classes]`, in NumPy."""
    values = flatten_latents(network, latents)
    columns = []
    for label in range(network.layers[-1].units):
        below, signals = render(network, label, latents)
        score = np.sum(features * below, axis=tuple(range(1, features.ndim)))
        for site in latent_sites(network):
            if getattr(site.layer, "bias", None) is not None:
                product = site.layer.bias.numpy() * np.asarray(values[site.name]) * signals[site.name]
                score = score + product.sum(axis=tuple(range(1, product.ndim)))
        columns.append(score)
    return np.stack(columns, axis=-1) + network.layers[-1].bias.numpy()


def y_terms(network, latents, sigma):
    """What depends on y besides the inner products: sum softplus(b g) + |g(0)|^2 / (2 sigma^2), `[batch, classes]`."""
    columns = []
    for label in range(network.layers[-1].units):
        below, signals = render(network, label, latents)
        cost = np.sum(np.square(below / sigma), axis=tuple(range(1, below.ndim))) / 2
        for site in latent_sites(network):
            if getattr(site.layer, "bias", None) is not None:
                softplus = np.logaddexp(0, site.layer.bias.numpy() * signals[site.name])
                cost = cost + softplus.sum(axis=tuple(range(1, softplus.ndim)))
        columns.append(cost)
    return np.stack(columns, axis=-1)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def scaled_biases(network, factor):
    """Multiplies every bias of the network by a factor, in place."""
    for variable in network.weights:
        if variable.name == "bias":
            variable.assign(variable * factor)


class IdentityTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(name=sorted(fixtures_networks.NETWORKS), seed=(0, 1, 2))
    def test_logits_are_inner_products_for_any_latents(self, name, seed):
        network = fixtures_networks.NETWORKS[name]()
        features, latents = (
            fixtures_networks.features(network, 4, seed),
            fixtures_networks.random_latents(network, 4, seed + 10),
        )
        logits = linear_forward(network, features, latents)
        self.assertEqual(logits.dtype, tf.float64)
        self.assertAllClose(logits, inner_products(network, features, latents), rtol=0, atol=1e-10)

    @parameterized.parameters(*sorted(fixtures_networks.NETWORKS))
    def test_fixed_latents_give_the_pass_that_made_them(self, name):
        """The CNN, and with eta = 0 the adapted CNN, is the linear one at its own latents."""
        network = fixtures_networks.NETWORKS[name]()
        features = fixtures_networks.features(network, 4)
        logits, latents = network(features)
        self.assertAllClose(linear_forward(network, features, latents), logits, rtol=0, atol=1e-12)
        _, signals = network.feedback(logits, latents)
        for eta in (0.0, 0.3):
            again, adapted = network(features, signals, eta=eta)
            fixed = linear_forward(network, features, adapted, signals=signals, eta=eta)
            self.assertAllClose(fixed, again, rtol=0, atol=1e-12)
        self.assertNotAllClose(again, logits)

    def test_linear(self):
        """Additive and homogeneous once the value at h = 0 is taken away, and the adjoint of `feedback`."""
        network = fixtures_networks.everything()
        latents = fixtures_networks.random_latents(network, 3)
        one, two = fixtures_networks.features(network, 3, 5), fixtures_networks.features(network, 3, 6)
        zero = linear_forward(network, np.zeros_like(one), latents)
        mixed = linear_forward(network, 2 * one - 3 * two, latents) - zero
        parts = [linear_forward(network, part, latents) - zero for part in (one, two)]
        self.assertAllClose(mixed, 2 * parts[0] - 3 * parts[1], rtol=0, atol=1e-10)
        start = np.random.default_rng(7).standard_normal((3, 3))
        below, _ = network.feedback(tf.constant(start), latents)
        self.assertAllClose(np.sum(start * parts[0]), np.sum(below * one), rtol=1e-10)

    def test_gradient_of_the_logits_is_the_rendered_label(self):
        network = fixtures_networks.conv()
        features, latents = (
            tf.constant(fixtures_networks.features(network, 3)),
            fixtures_networks.random_latents(network, 3),
        )
        for label in range(3):
            with tf.GradientTape() as tape:
                tape.watch(features)
                logit = tf.reduce_sum(linear_forward(network, features, latents)[:, label])
            self.assertAllClose(tape.gradient(logit, features), render(network, label, latents)[0], atol=1e-12)


class PosteriorTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(name=sorted(fixtures_networks.NETWORKS), sigma=(1.0, 0.6))
    def test_posterior_of_any_network_once_corrected(self, name, sigma):
        """p(y | h, z) = softmax(linear_forward(h / sigma^2; z) - what depends on y), prior tied to the last bias."""
        network = fixtures_networks.NETWORKS[name]()
        features, latents = fixtures_networks.features(network, 4), fixtures_networks.random_latents(network, 4)
        posterior = np.exp(DeconvolutionalGenerativeModel(network, scale=sigma).label_log_posterior(features, latents))
        logits = linear_forward(network, features / sigma**2, latents) - y_terms(network, latents, sigma)
        self.assertAllClose(posterior, softmax(logits.numpy()), rtol=0, atol=1e-10)

    def test_constancy_holds_in_the_symmetric_network(self):
        network = fixtures_networks.symmetric()
        costs = y_terms(network, fixtures_networks.symmetric_latents(network, 5), 0.8)
        self.assertAllClose(costs, np.broadcast_to(costs[:, :1], costs.shape), rtol=1e-12)
        other = y_terms(network, fixtures_networks.random_latents(network, 5), 0.8)
        self.assertGreater(np.abs(other - other[:, :1]).max(), 0.1)

    @parameterized.parameters(1.0, 2.5)
    def test_under_constancy_the_cnn_is_the_posterior(self, sigma):
        """softmax(logits / sigma^2) = p(y | h, z), the logits being those of the CNN with sigma^2 times the biases."""
        network = fixtures_networks.symmetric()
        features, latents = fixtures_networks.features(network, 6), fixtures_networks.symmetric_latents(network, 6)
        posterior = np.exp(DeconvolutionalGenerativeModel(network, scale=sigma).label_log_posterior(features, latents))
        self.assertGreater(np.ptp(posterior, axis=-1).min(), 0.02)
        precise = linear_forward(network, features / sigma**2, latents)
        self.assertAllClose(softmax(precise.numpy()), posterior, rtol=0, atol=1e-10)
        scaled_biases(network, sigma**2)
        logits = linear_forward(network, features, latents)
        self.assertAllClose(softmax(logits.numpy() / sigma**2), posterior, rtol=0, atol=1e-10)

    def test_diagonal_scale(self):
        """With a sigma for each pixel the logits are those of h / sigma^2, pixel by pixel."""
        network = fixtures_networks.conv()
        features, latents = fixtures_networks.features(network, 4), fixtures_networks.random_latents(network, 4)
        sigma = np.random.default_rng(8).uniform(0.5, 2, (4, 4, 1))
        posterior = np.exp(DeconvolutionalGenerativeModel(network, scale=sigma).label_log_posterior(features, latents))
        logits = linear_forward(network, features / sigma**2, latents) - y_terms(network, latents, sigma)
        self.assertAllClose(posterior, softmax(logits.numpy()), rtol=0, atol=1e-10)

    def test_last_bias_is_the_log_prior(self):
        """Tied prior: softmax(c). Another prior p: the posterior is that of logits + log p - c."""
        network = fixtures_networks.symmetric()
        features, latents = fixtures_networks.features(network, 4), fixtures_networks.symmetric_latents(network, 4)
        bias = network.layers[-1].bias.numpy()
        model = DeconvolutionalGenerativeModel(network)
        self.assertAllClose(model.prior.probs_parameter(), softmax(bias), rtol=1e-12)
        prior = np.array([0.1, 0.2, 0.3, 0.4])
        posterior = DeconvolutionalGenerativeModel(network, prior).label_log_posterior(features, latents)
        logits = linear_forward(network, features, latents).numpy() + np.log(prior) - bias
        self.assertAllClose(np.exp(posterior), softmax(logits), rtol=0, atol=1e-10)


class TalkRuleTest(tf.test.TestCase):
    def two_unit_network(self, rule):
        """h -> AdaReLU(h) -> (-1, +1) logits: one pixel, one unit, no bias, two classes with opposite templates."""
        with fixtures_networks.float64():
            network = layers.FeedbackSequential(
                [layers.FeedbackDense(1), layers.AdaReLU(rule=rule, use_bias=False), layers.FeedbackDense(2)]
            )
            network.build((None, 1))
        network.set_weights([np.array([[1.0]]), np.array([[-1.0, 1.0]])])
        return network

    def test_talk_rule_breaks_the_theorem(self):
        """The counterexample of docs/theory.md: h = -1 agrees with class 0, the talk's rule says class 1."""
        features, g = np.array([[-1.0]]), tf.constant([[-1.0]], tf.float64)  # the template of class 0 at the unit
        signals = [g, g, tf.constant([[1.0, 0.0]], tf.float64)]
        exact = self.two_unit_network("map")
        logits, latents = exact(features, signals)
        self.assertAllEqual(latents[1], [[1.0]])
        # Constancy holds: |g(0)|^2 = 1 for both classes, and there is no bias.
        self.assertAllEqual(
            exact.feedback(tf.eye(2, dtype=tf.float64), [None, tf.ones((2, 1)), None])[0], [[-1.0], [1.0]]
        )
        posterior = np.exp(DeconvolutionalGenerativeModel(exact).label_log_posterior(features, latents))
        self.assertAllClose(posterior, [[1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]], rtol=1e-12)
        self.assertAllClose(softmax(logits.numpy()), posterior, rtol=1e-12)
        talk = self.two_unit_network("slide")
        wrong, same_latents = talk(features, signals)
        self.assertAllEqual(same_latents[1], latents[1])
        self.assertAllEqual(wrong, -logits)
        self.assertAllClose(softmax(wrong.numpy()), posterior[:, ::-1], rtol=1e-12)

    def test_talk_rule_breaks_the_identity_in_a_random_network(self):
        gaps = {}
        for rule in ("map", "reference", "slide"):
            network = fixtures_networks.conv(rule)
            features = fixtures_networks.features(network, 8)
            logits, latents = network(features)
            adapted, z = network(features, network.feedback(logits, latents)[1])
            gaps[rule] = np.abs(adapted - inner_products(network, features, z)).max()
        self.assertLess(max(gaps["map"], gaps["reference"]), 1e-10)
        self.assertGreater(gaps["slide"], 0.05)


if __name__ == "__main__":
    tf.test.main()
