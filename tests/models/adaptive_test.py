"""The adaptive loop against the fixed one, image by image."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import generative
from cnnf_tf.layers import AdaReLU, FeedbackDense, FeedbackSequential
from cnnf_tf.models import adaptive_unroll, check_tolerance, infer_adaptive, unroll
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_models


def stopping_times(consistency, tolerance, max_iterations):
    """The rule of the docstring, one image at a time, from what the fixed loop did."""
    changed, flips, residuals = (np.asarray(values) for values in consistency)
    times = []
    for i in range(changed.shape[1]):
        time = max_iterations
        for t in range(2, max_iterations + 1):
            moved = abs(residuals[t - 1, i] - residuals[t - 2, i])
            if changed[t - 1, i] == 0 and flips[t - 1, i] < tolerance and moved < tolerance:
                time = t
                break
        times.append(time)
    return np.array(times)


class AdaptiveTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((False, 0, "logits"), (False, 1, "softmax"), (False, 4, "logits"), (True, 4, "one_hot"))
    def test_tolerance_zero_is_the_fixed_loop(self, with_encoder, iterations, start):
        model, images = (
            fixtures_models.model(with_encoder=with_encoder, feedback_start=start),
            fixtures_models.images(5),
        )
        fixed = model.infer(images, iterations=iterations)
        found = infer_adaptive(model, images, max_iterations=iterations, tolerance=0.0)
        self.assertAllEqual(found.last_logits, fixed.logits[-1])
        self.assertAllClose(found.average_logits, tf.reduce_mean(fixed.logits, 0), rtol=1e-6, atol=1e-6)
        self.assertAllEqual(found.iterations_used, [iterations] * 5)
        consistency = generative.self_consistency(fixed, model.network)
        for ours, theirs in zip(found[3:], consistency, strict=True):
            self.assertAllClose(ours, theirs[-1] if iterations else [-1.0] * 5, rtol=1e-6, atol=1e-6)

    @parameterized.product(tolerance=(0.03, 0.05, 0.2), graph=(False, True))
    def test_each_image_stops_by_the_rule(self, tolerance, graph):
        model, images, most = fixtures_models.model(with_encoder=graph), fixtures_models.images(12), 8
        fixed = model.infer(images, iterations=most)
        times = stopping_times(generative.self_consistency(fixed, model.network), tolerance, most)
        run = tf.function(infer_adaptive, autograph=False) if graph else infer_adaptive
        found = run(model, images, max_iterations=most, tolerance=tolerance)
        self.assertAllEqual(found.iterations_used, times)
        last = [fixed.logits[time, i] for i, time in enumerate(times)]
        average = [tf.reduce_mean(fixed.logits[: time + 1, i], 0) for i, time in enumerate(times)]
        self.assertAllClose(found.logits("last"), last, rtol=1e-4, atol=1e-5)
        self.assertAllClose(found.logits("average"), average, rtol=1e-4, atol=1e-5)

    def test_the_rule_is_met_at_different_times(self):
        """Else the test above would show little."""
        used = [
            infer_adaptive(
                fixtures_models.model(), fixtures_models.images(12), max_iterations=8, tolerance=tolerance
            ).iterations_used
            for tolerance in (0.05, 0.1)
        ]
        self.assertGreater(len(np.unique(used)), 2)
        for times in used:
            self.assertGreater(len(np.unique(times)), 1)

    def test_images_do_not_see_each_other(self):
        model, images = fixtures_models.model(), fixtures_models.images(6)
        together = infer_adaptive(model, images, max_iterations=8, tolerance=0.05)
        for i in range(6):
            alone = infer_adaptive(model, images[i : i + 1], max_iterations=8, tolerance=0.05)
            for ours, theirs in zip(together, alone, strict=True):
                self.assertAllClose(ours[i], theirs[0], rtol=1e-4, atol=1e-5)

    def test_finished_images_leave_the_work(self):
        model, images = fixtures_models.model(), fixtures_models.images(12)
        rows, pass_down = [], model.network.pass_down

        def counted(signal, latent=None):
            rows.append(len(signal))
            return pass_down(signal, latent)

        model.network.pass_down = counted
        found = infer_adaptive(model, images, max_iterations=8, tolerance=0.05)
        self.assertEqual(sum(rows), int(tf.reduce_sum(found.iterations_used)))
        self.assertLen(rows, int(tf.reduce_max(found.iterations_used)))

    def test_limits_and_tolerances_of_each_image(self):
        model, images = fixtures_models.model(), fixtures_models.images(4)
        fixed = model.infer(images, iterations=5)
        signature = [
            tf.TensorSpec((None, *fixtures_models.IMAGE_SHAPE)),
            tf.TensorSpec(None, tf.int32),
            tf.TensorSpec(None),
        ]
        run = tf.function(
            lambda images, most, tolerance: infer_adaptive(model, images, max_iterations=most, tolerance=tolerance),
            input_signature=signature,
        )
        found = run(images, [0, 1, 3, 5], 0.0)
        self.assertAllEqual(found.iterations_used, [0, 1, 3, 5])
        for i, time in enumerate((0, 1, 3, 5)):
            self.assertAllClose(found.last_logits[i], fixed.logits[time, i], rtol=1e-4, atol=1e-5)
        self.assertAllEqual(found.label_changed[0], -1.0)
        found = run(images, 5, [0.0, 100.0, 0.0, 100.0])
        changed = generative.self_consistency(fixed, model.network).label_changed.numpy()
        wanted = [5 if i % 2 == 0 else 2 + list(changed[1:, i]).index(0) for i in range(4)]
        self.assertAllEqual(found.iterations_used, wanted)
        self.assertAllEqual(run(images[:1], 2, 0.0).iterations_used, [2])

    def test_network_without_latents(self):
        network = FeedbackSequential([FeedbackDense(3)])
        network.build((None, 4))
        features = tf.constant(np.random.default_rng(0).standard_normal((3, 4)), tf.float32)
        found = adaptive_unroll(network, features, max_iterations=3, tolerance=0.0, eta=0.1)
        self.assertAllEqual(found.latent_flip_rate, [0.0] * 3)
        self.assertAllEqual(found.iterations_used, [3] * 3)

    def test_float64(self):
        with dtype_policy("float64"):
            network = FeedbackSequential([FeedbackDense(5), AdaReLU(), FeedbackDense(3)])
            network.build((None, 4))
        features = tf.constant(np.random.default_rng(0).standard_normal((3, 4)))
        found = adaptive_unroll(network, features, max_iterations=3, tolerance=0.0, eta=0.1)
        fixed = unroll(network, features, iterations=3, eta=0.1)
        self.assertEqual({values.dtype for values in found}, {tf.float64, tf.int32})
        self.assertAllEqual(found.last_logits, fixed.logits[-1])

    def test_half_precision(self):
        with dtype_policy("mixed_bfloat16"):
            model = fixtures_models.model()
        found = infer_adaptive(model, fixtures_models.images(3), max_iterations=3, tolerance=0.0)
        self.assertEqual({values.dtype for values in found}, {tf.float32, tf.int32})
        self.assertAllEqual(found.last_logits, model.infer(fixtures_models.images(3), iterations=3).logits[-1])

    def test_bad_arguments(self):
        model, images = fixtures_models.model(), fixtures_models.images(1)
        with self.assertRaisesRegex(ValueError, "iterations must be an integer >= 0"):
            infer_adaptive(model, images, max_iterations=-1, tolerance=0.0)
        for tolerance in (-0.1, float("nan"), True, "0"):
            with self.assertRaisesRegex(ValueError, r"tolerance must be a number >= 0 \(0 never stops early\), got"):
                check_tolerance(tolerance)
        with self.assertRaisesRegex(ValueError, "tolerance must be a number"):
            infer_adaptive(model, images, max_iterations=1, tolerance=-1)
        with self.assertRaisesRegex(ValueError, r"eta must be"):
            infer_adaptive(model, images, max_iterations=1, tolerance=0, eta=2)
        with self.assertRaisesRegex(ValueError, "feedback_start must be one of"):
            adaptive_unroll(model.network, images, max_iterations=1, tolerance=0, eta=0, feedback_start="labels")
        with self.assertRaisesRegex(ValueError, r"readout must be one of \['average', 'last'\], got 'first'"):
            infer_adaptive(model, images, max_iterations=1, tolerance=0.0).logits("first")


if __name__ == "__main__":
    tf.test.main()
