"""Weights & Biases."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from cnnf_tf.training.trackers.base import MetricsLogger, TrackedRun

_EXIT_CODES = {"FINISHED": 0, "FAILED": 1, "KILLED": 130}


class WeightsAndBiases(MetricsLogger):
    """A run in the project of WANDB_PROJECT, or else `cnnf_tf`; its local files are in `WORKDIR/wandb`.

    WANDB_MODE ("online", "offline", "disabled") and the other variables of W&B hold as everywhere.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "cnnf_tf"),
            name=run.folder.root.resolve().name,
            dir=os.fspath(run.folder.root),
            config={**run.parameters, **run.tags},
            id=run.run_id or None,
            resume="allow",
        )
        self.run_id = self._run.id
        # W&B's own steps only count upwards, one for each call.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        self._run.log({"step": step} | {f"{group}/{name}": float(value) for name, value in values.items()})

    def pictures(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        shown = {name: [self._wandb.Image(picture) for picture in pictures] for name, pictures in images.items()}
        self._run.log({"step": step} | shown)

    def artifacts(self, paths: Sequence[pathlib.Path]) -> None:
        files = self._wandb.Artifact(f"run-{self.run_id}", type="model")
        for path in paths:
            files.add_file(os.fspath(path))
        self._run.log_artifact(files)

    def close(self, status: str) -> None:
        self._run.finish(exit_code=_EXIT_CODES[status])
