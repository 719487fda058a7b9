"""Training: optimisers by name, the run's folder, checkpoints, and `run`, which puts them together."""

from cnnf_tf.training.optimizers import build_optimizer
from cnnf_tf.training.run import build_model, run
from cnnf_tf.training.workdir import Workdir, open_workdir

__all__ = ["Workdir", "build_model", "build_optimizer", "open_workdir", "run"]
