"""The way down, one latent layer at a time: sampling, log-probabilities and TFP's joint distribution all walk it.

Going down, a latent layer's Bernoulli logits need the signal that arrived there, and the signal below needs that
layer's latent. So the walk is a generator: it yields each signal and wants the latent sent back.
"""

from collections.abc import Callable, Generator
from typing import Any

from cnnf_tf.generative.latents import unknown_composite
from cnnf_tf.layers import (
    AdaPool2D,
    AdaReLU,
    FeedbackComposite,
    FeedbackLayer,
    FeedbackResidual,
    FeedbackSequential,
    Tap,
)
from cnnf_tf.layers.base import Tensor

Descent = Generator[Tensor, Tensor, tuple[Tensor, Any]]
"""Yields g at the output side of each latent layer, top to bottom; wants its z; returns (signal below, nested z)."""


def descend(layer: FeedbackLayer, signal: Tensor) -> Descent:
    """Walks down a layer; latent layers are visited in the reverse of the order of `latents.latent_sites`."""
    if isinstance(layer, FeedbackSequential):
        latents: list[Any] = []
        for child in reversed(layer.layers):
            signal, latent = yield from descend(child, signal)
            latents.append(latent)
        return signal, latents[::-1]
    if isinstance(layer, FeedbackResidual):
        other, shortcut_latents = signal, None
        if layer.shortcut is not None:
            other, shortcut_latents = yield from descend(layer.shortcut, signal)
        below, main_latents = yield from descend(layer.main, signal)
        return below + other, [main_latents, shortcut_latents]
    if isinstance(layer, Tap):
        below, latent = yield from descend(layer.layer, signal)
        return below, [latent, None]
    if isinstance(layer, FeedbackComposite):
        raise unknown_composite(layer)
    if isinstance(layer, (AdaReLU, AdaPool2D)):
        latent = yield signal
        return layer.feedback(signal, latent), latent
    return layer.feedback(signal, None), None


def answer_all(walk: Generator[Any, Any, Any], answer: Callable[[Any], Any]) -> Any:
    """Runs a generator to its end, sending `answer(request)` for everything it yields; returns what it returns."""
    reply = None
    while True:
        try:
            request = walk.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = answer(request)
