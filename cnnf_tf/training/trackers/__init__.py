"""Trackers: where the numbers, pictures and files of a run go, beside its workdir. One file each."""

from cnnf_tf.training.trackers.base import MetricsLogger, TrackedRun
from cnnf_tf.training.trackers.guarded import open_trackers, unfinished
from cnnf_tf.training.trackers.registry import TRACKERS, find_trackers

__all__ = ["TRACKERS", "MetricsLogger", "TrackedRun", "find_trackers", "open_trackers", "unfinished"]
