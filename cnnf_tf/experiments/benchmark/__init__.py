"""Speed and memory against the bare convolutions, and against the authors' code."""

from cnnf_tf.experiments.benchmark.plan import BenchmarkOptions
from cnnf_tf.experiments.benchmark.plot import benchmark_figure
from cnnf_tf.experiments.benchmark.report import BenchmarkReport
from cnnf_tf.experiments.benchmark.run import run_benchmark

__all__ = ["BenchmarkOptions", "BenchmarkReport", "benchmark_figure", "run_benchmark"]
