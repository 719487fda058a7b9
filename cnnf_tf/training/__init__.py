"""Training: one loop for standard, robust and repairing CNN-F, on one device or many."""

from cnnf_tf.utils.backend import need_tensorflow as _need_tensorflow

_need_tensorflow(__name__, "trains under tf.distribute, on tf.data")

from cnnf_tf.training.objectives import AdversarialObjective, Objective
from cnnf_tf.training.optimizers import build_optimizer
from cnnf_tf.training.run import build_model, run
from cnnf_tf.training.step import TrainingStep, split_over_replicas
from cnnf_tf.training.strategies import STRATEGIES, build_strategy
from cnnf_tf.training.trackers import TRACKERS, MetricsLogger, TrackedRun, find_trackers
from cnnf_tf.training.workdir import Workdir, open_workdir

__all__ = [
    "STRATEGIES",
    "TRACKERS",
    "AdversarialObjective",
    "MetricsLogger",
    "Objective",
    "TrackedRun",
    "TrainingStep",
    "Workdir",
    "build_model",
    "build_optimizer",
    "build_strategy",
    "find_trackers",
    "open_workdir",
    "run",
    "split_over_replicas",
]
