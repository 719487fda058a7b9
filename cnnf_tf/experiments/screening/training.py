"""Training by a recipe: an epoch is one compiled scan over steps, with the data set on the device.

What differs between recipes of the same structure (`Recipe.structure`) is an argument, so that they share compilations.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from cnnf_tf.experiments.screening import images as images_lib
from cnnf_tf.experiments.screening.loop import Model, Passes, Weights, readout
from cnnf_tf.experiments.screening.recipes import Recipe
from cnnf_tf.layers.base import at_least_float32

WARM_UP = 0.05
CLIP_NORM = 1.0
_BETAS = (0.9, 0.999)


class Numbers(NamedTuple):
    """The numbers of a recipe, all traced."""

    learning_rate: Array
    steps: Array
    eta: Array
    reconstruction_weight: Array
    consistency: Array
    ema: Array
    epsilon: Array


class Training(NamedTuple):
    """All that changes."""

    weights: Weights
    first: Weights
    second: Weights
    average: Weights
    step: Array


def start(weights: Weights) -> Training:
    """Before the first step."""
    zeros = [jnp.zeros_like(weight) for weight in weights]
    return Training(weights, zeros, zeros, weights, jnp.zeros((), jnp.int32))


def numbers_of(recipe: Recipe, steps: float) -> Numbers:
    """The traced part of a recipe that is trained for so many steps."""
    values = (
        recipe.learning_rate,
        steps,
        recipe.eta,
        recipe.reconstruction_weight,
        recipe.consistency,
        recipe.ema,
        recipe.epsilon,
    )
    return Numbers(*(jnp.asarray(value, jnp.float32) for value in values))


def epoch_function(model: Model, recipe: Recipe, iterations: int, batch_size: int) -> Any:
    """A compiled `(training, numbers, images, labels, key) -> (training, means)` for one pass over the data."""

    @jax.jit
    def epoch(training: Training, numbers: Numbers, images: Array, labels: Array, key: Array) -> Any:
        order_key, noise_key, steps_key = jax.random.split(key, 3)
        seen, clean, labels = _prepared(recipe, images, labels, order_key, noise_key)
        steps = len(images) // batch_size

        def batches(array: Array) -> Array:
            return array[: steps * batch_size].reshape(steps, batch_size, *array.shape[1:])

        def one(training: Training, batch: Any) -> Any:
            return step(model, recipe, iterations, numbers, training, *batch)

        inputs = batches(seen), batches(clean), batches(labels), jax.random.split(steps_key, steps)
        training, reports = lax.scan(one, training, inputs)
        return training, jax.tree.map(jnp.mean, reports)

    return epoch


def _prepared(recipe: Recipe, images: Array, labels: Array, order_key: Array, noise_key: Array) -> Any:
    """Shuffled, flipped and noisy images, uint8; the clean ones; the labels."""
    order_key, flip_key = jax.random.split(order_key)
    order = jax.random.permutation(order_key, len(images))
    clean, labels = images[order], labels[order]
    if not recipe.attack_steps:
        flips = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
        clean = jnp.where(flips, clean[:, :, ::-1], clean)
    if not recipe.noise:
        return clean, clean, labels
    noisy = functools.partial(images_lib.noisy, kind=recipe.noise)
    return images_lib.in_chunks(noise_key, clean, noisy, 4000), clean, labels


def step(
    model: Model,
    recipe: Recipe,
    iterations: int,
    numbers: Numbers,
    training: Training,
    seen: Array,
    clean: Array,
    labels: Array,
    key: Array,
) -> Any:
    """One update on a batch of uint8 images, as they are shown and clean: what changed, and what was found."""
    attack_key, horizon_key = jax.random.split(key)
    seen, clean = images_lib.to_floats(seen), images_lib.to_floats(clean)
    if recipe.attack_steps:
        seen = attack(model, recipe, iterations, numbers, training.weights, seen, labels, attack_key)
    skipped = jax.random.randint(horizon_key, (), 0, max(recipe.horizon - iterations, 1))

    def loss(weights: Weights) -> Any:
        return _loss(model, recipe, iterations, numbers, weights, seen, clean, labels, skipped)

    (_, (report, statistics)), gradients = jax.value_and_grad(loss, has_aux=True)(training.weights)
    training = _adam(numbers, training, gradients)
    kept = training.weights[: len(training.weights) - len(statistics)]
    return training._replace(weights=[*kept, *statistics]), report


def _loss(
    model: Model,
    recipe: Recipe,
    iterations: int,
    numbers: Numbers,
    weights: Weights,
    seen: Array,
    clean: Array,
    labels: Array,
    skipped: Array,
) -> Any:
    run = functools.partial(model.run, weights, eta=numbers.eta, remat=recipe.rematerialize, training=True)
    passes = run(seen, iterations)
    if recipe.horizon:
        passes = model.skip(weights, passes, skipped, numbers.eta)
        passes = model.go_on(weights, passes, 1, numbers.eta)
    targets = passes.targets
    clean_loss = 0.0
    if recipe.trades:
        undisturbed = run(clean, iterations)
        targets = undisturbed.targets
        classification = _cross_entropy(undisturbed.logits, labels, recipe.loss_readout)
        clean_loss = recipe.trades * jnp.mean(_divergence(undisturbed.logits, passes.logits))
    else:
        classification = _cross_entropy(passes.logits, labels, recipe.loss_readout)
        if recipe.noise or recipe.attack_steps:
            targets = run(clean, 0).targets
    reconstruction = _reconstruction(passes, targets)
    mean = lax.stop_gradient(jnp.mean(passes.logits, axis=0, keepdims=True))
    consistency = jnp.mean(_divergence(jnp.broadcast_to(mean, passes.logits.shape), passes.logits))
    total = classification + clean_loss + numbers.reconstruction_weight * reconstruction
    total += numbers.consistency * consistency
    accuracy = jnp.mean(jnp.argmax(passes.logits, -1) == labels, axis=1)
    report = {
        "loss": total,
        "reconstruction": reconstruction,
        "first_pass_accuracy": accuracy[0],
        "last_pass_accuracy": accuracy[-1],
    }
    return total, (report, passes.statistics)


def _cross_entropy(logits: Array, labels: Array, loss_readout: str) -> Array:
    """Mean over passes and images; or that of the mean logits."""
    if loss_readout == "average":
        logits = readout("average", logits)[None]
    logs = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(logs, jnp.broadcast_to(labels[None, :, None], (*logs.shape[:2], 1)), -1))


def _divergence(first: Array, second: Array) -> Array:
    """Kullback-Leibler divergence of softmaxes."""
    first, second = jax.nn.log_softmax(first), jax.nn.log_softmax(second)
    return jnp.sum(jnp.exp(first) * (first - second), axis=-1)


def _reconstruction(passes: Passes, targets: list[Array]) -> Array:
    """The term of `cnnf_tf.models.objective`."""
    if not passes.reconstructions:
        return jnp.zeros(())
    pairs = zip(passes.reconstructions, targets, strict=True)
    errors = [at_least_float32(found) - at_least_float32(target)[None] for found, target in pairs]
    return jnp.mean(jnp.stack([jnp.mean(jnp.square(error)) for error in errors]))


def attack(
    model: Model,
    recipe: Recipe,
    iterations: int,
    numbers: Numbers,
    weights: Weights,
    images: Array,
    labels: Array,
    key: Array,
) -> Array:
    """PGD of a few steps on the cross-entropy, from a random start; one step is 1.25 epsilon long."""
    epsilon, steps = numbers.epsilon, recipe.attack_steps
    step_size = 1.25 * epsilon if steps == 1 else 2.5 * epsilon / steps
    through = iterations if recipe.attack_path == "full_unroll" else 0

    def loss(images: Array) -> Array:
        logits = model.run(weights, images, through, numbers.eta, remat=recipe.rematerialize).logits
        return _cross_entropy(logits, labels, recipe.loss_readout) * len(images)

    def ascend(_: int, adversarial: Array) -> Array:
        adversarial = adversarial + step_size * jnp.sign(jax.grad(loss)(adversarial))
        return jnp.clip(jnp.clip(adversarial, images - epsilon, images + epsilon), 0, 1)

    first = jnp.clip(images + epsilon * jax.random.uniform(key, images.shape, minval=-1, maxval=1), 0, 1)
    return lax.stop_gradient(lax.fori_loop(0, steps, ascend, first))


def _adam(numbers: Numbers, training: Training, gradients: Weights) -> Training:
    """Adam on clipped gradients, cosine decay after a warm-up, and the moving average of the weights."""
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
    gradients = [gradient * jnp.minimum(1.0, CLIP_NORM / (norm + 1e-12)) for gradient in gradients]
    count = training.step + 1
    first = [_BETAS[0] * old + (1 - _BETAS[0]) * new for old, new in zip(training.first, gradients, strict=True)]
    second = [
        _BETAS[1] * old + (1 - _BETAS[1]) * jnp.square(new) for old, new in zip(training.second, gradients, strict=True)
    ]
    done = training.step / numbers.steps
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * (done - WARM_UP) / (1 - WARM_UP)))
    rate = numbers.learning_rate * jnp.where(done < WARM_UP, done / WARM_UP, cosine)
    rate = rate * jnp.sqrt(1 - _BETAS[1] ** count) / (1 - _BETAS[0] ** count)
    moments = zip(training.weights, first, second, strict=True)
    weights = [weight - rate * mean / (jnp.sqrt(variance) + 1e-7) for weight, mean, variance in moments]
    decay = jnp.minimum(numbers.ema, count / (count + 10.0))
    average = [decay * old + (1 - decay) * new for old, new in zip(training.average, weights, strict=True)]
    return Training(weights, first, second, average, count)


def train(
    model: Model,
    recipe: Recipe,
    images: Array,
    labels: Array,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    progress: Callable[[int, dict[str, float]], None],
) -> Weights:
    """Trains by a recipe and returns the weights (their moving average where `recipe.ema` > 0).

    Raises:
      FloatingPointError: the loss is not finite any more.
    """
    numbers = numbers_of(recipe, epochs * (len(images) // batch_size))
    training = start(model.initial())
    functions: dict[int, Callable[..., Any]] = {}
    for epoch in range(epochs):
        iterations = recipe.iterations_at(epoch / epochs)
        if iterations not in functions:
            functions[iterations] = epoch_function(model, recipe, iterations, batch_size)
        key = jax.random.fold_in(jax.random.key(seed), epoch)
        training, report = functions[iterations](training, numbers, images, labels, key)
        means = {name: float(value) for name, value in report.items()}
        if not jnp.isfinite(means["loss"]):
            raise FloatingPointError(f"{recipe.name}: the loss is {means['loss']} after epoch {epoch + 1}.")
        progress(epoch + 1, means)
    return training.average if recipe.ema else training.weights
