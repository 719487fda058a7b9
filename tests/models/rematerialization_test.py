"""`rematerialize` changes no number, and keeps little from the forward pass for the gradients."""

import functools

import keras
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers
from cnnf_tf.models import trajectory_losses
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_models
from tests.training import fixtures_training


class Gain(layers.FeedbackLayer):
    """Scales each image by what it holds: latents that are numbers, of more than one tensor, and have gradients."""

    def call(self, features, signal=None, *, eta=0.0, training=False):
        gain = keras.ops.mean(keras.ops.abs(features), axis=(1, 2, 3), keepdims=True)
        return features * gain, (gain, keras.ops.cast(gain > 0, "int32"))

    def feedback(self, signal, latent=None):
        gain, positive = latent
        return signal * gain * keras.ops.cast(positive, signal.dtype)


def network():
    return layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(4, name="conv1"),
            layers.InstanceNorm(down=False, name="norm_up"),
            layers.Tap(layers.AdaReLU(name="ada_relu1"), name="tap1"),
            layers.AdaPool2D(name="ada_pool"),
            Gain(name="gain"),
            layers.FeedbackResidual([layers.FeedbackConv2D(4, name="conv2"), layers.AdaReLU(name="ada_relu2")]),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(3, use_bias=True, name="fc"),
        ]
    )


def loss(model, images, burn_in=None):
    trajectory = model.infer(images, training=True, burn_in=burn_in)
    return trajectory_losses(trajectory, lambda logits: tf.reduce_mean(logits**2), reconstruction_weight=0.7).total


def gradients(model, images, burn_in=None):
    with tf.GradientTape() as tape:
        total = loss(model, images, burn_in)
    return total, tape.gradient(total, model.trainable_variables)


def both(**options):
    """The same model, without and with."""
    models = []
    for rematerialize in (False, True):
        keras.utils.set_random_seed(0)
        options = {"image_shape": fixtures_models.IMAGE_SHAPE, "iterations": 2} | options
        encoder = fixtures_models.encoder()
        models.append(CNNF(network(), encoder, rematerialize=rematerialize, **options))
    return models


def bytes_between_calls(function, *arguments):
    """What the calls in a traced function hand to each other."""
    operations = function.get_concrete_function(*arguments).graph.get_operations()
    calls = [operation for operation in operations if operation.type.endswith("PartitionedCall")]
    tensors = {tensor.ref() for call in calls for tensor in call.inputs if tensor.op in calls}
    return sum(ref.deref().shape.num_elements() * ref.deref().dtype.size for ref in tensors)


class RematerializationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("float64", "logits", None),
        ("float64", "one_hot", None),
        ("float64", "softmax", 2),
        ("mixed_bfloat16", "logits", None),
    )
    def test_gradients_are_the_same(self, policy, feedback_start, burn_in):
        tolerance = 1e-10 if policy == "float64" else 1e-2
        images = fixtures_models.images(3)
        with dtype_policy(policy):
            kept, rematerialized = both(feedback_start=feedback_start)
            traced = functools.partial(tf.function, autograph=False)
            total, wanted = traced(gradients)(kept, images, burn_in)
            for run in (traced(gradients), gradients):
                found_total, found = run(rematerialized, images, burn_in)
                self.assertAllClose(found_total, total, rtol=tolerance)
                for ours, theirs in zip(found, wanted, strict=True):
                    self.assertAllClose(ours, theirs, rtol=tolerance, atol=tolerance)

    def test_trajectory_lacks_what_no_objective_needs(self):
        images = fixtures_models.images(3)
        kept, rematerialized = (model.infer(images, training=True) for model in both())
        for field in ("logits", "features", "reconstructions", "tap_reconstructions", "latents"):
            ours, theirs = getattr(rematerialized, field), getattr(kept, field)
            tf.nest.assert_same_structure(ours, theirs)
            tf.nest.map_structure(self.assertAllEqual, ours, theirs)
        self.assertEqual([len(taps) for taps in rematerialized.taps], [1, 0, 0])
        self.assertEqual(rematerialized.signals, [(), ()])

    def test_on_replicas(self):
        strategy, images = fixtures_training.mirrored(), fixtures_models.images(3)
        with strategy.scope():
            models = both()
        wanted, found = (
            tf.function(lambda model=model: strategy.run(gradients, (model, images))[1], autograph=False)()
            for model in models
        )
        for ours, theirs in zip(found, wanted, strict=True):
            for pair in zip(*map(strategy.experimental_local_results, (ours, theirs)), strict=True):
                self.assertAllClose(*pair, rtol=1e-4, atol=1e-5)

    def test_keeps_little(self):
        """Of what an iteration hands to its gradient, counted where TensorFlow makes a call of each."""
        images = tf.zeros((16, *fixtures_models.IMAGE_SHAPE))

        def kept(rematerialize, iterations):
            model = fixtures_models.model(rematerialize=rematerialize, iterations=iterations)
            forward = tf.function(functools.partial(loss, model), autograph=False)

            @functools.partial(tf.function, autograph=False)
            def gradient():
                with tf.GradientTape() as tape:
                    total = forward(images)
                return tape.gradient(total, model.trainable_variables)

            return bytes_between_calls(gradient)

        everything, little = (kept(rematerialize, 2) - kept(rematerialize, 1) for rematerialize in (False, True))
        self.assertLess(little, 0.25 * everything)

    def test_is_not_inlined(self):
        """Or else TensorFlow would run the second run with the first."""
        model = fixtures_models.smaller_model(rematerialize=True, iterations=2)
        traced = tf.function(gradients, autograph=False).get_concrete_function(model, fixtures_models.images(3))
        self.assertNotIn("Conv2D", {operation.type for operation in traced.graph.get_operations()})
        functions = {function.signature.name: function for function in traced.graph.as_graph_def().library.function}
        calls = [
            functions[operation.get_attr("f").name]
            for operation in traced.graph.get_operations()
            if operation.type.endswith("PartitionedCall")
        ]
        self.assertLen(calls, 2 * 3)
        for call in calls:
            self.assertTrue(call.attr["_noinline"].b, call.signature.name)


if __name__ == "__main__":
    tf.test.main()
