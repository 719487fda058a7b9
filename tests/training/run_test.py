"""Training runs: what they leave, how they resume, what they refuse."""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from cnnf_tf import training
from cnnf_tf.models import load_model
from configs import fashion_mnist_standard
from tests.reference_data import TESTDATA

DATA = f"idx:{TESTDATA / 'fashion_mnist_mini'}"


def small_config(**changes):
    """The smoke variant on the committed sample, smaller still."""
    config = fashion_mnist_standard.get_config("smoke").copy_and_resolve_references()
    config.unlock()
    config.data.name = DATA
    config.train.optimizer.schedule = "constant"
    for name, value in changes.items():
        node = config
        *path, last = name.split("__")
        for part in path:
            node = node[part]
        node[last] = value
    return config


class RunTest(tf.test.TestCase, parameterized.TestCase):
    def workdir(self, name="run"):
        return pathlib.Path(self.create_tempdir().full_path) / name

    def test_leaves_checkpoints_history_config_and_events(self):
        folder = training.run(small_config(), self.workdir())
        self.assertTrue(folder.last.exists())
        self.assertTrue(folder.best.exists())
        (entry,) = folder.history()
        self.assertEqual(entry["epoch"], 1)
        self.assertIn("val_first_pass_accuracy", entry)
        self.assertEqual(json.loads(folder.config.read_text())["model"]["name"], "fashion_cnn")
        self.assertNotEmpty(list(folder.tensorboard.rglob("events.out.tfevents*")))
        self.assertEmpty(list(folder.root.glob(".*")))

    def test_scalars_and_pictures_are_in_the_event_files(self):
        folder = training.run(small_config(train__steps_per_epoch=21), self.workdir())
        steps = {}
        for path in folder.tensorboard.rglob("events.out.tfevents*"):
            for event in EventFileLoader(str(path)).Load():
                steps |= {f"{path.parent.name}/{value.tag}": event.step for value in event.summary.value}
        self.assertEqual(steps["train/loss"], 20)
        for name in ("loss", "first_pass_accuracy", "learning_rate", "image", "reconstruction/iteration_1"):
            self.assertEqual(steps[f"validation/{name}"], 21)

    def test_cut_and_resumed_equals_unbroken(self):
        unbroken = training.run(small_config(train__epochs=2), self.workdir())
        cut = self.workdir()

        class PowerCut(Exception):
            pass

        saves = []
        save_model = training.callbacks.save_model

        def save_and_die(model, path):
            save_model(model, path)
            saves.append(path)
            if path.name == "last.keras":
                raise PowerCut

        training.callbacks.save_model = save_and_die
        try:
            with self.assertRaises(PowerCut):
                training.run(small_config(train__epochs=2), cut)
        finally:
            training.callbacks.save_model = save_model
        resumed = training.run(small_config(train__epochs=2), cut)
        self.assertAllClose(
            load_model(resumed.last).get_weights(), load_model(unbroken.last).get_weights(), rtol=1e-4, atol=1e-6
        )
        self.assertEqual([entry["epoch"] for entry in resumed.history()], [1, 2])

    def test_a_finished_run_is_not_run_again(self):
        workdir = self.workdir()
        before = training.run(small_config(), workdir).last.stat().st_mtime_ns
        self.assertEqual(training.run(small_config(), workdir).last.stat().st_mtime_ns, before)

    def test_refuses_a_workdir_of_another_config(self):
        workdir = self.workdir()
        folder = training.run(small_config(), workdir)
        before = folder.last.read_bytes()
        with self.assertRaisesRegex(ValueError, "another config .*model.step_size: 0.1 there, 0.2 asked"):
            training.run(small_config(model__step_size=0.2), workdir)
        self.assertEqual(folder.last.read_bytes(), before)

    def test_best_without_validation_is_the_last(self):
        folder = training.run(small_config(data__validation_split="", train__epochs=2), self.workdir())
        self.assertAllEqual(load_model(folder.best).get_weights()[0], load_model(folder.last).get_weights()[0])

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    def test_half_precision(self, policy):
        folder = training.run(small_config(train__dtype_policy=policy), self.workdir())
        self.assertTrue(np.isfinite(folder.history()[0]["loss"]))
        self.assertEqual(keras.config.dtype_policy().name, "float32")
        model = load_model(folder.best)
        self.assertEqual(model.network.layers[0].compute_dtype, policy.removeprefix("mixed_"))

    @parameterized.parameters(
        ({"data__name": "fashion_mnistt"}, "fashion_mnist"),
        ({"data__batch_size": 0}, "config.data.batch_size must be an integer >= 1, got 0"),
        ({"train__epochs": -1}, "config.train.epochs must be an integer >= 1, got -1"),
        ({"train__dtype_policy": "float8"}, "config.train.dtype_policy must be one of"),
        (
            {"train__optimizer__name": "lion"},
            r"optimizer.name must be one of \['adam', 'sgd'\], got 'lion'",
        ),
        ({"train__optimizer__learning_rate": -1.0}, "learning_rate must be > 0, got -1.0"),
        ({"train__optimizer__schedule": "steps"}, "schedule must be one of"),
        ({"model__name": "resnet"}, "network name must be one of"),
        ({"model__network__rule": "other"}, "rule must be one of"),
        ({"model__iterations": -2}, "iterations must be an integer >= 0"),
    )
    def test_bad_config_leaves_nothing(self, changes, message):
        workdir = self.workdir()
        with self.assertRaisesRegex((ValueError, FileNotFoundError), message):
            training.run(small_config(**changes), workdir)
        self.assertFalse(workdir.exists())

    def test_a_loss_that_is_not_a_number_keeps_the_last_good_checkpoint(self):
        workdir = self.workdir()
        with self.assertRaisesRegex(ValueError, "the loss became"):
            training.run(small_config(train__optimizer__learning_rate=1e30), workdir)
        self.assertFalse((workdir / "last.keras").exists())


class OptimizerTest(tf.test.TestCase, parameterized.TestCase):
    def test_schedules(self):
        config = fashion_mnist_standard.get_config().train.optimizer.copy_and_resolve_references()
        rates = {}
        for schedule in ("constant", "cosine", "poly"):
            config.schedule = schedule
            optimizer = training.build_optimizer(config, 100)
            rate = optimizer._learning_rate
            rates[schedule] = [float(rate(step)) if callable(rate) else float(rate) for step in (0, 5, 50, 100)]
        peak = config.learning_rate
        self.assertAllClose(rates["constant"], [peak] * 4)
        self.assertAllClose(rates["poly"], [peak, peak * 0.95**0.9, peak * 0.5**0.9, 0])
        self.assertAllClose(rates["cosine"][0::3], [0, 0])
        self.assertAllClose(rates["cosine"][1], peak)

    def test_sgd(self):
        config = fashion_mnist_standard.get_config().train.optimizer.copy_and_resolve_references()
        config.name, config.clip_norm, config.weight_decay = "sgd", 0.5, 5e-4
        optimizer = training.build_optimizer(config, 10)
        self.assertIsInstance(optimizer, keras.optimizers.SGD)
        self.assertEqual((optimizer.momentum, optimizer.global_clipnorm, optimizer.weight_decay), (0.9, 0.5, 5e-4))


if __name__ == "__main__":
    tf.test.main()
