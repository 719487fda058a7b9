"""Self-consistency of a trajectory, against NumPy, and its summary over a data set."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import layers
from cnnf_tf.generative import SelfConsistency, self_consistency, summarize_self_consistency
from cnnf_tf.models import unroll
from tests.generative import fixtures_networks
from tests.models import fixtures_models


class SelfConsistencyTest(tf.test.TestCase, parameterized.TestCase):
    def test_matches_numpy(self):
        model, images = fixtures_models.model(), fixtures_models.images(6)
        trajectory = model.infer(images, iterations=3)
        found = self_consistency(trajectory, model.network)
        self.assertIsInstance(found, SelfConsistency)
        labels = trajectory.logits.numpy().argmax(-1)
        for t in range(1, 4):
            self.assertAllEqual(found.label_changed[t - 1], (labels[t] != labels[t - 1]).astype("float32"))
            # The tiny network's latents: in a tap, a pool, and the main branch of a residual block.
            rows = [
                np.concatenate([np.reshape(z, (6, -1)) for z in (latents[2][0], latents[3], latents[5][0][1])], axis=1)
                for latents in trajectory.latents[t - 1 : t + 1]
            ]
            self.assertAllClose(found.latent_flip_rate[t - 1], (rows[0] != rows[1]).mean(1), rtol=1e-6)
            h, g = (np.reshape(part[t - 1], (6, -1)) for part in (trajectory.features, trajectory.reconstructions))
            residual = np.linalg.norm(h - g, axis=1) / np.linalg.norm(h, axis=1)
            self.assertAllClose(found.feature_residual[t - 1], residual, rtol=1e-5)
        self.assertGreater(np.max(found.latent_flip_rate), 0)

    def test_zero_at_a_self_consistent_state(self):
        """One unit with unit weights: h = 1 is rendered from its own label and latent, and nothing moves."""
        with fixtures_networks.float64():
            network = layers.FeedbackSequential(
                [layers.FeedbackDense(1), layers.AdaReLU(use_bias=False), layers.FeedbackDense(2)]
            )
            network.build((None, 1))
        network.set_weights([np.array([[1.0]]), np.array([[1.0, -1.0]])])
        features = tf.constant([[1.0], [0.5], [0.0]], tf.float64)
        trajectory = unroll(network, features, iterations=2, eta=0.5, feedback_start="one_hot")
        found = self_consistency(trajectory, network)
        self.assertAllEqual(found.label_changed, np.zeros((2, 3)))
        self.assertAllEqual(np.stack(found)[:, :, 0], np.zeros((3, 2)))
        self.assertAllClose(found.feature_residual[:, 1], [1.0, 1 / 3])
        self.assertAllInRange(found.feature_residual[:, 2], 0.0, 1.0)  # h = 0 divides by nothing
        self.assertEqual(found.feature_residual.dtype, tf.float64)

    def test_plain_cnn_and_no_latents(self):
        model = fixtures_models.model()
        found = self_consistency(model.infer(fixtures_models.images(3), iterations=0), model.network)
        self.assertEqual([part.shape for part in found], [(0, 3)] * 3)
        network = layers.FeedbackSequential([layers.FeedbackDense(2)])
        trajectory = unroll(network, tf.ones((3, 4)), iterations=2, eta=0.1)
        self.assertAllEqual(self_consistency(trajectory, network).latent_flip_rate, np.zeros((2, 3)))

    def test_graph_equals_eager(self):
        model, images = fixtures_models.model(), fixtures_models.images(4)
        expected = self_consistency(model.infer(images), model.network)
        for jit in (False, True):
            graph = tf.function(lambda x: self_consistency(model.infer(x), model.network), jit_compile=jit)(images)
            self.assertAllClose(graph, expected, rtol=1e-4, atol=1e-5)

    def test_latents_of_another_network(self):
        model = fixtures_models.model()
        with self.assertRaisesRegex(ValueError, "pass latents of this very network"):
            self_consistency(model.infer(fixtures_models.images(2)), fixtures_networks.conv())


class SummaryTest(tf.test.TestCase):
    def test_equals_the_mean_over_images(self):
        model, images = fixtures_models.model(), fixtures_models.images(10)
        found = self_consistency(model.infer(images, iterations=3, eta=0.5), model.network)
        dataset = tf.data.Dataset.from_tensor_slices((images, fixtures_models.labels(10))).batch(4)
        summary = summarize_self_consistency(model, dataset, iterations=3, eta=0.5)
        self.assertEqual(summary.num_images, 10)
        for name, values in found._asdict().items():
            self.assertAllClose(getattr(summary, name), np.mean(values, axis=1), rtol=1e-5, atol=1e-6)
        self.assertEqual(set(summary.to_dict()), {"num_images", *found._fields})

    def test_padding_does_not_count(self):
        model, images = fixtures_models.model(), fixtures_models.images(6)
        expected = summarize_self_consistency(model, tf.data.Dataset.from_tensors(images))
        padded = tf.concat([images, fixtures_models.images(2, seed=9)], axis=0)
        mask = tf.constant([1] * 6 + [0] * 2)
        batches = tf.data.Dataset.from_tensor_slices((padded, fixtures_models.labels(8), mask)).batch(4)
        found = summarize_self_consistency(model, batches)
        self.assertEqual(found.num_images, 6)
        for name, values in expected.to_dict().items():
            self.assertAllClose(getattr(found, name), values, rtol=1e-5)

    def test_errors(self):
        model, images = fixtures_models.model(), fixtures_models.images(2)
        with self.assertRaisesRegex(ValueError, "empty or masked out; wanted at least one image"):
            summarize_self_consistency(model, tf.data.Dataset.from_tensors(images).take(0))
        bad = tf.data.Dataset.from_tensors((images, [0, 1], [0.5, 1.0]))
        with self.assertRaisesRegex(ValueError, "one 0 or 1 for each of the 2 images"):
            summarize_self_consistency(model, bad)


if __name__ == "__main__":
    tf.test.main()
