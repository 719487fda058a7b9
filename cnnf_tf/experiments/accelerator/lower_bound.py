"""The floor in JAX: the ops of `benchmark.linear_ops`, each timed alone.

Each is compiled several times over into one program, on inputs of its own so that none is the same as another: what
starting a program costs is shared, and what XLA does to one op alone is all that it can do.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from cnnf_tf.experiments.accelerator.programs import Program
from cnnf_tf.experiments.benchmark.linear_ops import Kind, LinearOp


def bare(op: LinearOp, first: Array, second: Array) -> Array:
    """The op on its two inputs: features and kernel, output and kernel, or features and output."""

    def forward(features: Array, kernel: Array) -> Array:
        if not op.strides:
            return features @ kernel
        strides, padding = (op.strides, op.strides), "SAME" if op.same else "VALID"
        return lax.conv_general_dilated(features, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    if op.kind is Kind.FORWARD:
        return forward(first, second)
    if op.kind is Kind.DATA:
        like = jax.ShapeDtypeStruct(op.features, op.dtype)
        return jax.linear_transpose(lambda features: forward(features, second), like)(first)[0]
    like = jax.ShapeDtypeStruct(op.kernel, op.dtype)
    return jax.linear_transpose(lambda kernel: forward(first, kernel), like)(second)[0]


def program(op: LinearOp, copies: int) -> Program:
    """The op so many times over, on standard normal inputs."""
    shapes = {
        Kind.FORWARD: (op.features, op.kernel),
        Kind.DATA: (op.output, op.kernel),
        Kind.WEIGHTS: (op.features, op.output),
    }[op.kind]

    def run(pairs: list[Any]) -> list[Array]:
        return [bare(op, *pair) for pair in pairs]

    def inputs() -> tuple[Any, ...]:
        keys = iter(jax.random.split(jax.random.key(0), 2 * copies))
        dtype = jnp.dtype(op.dtype)
        return ([[jax.random.normal(next(keys), shape, dtype) for shape in shapes] for _ in range(copies)],)

    return Program(run, inputs)
