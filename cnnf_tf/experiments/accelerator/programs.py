"""The work of a case as a function of arrays, by the loop and the training of the screening."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from cnnf_tf.experiments.accelerator.plan import PRECISIONS, Timed
from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.setups import BenchmarkNetwork
from cnnf_tf.experiments.screening import images as images_lib
from cnnf_tf.experiments.screening import training
from cnnf_tf.experiments.screening.loop import Model
from cnnf_tf.experiments.screening.recipes import Recipe
from cnnf_tf.utils.dtypes import dtype_policy

_STEPS = 1000
_CLASSES = 10


class Program(NamedTuple):
    """A function to compile, and what makes its arguments, when they are wanted."""

    function: Callable[..., Any]
    inputs: Callable[[], tuple[Any, ...]]


def machine() -> dict[str, str]:
    """What a measurement in this process depends on: device and version."""
    device = jax.devices()[0]
    return {"device": device.device_kind, "platform": device.platform, "jax": jax.__version__}


def recipe_of(setup: BenchmarkNetwork, **changes: Any) -> Recipe:
    """The network of a set-up with the authors' rule."""
    values: dict[str, Any] = {
        "network": setup.network,
        "options": dict(setup.options),
        "encoder_blocks": setup.encoder_blocks,
        "rule": "reference",
        "iterations": setup.iterations,
        "epsilon": setup.epsilon,
    }
    return Recipe(setup.network, "", **(values | changes))


@functools.cache
def model_of(setup: BenchmarkNetwork, policy: str) -> Model:
    """With random weights."""
    with dtype_policy(policy):
        return Model(recipe_of(setup), setup.image_shape, 0)


def program(timed: Timed) -> Program:
    """Inference returns the last logits, an attack step the images, a training step all that training changes."""
    case, setup = timed.case, timed.case.setup
    model, recipe = model_of(setup, PRECISIONS[timed.precision][0]), recipe_of(setup, rematerialize=timed.rematerialize)

    def batch() -> tuple[Any, Any, Any]:
        key, own = jax.random.split(jax.random.key(0))
        images = jax.random.uniform(key, (case.batch_size, *setup.image_shape))
        return images, jnp.arange(case.batch_size, dtype=jnp.int32) % _CLASSES, own

    if case.kind == setups.INFERENCE:

        def infer(weights: Any, images: Any, eta: Any) -> Any:
            return model.run(weights, images, case.iterations, eta).logits[-1]

        return Program(infer, lambda: (model.initial(), batch()[0], jnp.float32(recipe.eta)))
    if case.kind == setups.ATTACK_FULL_UNROLL:
        attacking = recipe_of(setup, attack_steps=1, attack_path="full_unroll", rematerialize=timed.rematerialize)
        attack = functools.partial(training.attack, model, attacking, case.iterations)
        return Program(attack, lambda: (training.numbers_of(recipe, _STEPS), model.initial(), *batch()))
    update = functools.partial(training.step, model, recipe, case.iterations)

    def inputs() -> tuple[Any, ...]:
        images, labels, own = batch()
        seen = images_lib.to_bytes(images)
        return training.numbers_of(recipe, _STEPS), training.start(model.initial()), seen, seen, labels, own

    return Program(update, inputs)
