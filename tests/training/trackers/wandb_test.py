"""Weights & Biases, against a stand-in with the calls of its 0.31."""

import pathlib
import sys
from unittest import mock

import numpy as np
import tensorflow as tf

from cnnf_tf import training
from cnnf_tf.training.trackers.base import TrackedRun
from cnnf_tf.training.trackers.wandb import WeightsAndBiases
from tests.training import fixtures_training


class WeightsAndBiasesTest(tf.test.TestCase):
    def test_calls(self):
        folder = training.open_workdir(
            pathlib.Path(self.create_tempdir().full_path) / "run", fixtures_training.config()
        )
        wandb = mock.Mock(spec=["init", "Image", "Artifact"])
        run = wandb.init.return_value
        run.mock_add_spec(["id", "define_metric", "log", "log_artifact", "finish"])
        run.id = "abc"
        with mock.patch.dict(sys.modules, {"wandb": wandb}), mock.patch.dict("os.environ", {"WANDB_PROJECT": "mine"}):
            for run_id in ("", "abc"):
                tracker = WeightsAndBiases(TrackedRun(folder, {"seed": 1}, {"commit": "c"}, run_id))
                self.assertEqual(tracker.run_id, "abc")
                self.assertEqual(
                    wandb.init.call_args.kwargs,
                    {
                        "project": "mine",
                        "name": "run",
                        "dir": str(folder.root),
                        "config": {"seed": 1, "commit": "c"},
                        "id": run_id or None,
                        "resume": "allow",
                    },
                )
            tracker.scalars(20, {"loss": np.float32(0.5)}, "train")
            run.log.assert_called_with({"step": 20, "train/loss": 0.5})
            tracker.pictures(20, {"image": np.zeros((2, 4, 4, 1))})
            run.log.assert_called_with({"step": 20, "image": [wandb.Image.return_value] * 2})
            tracker.artifacts([folder.config])
            wandb.Artifact.assert_called_once_with("run-abc", type="model")
            wandb.Artifact.return_value.add_file.assert_called_once_with(str(folder.config))
            run.log_artifact.assert_called_once_with(wandb.Artifact.return_value)
            for status, code in (("FINISHED", 0), ("FAILED", 1), ("KILLED", 130)):
                tracker.close(status)
                run.finish.assert_called_with(exit_code=code)


if __name__ == "__main__":
    tf.test.main()
