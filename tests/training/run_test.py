"""Training runs: what they leave, how they resume, what they refuse."""

import json
import pathlib
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from ml_collections import ConfigDict

from cnnf_tf import training
from cnnf_tf.training import loop
from cnnf_tf.zoo import load_model
from tests.training import fixtures_training


class RunTest(tf.test.TestCase, parameterized.TestCase):
    def workdir(self, name="run"):
        return pathlib.Path(self.create_tempdir().full_path) / name

    def test_leaves_checkpoints_history_config_and_events_and_refuses_another_config(self):
        workdir = self.workdir()
        folder = training.run(fixtures_training.config(), workdir)
        self.assertTrue(folder.last.exists())
        self.assertTrue(folder.best.exists())
        (entry,) = folder.history()
        self.assertEqual((entry["epoch"], entry["step"]), (1, 2))
        for name in ("loss", "gradient_norm", "seconds", "images_per_second", "val_first_pass_accuracy"):
            self.assertGreaterEqual(entry[name], 0, name)
        self.assertNotIn("val_robust_accuracy", entry)
        self.assertEqual(json.loads(folder.config.read_text())["model"]["name"], "fashion_cnn")
        self.assertNotEmpty(list(folder.tensorboard.rglob("events.out.tfevents*")))
        self.assertEmpty(list(folder.root.rglob(".*")))
        self.assertEqual([path.name for path in folder.checkpoints.iterdir()], ["step-00000002.npz"])
        self.assertLen(load_model(folder.best)(np.zeros((1, *fixtures_training.IMAGE_SHAPE), np.float32))[0], 10)

        # A finished run is not run again.
        before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
        training.run(fixtures_training.config(), workdir)
        with self.assertRaisesRegex(ValueError, "another config .*model.eta: 0.1 there, 0.2 asked"):
            training.run(fixtures_training.config(model__eta=0.2), workdir)
        self.assertEqual(before, {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()})

    def test_adversarial_scalars_and_pictures_are_in_the_event_files(self):
        folder = fixtures_training.run(
            fixtures_training.config("adversarial", train__steps_per_epoch=21), self.workdir()
        )
        steps = {
            name: [step for step, _ in values] for name, values in fixtures_training.tags(folder.tensorboard).items()
        }
        for name in ("loss", "accuracy", "clean_accuracy", "first_pass_accuracy", "gradient_norm", "learning_rate"):
            self.assertEqual(steps[f"train/{name}"], [20], name)
        for name in ("loss", "accuracy", "robust_accuracy", "image", "adversarial", "reconstruction/iteration_1"):
            self.assertEqual(steps[f"validation/{name}"], [21], name)
        (entry,) = folder.history()
        self.assertBetween(entry["val_robust_accuracy"], 0.0, entry["val_accuracy"])
        for name in ("clean_accuracy", "reconstruction_loss", "val_first_pass_accuracy", "images_per_second"):
            self.assertGreaterEqual(entry[name], 0, name)

    def test_cut_and_resumed_equals_unbroken(self):
        config = fixtures_training.config(train__epochs=2)
        unbroken = fixtures_training.run(config, self.workdir())
        cut = self.workdir()

        class PowerCut(Exception):
            pass

        save_model = loop.save_model

        def save_and_die(model, path):
            save_model(model, path)
            if path.name == "last.keras":
                raise PowerCut

        with mock.patch.object(loop, "save_model", save_and_die), self.assertRaises(PowerCut):
            fixtures_training.run(config, cut)
        self.assertEqual([entry["epoch"] for entry in training.Workdir(cut).history()], [1])
        resumed = fixtures_training.run(config, cut, command="python again")
        self.assertEqual(
            [(entry["step"], entry["command"]) for entry in resumed.sessions()],
            [(0, None), (0, "python again")],  # the power was cut before the first checkpoint
        )
        self.assertAllClose(
            load_model(resumed.last).get_weights(), load_model(unbroken.last).get_weights(), rtol=1e-4, atol=1e-6
        )
        self.assertEqual([entry["epoch"] for entry in resumed.history()], [1, 2])

    def test_pairs_of_corrupted_and_clean_images(self):
        config = fixtures_training.config("restore")
        config.data.corruptions.corruptions = ("gaussian_noise",)  # the dotted line wants larger images
        folder = fixtures_training.run(config, self.workdir())
        self.assertTrue(np.isfinite(folder.history()[0]["val_reconstruction_loss"]))

    def test_step_sizes_of_a_mapping_are_learned(self):
        """They are in the files, and a run that was cut goes on with them."""
        config = fixtures_training.config(model__learn_eta=True, train__checkpoint_every=1)
        with config.ignore_type():
            config.model.eta = (("h", 0.5), ("*", 0.1))
        folder = fixtures_training.run(config, self.workdir())
        model = load_model(folder.last)
        self.assertEqual(list(model.eta.items()), [("h", 0.5), ("*", 0.1)])
        found = model.reported_eta()
        self.assertEqual(list(found), ["h", "tap/ada_relu"])
        moved = np.abs(np.array(list(found.values())) - [0.5, 0.1])
        self.assertAllInRange(moved, 1e-6, 0.1)

        cut = self.workdir("cut")
        with (
            mock.patch.object(loop.Loop, "_evaluate", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            fixtures_training.run(config, cut)
        self.assertEqual([path.name for path in training.Workdir(cut).checkpoints.iterdir()], ["step-00000001.npz"])
        again = load_model(fixtures_training.run(config, cut).last)
        self.assertEqual(again.reported_eta(), found)

    def test_best_without_validation_is_the_last(self):
        folder = fixtures_training.run(
            fixtures_training.config(data__validation_split="", train__epochs=2), self.workdir()
        )
        self.assertAllEqual(load_model(folder.best).get_weights()[0], load_model(folder.last).get_weights()[0])

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    def test_half_precision(self, policy):
        folder = fixtures_training.run(fixtures_training.config(train__dtype_policy=policy), self.workdir())
        (entry,) = folder.history()
        self.assertTrue(np.isfinite(entry["loss"]))
        self.assertTrue(np.isfinite(entry["gradient_norm"]))
        self.assertEqual("skipped" in entry, policy == "mixed_float16")
        self.assertEqual(keras.config.dtype_policy().name, "float32")
        model = load_model(folder.best)
        self.assertEqual(model.network.layers[0].compute_dtype, policy.removeprefix("mixed_"))

    @parameterized.parameters(
        ({"data__name": "fashion_mnistt"}, "fashion_mnist"),
        ({"data__name": "stl10"}, "stl10 is not prepared in .* Run `python bin/prepare_data.py"),
        ({"data__batch_size": 0}, "config.data.batch_size must be an integer >= 1, got 0"),
        ({"data__train_split": "trane"}, "trane"),
        ({"data__validation_split": "test[:0]x"}, "test"),
        ({"train__epochs": -1}, "config.train.epochs must be an integer >= 1, got -1"),
        ({"train__dtype_policy": "float8"}, "config.train.dtype_policy must be one of"),
        ({"train__accumulation": 3}, "divisible by 1 replicas x 3 micro-batches"),
        (
            {"train__optimizer__name": "lion"},
            r"optimizer.name must be one of \['adam', 'sgd'\], got 'lion'",
        ),
        ({"train__optimizer__learning_rate": -1.0}, "learning_rate must be > 0, got -1.0"),
        ({"train__optimizer__schedule": "steps"}, "schedule must be one of"),
        ({"model__name": "resnet"}, "network name must be one of"),
        ({"model__network__rule": "other"}, "rule must be one of"),
        ({"model__iterations": -2}, "iterations must be an integer >= 0"),
        ({"adversarial__epsilon": -0.1}, "epsilon must be a finite number >= 0"),
        ({"adversarial__steps": 0}, "steps must be"),
        ({"adversarial__step_size": -0.1}, "step_size must be a finite number >= 0"),
        ({"adversarial__gradient_path": "second_pass"}, "gradient_path must be one of"),
        ({"adversarial__clean_weight": -0.1}, "clean_weight must be a number >= 0"),
        ({"adversarial__guard_drop": 2.0}, "config.adversarial.guard_drop must be a number in"),
        ({"data__corruptions": ConfigDict()}, "both an adversarial block and data.corruptions"),
    )
    def test_bad_config_leaves_nothing(self, changes, message):
        workdir = self.workdir()
        with self.assertRaisesRegex((ValueError, FileNotFoundError), message):
            training.run(fixtures_training.config("adversarial", **changes), workdir)
        self.assertFalse(workdir.exists())
        self.assertEqual(keras.config.dtype_policy().name, "float32")

    def test_replicas_that_do_not_divide_the_batch_leave_nothing(self):
        workdir = self.workdir()
        strategy = fixtures_training.mirrored()
        with self.assertRaisesRegex(ValueError, "divisible by 2 replicas x 1 micro-batches .*got 9"):
            training.run(fixtures_training.config(data__batch_size=9), workdir, strategy=strategy)
        self.assertFalse(workdir.exists())

    def test_a_loss_that_is_not_a_number_keeps_the_last_good_checkpoint(self):
        workdir = self.workdir()
        with self.assertRaisesRegex(ValueError, "the loss became"):
            fixtures_training.run(fixtures_training.config(train__optimizer__learning_rate=1e30), workdir)
        self.assertFalse((workdir / "last.keras").exists())


if __name__ == "__main__":
    tf.test.main()
