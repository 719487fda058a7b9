"""Time and floor of inference: how much slower a network is than its own bare convolutions and matrix products.

The floor is the sum of the forward and, inside the loop, transposed convolutions and matrix products that K iterations
need, each timed alone, on inputs of the same shapes, in the same process. Read the ratio, not the milliseconds:
machines differ and are shared.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnnf_tf.layers import FeedbackConv2D, FeedbackDense
from cnnf_tf.models import CNNF
from cnnf_tf.models.traversal import leaves


@dataclasses.dataclass(frozen=True)
class InferenceTiming:
    """One measurement; times are medians, in milliseconds for the whole batch.

    Attributes:
      batch_size: images.
      iterations: K.
      floor_ms: sum of the bare linear operations.
      modes_ms: time of the model's logits for each way to run it.
    """

    batch_size: int
    iterations: int
    floor_ms: float
    modes_ms: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Time over floor."""
        return {mode: value / self.floor_ms for mode, value in self.modes_ms.items()}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"ratios": self.ratios}


def time_inference(
    model: CNNF, *, batch_size: int, repeats: int, modes: tuple[str, ...] = ("graph",), seed: int = 0
) -> InferenceTiming:
    """Times `model(images)` against its floor.

    Model and floor are timed in turns, so that a busy moment of the machine hits both.

    Args:
      model: the model, at its own number of iterations.
      batch_size: images in the batch.
      repeats: rounds; the medians are taken over them.
      modes: any of "eager", "graph" (`tf.function`) and "xla" (`tf.function(jit_compile=True)`).
      seed: of the random images.

    Raises:
      ValueError: an unknown mode, or a batch or number of repeats below 1.
    """
    if batch_size < 1 or repeats < 1:
        raise ValueError(f"batch_size and repeats must be at least 1, got {batch_size} and {repeats}.")
    images = tf.random.stateless_uniform((batch_size, *model.image_shape), (seed, 0))
    runners = {mode: _runner(model, mode, images) for mode in modes}
    pieces = _floor_pieces(model, batch_size, seed)
    for run in [*runners.values(), *(run for run, _ in pieces)]:
        run()  # traces, and warms the caches
        run()
    modes_s: dict[str, list[float]] = {mode: [] for mode in modes}
    floor_s = []
    for _ in range(repeats):
        floor_s.append(sum(count * _seconds(run) for run, count in pieces))
        for mode, run in runners.items():
            modes_s[mode].append(_seconds(run))
    return InferenceTiming(
        batch_size=batch_size,
        iterations=model.iterations,
        floor_ms=1e3 * statistics.median(floor_s),
        modes_ms={mode: 1e3 * statistics.median(values) for mode, values in modes_s.items()},
    )


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _runner(model: CNNF, mode: str, images: tf.Tensor) -> Callable[[], Any]:
    if mode == "eager":
        return lambda: model(images).numpy()
    if mode not in ("graph", "xla"):
        raise ValueError(f"mode must be one of ['eager', 'graph', 'xla'], got {mode!r}.")
    function = tf.function(lambda batch: model(batch), jit_compile=mode == "xla")
    return lambda: function(images).numpy()


def _floor_pieces(model: CNNF, batch_size: int, seed: int) -> list[tuple[Callable[[], Any], int]]:
    """(runner, how often K iterations need it) for every linear operation."""
    pieces = []
    for part, inside in ((model.encoder, False), (model.network, True)):
        for layer in [] if part is None else leaves(part):
            if not isinstance(layer, (FeedbackConv2D, FeedbackDense)):
                continue
            shape = (batch_size, *layer.input_spec.shape[1:])
            bare = _bare(layer, shape, seed)
            pieces.append((bare[0], 1 + (model.iterations if inside else 0)))
            if inside and model.iterations:
                pieces.append((bare[1], model.iterations))
    return pieces


def _bare(
    layer: FeedbackConv2D | FeedbackDense, shape: tuple[int, ...], seed: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The layer's forward and transposed operation alone, on random inputs."""
    dtype = layer.compute_dtype
    features = tf.cast(tf.random.stateless_normal(shape, (seed, 1)), dtype)
    signal = tf.cast(tf.random.stateless_normal(layer.output_shape_for(shape), (seed, 2)), dtype)
    plain = FeedbackDense(layer.units, dtype=layer.dtype_policy) if isinstance(layer, FeedbackDense) else layer
    if plain is not layer:
        plain.build(shape)
    up = tf.function(lambda values: plain.call(values)[0])
    down = tf.function(lambda values: plain.feedback(values))
    return lambda: up(features), lambda: down(signal)
