"""Convolutions and a matrix product of every kind that the networks have."""

from cnnf_tf.experiments.benchmark.linear_ops import Kind, LinearOp

FORWARD = (
    LinearOp(Kind.FORWARD, (2, 6, 4, 3), (3, 3, 3, 5), (2, 6, 4, 5), 1, True, "float32"),
    LinearOp(Kind.FORWARD, (2, 8, 6, 3), (3, 3, 3, 5), (2, 3, 2, 5), 2, False, "float32"),
    LinearOp(Kind.FORWARD, (1, 7, 7, 3), (5, 5, 3, 2), (1, 3, 3, 2), 1, False, "float32"),
    LinearOp(Kind.FORWARD, (2, 8, 8, 3), (1, 1, 3, 5), (2, 4, 4, 5), 2, False, "float32"),
    LinearOp(Kind.FORWARD, (3, 7), (7, 4), (3, 4), 0, False, "float32"),
)
