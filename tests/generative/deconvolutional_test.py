"""Log-probabilities, samples and TFP's joint distribution of the generative model."""

import warnings

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from absl.testing import parameterized

from cnnf_tf.generative import DeconvolutionalGenerativeModel, Sample, flatten_latents, latent_sites, nest_latents
from cnnf_tf.utils.dtypes import dtype_policy
from tests.generative import fixtures_networks
from tests.models import fixtures_models

tfd = tfp.distributions


def numpy_conv_transpose(signal, kernel):
    """The transpose of a 3x3 "same" convolution, one kernel element at a time."""
    batch, height, width, _ = signal.shape
    result = np.zeros((batch, height + 2, width + 2, kernel.shape[2]))
    for row in range(3):
        for column in range(3):
            result[:, row : row + height, column : column + width] += signal @ kernel[row, column].T
    return result[:, 1:-1, 1:-1]


def numpy_bernoulli(logits, z):
    """sum z l - softplus(l) over units."""
    return np.sum(z * logits - np.logaddexp(0, logits), axis=tuple(range(1, logits.ndim)))


def numpy_log_prob_terms(network, h, label, z, sigma, log_prior):
    """model.md's joint probability of `nets.conv` by hand: W, b, c are read off, everything else is rewritten."""
    kernel, b1, w1, b2, w2, _ = (np.asarray(weight) for weight in network.get_weights())
    g = np.eye(w2.shape[1])[label] @ w2.T
    terms = {"label": log_prior[label], "ada_relu2": numpy_bernoulli(b2 * g, z["ada_relu2"])}
    g = ((g * z["ada_relu2"]) @ w1.T).reshape(-1, 2, 2, 2)
    unpooled = g.repeat(2, axis=1).repeat(2, axis=2)
    terms["ada_pool"] = numpy_bernoulli(0 * unpooled, z["ada_pool"])
    g = unpooled * z["ada_pool"]
    terms["ada_relu1"] = numpy_bernoulli(b1 * g, z["ada_relu1"])
    g = numpy_conv_transpose(g * z["ada_relu1"], kernel)
    densities = -np.square((h - g) / sigma) / 2 - np.log(sigma) - np.log(2 * np.pi) / 2
    return terms | {"features": np.sum(densities, axis=(1, 2, 3))}


class LogProbTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(tied=(True, False), scale=(1.0, 0.3, "diagonal"))
    def test_matches_numpy(self, tied, scale):
        network = fixtures_networks.conv()
        sigma = np.random.default_rng(3).uniform(0.5, 2, (4, 4, 1)) if scale == "diagonal" else scale
        prior = None if tied else [0.5, 0.2, 0.3]
        c = network.layers[-1].bias.numpy()
        log_prior = c - np.log(np.exp(c).sum()) if tied else np.log(prior)
        h, label, z = (
            fixtures_networks.features(network, 5),
            np.array([0, 2, 1, 1, 0]),
            fixtures_networks.random_latents(network, 5),
        )
        model = DeconvolutionalGenerativeModel(network, prior, sigma)
        expected = numpy_log_prob_terms(network, h, label, flatten_latents(network, z), sigma, log_prior)
        terms = model.log_prob_terms(h, label, z)
        self.assertEqual(list(terms), ["label", "ada_relu2", "ada_pool", "ada_relu1", "features"])
        for name, value in terms.items():
            self.assertEqual((value.dtype, value.shape), (tf.float64, (5,)))
            self.assertAllClose(value, expected[name], rtol=1e-12, atol=1e-12)
        self.assertAllClose(model.log_prob(h, label, z), sum(expected.values()), rtol=0, atol=1e-6)
        self.assertAllClose(terms["ada_pool"], np.full(5, 32 * np.log(0.5)))

    def test_probabilities_of_everything_discrete_sum_to_one(self):
        """sum over y and all z of p(y, z) = 1 on a network small enough to enumerate."""
        network = fixtures_networks.dense(hidden=4)
        model = DeconvolutionalGenerativeModel(network)
        every = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype("float64")
        total = 0.0
        for label in range(3):
            terms = model.log_prob_terms(np.zeros((16, 3)), label, [None, every, None])
            total += np.exp(terms["label"] + terms["ada_relu"]).sum()
        self.assertAllClose(total, 1.0, rtol=1e-12)

    def test_gradients_match_finite_differences(self):
        network = fixtures_networks.conv()
        model = DeconvolutionalGenerativeModel(network, scale=0.7, trainable_scale=True)
        z = fixtures_networks.random_latents(network, 2)
        h = tf.constant(fixtures_networks.features(network, 2))
        theoretical, numerical = tf.test.compute_gradient(lambda x: model.log_prob(x, [0, 2], z), [h], delta=1e-5)
        self.assertAllClose(theoretical, numerical, rtol=1e-6, atol=1e-7)

        variables = model.trainable_variables
        self.assertEqual(len(variables), len(network.trainable_variables) + 1)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(model.log_prob(h, [0, 2], z))
        for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
            self.assertAllInRange(gradient, -1e6, 1e6)
            start, index = np.array(variable), (0,) * len(variable.shape)
            values = []
            for delta in (1e-5, -1e-5):
                moved = start.copy()
                moved[index] += delta
                variable.assign(moved)
                values.append(float(tf.reduce_sum(model.log_prob(h, [0, 2], z))))
            variable.assign(start)
            self.assertAllClose((values[0] - values[1]) / 2e-5, gradient.numpy()[index], rtol=1e-5, atol=1e-6)

    def test_scale_can_be_learned(self):
        """The likeliest sigma of pure noise is its standard deviation."""
        network = fixtures_networks.dense()
        model = DeconvolutionalGenerativeModel(network, scale=3.0, trainable_scale=True)
        z = fixtures_networks.random_latents(network, 500)
        noise = np.random.default_rng(0).standard_normal((500, 3))
        h = model.reconstruct(1, z) + 0.5 * noise
        optimizer = keras.optimizers.SGD(0.2)
        (scale,) = (variable for variable in model.trainable_variables if variable.name == "log_scale")
        for _ in range(60):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(model.log_prob(h, 1, z)) / 3
            optimizer.apply([tape.gradient(loss, scale)], [scale])
        self.assertAllClose(model.scale, 0.5 * np.sqrt(np.mean(noise**2)), rtol=1e-3)
        fixed = DeconvolutionalGenerativeModel(network, scale=3.0)
        self.assertLen(fixed.trainable_variables, len(network.trainable_variables))

    def test_shares_the_networks_weights(self):
        network = fixtures_networks.dense()
        model = DeconvolutionalGenerativeModel(network)
        h, z = fixtures_networks.features(network, 2), fixtures_networks.random_latents(network, 2)
        before = model.log_prob(h, 0, z)
        network.layers[0].kernel.assign(network.layers[0].kernel * 2)
        self.assertNotAllClose(model.log_prob(h, 0, z), before)

    @parameterized.parameters(*sorted(fixtures_networks.NETWORKS))
    def test_graph_equals_eager(self, name):
        network = fixtures_networks.NETWORKS[name]()
        model = DeconvolutionalGenerativeModel(network, scale=0.5)
        h, z = (
            tf.constant(fixtures_networks.features(network, 3)),
            nest_constants(network, fixtures_networks.random_latents(network, 3)),
        )
        label = tf.constant([0, 1, 2])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for function in (model.log_prob, model.log_prob_terms):
                self.assertAllClose(tf.function(function)(h, label, z), function(h, label, z), rtol=1e-10)
            graph = tf.function(lambda: model.sample(4, seed=3))()
        self.assertAllClose(tf.function(model.reconstruct)(label, z), model.reconstruct(label, z), rtol=1e-10)
        eager = model.sample(4, seed=3)
        self.assertAllEqual(graph.label, eager.label)
        self.assertAllClose(graph.features, eager.features, rtol=1e-10)
        log_prob = tf.function(lambda s: model.log_prob(s.features, s.label, s.latents))
        self.assertAllClose(log_prob(eager), model.log_prob(eager.features, eager.label, eager.latents), rtol=1e-10)

    @parameterized.parameters(False, True)
    def test_unknown_batch_size(self, jit):
        network = fixtures_networks.everything()
        model = DeconvolutionalGenerativeModel(network, scale=0.5)

        @tf.function(
            input_signature=[tf.TensorSpec((None, 9, 8, 2), tf.float64), tf.TensorSpec((None,), tf.int64)],
            jit_compile=jit,
        )
        def log_prob(features, label):
            return model.log_prob(features, label, network(features)[1])

        for count in (3, 1):
            h, label = tf.constant(fixtures_networks.features(network, count)), np.arange(count)
            self.assertAllClose(log_prob(h, label), model.log_prob(h, label, network(h)[1]), rtol=1e-10)

    def test_half_precision_is_summed_in_float32(self):
        full = fixtures_models.model().network
        with dtype_policy("mixed_bfloat16"):
            half = fixtures_models.model().network
        half.set_weights(full.get_weights())
        h = tf.random.stateless_normal((4, *fixtures_models.IMAGE_SHAPE), (1, 2))
        _, z = full(h)
        values = []
        for network in (full, half):
            with self.assertWarns(UserWarning):
                values.append(DeconvolutionalGenerativeModel(network).log_prob(h, 1, z))
        self.assertEqual(values[1].dtype, tf.float32)
        self.assertAllClose(values[1], values[0], rtol=0.02)

    def test_reconstruct_is_the_feedback_of_the_one_hot_label(self):
        network = fixtures_networks.everything()
        model = DeconvolutionalGenerativeModel(network)
        z, label = fixtures_networks.random_latents(network, 3), np.array([2, 0, 1])
        expected, _ = network.feedback(tf.constant(fixtures_networks.one_hot(label, network)), z)
        self.assertAllClose(model.reconstruct(label, z), expected, rtol=1e-12)
        # The mean that log_prob uses, found by the other way down, is the same.
        peak = model.log_prob_terms(expected, label, z)["features"]
        self.assertAllClose(peak, np.full(3, -np.log(2 * np.pi) * 9 * 8 * 2 / 2), rtol=1e-10)


def nest_constants(network, latents):
    return nest_latents(network, {name: tf.constant(z) for name, z in flatten_latents(network, latents).items()})


def p_value(chi_square, degrees):
    return float(1 - tfd.Chi2(tf.constant(float(degrees), tf.float64)).cdf(tf.constant(chi_square, tf.float64)))


class SampleTest(tf.test.TestCase, parameterized.TestCase):
    def test_frequencies_match_the_bernoulli_means(self):
        network = fixtures_networks.conv()
        model = DeconvolutionalGenerativeModel(network, scale=0.5)
        n = 4000
        sample = model.sample(n, seed=1)
        counts = np.bincount(sample.label, minlength=3)
        expected = n * model.prior.probs_parameter().numpy()
        self.assertGreater(p_value(np.sum((counts - expected) ** 2 / expected), 2), 1e-3)

        values = flatten_latents(network, sample.latents)
        start = tf.constant(fixtures_networks.one_hot(sample.label.numpy(), network))
        _, signals = network.feedback(start, sample.latents)
        positions = {layer.name: index for index, layer in enumerate(network.layers)}
        for site in latent_sites(network):
            # Each unit's mean varies with what is above it, so it is summed draw by draw.
            bias = site.layer.bias.numpy() * signals[positions[site.name]].numpy() if site.name != "ada_pool" else 0.0
            means = np.broadcast_to(1 / (1 + np.exp(-bias)), (n, *site.shape))
            z = values[site.name].numpy()
            self.assertAllInSet(z, [0.0, 1.0])
            deviations = (z - means).sum(0) / np.sqrt((means * (1 - means)).sum(0))
            self.assertGreater(p_value(np.sum(deviations**2), deviations.size), 1e-3, site.name)
        residuals = (sample.features - model.reconstruct(sample.label, sample.latents)).numpy() / 0.5
        self.assertGreater(p_value(np.sum((residuals.sum(0) / np.sqrt(n)) ** 2), 16), 1e-3)
        self.assertAllClose(residuals.std(), 1.0, atol=0.02)

    def test_shapes_nesting_and_seeds(self):
        network = fixtures_networks.everything()
        model = DeconvolutionalGenerativeModel(network)
        sample = model.sample(3, seed=5)
        self.assertIsInstance(sample, Sample)
        _, latents = network(sample.features)
        tf.nest.assert_same_structure(sample.latents, latents)
        shapes = {name: z.shape for name, z in flatten_latents(network, latents).items()}
        self.assertEqual({name: z.shape for name, z in flatten_latents(network, sample.latents).items()}, shapes)
        again, other = model.sample(3, seed=[5, 0]), model.sample(3, seed=6)
        self.assertAllEqual(again.features, sample.features)
        self.assertNotAllClose(other.features, sample.features)
        names = ["ada_relu1", "ada_pool", "identity_block_main_rectifier", "block_main_rectifier"]
        self.assertEqual(list(shapes), [*names, "block_shortcut_tap_rectifier"])

    @parameterized.parameters(2, [[2, 0, 1]])
    def test_given_label(self, label):
        model = DeconvolutionalGenerativeModel(fixtures_networks.dense())
        self.assertAllEqual(model.sample(3, label, seed=0).label, np.broadcast_to(label, 3))


class JointDistributionTest(tf.test.TestCase):
    def test_agrees_with_the_model(self):
        for make in (fixtures_networks.conv, fixtures_networks.everything):
            network = make()
            model = DeconvolutionalGenerativeModel(network, scale=0.5)
            joint = model.joint_distribution()
            draw = joint.sample((2, 3), seed=(1, 2))
            names = ["label", *[site.name for site in reversed(latent_sites(network))], "features"]
            self.assertEqual(list(draw._fields), names)
            log_prob = joint.log_prob(draw)
            self.assertEqual(log_prob.shape, (2, 3))
            flat = {name: tf.reshape(value, (6, *value.shape[2:])) for name, value in draw._asdict().items()}
            latents = nest_latents(network, {site.name: flat[site.name] for site in latent_sites(network)})
            expected = model.log_prob(flat["features"], flat["label"], latents)
            self.assertAllClose(tf.reshape(log_prob, [-1]), expected, rtol=1e-10)
            single = joint.sample(seed=(1, 2))
            self.assertEqual(joint.log_prob(single).shape, ())
            self.assertAllClose(tf.function(joint.log_prob)(draw), log_prob, rtol=1e-10)

    def test_pinned_and_sampled_by_tfp(self):
        """TFP's Hamiltonian Monte Carlo finds p(h | y, z): mean g(0), standard deviation sigma."""
        network = fixtures_networks.dense()
        model = DeconvolutionalGenerativeModel(network, scale=0.5)
        z = fixtures_networks.random_latents(network, 1)
        pinned = model.joint_distribution().experimental_pin(label=1, ada_relu=z[1][0])
        kernel = tfp.mcmc.HamiltonianMonteCarlo(
            lambda h: pinned.unnormalized_log_prob(features=h),
            step_size=tf.constant(0.4, tf.float64),
            num_leapfrog_steps=3,
        )
        start = tf.zeros((64, 3), tf.float64)
        chain = tf.function(
            lambda: tfp.mcmc.sample_chain(60, start, kernel=kernel, num_burnin_steps=20, trace_fn=None, seed=(3, 4))
        )()
        self.assertAllClose(tf.reduce_mean(chain, [0, 1]), model.reconstruct(1, z)[0], atol=0.05)
        self.assertAllClose(tf.math.reduce_std(chain, [0, 1]), np.full(3, 0.5), atol=0.05)


if __name__ == "__main__":
    tf.test.main()
