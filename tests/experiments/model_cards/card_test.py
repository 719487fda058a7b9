"""What a model card measures and says."""

import json

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers
from cnnf_tf.evaluation import evaluate_passes
from cnnf_tf.experiments.model_cards import card as model_card
from tests.models import fixtures_models

COMMAND = "python bin/train.py --config=configs/x.py:fast '--config.data.name=idx:my data' --workdir=/home/me/run"
RECORD = {"commit": "a" * 40, "dirty": False, "versions": {"python": "3"}, "hardware": {"cpu": "x"}}
SESSION = RECORD | {"command": COMMAND}


def dataset(count, image_shape=fixtures_models.IMAGE_SHAPE):
    images = np.random.default_rng(0).random((count, *image_shape), np.float32)
    return tf.data.Dataset.from_tensor_slices((images, fixtures_models.labels(count)))


def large_model(**kwargs):
    """For images large enough for SSIM and the corruptions."""
    network = [layers.FeedbackConv2D(2, strides=4), layers.FeedbackFlatten(), layers.FeedbackDense(3)]
    return CNNF(layers.FeedbackSequential(network), image_shape=(28, 28, 1), **kwargs)


class MeasureTest(tf.test.TestCase, parameterized.TestCase):
    def test_clean_accuracy_of_all_and_of_the_first_images(self):
        count, lines = model_card.FIRST_IMAGES + 20, []
        model = fixtures_models.smaller_model(iterations=2)
        found = model_card.measure(model, dataset(count), batch_size=100, progress=lines.append)
        self.assertEqual(list(found), ["clean", "first_images"])
        for name, images in (("clean", count), ("first_images", model_card.FIRST_IMAGES)):
            wanted = evaluate_passes(model, dataset(count).take(images).batch(100), iterations=2)
            self.assertEqual(found[name], wanted.to_dict())
            self.assertEqual((found[name]["num_images"], len(found[name]["accuracy"]["last"])), (images, 3))
        self.assertEqual(lines, ["clean accuracy"])
        json.dumps(found)

    @parameterized.parameters(0, 1)
    def test_robustness_is_the_minimum_over_both_paths(self, iterations):
        found = model_card.measure(
            fixtures_models.smaller_model(iterations=iterations), dataset(12), epsilon=0.05, seed=3
        )["robustness"]
        readouts = ("last", "average")[: iterations + 1]
        paths = ("first_pass", "full_unroll")[-1 - iterations :]
        scores = {(score["readout"], score["gradient_path"]): score for score in found["scores"]}
        self.assertEqual(set(scores), {(readout, path) for readout in readouts for path in paths})
        for readout in readouts:
            worst = min(scores[readout, path]["robust_accuracy"] for path in paths)
            self.assertLessEqual(found["minimum"][readout], worst)
            self.assertLessEqual(worst, found["clean_accuracy"][readout])
        for score in found["scores"]:
            self.assertEqual((score["attack"], score["num_images"]), ("PGD-40", 12))
        self.assertEqual((found["epsilon"], found["seed"], found["iterations"]), (0.05, 3, iterations))
        self.assertEqual((found["settings"]["steps"], found["settings"]["norm"]), (40, "linf"))
        self.assertEqual(set(found["failed_checks"]), set(readouts))
        json.dumps(found)

    def test_restoration_of_the_three_corruptions(self):
        found = model_card.measure(large_model(), dataset(4, (28, 28, 1)), restoration=True)["restoration"]
        self.assertEqual(tuple(found), ("shot_noise", "gaussian_noise", "dotted_line"))
        for corruption, quality in found.items():
            self.assertEqual((quality["corruption"], quality["severity"]), (corruption, 3))
            self.assertEqual((quality["num_images"], quality["iterations"]), (4, (1, 2, 5, 10)))
        json.dumps(found)

    @parameterized.parameters(
        ({"epsilon": -0.1}, "epsilon"),
        ({"restoration": True}, "at least 11x11 pixels"),
        ({"restoration": True, "model": fixtures_models.model(with_encoder=True)}, "whose h is the image"),
    )
    def test_refuses_before_any_work(self, options, message):
        lines = []
        options = {"model": fixtures_models.smaller_model()} | options
        with self.assertRaisesRegex(ValueError, message):
            model_card.measure(dataset=dataset(4), progress=lines.append, **options)
        self.assertEmpty(lines)

    def test_refuses_an_empty_data_set(self):
        with self.assertRaisesRegex(ValueError, "is empty"):
            model_card.measure(fixtures_models.smaller_model(), dataset(4).take(0))


class CardTest(tf.test.TestCase, parameterized.TestCase):
    def test_training_facts(self):
        config = {"seed": 4, "data": {"name": "mnist"}}
        history = [{"step": 2, "epoch": 0.5, "seconds": 1800.0}, {"step": 4, "epoch": 1, "seconds": 900.0}]
        first = SESSION | {"started": "2024-01-02T03:04:05+00:00", "step": 0}
        resumed = first | {"commit": "b" * 40, "step": 2}
        found = model_card.training_facts(config, history, [first, first, resumed], name="new", which="last")
        self.assertEqual(found["config"], config)
        wanted = {"seed": 4, "which": "last", "epochs": 1, "steps": 4, "hours": 0.75, "starts": 3}
        wanted |= RECORD | {"started": "2024-01-02T03:04:05+00:00"}
        self.assertEqual({key: found[key] for key in wanted}, wanted)
        (other,) = found["resumed"]
        self.assertEqual(other["commit"], "b" * 40)
        self.assertEndsWith(found["command"], "--workdir=runs/new")

    def test_what_was_not_recorded_is_none(self):
        found = model_card.training_facts({"seed": 0}, [{"epoch": 1}], [], name="x", which="best")
        for key in ("command", "commit", "dirty", "versions", "hardware", "started", "starts", "steps", "hours"):
            self.assertIsNone(found[key], key)
        found = model_card.training_facts({}, [], [{"command": "python x", "commit": "abc"}], name="x", which="best")
        self.assertEqual((found["command"], found["commit"], found["starts"]), ("python x", "abc", None))

    @parameterized.parameters(
        (COMMAND, "python bin/train.py --config=configs/x.py:fast '--config.data.name=idx:my data' --workdir=runs/new"),
        ("python /src/bin/train.py --workdir /a --config=c", "python bin/train.py --workdir=runs/new --config=c"),
        ("python bin/train.py -workdir=/a --data_dir=/b --data_dir /c", "python bin/train.py --workdir=runs/new"),
        ("python x/bin/train.py --config.workdir=1", "python bin/train.py --config.workdir=1"),
    )
    def test_public_command(self, command, wanted):
        self.assertEqual(model_card.public_command(command, name="new"), wanted)

    def test_card(self):
        network = {"name": "fashion_cnn", "network": {"rule": "map", "encoder_blocks": 1}}
        facts = {"data": {}, "training": {"config": {"model": network}}}
        card = model_card.make_card("new", **facts)
        self.assertEqual((card["license"], card["name"], card["metrics"], card["limits"]), ("mit", "new", {}, None))
        self.assertEqual(card["description"], "Network `fashion_cnn` (encoder_blocks 1, rule map).")
        self.assertEqual(model_card.make_card("new", limits="No.", **facts)["limits"], "No.")


if __name__ == "__main__":
    tf.test.main()
