"""The loop as a pure function of the weights: `first_pass` and `step` of `cnnf_tf.models.unroll` under `lax.scan`.

A program's size, and the time to compile it, so do not depend on the number of iterations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jax import Array, lax

from cnnf_tf.experiments.screening.recipes import Recipe
from cnnf_tf.layers import AdaReLU, FeedbackSequential, Tap
from cnnf_tf.layers.base import move
from cnnf_tf.models.networks import NETWORKS
from cnnf_tf.models.unroll import State, first_pass, step

Weights = list[Array]


class Passes(NamedTuple):
    """What an unrolled loop did; the first axis counts passes."""

    logits: Array
    """`[K + 1, batch, classes]`."""
    features: Array
    """h of each pass, `[K + 1, batch, ...]`."""
    reconstructions: list[Array]
    """g(0) and reconstructions of the taps, each `[K, batch, ...]`."""
    targets: list[Array]
    """h and the taps of the first pass: what should have been reconstructed."""
    state: State
    """After the last pass."""
    statistics: Weights
    """Of layers that keep some, the last of the weights, after the first pass; training moves them."""


class SoftAdaReLU(AdaReLU):
    """AdaReLU with the latents' mean instead of their maximiser: z = sigmoid(sharpness f g), and f z comes out."""

    sharpness = 10.0

    def call(self, features: Any, signal: Any = None, *, eta: Any = 0.0, training: bool = False) -> Any:
        if signal is None:
            return super().call(features, None, training=training)
        features = move(features + self.in_compute_dtype(self.bias), signal, eta)
        latent = jax.nn.sigmoid(self.sharpness * features * signal)
        return features * latent, latent


class Model:
    """The network of a recipe; `weights` are passed to every method.

    Args:
      recipe: whose network, by the dtype policy of Keras.
      image_shape: height, width and channels.
      seed: of the initial weights.
    """

    def __init__(self, recipe: Recipe, image_shape: tuple[int, int, int], seed: int):
        keras.utils.set_random_seed(seed)
        build = NETWORKS[recipe.network]
        self.parts = build(encoder_blocks=recipe.encoder_blocks, rule=recipe.rule, **recipe.options)
        if recipe.soft:
            _soften(self.parts.network)
        shape = (None, *image_shape)
        self._encoder, self._network = self.parts
        if self._encoder is not None:
            self._encoder.build(shape)
            shape = self._encoder.output_shape_for(shape)
        self._network.build(shape)
        parts = [part for part in self.parts if part is not None]
        self._statistics = [variable for part in parts for variable in part.non_trainable_variables]
        self._variables = [variable for part in parts for variable in part.trainable_variables] + self._statistics
        self._start = recipe.start

    def initial(self) -> Weights:
        """The weights that training starts with; the last of them are statistics, which no gradient changes."""
        return [jnp.array(variable.value) for variable in self._variables]

    def _with(self, weights: Weights) -> keras.StatelessScope:
        return keras.StatelessScope(state_mapping=list(zip(self._variables, weights, strict=True)))

    def run(
        self,
        weights: Weights,
        images: Array,
        iterations: int,
        eta: Array,
        *,
        remat: bool = False,
        training: bool = False,
    ) -> Passes:
        """K iterations on images in [0, 1], `[batch, height, width, channels]`."""
        with self._with(weights) as scope:
            features = self._network.in_compute_dtype((images - 0.5) / 0.5)
            if self._encoder is not None:
                features, _ = self._encoder(features, training=training)
            state = first_pass(self._network, features, training=training)
            statistics = [scope.get_current_value(variable) for variable in self._statistics]
        targets = [features, *state.taps]
        first = Passes(state.logits[None], features[None], [], targets, state, statistics)
        return self.go_on(weights, first, iterations, eta, remat)

    def go_on(self, weights: Weights, passes: Passes, iterations: int, eta: Array, remat: bool = False) -> Passes:
        """So many iterations more."""
        if not iterations:
            return passes

        def iterate(state: State, _: None) -> tuple[State, Any]:
            state, feedback = self._step(weights, state, eta)
            reconstructions = [feedback.reconstruction, *feedback.taps]
            return state, (state.logits, state.features, reconstructions)

        iterate = jax.checkpoint(iterate) if remat else iterate
        state, (logits, features, reconstructions) = lax.scan(iterate, passes.state, None, length=iterations)
        if passes.reconstructions:
            reconstructions = jax.tree.map(_append, passes.reconstructions, reconstructions)
        return passes._replace(
            logits=_append(passes.logits, logits),
            features=_append(passes.features, features),
            reconstructions=reconstructions,
            state=state,
        )

    def skip(self, weights: Weights, passes: Passes, iterations: Array, eta: Array) -> Passes:
        """The state a number of iterations later, as a constant for gradients."""
        weights, state = lax.stop_gradient((weights, passes.state))
        state = lax.fori_loop(
            0, iterations, lambda _, state: self._step(weights, state, lax.stop_gradient(eta))[0], state
        )
        return passes._replace(state=lax.stop_gradient(state))

    def _step(self, weights: Weights, state: State, eta: Array) -> Any:
        with self._with(weights):
            return step(self._network, state, eta=eta, feedback_start=self._start)


def readout(name: str, logits: Array) -> Array:
    """From the logits of all passes to `[batch, classes]`: those of the last, or the mean."""
    return jnp.mean(logits, axis=0) if name == "average" else logits[-1]


def _append(first: Array, second: Array) -> Array:
    return jnp.concatenate([first, second])


def _soften(composite: FeedbackSequential) -> None:
    """Puts a `SoftAdaReLU` in the place of every AdaReLU."""
    for index, layer in enumerate(composite.layers):
        if isinstance(layer, AdaReLU):
            composite.layers[index] = SoftAdaReLU(name=layer.name)
        elif isinstance(layer, Tap) and isinstance(layer.layer, AdaReLU):
            layer.layer = SoftAdaReLU(name=layer.layer.name)
