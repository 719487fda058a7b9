"""What holds for every layer: purity, one result in every mode, adjointness, serialisation, dtypes."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import layers
from cnnf_tf.utils.dtypes import dtype_policy
from tests import descriptors

CASES = [(descriptor.name, descriptor) for descriptor in descriptors.LAYERS]


def down(layer, signal, latent):
    """The signal below and what goes into the next `call`."""
    if isinstance(layer, layers.FeedbackComposite):
        return layer.feedback(signal, latent)
    return layer.feedback(signal, latent), signal


def cycle(layer, features):
    """Up, down, up again with the signals, down again."""
    output, latent = layer(features)
    below, signals = down(layer, tf.ones_like(output) * 0.3 - output, latent)
    again, latent = layer(features, signals, eta=0.1)
    return output, below, again, down(layer, again, latent)[0]


class ContractTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_public_layer_is_described(self):
        described = {descriptor.name.split("_")[0] for descriptor in descriptors.LAYERS}
        self.assertEqual(described, set(layers.__all__) - {"FeedbackComposite"})

    @parameterized.named_parameters(CASES)
    def test_modes_agree(self, descriptor):
        layer, features = descriptors.built(descriptor), descriptors.batch(descriptor)
        eager = cycle(layer, tf.constant(features))
        spec = [tf.TensorSpec((None, *descriptor.input_shape), tf.float32)]
        for jit in (False, True):
            function = tf.function(lambda x: cycle(layer, x), input_signature=spec, jit_compile=jit)
            for batch in (features, features[:1]):
                self.assertAllClose(function(batch), [part[: len(batch)] for part in eager], rtol=1e-4, atol=1e-5)

    @parameterized.named_parameters(CASES)
    def test_shapes(self, descriptor):
        layer, features = descriptors.built(descriptor), descriptors.batch(descriptor)
        output, below, again, _ = cycle(layer, tf.constant(features))
        self.assertEqual(output.shape, layer.output_shape_for(features.shape))
        self.assertEqual(again.shape, output.shape)
        self.assertEqual(below.shape, features.shape)

    @parameterized.named_parameters(CASES)
    def test_interleaved_batches_do_not_meet(self, descriptor):
        layer = descriptors.built(descriptor)
        first, second = descriptors.batch(descriptor, 3, seed=2), descriptors.batch(descriptor, 2, seed=3)
        alone = cycle(layer, tf.constant(first))
        output, latent = layer(first)
        cycle(layer, tf.constant(second))
        below, signals = down(layer, tf.ones_like(output) * 0.3 - output, latent)
        cycle(layer, tf.constant(second))
        again, _ = layer(first, signals, eta=0.1)
        self.assertAllEqual(below, alone[1])
        self.assertAllEqual(again, alone[2])

    @parameterized.named_parameters([case for case in CASES if case[1].linear])
    def test_feedback_is_the_adjoint_given_the_latents(self, descriptor):
        """<f_up(x), g> = <x, feedback(g)> with the latents of x: the network is linear once they are fixed."""
        layer, features = descriptors.built(descriptor), tf.constant(descriptors.batch(descriptor))
        for variable in layer.weights:
            if variable.name == "bias":
                variable.assign(tf.zeros_like(variable))
        output, latent = layer(features)
        signal = tf.random.stateless_normal(output.shape, (1, 2))
        below, _ = down(layer, signal, latent)
        self.assertAllClose(tf.reduce_sum(output * signal), tf.reduce_sum(features * below), rtol=1e-4, atol=1e-4)

    @parameterized.named_parameters([case for case in CASES if case[1].linear])
    def test_feedback_is_the_vector_jacobian_product(self, descriptor):
        layer, features = descriptors.built(descriptor), tf.constant(descriptors.batch(descriptor))
        with tf.GradientTape() as tape:
            tape.watch(features)
            output, latent = layer(features)
        signal = tf.random.stateless_normal(output.shape, (3, 4))
        gradient = tape.gradient(output, features, signal)
        self.assertAllClose(down(layer, signal, latent)[0], gradient, rtol=1e-4, atol=1e-5)

    @parameterized.named_parameters(CASES)
    def test_latents_are_as_described(self, descriptor):
        """Shape, logits of one for each latent, and the affine form, which at the latents of a pass is that pass."""
        layer, features = descriptors.built(descriptor), tf.constant(descriptors.batch(descriptor))
        output, latent = layer(features)
        self.assertAllClose(layer.linear_call(features, latent), output, rtol=1e-5, atol=1e-6)
        if isinstance(layer, layers.FeedbackComposite):
            self.assertLen(latent, len(layer.children()))
            return
        if layer.has_latents:
            self.assertEqual(latent.shape, layer.latent_shape(features.shape))
            self.assertEqual(layer.latent_logits(output).shape, latent.shape)
            self.assertAllInSet(latent.numpy(), [0.0, 1.0])

    @parameterized.named_parameters(CASES)
    def test_config_round_trip(self, descriptor):
        layer, features = descriptors.built(descriptor), tf.constant(descriptors.batch(descriptor))
        config = keras.saving.serialize_keras_object(layer)
        copy = keras.saving.deserialize_keras_object(config)
        if not copy.built:
            copy.build((None, *descriptor.input_shape))
        copy.set_weights(layer.get_weights())
        self.assertEqual(keras.saving.serialize_keras_object(copy)["config"], config["config"])
        self.assertAllClose(cycle(copy, features), cycle(layer, features), rtol=0, atol=0)

    @parameterized.named_parameters(CASES)
    def test_bfloat16_stays_bfloat16_and_close(self, descriptor):
        layer, features = descriptors.built(descriptor), tf.constant(descriptors.batch(descriptor))
        with dtype_policy("mixed_bfloat16"):
            half = descriptor.make()
        half.build((None, *descriptor.input_shape))
        half.set_weights(layer.get_weights())
        output, latent = half(features)
        below, _ = down(half, output, latent)
        self.assertEqual((output.dtype, below.dtype), (tf.bfloat16, tf.bfloat16))
        self.assertAllClose(tf.cast(output, tf.float32), layer(features)[0], rtol=0.03, atol=0.05)

    @parameterized.named_parameters(CASES)
    def test_gradients_reach_every_weight(self, descriptor):
        layer, features = descriptors.built(descriptor), tf.constant(descriptors.batch(descriptor))
        with tf.GradientTape() as tape:
            tape.watch(features)
            values = cycle(layer, features)
            loss = tf.add_n([tf.reduce_sum(tf.square(value)) for value in values])
        gradients = tape.gradient(loss, [features, *[variable.value for variable in layer.trainable_variables]])
        for gradient in gradients:
            self.assertIsNotNone(gradient)
            self.assertTrue(np.isfinite(gradient.numpy()).all())


class ErrorsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (lambda: layers.AdaReLU(rule="relu"), r"rule must be one of \['map', 'reference', 'slide'\], got 'relu'"),
        (lambda: layers.AdaPool2D(rule="slide"), r"rule must be one of \['map', 'reference'\], got 'slide'"),
        (lambda: layers.AdaPool2D(0), "pool_size must be a positive integer, got 0"),
        (lambda: layers.FeedbackConv2D(0), "filters must be a positive integer, got 0"),
        (lambda: layers.FeedbackConv2D(2, 4), 'padding="same" wants an odd kernel_size, got 4'),
        (lambda: layers.FeedbackConv2D(2, padding="full"), r"padding must be one of \['same', 'valid'\]"),
        (lambda: layers.FeedbackDense(-1), "units must be a positive integer, got -1"),
        (lambda: layers.InstanceNorm(up=False, down=False), "wants up=True, down=True or both"),
        (lambda: layers.FeedbackSequential([keras.layers.Dense(2)]), "wants FeedbackLayer instances"),
    )
    def test_bad_arguments(self, make, message):
        with self.assertRaisesRegex(ValueError, message):
            make()

    @parameterized.parameters(
        (lambda: layers.FeedbackConv2D(2), (None, 8), r"wants inputs \[batch, height, width, channels\]"),
        (lambda: layers.FeedbackConv2D(2), (None, None, 8, 3), "static sizes"),
        (lambda: layers.FeedbackConv2D(2, 5, padding="valid"), (None, 3, 3, 1), "a 5x5 kernel does not fit"),
        (lambda: layers.FeedbackDense(2), (None, 2, 2, 1), r"wants inputs \[batch, features\]"),
        (lambda: layers.AdaPool2D(4), (None, 3, 8, 1), "windows of 4 do not fit 3x8"),
        (lambda: layers.FeedbackAveragePooling2D(2), (None, 3, 4, 1), "pool_size 2 must divide the input 3x4"),
        (lambda: layers.FeedbackResidual([layers.FeedbackConv2D(4)]), (None, 4, 4, 2), "the main branch ends in shape"),
    )
    def test_bad_shapes(self, make, shape, message):
        with self.assertRaisesRegex(ValueError, message):
            make().build(shape)

    def test_latents_of_another_network(self):
        network = layers.FeedbackSequential([layers.FeedbackDense(3), layers.AdaReLU()])
        network.build((None, 2))
        with self.assertRaisesRegex(ValueError, "has 2 layers and wants a list of as many entries as latent, got 1"):
            network.feedback(tf.zeros((1, 3)), [None])
        with self.assertRaisesRegex(ValueError, "as many entries as signal, got 3"):
            network(tf.zeros((1, 2)), [None, None, None])


if __name__ == "__main__":
    tf.test.main()
