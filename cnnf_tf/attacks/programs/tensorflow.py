"""An attack in TensorFlow: operations of one graph. For what each function does see `eager`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

is_traced = tf.is_symbolic_tensor
executing_eagerly = tf.executing_eagerly
number = tf.constant
length = tf.norm
branch = tf.cond
take = tf.gather
keep = tf.boolean_mask
like = tf.TensorSpec


def loop(
    condition: Callable[..., Any], body: Callable[..., Any], start: Sequence[Any], maximum: int | tf.Tensor
) -> Sequence[Any]:
    return tf.while_loop(
        condition,
        body,
        start,
        shape_invariants=tf.nest.map_structure(any_batch, start),
        parallel_iterations=1,
        maximum_iterations=maximum,
    )


def any_batch(tensor: tf.Tensor) -> tf.TensorShape:
    """The shape of a loop's variable whose first axis, if there is one, may change."""
    return tf.TensorShape([None, *tensor.shape[1:]]) if tensor.shape.rank else tensor.shape


def require(condition: tf.Tensor, message: str) -> None:
    tf.debugging.Assert(condition, [message])


def all_rows(values: tf.Tensor) -> tf.Tensor:
    return tf.range(tf.shape(values)[0])


def row_numbers(chosen: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.where(chosen)[:, 0], tf.int32)


def count(rows: tf.Tensor) -> tf.Tensor:
    return tf.size(rows)


def put_rows(values: tf.Tensor, rows: tf.Tensor, updates: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(values, rows[:, None], updates)


def add_to_rows(values: tf.Tensor, rows: tf.Tensor, number: int) -> tf.Tensor:
    return tf.tensor_scatter_nd_add(values, rows[:, None], tf.fill(tf.shape(rows), tf.constant(number)))


def largest(logits: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits, -1, output_type=tf.int32)


def predictor(function: Callable[..., tf.Tensor], models: Sequence[Any]) -> Callable[..., tf.Tensor]:
    return tf.function(differentiable(function, models), autograph=False, reduce_retracing=True)


def differentiable(function: Callable[..., tf.Tensor], models: Sequence[Any]) -> Callable[..., tf.Tensor]:
    del models
    return functools.partial(ask, function)


def graph(work: Callable[..., Any], images: tf.TensorSpec, numbers: int) -> Callable[..., Any]:
    ids = tf.TensorSpec([None], tf.int32)
    numbers_spec = [tf.TensorSpec([], images.dtype)] * numbers
    signature = [images, ids, ids, ids, tf.TensorSpec([2], tf.int64), numbers_spec]
    return tf.function(work, input_signature=signature, autograph=False)


def numbers(values: list[float], dtype: tf.DType) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(value, dtype) for value in values]


def is_spec(value: Any) -> bool:
    return isinstance(value, tf.TensorSpec)


def checked(values: tf.Tensor, condition: tf.Tensor, message: str) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(condition), [message])]):
        return tf.identity(values)


def seed_pair(seed: Any) -> tf.Tensor:
    return tf.stack([tf.cast(seed, tf.int64), tf.constant(0, tf.int64)])


def ask(function: Callable[..., tf.Tensor], *arguments: tf.Tensor) -> tf.Tensor:
    """Calls a model, which never gets to see a batch of no images: TensorFlow's CPU convolutions abort on it."""
    rows = tf.shape(arguments[0])[0]
    extra = tf.cast(rows == 0, tf.int32)
    padded = []
    for argument in arguments:
        filled = tf.pad(argument, [[0, extra], *[[0, 0]] * (argument.shape.rank - 1)])
        padded.append(tf.ensure_shape(filled, [None, *argument.shape[1:]]))
    found = function(*padded)
    return found[:rows] if tf.is_tensor(found) and found.shape.rank else found


def from_shape(function: Any, images: tf.Tensor) -> Any:
    spec = tf.TensorSpec((None, *images.shape[1:]), images.dtype)
    return function.get_concrete_function(spec).structured_outputs


def value_and_gradient(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, Any]], images: tf.Tensor
) -> tuple[tf.Tensor, Any, tf.Tensor | None]:
    # Nothing but the images is watched: no gradient of a weight is ever built.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        losses, others = function(images)
    return losses, others, tape.gradient(losses, images)


def stream(seed: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    hashed = tf.random.stateless_uniform([], seed, minval=None, maxval=None, dtype=tf.int64)
    return tf.stack([tf.fill(tf.shape(indices), hashed), tf.cast(indices, tf.int64)], -1)


def draw(
    seeds: tf.Tensor, numbers: Sequence[tf.Tensor | int], one: Callable[[tf.Tensor], tf.Tensor], like: tf.TensorSpec
) -> tf.Tensor:
    def folded(seed: tf.Tensor) -> tf.Tensor:
        for number in numbers:
            seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int64))
        return one(seed)

    return tf.map_fn(folded, seeds, fn_output_signature=like)


def uniform(shape: tuple[int, ...], seed: tf.Tensor, dtype: Any) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, -1, 1, dtype)


def normal(size: int, seed: tf.Tensor, dtype: Any) -> tf.Tensor:
    return tf.random.stateless_normal([size], seed, dtype=dtype)
