"""The page of results: tables made from result files, and sentences written by hand and checked against them.

Needs the standard library only.
"""

from cnnf_tf.experiments.results.numbers import drift
from cnnf_tf.experiments.results.tables import TABLES, fill

__all__ = ["TABLES", "drift", "fill"]
