"""The training objective against a network written out by hand, value and gradient, and what it refuses."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.models import batch_losses
from tests.models import fixtures_models
from tests.training import numpy_reference

LABELS = np.array([0, 2, 1, 1])


def cross_entropy(logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits))


class ObjectiveTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(iterations=(1, 2), clean_weight=(0.1, 1.0, 0.0))
    def test_adversarial_objective_equals_the_hand_unrolled_one(self, iterations, clean_weight):
        model = numpy_reference.model(iterations=iterations)
        clean, adversarial = numpy_reference.images(4, 0), numpy_reference.images(4, 1)
        options = {"iterations": iterations, "clean_weight": clean_weight, "reconstruction_weight": 0.7}
        batch = (clean, adversarial, LABELS)
        with tf.GradientTape() as tape:
            scored = batch_losses(
                model.infer,
                tf.constant(adversarial),
                cross_entropy,
                reconstruction_weight=0.7,
                clean=tf.constant(clean),
                clean_weight=clean_weight,
                training=True,
            )
        found = tape.gradient(scored.losses.total, model.trainable_variables)
        self.assertEqual(scored.losses.total.dtype, tf.float64)
        self.assertAllClose(
            scored.losses.total, numpy_reference.loss(numpy_reference.weights(model), *batch, **options), rtol=1e-12
        )
        wanted = numpy_reference.gradient(numpy_reference.weights(model), *batch, **options)
        for ours, theirs in zip(found, wanted, strict=True):
            self.assertGreater(np.abs(theirs).max(), 1e-4)
            self.assertAllClose(ours, theirs, rtol=1e-6, atol=1e-8)
        # What is reported of the images seen is of them alone.
        self.assertAllClose(scored.seen.logits, model.infer(tf.constant(adversarial)).logits, rtol=1e-12)
        self.assertEqual(scored.clean is None, clean_weight == 0)

    def test_terms(self):
        model = numpy_reference.model(iterations=2)
        clean, adversarial = numpy_reference.images(4, 0), numpy_reference.images(4, 1)

        def score(**options):
            return batch_losses(
                model.infer, tf.constant(adversarial), cross_entropy, reconstruction_weight=0.7, **options
            ).losses

        logits = model.infer(tf.constant(adversarial)).logits.numpy()
        entropies = [numpy_reference.cross_entropy(each, LABELS) for each in logits]
        own = score()
        self.assertAllClose(own.passes, entropies)
        self.assertAllClose(own.total, np.mean(entropies) + 0.7 * own.reconstruction)
        # With targets only, cross-entropy weighs what it weighs without; the reconstruction is of the clean images.
        pairs = score(clean=tf.constant(clean))
        self.assertAllClose(pairs.passes, entropies)
        self.assertNotAllClose(pairs.reconstruction, own.reconstruction)
        self.assertAllClose(
            pairs.reconstruction, score(clean=tf.constant(clean), clean_weight=0.3).reconstruction, rtol=1e-12
        )
        self.assertAllClose(score(clean=tf.constant(adversarial)).reconstruction, own.reconstruction)

    @parameterized.parameters(None, 0.3)
    def test_each_example_has_its_own_reconstruction(self, clean_weight):
        """What `reduce` is given are the errors of the examples; the gradient is that of what it returns."""
        model = numpy_reference.model(iterations=2)
        images, clean = numpy_reference.images(4, 1), numpy_reference.images(4, 0)
        weights = tf.constant([0.0, 1.0, 0.0, 3.0], tf.float64)

        def score(rows, reduce):
            options = {"clean": tf.constant(clean[rows]), "clean_weight": clean_weight, "reduce": reduce}
            with tf.GradientTape() as tape:
                losses = batch_losses(
                    model.infer, tf.constant(images[rows]), tf.reduce_sum, reconstruction_weight=1.0, **options
                ).losses
            return losses.reconstruction, tape.gradient(losses.reconstruction, model.trainable_variables)

        found, gradients = score(slice(4), lambda errors: tf.reduce_sum(weights * errors))
        singles = [score(slice(row, row + 1), tf.reduce_mean) for row in (1, 3)]
        self.assertAllClose(found, singles[0][0] + 3 * singles[1][0], rtol=1e-10)
        for ours, first, second in zip(gradients, singles[0][1], singles[1][1], strict=True):
            self.assertAllClose(ours, first + 3 * second, rtol=1e-8, atol=1e-12)

    @parameterized.parameters(0.0, 0.1)
    def test_without_feedback_nothing_is_reconstructed(self, clean_weight):
        model = fixtures_models.model(iterations=0)
        images = fixtures_models.images(4)
        losses = batch_losses(
            model.infer, images, cross_entropy, reconstruction_weight=9.0, clean=images, clean_weight=clean_weight
        ).losses
        self.assertAllClose(losses.total, (1 + clean_weight) / 2 * cross_entropy(model(images)))
        self.assertEqual(float(losses.reconstruction), 0.0)

    def test_all_layers_and_an_iteration_that_is_not_recorded(self):
        model = fixtures_models.model(with_encoder=True, training_horizon=5)
        images, clean = fixtures_models.images(4), fixtures_models.images(4, seed=1)
        options = {"clean": clean, "burn_in": tf.constant(1)}

        def score(weight):
            return batch_losses(
                model.infer, images, cross_entropy, reconstruction_weight=0.5, clean_weight=weight, **options
            )

        without, almost = score(0.0), score(1e-12)
        self.assertLen(almost.losses.passes, 4)
        self.assertAllClose(without.losses.total, almost.losses.total, rtol=1e-5)
        self.assertAllClose(without.losses.passes, almost.losses.passes, rtol=1e-5)
        self.assertAllClose(almost.clean.logits, model.infer(clean, burn_in=tf.constant(1)).logits, rtol=1e-5)

    @parameterized.parameters(
        (False, 0.1, "clean_weight must be >= 0 and needs clean images, got 0.1 without clean images"),
        (False, 0.0, "got 0.0 without clean images"),
        (True, -0.1, "clean_weight must be >= 0 and needs clean images, got -0.1 with clean images"),
    )
    def test_refuses(self, with_clean, clean_weight, message):
        model = numpy_reference.model(iterations=1)
        images = tf.constant(numpy_reference.images(4, 0))
        with self.assertRaisesRegex(ValueError, message):
            batch_losses(
                model.infer,
                images,
                cross_entropy,
                reconstruction_weight=0.1,
                clean=images if with_clean else None,
                clean_weight=clean_weight,
            )


if __name__ == "__main__":
    tf.test.main()
