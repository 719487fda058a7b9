"""Pictures of the generative model: against a walk by hand, by seed, and the errors."""

import pathlib
import warnings

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, evaluation, layers
from cnnf_tf.evaluation import sampling
from tests.models import fixtures_models


def one_rectifier():
    """conv - AdaReLU - flatten - dense: small enough to walk down by hand."""
    network = layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(2, 1, name="conv"),
            layers.AdaReLU(name="ada_relu"),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(3, use_bias=True, name="fc"),
        ],
        name="network",
    )
    model = CNNF(network, image_shape=(4, 4, 1), iterations=1)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.standard_normal(variable.shape))
    return model


class SamplingTest(tf.test.TestCase, parameterized.TestCase):
    def test_templates_match_a_walk_by_hand(self):
        model = one_rectifier()
        generative, notes = evaluation.generative_model(model)
        self.assertEmpty(notes)
        found = evaluation.class_templates(model, generative, [2, 0], num_samples=4000, seed=3)
        conv, _, _, fc = model.network.layers
        signal = fc.kernel.numpy()[:, [2, 0]].T.reshape(2, 4, 4, 2)
        bias = model.network.layers[1].bias.numpy()
        means = 1 / (1 + np.exp(-bias * signal))
        kernel = conv.kernel.numpy()[0, 0, 0]
        for name, latents in (("ones", 1.0), ("means", means), ("samples", means)):
            wanted = np.clip(((latents * signal) @ kernel)[..., None] / 2 + 0.5, 0, 1)
            # With one layer of latents E[g(0) | y] is the mean field: 4000 draws come near it.
            self.assertAllClose(found[name], wanted, atol=0.1 if name == "samples" else 1e-5)

    def test_samples_depend_on_seed_and_label_alone(self):
        model = fixtures_models.model()
        generative, notes = evaluation.generative_model(model)
        self.assertEqual(notes[0], "instance normalisation is not linear")
        first, again, other_seed, other_label = (
            evaluation.sample_pictures(model, generative, label, num_samples=5, seed=seed)
            for label, seed in ((1, 0), (1, 0), (1, 1), (2, 0))
        )
        self.assertEqual(first.shape, (5, 8, 8, 1))
        self.assertAllEqual(first, again)
        self.assertNotAllClose(first, other_seed)
        self.assertNotAllClose(first, other_label)
        self.assertBetween(first.min(), 0, 1)
        self.assertBetween(first.max(), 0, 1)
        alone = evaluation.class_templates(model, generative, [1], num_samples=5, seed=0)["samples"]
        among = evaluation.class_templates(model, generative, [0, 1, 2], num_samples=5, seed=0)["samples"]
        self.assertAllEqual(alone[0], among[1])

    def test_no_warning_escapes(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            evaluation.generative_model(fixtures_models.model())

    def test_inferred_latents_are_those_of_the_last_pass(self):
        model = fixtures_models.model(iterations=2)
        generative, _ = evaluation.generative_model(model)
        site = sampling.latent_site(generative)
        self.assertEqual((site.name, site.shape), ("ada_relu1", (8, 8, 4)))
        found = evaluation.compare_latents(model, generative, fixtures_models.images(4), site=site, seed=0)
        trajectory = model.infer(fixtures_models.images(4))
        self.assertAllEqual(found.labels, trajectory.logits[-1].numpy().argmax(-1))
        (latent,) = trajectory.latents[-1][2]  # inside a tap
        self.assertAllClose(found.inferred_map, latent.numpy().mean(-1))
        one_hot = tf.one_hot(found.labels, 3)
        below = model.network.feedback(one_hot, trajectory.latents[-1])[0]
        self.assertAllClose(found.inferred, model.to_pixels(below))
        self.assertNotAllClose(found.inferred, found.drawn)
        rendered = evaluation.render_through(model, generative, fixtures_models.images(4), int(found.labels[0]))
        self.assertAllClose(rendered[0], found.inferred[0])

    def test_fair_coins_are_half(self):
        found = sampling.bernoulli_means(evaluation.generative_model(fixtures_models.model())[0], 0)
        self.assertEqual(list(found), ["ada_relu1", "ada_pool", "ada_relu2"])
        self.assertEqual(found["ada_pool"], {"mean": 0.5, "mean_distance_to_half": 0.0})

    def test_errors(self):
        model = fixtures_models.model()
        generative, _ = evaluation.generative_model(model)
        for labels in ([3], [-1], [], 0):
            with self.assertRaisesRegex(ValueError, r"class ids \[count\] in \[0, 2\]"):
                evaluation.class_templates(model, generative, np.array(labels, np.int32), num_samples=1, seed=0)
        with self.assertRaisesRegex(ValueError, r"class ids in \[0, 2\], got values from 3"):
            evaluation.sample_pictures(model, generative, 3, num_samples=1, seed=0)
        with self.assertRaisesRegex(ValueError, "n must be a positive integer, got 0"):
            evaluation.sample_pictures(model, generative, 0, num_samples=0, seed=0)
        with self.assertRaisesRegex(ValueError, r"wanted one of .*'ada_relu1', 'ada_pool', 'ada_relu2'.*got 'nothing'"):
            sampling.latent_site(generative, "nothing")
        with_encoder = fixtures_models.model(with_encoder=True)
        with self.assertRaisesRegex(
            ValueError, "whose h is the image .encoder_blocks = 0.: here h is the output of an encoder"
        ):
            evaluation.sample_pictures(with_encoder, generative, 0, num_samples=1, seed=0)


class PictureGridTest(tf.test.TestCase):
    def test_same_input_same_bytes(self):
        values = np.random.default_rng(0).random((2, 3, 8, 8, 3))
        rows = [[evaluation.Picture(picture, "caption") for picture in row] for row in values]
        paths = [pathlib.Path(self.create_tempdir().full_path, "deep", f"{name}.png") for name in "xy"]
        for path in paths:
            evaluation.picture_grid(
                path, rows, title="t", caption="word " * 99, row_titles=["a", "b"], column_titles=["c", "d", "e"]
            )
        self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())
        self.assertEqual(paths[0].read_bytes()[:4], b"\x89PNG")


if __name__ == "__main__":
    tf.test.main()
