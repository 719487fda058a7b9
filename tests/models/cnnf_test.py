"""CNNF as a Keras user sees it: fit, evaluate, predict, save, load; errors; dtypes; the objective."""

import json
import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF
from cnnf_tf.models import NETWORKS, reconstruction_loss, trajectory_losses
from cnnf_tf.utils.dtypes import dtype_policy
from cnnf_tf.zoo import load_model
from tests.models import fixtures_models


def trained(model, epochs=2):
    keras.utils.set_random_seed(3)
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
    return model.fit(fixtures_models.dataset(), epochs=epochs, verbose=0).history


class KerasTest(tf.test.TestCase, parameterized.TestCase):
    def test_fit_reports_first_and_last_pass(self):
        history = trained(fixtures_models.model())
        wanted = {"loss", "accuracy", "reconstruction_loss"}
        wanted |= {f"{which}_pass_{what}" for which in ("first", "last") for what in ("loss", "accuracy")}
        self.assertEqual(set(history), wanted)
        self.assertLess(history["loss"][-1], history["loss"][0])

    def test_evaluate_equals_numpy(self):
        model = fixtures_models.model(reconstruction_weight=0.5)
        trained(model, epochs=1)
        scores = model.evaluate(fixtures_models.dataset(), return_dict=True, verbose=0)
        images, labels = fixtures_models.images(24), fixtures_models.labels(24)
        trajectory = model.infer(images)
        logits = trajectory.logits.numpy().astype("float64")
        log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        losses = -log_probabilities[:, np.arange(24), labels].mean(axis=1)
        correct = (logits.argmax(-1) == labels).mean(axis=1)
        targets = [trajectory.features[0], *trajectory.taps[0]]
        errors = [
            np.mean((np.asarray(g, "float64") - np.asarray(target, "float64")) ** 2)
            for bottom, taps in zip(trajectory.reconstructions, trajectory.tap_reconstructions, strict=True)
            for g, target in zip([bottom, *taps], targets, strict=True)
        ]
        self.assertAllClose(scores["first_pass_loss"], losses[0], rtol=1e-4)
        self.assertAllClose(scores["last_pass_loss"], losses[-1], rtol=1e-4)
        self.assertAllClose(scores["first_pass_accuracy"], correct[0])
        self.assertAllClose(scores["last_pass_accuracy"], correct[-1])
        self.assertAllClose(scores["accuracy"], correct[-1])
        self.assertAllClose(scores["reconstruction_loss"], np.mean(errors), rtol=1e-4)
        self.assertAllClose(scores["loss"], losses.mean() + 0.5 * np.mean(errors), rtol=1e-4)

    def test_predict_is_the_readout(self):
        images = fixtures_models.images(5)
        for readout in ("last", "average"):
            model = fixtures_models.model(readout=readout)
            logits = model.infer(images).logits
            expected = logits[-1] if readout == "last" else tf.reduce_mean(logits, axis=0)
            self.assertAllClose(model.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-6)
            self.assertAllClose(model(images), expected, rtol=1e-5, atol=1e-6)

    @parameterized.parameters(False, True)
    def test_save_and_load(self, with_encoder):
        model = fixtures_models.model(with_encoder=with_encoder, readout="average", feedback_start="softmax")
        trained(model)
        path = os.path.join(self.get_temp_dir(), "model.keras")
        model.save(path)
        copy = load_model(path)
        self.assertTrue(json.dumps(copy.get_config()) == json.dumps(model.get_config()))
        images = fixtures_models.images(4)
        self.assertAllEqual(copy.infer(images).logits, model.infer(images).logits)
        # Training goes on as if nothing had happened, optimiser state and all.
        keras.utils.set_random_seed(5)
        expected = model.fit(fixtures_models.dataset(), verbose=0).history
        keras.utils.set_random_seed(5)
        self.assertAllClose(copy.fit(fixtures_models.dataset(), verbose=0).history, expected, rtol=1e-5)

    def test_fit_twice_equals_fresh_objects(self):
        model, images = fixtures_models.model(), fixtures_models.images(4)
        first = trained(model)
        weights = model.get_weights()
        again = fixtures_models.model()
        self.assertAllClose(trained(again), first, rtol=1e-5)
        self.assertAllClose(again.get_weights(), weights, rtol=1e-4, atol=1e-6)
        model.fit(fixtures_models.dataset(), verbose=0)
        again.infer(images)
        again.fit(fixtures_models.dataset(), verbose=0)
        self.assertAllClose(again.get_weights(), model.get_weights(), rtol=1e-4, atol=1e-6)

    def test_user_metrics_and_one_hot_labels(self):
        model = fixtures_models.model()
        model.compile(
            "sgd", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["top_k_categorical_accuracy"]
        )
        one_hot = keras.utils.to_categorical(fixtures_models.labels(6), 3)
        history = model.fit(fixtures_models.images(6), one_hot, verbose=0).history
        self.assertEqual(history["top_k_categorical_accuracy"], [1.0])
        self.assertIn("accuracy", history)

    @parameterized.parameters("graph", "xla")
    def test_modes_agree(self, mode):
        model, images = fixtures_models.model(with_encoder=True), fixtures_models.images(4)
        infer = tf.function(
            lambda x: model.infer(x, iterations=3),
            input_signature=[tf.TensorSpec((None, *fixtures_models.IMAGE_SHAPE))],
            jit_compile=mode == "xla",
        )
        for count in (4, 1):
            expected = model.infer(images[:count], iterations=3)
            actual = infer(images[:count])
            self.assertAllClose(actual.logits, expected.logits, rtol=1e-4, atol=1e-5)
            self.assertAllClose(actual.reconstructions, expected.reconstructions, rtol=1e-4, atol=1e-5)

    def test_empty_batch_is_an_error_and_not_the_end_of_the_process(self):
        model = fixtures_models.model()
        for infer in (
            model.infer,
            tf.function(model.infer, input_signature=[tf.TensorSpec((None, *fixtures_models.IMAGE_SHAPE))]),
        ):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "at least one image"):
                infer(fixtures_models.images(1)[:0])

    def test_training_horizon(self):
        """The pass after n burn_in iterations is the pass that a longer loop arrives at."""
        model, images = fixtures_models.model(iterations=1), fixtures_models.images(3)
        for burn_in in (0, 3):
            short = model.infer(images, burn_in=tf.constant(burn_in))
            long = model.infer(images, iterations=2 + burn_in)
            self.assertLen(short.features, 3)
            self.assertAllEqual(short.logits[:2], long.logits[:2])
            self.assertAllClose(short.logits[2], long.logits[-1], rtol=1e-6, atol=1e-6)
            self.assertAllClose(short.reconstructions[1], long.reconstructions[-1], rtol=1e-6, atol=1e-6)

    def test_no_gradient_through_burn_in(self):
        model, images = fixtures_models.model(iterations=1), fixtures_models.images(3)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images)
            late = tf.reduce_sum(model.infer(images, burn_in=tf.constant(2)).logits[-1])
            early = tf.reduce_sum(model.infer(images, iterations=3).logits[-1])
        self.assertGreater(tf.norm(tape.gradient(early, images)), 0.0)
        gradient = tape.gradient(late, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self.assertAllEqual(gradient, tf.zeros_like(images))

    def test_fit_draws_the_horizon_from_the_step(self):
        model = fixtures_models.model(iterations=1, training_horizon=5)
        drawn = [int(model.burn_in_iterations(tf.constant(step))) for step in range(40)]
        self.assertEqual(drawn, [int(model.burn_in_iterations(tf.constant(step))) for step in range(40)])
        self.assertEqual(set(drawn), {0, 1, 2, 3})
        model.compile(optimizer="sgd")
        self.assertTrue(np.isfinite(model.fit(fixtures_models.dataset(), verbose=0).history["loss"][0]))
        self.assertIsNone(fixtures_models.model().burn_in_iterations(tf.constant(0)))

    @parameterized.parameters(1, -1, True, 2.5)
    def test_rejects_horizon(self, horizon):
        with self.assertRaisesRegex(ValueError, "training_horizon must be 0 .* or an integer above K"):
            fixtures_models.model(iterations=2, training_horizon=horizon)

    def test_gradients_match_finite_differences_through_the_loop(self):
        with dtype_policy("float64"):
            network = fixtures_models.network()
            network.layers[-1] = type(network.layers[-1])(3, use_bias=True, dtype="float64")
            model = CNNF(network, image_shape=fixtures_models.IMAGE_SHAPE, iterations=2)
        images = tf.cast(0.25 + 0.5 * fixtures_models.images(1), tf.float64)
        theoretical, numerical = tf.test.compute_gradient(lambda x: model.infer(x).logits, [images], delta=1e-6)
        self.assertAllClose(theoretical, numerical, rtol=1e-4, atol=1e-6)

    def test_mixed_bfloat16(self):
        with dtype_policy("mixed_bfloat16"):
            half = fixtures_models.model()
        full = fixtures_models.model()
        half.set_weights(full.get_weights())
        images = fixtures_models.images(16)
        trajectory = half.infer(images, iterations=1)
        self.assertEqual(trajectory.logits.dtype, tf.float32)
        self.assertEqual(trajectory.features[1].dtype, tf.bfloat16)
        self.assertAllClose(trajectory.logits[0], full.infer(images).logits[0], rtol=0.05, atol=0.05)
        history = trained(half)
        self.assertTrue(np.isfinite(history["loss"]).all())
        self.assertEqual({weight.dtype for weight in half.weights}, {"float32"})

    def test_reconstruct_is_in_pixel_units(self):
        model, images = fixtures_models.model(), fixtures_models.images(2)
        pictures = model.reconstruct(images, iterations=3)
        self.assertEqual(pictures.shape, (3, 2, *fixtures_models.IMAGE_SHAPE))
        expected = np.clip(model.infer(images, iterations=3).reconstructions[2] * 0.5 + 0.5, 0, 1)
        self.assertAllClose(pictures[2], expected)
        sketch = fixtures_models.model(with_encoder=True).reconstruct(images, iterations=1)
        self.assertEqual(sketch.shape, (1, 2, *fixtures_models.IMAGE_SHAPE))
        self.assertAllInRange(sketch, 0.0, 1.0)
        with self.assertRaisesRegex(ValueError, "at least 1 iteration"):
            model.reconstruct(images, iterations=0)


class MirroredTest(tf.test.TestCase):
    def test_two_replicas_equal_one(self):
        """`fit` under MirroredStrategy on two logical CPUs gives the weights and metrics of one device."""
        devices = tf.config.list_logical_devices("CPU")
        self.assertLen(devices, 2, "tests/conftest.py makes two logical CPUs")
        histories, weights = [], []
        for strategy in (tf.distribute.OneDeviceStrategy("CPU:0"), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
            with strategy.scope():
                model = fixtures_models.model()
                model.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
            histories.append(model.fit(fixtures_models.dataset(), epochs=2, verbose=0).history)
            weights.append(model.get_weights())
        self.assertAllClose(histories[0], histories[1], rtol=1e-4)
        self.assertAllClose(weights[0], weights[1], rtol=1e-4, atol=1e-5)


class ObjectiveTest(tf.test.TestCase):
    def test_plain_cnn_has_no_reconstruction(self):
        trajectory = fixtures_models.model().infer(fixtures_models.images(2), iterations=0)
        self.assertEqual(float(reconstruction_loss(trajectory)), 0.0)
        losses = trajectory_losses(trajectory, tf.reduce_sum, reconstruction_weight=3.0)
        self.assertAllClose(losses.total, tf.reduce_sum(trajectory.logits))

    def test_gradients_flow_through_both_sides_of_the_taps(self):
        model = fixtures_models.model()
        with tf.GradientTape() as tape:
            loss = reconstruction_loss(model.infer(fixtures_models.images(2), iterations=1))
        conv1 = model.network.layers[0].kernel
        self.assertGreater(float(tf.norm(tape.gradient(loss, conv1.value))), 0.0)


class ErrorsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ((8, 8, 1), "float32", r"wants images \[batch, 8, 8, 1\].*got shape \(8, 8, 1\)"),
        ((2, 9, 8, 1), "float32", r"got shape \(2, 9, 8, 1\)"),
        ((2, 8, 8, 3), "float32", r"got shape \(2, 8, 8, 3\)"),
        ((2, 8, 8, 1), "uint8", "wants float images with pixels in .* got uint8; divide uint8 by 255"),
    )
    def test_bad_images(self, shape, dtype, message):
        with self.assertRaisesRegex(ValueError, message):
            fixtures_models.model().infer(np.zeros(shape, dtype))

    @parameterized.parameters(255.0, -1.0, np.nan)
    def test_pixels_out_of_range(self, value):
        images = np.full((1, 8, 8, 1), value, "float32")
        for infer in (fixtures_models.model().infer, tf.function(fixtures_models.model().infer)):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r"pixels in \[0, 1\]"):
                infer(images)

    @parameterized.parameters(
        ({"iterations": -1}, "iterations must be an integer >= 0"),
        ({"eta": 1.5}, r"eta must be a number in \[0, 1\], got 1.5"),
        ({"readout": "first"}, r"readout must be one of \['average', 'last'\], got 'first'"),
        ({"feedback_start": "label"}, "feedback_start must be one of"),
        ({"reconstruction_weight": -0.1}, "reconstruction_weight must be >= 0"),
        ({"pixel_scale": 0}, "pixel_scale must be > 0"),
        ({"image_shape": (8, 8)}, "image_shape must be"),
    )
    def test_bad_arguments(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            fixtures_models.model(**arguments)

    def test_unknown_network(self):
        with self.assertRaisesRegex(ValueError, r"one of \['fashion_cnn', 'wide_resnet'\], got 'vgg'"):
            CNNF.from_name("vgg", image_shape=(8, 8, 1), network={})

    @parameterized.parameters(
        ("fashion_cnn", {"encoder_blocks": 3}, "encoder_blocks must be an integer from 0 .* to 2"),
        ("wide_resnet", {"depth": 12}, r"depth must be 6 n \+ 4"),
        ("wide_resnet", {"depth": 10, "encoder_blocks": 2}, "to 1 for this network, got 2"),
        ("fashion_cnn", {"rule": "nope"}, "rule must be one of"),
        ("fashion_cnn", {"num_classes": 0}, "num_classes must be a positive integer"),
    )
    def test_bad_networks(self, name, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            NETWORKS[name](**arguments)


if __name__ == "__main__":
    tf.test.main()
