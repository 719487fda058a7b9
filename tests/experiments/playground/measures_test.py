"""What the playground measures: that of the library, at any eta and radius, with one trace."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.data import corrupt
from cnnf_tf.experiments.playground.measures import ATTACK, ATTACK_STEPS, MOST_ITERATIONS, Change, Lab, Network
from cnnf_tf.generative.self_consistency import self_consistency
from tests.bin.binaries import small_model
from tests.models import fixtures_models

IMAGE = np.random.default_rng(0).uniform(0, 1, (28, 28, 1)).astype("float32")


class MeasuresTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(({},), ({"with_encoder": True, "readout": "average", "feedback_start": "softmax"},))
    def test_passes_are_those_of_the_library(self, settings):
        model = small_model(**settings)
        network = Network(model)
        for eta in (0.1, 0.7):
            found = network.passes(IMAGE, eta)
            wanted = model.infer(IMAGE[None], iterations=MOST_ITERATIONS, eta=eta)
            last = found.probabilities[3]
            logits = wanted.logits[:4] if model.readout == "average" else wanted.logits[3:4]
            self.assertAllClose(last, tf.nn.softmax(tf.reduce_mean(logits, 0))[0], atol=1e-5)
            measured = self_consistency(wanted, model.network)
            self.assertAllClose(found.feature_residual, measured.feature_residual[:, 0], rtol=1e-3)
            self.assertAllClose(found.latent_flip_rate, measured.latent_flip_rate[:, 0], atol=2e-3)
            self.assertAllEqual(found.image, IMAGE)
        self.assertEqual(found.features.shape, (MOST_ITERATIONS + 1, 28, 28, 1))
        self.assertEqual(found.reconstructions.shape, (MOST_ITERATIONS, 28, 28, 1))
        if model.encoder is None:
            self.assertAllClose(found.features[0], IMAGE, atol=1e-6)
        own = network.passes(IMAGE, network.eta).reconstructions[:2]
        self.assertAllClose(own, model.reconstruct(IMAGE[None], iterations=2)[:, 0], atol=1e-4)
        self.assertEqual(network._passes.experimental_get_tracing_count(), 1)

    def test_attack(self):
        model = small_model()
        network, plain = Network(model), Network(model, plain=True)
        label = int(np.argmax(model.predict_on_batch(IMAGE[None])[0]))
        network.attacked(IMAGE, None, 0.1)
        with fixtures_models.counted_traces() as traces:
            for radius in (0.0, 0.05, 0.2):
                found = network.attacked(IMAGE, None, radius)
                self.assertAllClose(found, network.attacked(IMAGE, label, radius))  # what the model sees is its label
                self.assertLessEqual(np.abs(found - IMAGE).max(), radius + 1e-6)
        self.assertEmpty(traces)
        pgd = attacks.PGD(epsilon=0.2, steps=ATTACK_STEPS, random_start=False, early_stop=False)
        wanted = pgd.bind(attacks.predictor(model)).perturb(IMAGE[None], [label], seed=0)
        self.assertAllClose(found, wanted[0], atol=1e-6)
        self.assertNotAllClose(found, network.attacked(IMAGE, (label + 1) % 10, 0.2))
        self.assertNotAllClose(found, plain.attacked(IMAGE, label, 0.2))

    def test_lab(self):
        lab = Lab(small_model(), small_model(iterations=0))
        parts = dict(lab.preparations())
        attacks_on = ["the attack on the CNN", "the attack on the CNN-F"]
        self.assertEqual(list(parts), ["the CNN", "the CNN-F", "the corruptions", *attacks_on])
        for prepare in parts.values():
            prepare()
        cnnf, cnn = lab.watch(IMAGE, None, Change(), 0.3)
        self.assertLen(cnnf.probabilities, MOST_ITERATIONS + 1)
        self.assertLen(cnn.probabilities, 1)
        self.assertEmpty(cnn.reconstructions)
        self.assertAllClose(cnnf.probabilities[0], cnn.probabilities[0], atol=1e-6)  # small models have equal weights
        noisy = corrupt(IMAGE[None], "shot_noise", 2, seed=0)[0]
        for found in lab.watch(IMAGE, 4, Change("shot_noise", severity=2), 0.3):
            self.assertAllEqual(found.image, noisy)
        cnnf, cnn = lab.watch(IMAGE, 4, Change(ATTACK, radius=0.1), 0.3)
        self.assertNotAllClose(cnnf.image, cnn.image)
        self.assertNotAllClose(cnnf.image, IMAGE)
        for network in (lab.cnnf, lab.cnn):
            self.assertEqual(network._passes.experimental_get_tracing_count(), 1)

    def test_neither_grey_nor_colour(self):
        with self.assertRaisesRegex(ValueError, r"wants a model for grey or colour images, got \(28, 28, 2\)"):
            Network(small_model(image_shape=(28, 28, 2)))

    def test_steps_of_a_model(self):
        self.assertEqual((Network(small_model(eta=0.3)).eta, Network(small_model()).own_eta_is_one_number), (0.3, True))
        network = Network(small_model(eta={"h": 0.5, "*": 0.1}))
        self.assertEqual((network.eta, network.own_eta_is_one_number), (0.5, False))

    def test_errors(self):
        model = small_model()
        with self.assertRaisesRegex(ValueError, "the same image_shape, got .28, 28, 1. and .8, 8, 1."):
            Lab(model, small_model((8, 8, 1)))
        with self.assertRaisesRegex(ValueError, "eta must be .* 1.5"):
            Lab(model, model).watch(IMAGE, None, Change(), 1.5)
        model.image_shape = (None, None, 1)
        with self.assertRaisesRegex(ValueError, "wants a model for images of one size, got .None, None, 1."):
            Network(model)
        for settings, message in (
            ({"kind": "rain"}, "kind must be one of .'attack'.*shot_noise"),
            ({"severity": 6}, "severity must be one of .1, 2, 3, 4, 5., got 6"),
            ({"radius": 2.0}, "radius must be .* 2.0"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                Change(**settings)


if __name__ == "__main__":
    tf.test.main()
