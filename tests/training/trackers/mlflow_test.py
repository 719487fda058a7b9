"""MLflow itself: a run that is killed and goes on, in its database and in its folders of files."""

import contextlib
import io
import os
import pathlib
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest
from PIL import Image

from cnnf_tf import training
from cnnf_tf.training import run_log
from cnnf_tf.training.step import TrainingStep
from cnnf_tf.training.trackers.base import TrackedRun
from cnnf_tf.training.trackers.mlflow import MLflow
from cnnf_tf.zoo import load_model
from tests.training import fixtures_training

try:
    import mlflow
except ImportError:
    mlflow = None

EVERY = {"train__steps_per_epoch": 4, "train__checkpoint_every": 2, "train__evaluate_every": 2}


@absltest.skipIf(mlflow is None, "MLflow is not installed: pip install 'cnnf_tf[mlflow]'")
class MLflowTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        kept["MLFLOW_DISABLE_TELEMETRY"] = "true"
        self.enter_context(mock.patch.dict(os.environ, kept, clear=True))
        self.place = pathlib.Path(self.create_tempdir().full_path)

    def steps(self, client, run_id, name):
        return [metric.step for metric in client.get_metric_history(run_id, name)]

    def test_a_killed_run_goes_on_as_the_same_run_and_trains_the_same(self):
        config = fixtures_training.config(**EVERY)
        call = TrainingStep.__call__

        def die(step_of, images, labels, *, step, seed):
            if step == 3:
                raise KeyboardInterrupt
            return call(step_of, images, labels, step=step, seed=seed)

        workdir = self.place / "é run %1"
        with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(run_log, "_SCALARS_EVERY", 1):
            plain = fixtures_training.run(config, self.place / "plain", trackers=(), progress=False)
            self.assertFalse(plain.tensorboard.exists() or plain.trackers.exists())
            options = {"trackers": ("mlflow",), "progress": False, "command": "python train.py"}
            with mock.patch.object(TrainingStep, "__call__", die), self.assertRaises(KeyboardInterrupt):
                fixtures_training.run(config, workdir, **options)
            client = mlflow.MlflowClient(mlflow_uri(workdir / "mlflow" / "mlflow.db"))
            experiment = client.get_experiment_by_name("cnnf_tf").experiment_id
            (killed,) = client.search_runs([experiment])
            self.assertEqual(killed.info.status, "KILLED")
            self.assertEqual(self.steps(client, killed.info.run_id, "train/loss"), [1, 2, 3])
            folder = fixtures_training.run(config, workdir, **options)
        for ours, theirs in zip(
            load_model(folder.last).get_weights(), load_model(plain.last).get_weights(), strict=True
        ):
            self.assertTrue(np.array_equal(ours, theirs))

        (run,) = client.search_runs([experiment])
        run_id = run.info.run_id
        self.assertEqual((run_id, run.info.status, run.info.run_name), (killed.info.run_id, "FINISHED", "é run %1"))
        for name, steps in (
            ("train/loss", [1, 2, 3, 4]),  # step 3 was run twice
            ("train/learning_rate", [1, 2, 3, 4]),
            ("validation/accuracy", [2, 4]),
        ):
            self.assertEqual(self.steps(client, run_id, name), steps, name)
        values = {entry["step"]: entry["val_accuracy"] for entry in folder.history()}
        for metric in client.get_metric_history(run_id, "validation/accuracy"):
            self.assertAllClose(metric.value, values[metric.step], atol=1e-6)
        self.assertEqual(run.data.params["model.network.rule"], "map")
        self.assertEqual(run.data.params["data.batch_size"], "8")
        self.assertEqual(run.data.tags["command"], "python train.py")
        self.assertEqual(run.data.tags["versions.tensorflow"], tf.__version__)
        files = {file.path for file in client.list_artifacts(run_id)}
        self.assertEqual(files, {"best.keras", "config.json", "metrics.jsonl", "run.json", "images"})
        kept = folder.root / "mlflow" / "artifacts" / run_id / "artifacts"
        self.assertEqual((kept / "best.keras").read_bytes(), folder.best.read_bytes())
        pictures = {path.name.split("+")[0] for path in (kept / "images").glob("*.png")}
        self.assertEqual(pictures, {"image", "reconstruction~iteration_1"})
        self.assertLen(list((kept / "images").glob("image+step+4+*.png")), 1)

    def test_folders_of_files(self):
        """MLflow keeps them for those who ask for them; names and pictures as they can be."""
        uri = (self.place / "store").as_uri()
        os.environ |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_EXPERIMENT_NAME": "mine"}
        folder = training.open_workdir(self.place / "run", fixtures_training.config())
        parameters = {f"p{index}": index for index in range(120)} | {"eta.block3*": 0.1}
        tracker = MLflow(TrackedRun(folder, parameters, {"commit": "abc"}, ""))
        tracker.scalars(20, {"loss": 0.5, "eta of block3*": 1.0}, "train")
        images = np.random.default_rng(0).uniform(size=(3, 4, 5, 3)).astype(np.float32)
        tracker.pictures(20, {"image": images})
        tracker.artifacts([folder.config])
        tracker.close("FAILED")
        client = mlflow.MlflowClient(uri)
        (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
        self.assertEqual((run.info.run_id, run.info.status), (tracker.run_id, "FAILED"))
        self.assertLen(run.data.params, 121)
        self.assertEqual(run.data.params["eta.block3_"], "0.1")
        self.assertEqual(run.data.tags["mlflow.source.git.commit"], "abc")
        self.assertEqual(run.data.metrics, {"train/loss": 0.5, "train/eta of block3_": 1.0})
        (picture,) = self.place.glob("store/*/*/artifacts/images/*.png")
        self.assertAllClose(np.asarray(Image.open(picture)) / 255, np.concatenate(images, axis=1), atol=0.51 / 255)
        self.assertFalse((folder.root / "mlflow").exists())
        self.assertEqual(MLflow(TrackedRun(folder, {}, {}, run.info.run_id)).run_id, run.info.run_id)
        self.assertEqual(client.get_run(run.info.run_id).info.status, "RUNNING")

    def test_without_the_packages_of_the_database(self):
        folder = training.open_workdir(self.place / "run", fixtures_training.config())
        with (
            mock.patch.dict("sys.modules", {"sqlalchemy": None}),
            self.assertRaisesRegex(
                ImportError, r"SQLite unless MLFLOW_TRACKING_URI .* pip install 'cnnf_tf\[mlflow\]'"
            ),
        ):
            MLflow(TrackedRun(folder, {}, {}, ""))


def mlflow_uri(path):
    from mlflow.utils.file_utils import path_to_local_sqlite_uri

    return path_to_local_sqlite_uri(path)


if __name__ == "__main__":
    tf.test.main()
