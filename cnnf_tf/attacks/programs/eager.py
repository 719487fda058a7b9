"""What JAX and PyTorch have in common: loops and branches are Python's, whatever counts rows is of NumPy."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from cnnf_tf.layers.base import Tensor
from cnnf_tf.utils import philox

Rows = np.ndarray
"""Numbers of rows, int64 `[n]`."""


def executing_eagerly() -> bool:
    """Whether values can be looked at."""
    return True


def checked(values: Tensor, condition: Tensor, message: str) -> Tensor:
    """The values of a traced tensor, which raise unless a condition holds."""
    raise ValueError(f"an attack works on concrete arrays in {keras.backend.backend()}; call it outside of jax.jit.")


def graph(work: Callable[..., Any], images: Any, numbers: int) -> Callable[..., Any]:
    """A function of images like these, class ids, a seed and so many numbers, made a graph where there are such."""
    del images, numbers
    return work


def numbers(values: list[float], dtype: Any) -> list[Any]:
    """Numbers as a graph takes them."""
    del dtype
    return values


def number(value: int) -> Any:
    """A whole number as loops count with it."""
    return value


def seed_pair(seed: Any) -> Any:
    """A whole number and 0, int64 `[2]`."""
    return np.array([int(seed), 0], np.int64)


def loop(
    condition: Callable[..., Any], body: Callable[..., Any], start: Sequence[Any], maximum: int | Tensor
) -> Sequence[Any]:
    """`start`, again and again handed through the body, as long as the condition holds and at most so often."""
    state = start
    for _ in range(maximum):
        if not condition(*state):
            break
        state = body(*state)
    return state


def branch(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """The result of one of two functions."""
    return then() if condition else otherwise()


def require(condition: Any, message: str) -> None:
    """Raises unless a condition holds; in a graph when it runs."""
    if not condition:
        raise ValueError(message)


def all_rows(values: Tensor) -> Rows:
    """0, 1, ... for each row."""
    return np.arange(values.shape[0], dtype=np.int64)


def row_numbers(chosen: Tensor) -> Rows:
    """The numbers of the rows that are chosen, from bool `[batch]`."""
    return np.flatnonzero(ops.convert_to_numpy(chosen))


def count(rows: Rows) -> Any:
    """How many rows there are."""
    return len(rows)


def take(values: Tensor, rows: Rows) -> Tensor:
    """The rows of these numbers."""
    return values[rows]


def put_rows(values: Tensor, rows: Rows, updates: Tensor) -> Tensor:
    """`values` with others in the rows of these numbers."""
    return ops.scatter_update(values, rows[:, None], updates)


def add_to_rows(values: Tensor, rows: Rows, number: int) -> Tensor:
    """`values`, int32 `[batch]`, more by a number in these rows."""
    return put_rows(values, rows, values[rows] + number)


def keep(values: Any, chosen: Tensor) -> Any:
    """The rows of tensors, or of row numbers, that are chosen, from bool `[batch]`."""
    return values[row_numbers(chosen)]


def largest(logits: Tensor) -> Tensor:
    """The place of the largest, int32 `[batch]`."""
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def stream(seed: Tensor, indices: Tensor) -> np.ndarray:
    """A seed for each image, int64 `[batch, 2]`: of the attack's seed, `[2]`, and of the number of the image."""
    hashed = philox.whole(philox.bits(np.asarray(seed), 2))
    return np.array([(hashed, index) for index in ops.convert_to_numpy(indices)], np.int64).reshape(-1, 2)


def draw(seeds: np.ndarray, numbers: Sequence[int], one: Callable[[Any], Tensor], like: Any) -> Tensor:
    """Random numbers for each image; see `Problem.draw`."""
    drawn = []
    for seed in seeds:
        for number in numbers:
            seed = np.array([philox.whole(philox.bits(seed, 2)), int(number)], np.int64)
        drawn.append(one(seed))
    if not drawn:
        shape, dtype = like
        return ops.zeros((0, *shape), dtype)
    return ops.stack(drawn)


def like(shape: tuple[int, ...], dtype: str) -> Any:
    """What `draw` wants to know of the numbers for one image."""
    return shape, dtype


def uniform(shape: tuple[int, ...], seed: Any, dtype: str) -> Tensor:
    """Uniform in [-1, 1); with the seeds of TensorFlow its numbers, as in all of this file."""
    return ops.convert_to_tensor(2 * philox.uniform(seed, int(np.prod(shape)), dtype) - 1).reshape(shape)


def normal(size: int, seed: Any, dtype: str) -> Tensor:
    """Of mean 0 and deviation 1, `[size]`."""
    return ops.convert_to_tensor(philox.normal(seed, size, dtype))


def length(point: Tensor) -> Tensor:
    """The Euclidean length of a vector."""
    return ops.norm(point)
