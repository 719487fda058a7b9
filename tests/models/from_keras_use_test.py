"""What a converted network must do like every other CNNF: run, train, be attacked, be saved and exported."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

import cnnf_tf
from cnnf_tf import CNNF, attacks, layers, models, serving
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_keras

_RELOAD = (
    "import sys, numpy, cnnf_tf; numpy.save(sys.argv[3], cnnf_tf.load_model(sys.argv[1])(numpy.load(sys.argv[2])))"
)


def converted(**options):
    keras.utils.set_random_seed(0)
    return CNNF.from_keras(fixtures_keras.NETWORKS["residual"](), **({"preprocessing": "torch"} | options))


class UseTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = converted(iterations=3)
        cls.images = tf.constant(fixtures_keras.images(fixtures_keras.residual(), 6))
        cls.labels = tf.constant([0, 1, 2, 3, 4, 0])

    def test_modes_agree(self):
        eager = self.model.infer(self.images).logits
        self.assertAllInRange(eager, -1e3, 1e3)
        for jit in (False, True):
            traced = tf.function(lambda images: self.model.infer(images).logits, jit_compile=jit)
            self.assertAllClose(traced(self.images), eager, rtol=1e-4, atol=1e-4)
        adaptive = tf.function(models.infer_adaptive)(self.model, self.images, max_iterations=3, tolerance=0.0)
        self.assertAllClose(adaptive.last_logits, eager[-1], rtol=1e-4, atol=1e-4)

    def test_every_unit_listens_to_the_signal(self):
        """A second pass with signals of the other sign gives another output."""
        first = self.model.infer(self.images, iterations=1, eta=0.0)
        plain = self.model.infer(self.images, iterations=0)
        self.assertNotAllClose(first.logits[1], plain.logits[0])

    def test_reload_elsewhere(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        self.model.save(folder / "model.keras")
        np.save(folder / "images.npy", self.images)
        command = [
            sys.executable,
            "-c",
            _RELOAD,
            *(str(folder / name) for name in ("model.keras", "images.npy", "y.npy")),
        ]
        root = str(pathlib.Path(cnnf_tf.__file__).parents[1])
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": root})
        self.assertAllEqual(np.load(folder / "y.npy"), self.model(self.images))

    def test_export(self):
        """`export_model` itself compares what a fresh process gets, in Python and through the C API."""
        folder = pathlib.Path(self.create_tempdir().full_path) / "resnet"
        options = serving.ServingOptions.for_model(self.model, max_iterations=3, chunk_size=4, max_images=8)
        names = [str(label) for label in range(fixtures_keras.SMALL_CLASSES)]
        images = self.images.numpy()
        serving.export_model(self.model, folder, options=options, class_names=names, images=images, name="resnet")

    def test_attacks_along_both_paths(self):
        attack = attacks.PGD(epsilon=0.1, steps=3, early_stop=False)
        for path in attacks.GradientPath:
            bound = attack.bind(attacks.predictor(self.model), surrogate=attacks.gradient_source(self.model, path))
            found = bound.perturb(self.images, self.labels, seed=0)
            self.assertAllInRange(found - self.images, -0.1001, 0.1001)
            self.assertNotAllEqual(found, self.images)

    def test_training_reduces_the_reconstruction_loss(self):
        model = converted(iterations=1, reconstruction_weight=10.0)
        model.compile(keras.optimizers.Adam(2e-3))
        before = model.evaluate(self.images, self.labels, verbose=0, return_dict=True)
        statistics = [v.numpy() for v in model.non_trainable_variables if "moving" in v.name]
        model.fit(self.images, self.labels, batch_size=6, epochs=20, verbose=0)
        after = model.evaluate(self.images, self.labels, verbose=0, return_dict=True)
        self.assertLess(after["reconstruction_loss"], before["reconstruction_loss"])
        self.assertLess(after["loss"], before["loss"])
        self.assertAllEqual(statistics, [v.numpy() for v in model.non_trainable_variables if "moving" in v.name])

    def test_statistics_that_are_not_frozen(self):
        model = converted(iterations=1, frozen=False)
        model.compile(keras.optimizers.SGD(0.0))
        before = model.get_weights()
        model.train_on_batch(self.images, self.labels)
        after = [v.numpy() for v in model.weights]
        moved = [
            v.name for v, old, new in zip(model.weights, before, after, strict=True) if not np.array_equal(old, new)
        ]
        self.assertAllInSet(moved, ["moving_mean", "moving_variance"])
        self.assertLen(moved, 10)

    def test_bfloat16(self):
        with dtype_policy("mixed_bfloat16"):
            half = converted(iterations=1)
        logits = half.infer(self.images).logits
        self.assertEqual(logits.dtype, tf.float32)
        self.assertAllClose(logits[0], self.model.infer(self.images).logits[0], rtol=0.1, atol=0.1)

    def test_any_size(self):
        any_size = CNNF.from_keras(fixtures_keras.disturbed(fixtures_keras.residual(None)), iterations=2)
        any_size.set_weights(converted(iterations=2).get_weights())
        fixed = CNNF.from_keras(fixtures_keras.disturbed(fixtures_keras.residual()), iterations=2)
        fixed.set_weights(any_size.get_weights())
        spec = [tf.TensorSpec((None, None, None, 3))]
        traced = tf.function(lambda images: any_size.infer(images).logits, input_signature=spec)
        self.assertAllClose(traced(self.images), fixed.infer(self.images).logits, rtol=1e-4, atol=1e-4)
        odd = tf.random.stateless_uniform((2, 21, 30, 3), (1, 2))
        self.assertAllClose(traced(odd), any_size.infer(odd).logits, rtol=1e-4, atol=1e-4)
        self.assertEqual(any_size.reconstruct(odd).shape, (2, *odd.shape))
        with self.assertRaisesRegex(ValueError, r"wants images \[batch, any, any, 3\]"):
            any_size(tf.zeros((1, 16, 16, 1)))


class RematerializeTest(tf.test.TestCase):
    def test_gradients_are_the_same(self):
        """Of a network of any size, whose latents are tuples, slopes and zeros and ones, with dropout and a horizon.

        The masks of both start from one seed, and differ where one of them is drawn twice.
        """
        inputs = keras.Input((None, None, 3))
        trunk = keras.layers.MaxPooling2D(3, 2)(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
        trunk = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="gelu")(trunk))
        top = keras.layers.Dropout(0.5, seed=1)(keras.layers.GlobalMaxPooling2D()(trunk))
        original = fixtures_keras.disturbed(keras.Model(inputs, keras.layers.Dense(5)(top)))
        images, found = tf.random.stateless_uniform((2, 12, 13, 3), (1, 2)), []
        for rematerialize in (False, True):
            model = CNNF.from_keras(original, iterations=2, rematerialize=rematerialize, training_horizon=4)

            @tf.function
            def gradients(model=model):
                with tf.GradientTape() as tape:
                    trajectory = model.infer(images, training=True, burn_in=tf.constant(1))
                    loss = tf.reduce_sum(trajectory.logits**2) + tf.reduce_sum(trajectory.reconstructions[-1] ** 2)
                return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

            found.append(gradients())
        for wanted, got in zip(*found, strict=True):
            self.assertAllClose(wanted, got, rtol=1e-3, atol=1e-4 * float(tf.reduce_max(tf.abs(wanted))))


class LayersInTrainingTest(tf.test.TestCase):
    def test_dropout_has_one_mask_for_all_passes_up_and_down(self):
        dropout = layers.FeedbackDropout(keras.layers.Dropout(0.5, seed=1))
        ones = tf.ones((4, 50))
        first, latent = dropout(ones, training=True)
        below, signal, _ = dropout.pass_down(ones, latent)
        again, kept = dropout(ones, signal, training=True)
        self.assertAllInSet(first.numpy(), [0.0, 2.0])
        self.assertAllEqual(below, first)
        self.assertAllEqual(again, first)
        self.assertAllEqual(kept[0], latent[0])
        self.assertNotAllEqual(dropout(ones, training=True)[0], first)

    def test_batch_norm_of_a_batch(self):
        """Unfrozen, the first pass moves the statistics as Keras does, and the later ones use those of its batch."""
        norm = layers.FeedbackBatchNorm(keras.layers.BatchNormalization(momentum=0.5), frozen=False)
        plain = keras.layers.BatchNormalization(momentum=0.5)
        features, others = tf.random.stateless_normal((2, 8, 3), (1, 2))
        output, latent = norm(features, training=True)
        self.assertAllClose(output, plain(features, training=True))
        self.assertAllClose(norm.layer.moving_mean, plain.moving_mean)
        mean, variance = tf.nn.moments(features, [0])
        below, signal, _ = norm.pass_down(others, latent)
        self.assertAllClose(below, others / tf.sqrt(variance + 1e-3), rtol=1e-4)
        again, _ = norm(others, signal, training=True)
        self.assertAllClose(again, (others - mean) / tf.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)
        self.assertAllClose(norm.layer.moving_mean, plain.moving_mean)

    def test_overlapping_windows_each_pick_by_their_own_sign(self):
        pool = layers.AdaPool2D((1, 2), strides=(1, 1))
        features = tf.reshape(tf.constant([1.0, 3.0, 2.0, -1.0]), (1, 1, 4, 1))
        pool.build(features.shape)
        signal = tf.reshape(tf.constant([1.0, -1.0, -2.0]), (1, 1, 3, 1))
        output, latent = pool(features, signal)
        self.assertAllEqual(tf.squeeze(output), [3.0, 2.0, -1.0])
        self.assertAllEqual(tf.squeeze(pool.feedback(signal, latent)), [0.0, 1.0, -1.0, -2.0])
        both, latent = pool(features, tf.ones_like(signal))
        self.assertAllEqual(tf.squeeze(both), [3.0, 3.0, 2.0])
        self.assertAllEqual(tf.squeeze(pool.feedback(signal, latent)), [0.0, 0.0, -2.0, 0.0])


class PreprocessingTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("caffe", "tf", "torch")
    def test_as_keras_does(self, mode):
        from keras.applications import imagenet_utils

        model = CNNF.from_keras(fixtures_keras.residual(), preprocessing=mode)
        images = fixtures_keras.images(fixtures_keras.residual())
        wanted = imagenet_utils.preprocess_input(255 * images, mode=mode)
        self.assertAllClose(model.normalize(images), wanted, rtol=1e-4, atol=1e-3 if mode == "caffe" else 1e-5)
        self.assertAllClose(model.to_pixels(model.normalize(images)), images, atol=1e-5)

    def test_the_models_own(self):
        images = keras.Input((8, 8, 3))
        own = keras.layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.09, 0.16])
        head = [keras.layers.Rescaling(1 / 255), own, keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
        original = keras.Sequential([images, *head, keras.layers.Dense(3, activation="softmax")])
        pixels = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
        model = CNNF.from_keras(original)
        self.assertAllClose(tf.nn.softmax(model.infer(pixels).logits[0]), original(255 * pixels), atol=1e-5)
        self.assertAllClose(model.normalize(pixels), own(pixels), atol=1e-5)
        self.assertLen(model.network.children(), 3)
        above = CNNF.from_keras(original, start="conv2d" if "conv2d" in [x.name for x in head] else head[2].name)
        self.assertAllClose(tf.nn.softmax(above.infer(pixels).logits[0]), original(255 * pixels), atol=1e-5)

    def test_statistics_that_were_adapted(self):
        """Copies know them, whichever way they are made: in the network, below a start, in another dtype."""
        images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
        own = keras.layers.Normalization(axis=-1, name="own")
        own.adapt(0.5 + 0.1 * images)
        trunk = [keras.layers.Conv2D(3, 1, name="mixed"), own, keras.layers.Flatten(name="flat")]
        original = keras.Sequential([keras.Input((8, 8, 3)), *trunk, keras.layers.Dense(3)])
        first = keras.Sequential([keras.Input((8, 8, 3)), own, keras.layers.Flatten(), keras.layers.Dense(3)])
        self.assertAllClose(CNNF.from_keras(first, iterations=0, dtype="float64")(images), first(images), atol=1e-5)
        for options in ({}, {"start": "flat"}, {"dtype": "float64"}):
            model = CNNF.from_keras(original, iterations=0, **options)
            self.assertAllClose(model(images), original(images), rtol=1e-5, atol=1e-5)


class ErrorsTest(tf.test.TestCase, parameterized.TestCase):
    def refused(self, model, message, **options):
        with self.assertRaisesRegex(ValueError, message):
            CNNF.from_keras(model, **options)

    def test_other_objects(self):
        class Subclass(keras.Model):
            def call(self, images):
                return images

        self.refused("VGG16", "wants a Keras model, got str")
        self.refused(Subclass(), "wants a Functional or Sequential model, got Subclass")
        self.refused(converted(), "wants a Functional or Sequential model, got CNNF")
        self.refused(keras.Sequential([keras.layers.Dense(2)]), "is not built; begin it with keras.Input")

    def test_shapes(self):
        one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(one)
        both = keras.layers.Add()([pooled, keras.layers.GlobalAveragePooling2D()(two)])
        self.refused(keras.Model([one, two], both), "one input and one output, got 2 and 1")
        self.refused(keras.Model(one, [pooled, pooled]), "one input and one output, got 1 and 2")
        self.refused(keras.Model(one, keras.layers.Conv2D(2, 1)(one)), r"ends in \[batch, classes\], got \(None, 8, 8")
        row = keras.Input((5,))
        self.refused(keras.Model(row, keras.layers.Dense(2)(row)), r"images \[batch, height, width, channels\]")

    def test_all_layers_that_cannot_come_down_in_one_error(self):
        class Own(keras.layers.Layer):
            def call(self, features):
                return features

        images = keras.Input((8, 8, 3))
        lambda_layer = keras.layers.Lambda(lambda x: x, output_shape=(8, 8, 3), name="doubled")
        trunk = Own(name="mine")(lambda_layer(images))
        trunk = keras.layers.ReLU(name="above")(trunk)
        model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(trunk)))
        message = r"(?s)2 of the model's layers .*doubled \(Lambda: .*mine \(Own: .*start='mine'.*register_conversion"
        self.refused(model, message)
        self.assertIsNotNone(CNNF.from_keras(model, start="mine"))

        @models.register_conversion(Own)
        def convert(layer):
            return [layers.FeedbackKerasLayer(models.copy_layer(layer), linear=False)]

        self.refused(model, "1 of the model's layers")
        with self.assertRaisesRegex(ValueError, "wants a subclass of keras.layers.Layer, got 3"):
            models.register_conversion(3)

    def test_arguments(self):
        model = fixtures_keras.residual()
        self.refused(model, r"start must be the name of a layer, one of \['stem', .*; got 'nowhere'", start="nowhere")
        self.refused(model, "does not cut the model in two", start="block0_conv1")
        self.refused(model, r"one of \['caffe', 'tf', 'torch'\] .* got 'onnx'", preprocessing="onnx")
        self.refused(model, "or a pair", preprocessing=((0.1, 0.2), 1.0))
        self.refused(model, "or a pair", preprocessing=(0.0, -1.0))
        self.refused(fixtures_keras.residual(channels=1), "for 1 channels", preprocessing="caffe")

    def test_ends(self):
        images = keras.Input((4, 4, 1))
        flat = keras.layers.Flatten()(images)
        self.refused(
            keras.Model(images, keras.layers.Dense(1, activation="sigmoid")(flat)), "must end in logits .* 'sigmoid'"
        )

    def test_quantized(self):
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        model.quantize("int8")
        self.refused(model, r"it is quantized[^\n]*\nNo start lies above them; or tell how")

    def test_channels_first(self):
        images = keras.Input((3, 8, 8))
        first = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(images)
        self.refused(keras.Model(images, first), 'data_format="channels_first".* made with "channels_last"')


if __name__ == "__main__":
    tf.test.main()
