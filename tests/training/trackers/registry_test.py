"""Trackers by name: what is found, and what is refused before any work."""

import functools
import importlib
import pathlib
import sys
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training.trackers import find_trackers
from cnnf_tf.training.trackers.base import MetricsLogger
from cnnf_tf.training.trackers.tensorboard import TensorBoard
from tests.training import fixtures_training


class Mine(MetricsLogger):
    """A class of a user."""


class RegistryTest(tf.test.TestCase, parameterized.TestCase):
    def test_names_paths_and_classes(self):
        path = "cnnf_tf.training.trackers.tensorboard:TensorBoard"
        found = find_trackers(["tensorboard", path, Mine, "tensorboard"])
        self.assertEqual(found, {"tensorboard": TensorBoard, path: TensorBoard, "Mine": Mine})
        self.assertEqual(find_trackers("tensorboard"), {"tensorboard": TensorBoard})
        self.assertEqual(find_trackers([]), {})

    def test_two_of_one_name(self):
        def make():
            return lambda run: Mine()

        first, second = make(), make()
        self.assertLen(find_trackers([first, first]), 1)
        with self.assertRaisesRegex(ValueError, "two different trackers have the name '.*<lambda>'.*__qualname__"):
            find_trackers([first, second])
        partials = [functools.partial(Mine), functools.partial(Mine)]
        with self.assertRaisesRegex(ValueError, "have the name 'partial'"):
            find_trackers(partials)
        partials[0].__qualname__ = "first"
        self.assertEqual(find_trackers(partials), {"first": partials[0], "partial": partials[1]})

    def test_every_name_is_a_tracker(self):
        for name, place in training.TRACKERS.items():
            module, _, attribute = place.partition(":")
            self.assertIn(MetricsLogger, getattr(importlib.import_module(module), attribute).__mro__, name)

    @parameterized.parameters(
        ("tensorbord", ValueError, "a tracker is one of mlflow, tensorboard, wandb, or a .*MODULE:CLASS; got 'tensorb"),
        ("", ValueError, "got ''"),
        ("none", ValueError, "got 'none'"),
        ("json:", ValueError, "got 'json:'"),
        ("json:Tracker", ValueError, "the module json has no class Tracker"),
        ("no_such_module:Tracker", ImportError, "'no_such_module:Tracker' cannot be imported .No module named"),
        ("wandb", ImportError, r"'wandb' cannot be imported .*; pip install 'cnnf_tf\[wandb\]'"),
    )
    def test_refuses_before_any_work(self, tracker, error, message):
        workdir = pathlib.Path(self.create_tempdir().full_path) / "run"
        with mock.patch.dict(sys.modules, {"wandb": None}), self.assertRaisesRegex(error, message):
            training.run(fixtures_training.config(), workdir, trackers=("tensorboard", tracker))
        self.assertFalse(workdir.exists())


if __name__ == "__main__":
    tf.test.main()
