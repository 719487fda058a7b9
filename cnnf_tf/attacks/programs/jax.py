"""An attack in JAX: see `eager`. What is of models is compiled, with their weights handed in at each call."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import Array


def is_traced(values: Any) -> bool:
    """Whether values are not known yet."""
    return isinstance(values, jax.core.Tracer)


def is_spec(value: Any) -> bool:
    """Whether it is what `from_shape` gives in place of a tensor."""
    return isinstance(value, jax.ShapeDtypeStruct)


def row_numbers(chosen: Array) -> np.ndarray:
    """The numbers of the rows that are chosen, some of them again to make a power of two: JAX compiles for each size.

    An image that is in work twice is found to be the same thing twice.
    """
    found = np.flatnonzero(chosen)
    return np.resize(found, 1 << (len(found) - 1).bit_length()) if len(found) else found


def keep(values: Any, chosen: Array) -> Any:
    """The rows of tensors, or of row numbers, that are chosen, some of them again, as `row_numbers` has them."""
    return values[row_numbers(chosen)]


def count(rows: np.ndarray) -> int:
    """How many rows there are."""
    return len(np.unique(rows))


def predictor(function: Callable[..., Array], models: Sequence[Any]) -> Callable[..., Array]:
    """A function of models and images, for their values: compiled, and of a batch filled up to a power of two."""
    return functools.partial(ask, compiled(function, models))


differentiable = predictor  # for gradients, too


def compiled(function: Callable[..., Array], models: Sequence[Any]) -> Callable[..., Array]:
    """A function of models, compiled; with no Keras model there is nothing known to hand in, and it stays as it is."""
    variables = [variable for model in models if isinstance(model, keras.Model) for variable in model.variables]
    if not variables:
        return function

    @jax.jit
    def run(values: list[Array], *arguments: Array) -> Array:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: run([variable.value for variable in variables], *arguments)


def ask(function: Callable[..., Array], *arguments: Array) -> Array:
    """Calls a model with a batch filled up to a power of two: JAX compiles for each size, and images leave the work."""
    rows = arguments[0].shape[0]
    extra = (1 << max(rows - 1, 0).bit_length()) - rows
    filled = [jnp.pad(argument, [(0, extra), *[(0, 0)] * (argument.ndim - 1)]) for argument in arguments]
    found = function(*filled)
    return found[:rows] if isinstance(found, Array) and found.ndim else found


def from_shape(function: Callable[[Array], Array], images: Array) -> Any:
    """What a function makes of images, for shape and dtype; nothing runs."""
    return jax.eval_shape(function, images)


def value_and_gradient(
    function: Callable[[Array], tuple[Array, Any]], images: Array
) -> tuple[Array, Any, Array | None]:
    """Losses `[batch]` and what else a function returns, and the gradient of the losses with respect to the images.

    None for a gradient that is zero whatever the images are; one that happens to be zero stays.
    """
    losses, pull, others = jax.vjp(function, images, has_aux=True)
    (gradient,) = pull(jnp.ones_like(losses))
    return losses, others, gradient if gradient.any() or _comes_down(pull, losses) else None


def _comes_down(pull: Callable[[Array], tuple[Array]], losses: Array) -> bool:
    """Whether what is handed to the gradient function of losses is used there at all."""
    traced = jax.make_jaxpr(pull)(losses).jaxpr
    return any(used is traced.invars[0] for equation in traced.eqns for used in equation.invars)
