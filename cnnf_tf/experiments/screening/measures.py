"""What is measured of trained weights, the same for every recipe."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from cnnf_tf.experiments.screening import images as images_lib
from cnnf_tf.experiments.screening.loop import Model, Weights, readout
from cnnf_tf.experiments.screening.recipes import Recipe

PASSES = 10
SEVERITY = 3
ATTACKS = (
    ("full_unroll", "margin"),
    ("full_unroll", "cross_entropy"),
    ("first_pass", "margin"),
    ("first_pass", "cross_entropy"),
)
"""Gradient path and loss; each sees what the ones before it left robust.
A path may also be a number of iterations."""


def by_pass(model: Model, recipe: Recipe, weights: Weights, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy in percent at K' = 0 ... 10, for both readouts, on uint8 images."""
    program = _forward(model)
    logits = np.concatenate([program(weights, part, recipe.eta)[0] for part in _parts(images, 1000)], axis=1)
    sums = np.cumsum(logits, axis=0)  # of as many passes: the argmax of the mean
    return {
        name: [_percent(np.argmax(values[k], -1) == labels) for k in range(PASSES + 1)]
        for name, values in (("last", logits), ("average", sums))
    }


def restoration(
    model: Model, recipe: Recipe, weights: Weights, corrupted: np.ndarray, clean: np.ndarray
) -> dict[str, Any]:
    """Mean PSNR in dB of the corrupted images, of h and of g(0), at iteration 1 ... 10; for a loop on pixels."""
    program = _forward(model)
    features, reconstructions = [], []
    for part, original in zip(_parts(corrupted, 1000), _parts(clean, 1000), strict=True):
        _, h, g = program(weights, part, recipe.eta)
        target = original[None].astype(np.float32) / 255
        features.append(_psnr((np.asarray(h) + 1) / 2, target))
        reconstructions.append(_psnr((np.asarray(g) + 1) / 2, target))
    before = _psnr(corrupted[None].astype(np.float32) / 255, clean[None].astype(np.float32) / 255)
    return {
        "corrupted": _mean(before)[0],
        "features": _mean(np.concatenate(features, 1))[1:],
        "reconstruction": _mean(np.concatenate(reconstructions, 1)),
    }


def corrupted_images(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """uint8 images with each corruption at `SEVERITY`."""
    result = {}
    for index, name in enumerate(images_lib.CORRUPTIONS):
        apply = functools.partial(images_lib.corrupt, name=name, severity=SEVERITY)
        key = jax.random.fold_in(jax.random.key(seed), index)
        result[name] = np.asarray(jax.jit(lambda k, x, f=apply: images_lib.in_chunks(k, x, f, 1000))(key, images))
    return result


def under_attack(
    model: Model,
    recipe: Recipe,
    weights: Weights,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    iterations: int,
    epsilons: Sequence[float],
    steps: int,
    chunk: int,
    seed: int,
    attacks: Sequence[tuple[str | int, str]] = ATTACKS,
) -> dict[str, Any]:
    """Accuracy in percent that every attack leaves, aimed at and judged by the readout at K' = `iterations`.

    PGD with steps that shrink by a cosine from epsilon / 4 to 0 (5 epsilon in sum), random start, one restart; an image
    falls if any iterate of any attack is misclassified.

    Returns:
      By epsilon: for each of `attacks`, what stands after it and all before it; the last is the minimum over all.
    """
    size = len(images)
    floats = images.astype(np.float32) / 255
    indices = np.tile(np.arange(size), len(epsilons))
    balls: np.ndarray = np.repeat(np.asarray(epsilons, np.float32), size)
    robust: np.ndarray = np.ones(len(indices), bool)
    found: dict[str, dict[str, float]] = {f"{epsilon:g}": {} for epsilon in epsilons}
    if not iterations:
        attacks = [(path, loss) for path, loss in attacks if path == "first_pass"]
    for number, (path, loss) in enumerate(attacks):
        program = _attack(model, recipe.readout, iterations, path, loss)
        key = jax.random.fold_in(jax.random.key(seed), number)
        left = np.flatnonzero(robust)
        for first in range(0, len(left), chunk):
            own = left[first : first + chunk]
            padded: np.ndarray = np.resize(own, chunk)
            rows = indices[padded]
            kept = program(
                weights, floats[rows], labels[rows], balls[padded], recipe.eta, steps, jax.random.fold_in(key, first)
            )
            robust[own] = np.asarray(kept)[: len(own)]
        for epsilon, part in zip(epsilons, robust.reshape(len(epsilons), size), strict=True):
            found[f"{epsilon:g}"][f"{path}/{loss}"] = _percent(part)
    return found


_CACHE: dict[Any, Any] = {}


def _forward(model: Model) -> Any:
    """Logits of all passes, h of all passes, and g(0)."""
    key = (id(model), "forward")
    if key not in _CACHE:

        @jax.jit
        def forward(weights: Weights, images: Array, eta: float) -> tuple[Array, Array, Array]:
            passes = model.run(weights, images_lib.to_floats(images), PASSES, eta)
            if passes.features.shape[-1] != images.shape[-1]:  # h is not the image: spare the way to the host
                return passes.logits, jnp.zeros(()), jnp.zeros(())
            return passes.logits, passes.features, passes.reconstructions[0]

        _CACHE[key] = forward
    return _CACHE[key]


def _attack(model: Model, readout_name: str, iterations: int, path: str | int, loss_name: str) -> Any:
    key = (id(model), readout_name, iterations, path, loss_name)
    if key not in _CACHE:
        run = functools.partial(_pgd, model, readout_name, iterations, path, loss_name)
        _CACHE[key] = jax.jit(run)
    return _CACHE[key]


def _pgd(
    model: Model,
    readout_name: str,
    iterations: int,
    path: str | int,
    loss_name: str,
    weights: Weights,
    images: Array,
    labels: Array,
    epsilon: Array,
    eta: Array,
    steps: Array,
    key: Array,
) -> Array:
    """Which images stand, `[batch]`."""
    epsilon = epsilon[:, None, None, None]
    own = jax.nn.one_hot(labels, 10, dtype=bool)

    def margin(logits: Array) -> Array:
        return jnp.max(jnp.where(own, -jnp.inf, logits), -1) - jnp.sum(jnp.where(own, logits, 0), -1)

    def loss(images: Array) -> tuple[Array, Array]:
        through = iterations if path == "full_unroll" else 0 if path == "first_pass" else int(path)
        passes = model.run(weights, images, through, eta, remat=through > 1)
        logits = readout(readout_name, passes.logits)
        value = margin(logits) if loss_name == "margin" else -jnp.sum(jnp.where(own, jax.nn.log_softmax(logits), 0), -1)
        if through < iterations:
            constants = lax.stop_gradient((weights, passes, eta))
            rest = model.go_on(constants[0], constants[1], iterations - through, constants[2])
            logits = readout(readout_name, rest.logits)
        return jnp.sum(value), margin(lax.stop_gradient(logits)) < 0

    def ascend(step: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        adversarial, robust = carry
        gradient, right = jax.grad(loss, has_aux=True)(adversarial)
        size = 0.25 * epsilon * 0.5 * (1 + jnp.cos(jnp.pi * step / steps))
        moved = adversarial + size * jnp.sign(gradient)
        return jnp.clip(jnp.clip(moved, images - epsilon, images + epsilon), 0, 1), robust & right

    _, clean = loss(images)
    first = jnp.clip(images + epsilon * jax.random.uniform(key, images.shape, minval=-1, maxval=1), 0, 1)
    last, robust = lax.fori_loop(0, steps, ascend, (first, clean))
    return robust & loss(last)[1]


def _parts(images: np.ndarray, size: int) -> list[np.ndarray]:
    return [images[first : first + size] for first in range(0, len(images), size)]


def _psnr(images: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`[passes, batch]`; at most 100 dB."""
    error = np.mean(np.square(np.clip(images, 0, 1) - target), axis=(2, 3, 4))
    return -10 * np.log10(np.maximum(error, 1e-10))


def _mean(values: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in values.mean(axis=1)]


def _percent(right: np.ndarray) -> float:
    return round(100 * float(np.mean(right)), 2)
