"""The one loop: images go up a `FeedbackComposite`, come back down it, and that repeats (paper section 2.4).

    f, z = network(h)                               first pass = the plain CNN
    repeat K times:
        g(0), g = network.feedback(f, z)            starts from the logits, goes down to h
        h       = h + eta (g(0) - h)
        f, z    = network(h, g)                     AdaReLU and AdaPool see their stored g

Training, attacks, evaluation, restoration and export all call this loop; nothing else re-writes it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops, tree
from keras.backend import standardize_dtype

from cnnf_tf.layers import FeedbackComposite, FeedbackLayer
from cnnf_tf.layers.base import Tensor, at_least_float32, custom_gradient, move
from cnnf_tf.layers.windows import first_maximum
from cnnf_tf.models.networks import leaves
from cnnf_tf.models.rematerialization import rematerialized
from cnnf_tf.models.step_sizes import Eta, apart
from cnnf_tf.models.tracing import Function, traced_once
from cnnf_tf.utils.validation import integer, one_of

FEEDBACK_STARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda logits: logits,
    "softmax": ops.softmax,
    "one_hot": lambda logits: first_maximum(logits, axis=-1),
}
"""What is sent down from the top: the raw logits (the authors' choice), their softmax, or the winning class."""


class State(NamedTuple):
    """What one pass up hands to the next iteration."""

    features: Tensor
    """h, `[batch, ...]`."""
    logits: Tensor
    """`[batch, classes]`."""
    latents: Any
    """z, nested like the network."""
    taps: Sequence[Tensor] = ()
    """What the taps recorded on the way up, bottom to top: for the objective, no iteration needs it."""

    def carried(self) -> "State":
        """What the next iteration needs: all but the taps."""
        return self._replace(taps=())


class Feedback(NamedTuple):
    """What one pass down found."""

    reconstruction: Tensor
    """g(0), shaped like h."""
    signals: Any
    """g at every layer's output side, nested like the network."""
    taps: list[Tensor]
    """What the taps recorded on the way down, bottom to top."""


class Trajectory(NamedTuple):
    """Everything that happened: K + 1 passes up and the K passes down between them."""

    logits: Tensor
    """`[K + 1, batch, classes]`, float32 (float64 in a float64 model); entry 0 is the plain CNN."""
    features: list[Tensor]
    """h of each of the K + 1 passes, `[batch, ...]`; in the model's own pixel range where h is the image."""
    reconstructions: list[Tensor]
    """g(0) of each of the K feedback passes, shaped like h; entry t - 1 moved h towards `features[t]`."""
    taps: list[list[Tensor]]
    """For each of the K + 1 passes, the tapped features, bottom to top."""
    tap_reconstructions: list[list[Tensor]]
    """For each of the K feedback passes, the reconstructions of the taps."""
    latents: list[Any]
    """z of each of the K + 1 passes, nested like the network."""
    signals: list[Any]
    """g of each of the K feedback passes, nested like the network."""


def first_pass(network: FeedbackComposite, features: Tensor, *, training: bool = False) -> State:
    """The plain CNN."""
    return State(features, *network.pass_up(features, training=training))


def feedback_pass(network: FeedbackComposite, state: State, *, feedback_start: str = "logits") -> Feedback:
    """One pass down from the state's logits through its latents."""
    start = FEEDBACK_STARTS[one_of("feedback_start", feedback_start, FEEDBACK_STARTS)]
    return Feedback(*network.pass_down(start(state.logits), state.latents))


def step(
    network: FeedbackComposite,
    state: State,
    *,
    eta: Eta,
    feedback_start: str = "logits",
    training: bool = False,
) -> tuple[State, Feedback]:
    """One iteration: down, move h, up again."""
    feedback = feedback_pass(network, state, feedback_start=feedback_start)
    eta_features, eta_network = apart(eta)
    features = move(state.features, feedback.reconstruction, eta_features)
    found = network.pass_up(features, feedback.signals, eta=eta_network, training=training)
    return State(features, *found), feedback


def unroll(
    network: FeedbackComposite,
    features: Tensor,
    *,
    iterations: int,
    eta: Eta,
    feedback_start: str = "logits",
    training: bool = False,
    burn_in: Tensor | None = None,
    rematerialize: bool = False,
) -> Trajectory:
    """Runs the loop for a fixed number of iterations.

    Args:
      network: the part of the CNN inside the loop, from h to the logits.
      features: h, `[batch, ...]`.
      iterations: K >= 0; 0 is the plain CNN.
      eta: step size, in [0, 1] for a convex mix of h and its reconstruction; or `StepSizes`, one for h and for each
        adaptive layer.
      feedback_start: "logits", "softmax" or "one_hot".
      training: as in Keras.
      burn_in: an integer scalar n >= 0, for training far beyond K: after the K iterations the loop goes on for n
        more that are neither recorded nor differentiated, and then for one that is both, so that the trajectory has
        K + 2 passes. None for none of this.
      rematerialize: whether a gradient computes the first pass and each iteration anew, from the state they started
        with, rather than from what the forward pass kept. With K = 5 a training step needs about half of the memory, or
        less (docs/performance.md), and about one more forward pass of time. Not in eager execution, nor with XLA.

    Returns:
      The whole `Trajectory`. Inside a `tf.function`, what is not used costs nothing. With `rematerialize` it is without
      what no objective needs: signals, and taps after the first pass.

    Raises:
      ValueError: negative or non-integer `iterations`, unknown `feedback_start`.
    """
    check_iterations(iterations)
    one_of("feedback_start", feedback_start, FEEDBACK_STARTS)

    def first(features: Tensor) -> State:
        return first_pass(network, features, training=training)

    def once(state: State, eta: Eta) -> tuple[State, Feedback]:
        return step(network, state, eta=eta, feedback_start=feedback_start, training=training)

    start, iterate = _rematerialized(network, first, once) if rematerialize else (first, _called(once, iterations))
    state = start(features)
    states, feedbacks = [state], []
    for iteration in range(iterations + (burn_in is not None)):
        if iteration == iterations:
            later = _advance(network, _full(network, state), burn_in, eta, feedback_start)
            state = later._replace(logits=_in_turn(state.logits, later.logits))
        state, feedback = iterate(state, eta)
        states.append(state)
        feedbacks.append(feedback)
    return Trajectory(
        logits=ops.stack([at_least_float32(state.logits) for state in states]),
        features=[state.features for state in states],
        reconstructions=[feedback.reconstruction for feedback in feedbacks],
        taps=[list(state.taps) for state in states],
        tap_reconstructions=[feedback.taps for feedback in feedbacks],
        latents=[_full(network, state).latents for state in states],
        signals=[feedback.signals for feedback in feedbacks],
    )


def _advance(network: FeedbackComposite, state: State, iterations: Tensor, eta: Eta, feedback_start: str) -> State:
    """The state a number of iterations later, as a constant for gradients."""

    state = state.carried()

    def iterate(done: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        after, _ = step(network, unpack(state, carried), eta=eta, feedback_start=feedback_start)
        return done + 1, *(ops.stop_gradient(tensor) for tensor in pack(after.carried()))

    start = [ops.stop_gradient(tensor) for tensor in pack(state)]
    _, *carried = ops.while_loop(lambda done, *_: done < iterations, iterate, (0, *start))
    return unpack(state, [ops.stop_gradient(tensor) for tensor in carried])


@custom_gradient
def _in_turn(earlier: Tensor, later: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """`later`, without gradients but zeros. They make those of `earlier` wait for those of what comes after `later`.

    Otherwise TensorFlow takes the gradients of the K iterations while the loop goes on, with the memory for both.
    """
    return later, lambda upstream: (0 * upstream, 0 * upstream)


def _called(
    once: Callable[[State, Eta], tuple[State, Feedback]], iterations: int
) -> Callable[[State, Eta], tuple[State, Feedback]]:
    """The iteration as a call of a graph, where that serves."""
    if iterations < 2:
        return once
    run = _on_nests(lambda given: once(*given), traced_once)
    return lambda state, eta: run((state.carried(), eta))


def _rematerialized(
    network: FeedbackComposite, first: Callable[[Tensor], State], once: Callable[[State, Eta], tuple[State, Feedback]]
) -> tuple[Callable[[Tensor], State], Callable[[State, Eta], tuple[State, Feedback]]]:
    """The first pass and the iteration, but gradients run them once more instead of keeping what they computed.

    What they return is kept, so it is little: no signals, no taps but those of the first pass, and booleans for latents
    that are zeros and ones.
    """

    def lean_first(features: Tensor) -> State:
        return _lean(network, first(features))

    def lean_once(given: tuple[State, Eta]) -> tuple[State, Feedback]:
        state, eta = given
        state, feedback = once(_full(network, state), eta)
        return _lean(network, state.carried()), feedback._replace(signals=())

    run_first, run_once = _on_nests(lean_first, rematerialized), _on_nests(lean_once, rematerialized)
    if any(leaf.stateful for leaf in leaves(network)):
        run_first = first  # what draws random numbers or moves statistics must not do so twice
    return run_first, lambda state, eta: run_once((_lean(network, state.carried()), eta))


def _on_nests(compute: Callable[[Any], Any], wrap: Callable[[Function], Function]) -> Callable[[Any], Any]:
    """`wrap`, which is for functions from tensors to tensors, for one from nests to nests."""
    given: list[Any] = []
    found: list[Any] = []

    def flat(*tensors: Tensor) -> list[Tensor]:
        found[:] = [compute(unpack(given[0], tensors))]
        return pack(found[0])

    run = wrap(flat)

    def on_nests(nest: Any) -> Any:
        given[:] = [nest]
        tensors = run(*pack(nest))
        return unpack(found[0], tensors)

    return on_nests


def _lean(network: FeedbackComposite, state: State) -> State:
    """The state with booleans for latents that are zeros and ones."""
    return state._replace(latents=_map_binary(lambda _, latent: ops.cast(latent, "bool"), network, state.latents))


def _full(network: FeedbackComposite, state: State) -> State:
    """The inverse of `_lean`; any other state as it is."""

    def as_features(layer: FeedbackLayer, latent: Tensor) -> Tensor:
        return layer.in_compute_dtype(latent) if standardize_dtype(latent.dtype) == "bool" else latent

    return state._replace(latents=_map_binary(as_features, network, state.latents))


def _map_binary(change: Callable[[FeedbackLayer, Tensor], Tensor], layer: FeedbackLayer, latents: Any) -> Any:
    """Nested latents, with a function applied to those that are zeros and ones, and to the layer they are of."""
    if isinstance(layer, FeedbackComposite):
        pairs = zip(layer.children(), layer.entries("latent", latents), strict=True)
        return [_map_binary(change, child, latent) for child, latent in pairs]
    return tree.map_structure(lambda latent: change(layer, latent), latents) if layer.has_latents else latents


def pack(nest: Any) -> list[Tensor]:
    """The tensors of a nest, without the places that hold None or numbers."""
    return [leaf for leaf in tree.flatten(nest) if ops.is_tensor(leaf)]


def unpack(nest: Any, tensors: Sequence[Tensor]) -> Any:
    """A nest like the given one, with other tensors."""
    left = iter(tensors)
    leaves = [next(left) if ops.is_tensor(leaf) else leaf for leaf in tree.flatten(nest)]
    return tree.pack_sequence_as(nest, leaves)


READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "last": lambda logits: logits[-1],
    "average": lambda logits: ops.mean(logits, axis=0),
}
"""From the logits of all passes, `[K + 1, batch, classes]`, to `[batch, classes]`."""


def check_iterations(iterations: Any) -> int:
    """Returns `iterations` if it is an int >= 0, else raises ValueError."""
    return integer("iterations", iterations, note=" (0 is the plain CNN)")
