"""MLflow: a server, or a database in the workdir."""

import logging
import os
import pathlib
import re
import time
from collections.abc import Mapping, Sequence

import numpy as np

from cnnf_tf.training.trackers.base import MetricsLogger, TrackedRun

_PARAMETERS_AT_ONCE = 100  # MLflow takes no more


class MLflow(MetricsLogger):
    """A run in the experiment of MLFLOW_EXPERIMENT_NAME, or else `cnnf_tf`.

    It goes where MLFLOW_TRACKING_URI or `mlflow.set_tracking_uri` says, or else into `WORKDIR/mlflow`: SQLite for the
    values, as MLflow recommends (its folders of text files are in maintenance, and refused by default), and a folder
    for files and pictures.
    """

    def __init__(self, run: TrackedRun) -> None:
        import mlflow
        from mlflow.entities import Param

        folder = run.folder.root.resolve()
        uri, artifacts = None, None
        if not mlflow.is_tracking_uri_set():
            uri, artifacts = _local_store(folder / "mlflow")
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        if run.run_id:
            self.run_id = run.run_id
            self._client.update_run(run.run_id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "cnnf_tf")
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name, artifacts)
        tags = {**run.tags, "mlflow.source.name": "cnnf_tf"}
        if "commit" in tags:
            tags["mlflow.source.git.commit"] = tags["commit"]  # where MLflow's page looks for it
        self.run_id = self._client.create_run(number, run_name=folder.name, tags=tags).info.run_id
        parameters = [Param(_key(name), str(value)) for name, value in run.parameters.items()]
        for start in range(0, len(parameters), _PARAMETERS_AT_ONCE):
            self._client.log_batch(self.run_id, params=parameters[start : start + _PARAMETERS_AT_ONCE])

    def scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(f"{group}/{_key(name)}", float(value), now, step) for name, value in values.items()]
        self._client.log_batch(self.run_id, metrics=metrics, synchronous=True)

    def pictures(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        for name, pictures in images.items():
            row = np.concatenate([*np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)], axis=1)
            self._client.log_image(self.run_id, row, key=_key(name), step=step, synchronous=True)

    def artifacts(self, paths: Sequence[pathlib.Path]) -> None:
        for path in paths:
            self._client.log_artifact(self.run_id, os.fspath(path))

    def close(self, status: str) -> None:
        self._client.set_terminated(self.run_id, status)


def _local_store(folder: pathlib.Path) -> tuple[str, str]:
    """The addresses of values and of files."""
    try:
        import alembic  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"the tracker 'mlflow' keeps runs in SQLite unless MLFLOW_TRACKING_URI names a server, and that needs "
            f"another package ({error}): pip install 'cnnf_tf[mlflow]'."
        ) from error
    from mlflow.utils.file_utils import path_to_local_sqlite_uri

    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # it tells of every table that it makes
    return path_to_local_sqlite_uri(folder / "mlflow.db"), (folder / "artifacts").as_uri()


def _key(name: str) -> str:
    """A name of only such characters as MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)
