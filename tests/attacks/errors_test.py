"""What attacks refuse, in words, and before any work."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.attacks import FGSM, PGD, SPSA
from tests.attacks import linear
from tests.models import fixtures_models

IMAGES, LABELS = linear.images(4), linear.labels(4)


class ErrorsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (FGSM, {"epsilon": -0.1}, r"epsilon must be a finite number >= 0 .on the \[0, 1\] pixel scale., got -0.1"),
        (FGSM, {"epsilon": float("nan")}, "epsilon must be a finite number"),
        (FGSM, {"epsilon": "8/255"}, "epsilon must be a finite number .* got '8/255'"),
        (FGSM, {"epsilon": 1, "norm": "l1"}, r"norm must be one of \['l2', 'linf'\], got 'l1'"),
        (
            FGSM,
            {"epsilon": 1, "loss": "hinge"},
            r"loss must be one of \['cross_entropy', 'dlr', 'margin'\], got 'hinge'",
        ),
        (PGD, {"epsilon": 1, "steps": 0}, "steps must be a positive integer, got 0"),
        (PGD, {"epsilon": 1, "steps": 1, "step_size": -1}, "step_size must be a finite number >= 0"),
        (PGD, {"epsilon": 1, "steps": 1, "restarts": 0}, "restarts must be a positive integer"),
        (PGD, {"epsilon": 1, "steps": 1, "restarts": 2, "random_start": False}, "2 restarts without a random start"),
        (PGD, {"epsilon": 1, "steps": 3, "schedule": [1, 1]}, "one multiplier for each of the 3 steps, got 2"),
        (PGD, {"epsilon": 1, "steps": 2, "schedule": [1, -1]}, "finite multipliers >= 0 .* got -1"),
        (SPSA, {"epsilon": 1, "steps": 1, "samples": 0}, "samples must be a positive integer"),
        (SPSA, {"epsilon": 1, "steps": 1, "delta": 0}, "delta must be above 0"),
        (SPSA, {"epsilon": 1, "steps": 1, "chunk_size": 0}, "chunk_size must be a positive integer"),
    )
    def test_constructor(self, attack, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            attack(**arguments)

    @parameterized.parameters(
        ({"images": IMAGES[0]}, r"images must have shape \[batch, height, width, channels\].*got \(4, 4, 1\)"),
        ({"images": (255 * IMAGES).astype("uint8")}, "must be float32 or float64.*got uint8; divide uint8 by 255"),
        ({"images": IMAGES.astype("float16")}, "must be float32 or float64.*got float16"),
        ({"images": 2 * IMAGES}, r"must have pixels in \[0, 1\] .no NaN., got 0.0 to 2.0"),
        ({"images": IMAGES * np.nan}, r"must have pixels in \[0, 1\] .no NaN., got nan to nan"),
        ({"labels": LABELS[:3]}, r"labels must have shape \[batch\].*images \(4, 4, 4, 1\), got \(3,\)"),
        ({"labels": np.eye(5, dtype="int32")[LABELS]}, r"labels must have shape \[batch\].*got \(4, 5\)"),
        ({"labels": LABELS.astype("float32")}, "labels must be integer class ids, got float32"),
        ({"labels": LABELS + 5}, r"labels must be in \[0, 5\), the model's classes, got [5-9]"),
        ({"labels": LABELS - 5}, r"labels must be in \[0, 5\), the model's classes, got -"),
        ({"targets": LABELS[:2]}, r"targets must have shape \[batch\]"),
        ({"targets": LABELS + 5}, r"targets must be in \[0, 5\)"),
        ({"indices": [0.5] * 4}, "indices must be integer"),
        ({"seed": 0.5}, "seed must be an integer or an integer scalar tensor, got 0.5"),
        ({"seed": True}, "seed must be an integer"),
        ({"seed": None}, "seed must be an integer"),
        ({"predict": "model.keras"}, r"predict must be a function from images to logits .*got 'model.keras'"),
        ({"surrogate": 3}, "surrogate must be a function"),
        ({"objective": 3}, "objective must be a function"),
        (
            {"objective": lambda images, labels: images[:, 0, 0, 0], "surrogate": linear.predictor()},
            "give one of them, not both",
        ),
        (
            {"objective": lambda images, labels: images[:, 0, 0, 0], "targets": LABELS},
            "an objective is for untargeted attacks",
        ),
        (
            {"predict": lambda x: tf.reduce_sum(x, (1, 2, 3))},
            r"predict must return logits.*got float32 of shape .None,",
        ),
        ({"predict": lambda x: {"logits": x[:, :, 0, 0]}}, r"predict must return logits.*got a dict"),
        ({"predict": lambda x: tf.argmax(x[:, :, 0], -1)}, r"predict must return logits.*got int64"),
        ({"surrogate": lambda x: x}, r"surrogate must return logits, .*got float32 of shape .*4, 4, 1"),
        ({"surrogate": lambda x: tf.stop_gradient(linear.predictor()(x))}, "no gradient reaches the images.*use SPSA"),
        ({"objective": lambda images, labels: tf.reduce_sum(images)}, r"objective must return one float loss for each"),
        ({"objective": lambda images, labels: 1.0}, r"objective must return one float loss for each.*got a float"),
    )
    def test_call(self, changed, message):
        calls = []

        def predict(images):
            calls.append(tf.executing_eagerly())
            return linear.predictor()(images)

        arguments = {"predict": predict, "images": IMAGES, "labels": LABELS, "seed": 0} | changed
        with self.assertRaisesRegex(ValueError, message):
            PGD(epsilon=0.1, steps=2)(
                arguments.pop("predict"), arguments.pop("images"), arguments.pop("labels"), **arguments
            )
        self.assertNotIn(True, calls)  # traced at most, never run

    def test_dlr_with_too_few_classes(self):
        attack = FGSM(epsilon=0.1, loss="dlr")
        with self.assertRaisesRegex(ValueError, "untargeted loss 'dlr' wants logits of at least 3 classes, got 2"):
            attack(lambda x: linear.predictor()(x)[:, :2], IMAGES, [0, 1, 1, 0], seed=0)

    def test_model_functions(self):
        model = fixtures_models.model()
        with self.assertRaisesRegex(ValueError, "wanted a CNNF, got a function"):
            attacks.predictor(linear.predictor())
        with self.assertRaisesRegex(ValueError, "iterations must be an integer >= 0"):
            attacks.predictor(model, iterations=-1)
        with self.assertRaisesRegex(ValueError, r"readout must be one of \['average', 'last'\], got 'first'"):
            attacks.predictor(model, readout="first")
        with self.assertRaisesRegex(
            ValueError, r"gradient_path must be one of \['first_pass', 'full_unroll'\], got 'x'"
        ):
            attacks.gradient_source(model, "x")
        with self.assertRaisesRegex(ValueError, "residual_objective wants at least 1 iteration, got 0"):
            attacks.residual_objective(model, weight=1.0, iterations=0)

    def test_run_attack_on_nothing(self):
        with self.assertRaisesRegex(ValueError, "the data set to attack is empty"):
            attacks.run_attack(FGSM(epsilon=0.1), linear.predictor(), fixtures_models.dataset().take(0), seed=0)


if __name__ == "__main__":
    tf.test.main()
