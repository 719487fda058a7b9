"""The bare convolutions and matrix products that a piece of work cannot do without: what the floors are made of.

They are found by walking the layers of the model. With K iterations, a layer inside the loop needs

    inference       forward 1 + K        data gradient K                     (feedback is the data gradient)
    image gradient  forward 1 + 2K       data gradient 1 + 2K                (the gradient of feedback is a forward op)
    training        forward 1 + 2K       data gradient 1 + 2K    weight gradient 1 + 2K

and a layer of the encoder as much as with K = 0. Training needs no gradient of the images, so the lowest layer is
spared that one data gradient. Norms, rectifiers, pools, losses and the optimiser are not in the floor: they are what a
ratio above 1 is made of.
"""

import enum
import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnf_tf.experiments.benchmark.setups import (
    ADVERSARIAL_TRAINING,
    ATTACK_FIRST_PASS,
    ATTACK_FULL_UNROLL,
    ATTACK_STEPS,
    TRAINING,
    Case,
)
from cnnf_tf.layers import FeedbackConv2D, FeedbackDense
from cnnf_tf.models import CNNF, Network, leaves


class Kind(str, enum.Enum):
    """Which of the three linear maps of a layer; the values are their names in reports."""

    FORWARD = "forward"
    DATA = "data gradient"
    WEIGHTS = "weight gradient"


class LinearOp(NamedTuple):
    """One convolution or matrix product; layers that are alike share it."""

    kind: Kind
    features: tuple[int, ...]
    """Shape of the input: `[batch, height, width, channels]`, or `[batch, inputs]` of a dense layer.

    Zeros around it that the kernel does not add by itself are part of it, as the layers lay them out.
    """
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    strides: int
    """0 for a dense layer."""
    same: bool
    """Whether the kernel adds zeros around the input, so that the output has its size."""
    dtype: str


Work = Mapping[LinearOp, int]
"""How often each op is called."""


def work(model: CNNF | Network, batch_size: int, *, iterations: int, gradient: str = "") -> Work:
    """What K iterations need.

    Args:
      model: a CNN-F, or a network whose layers are built.
      batch_size: images.
      iterations: K.
      gradient: "" for inference; "images" for the gradient of the readout's loss with respect to them, "weights" for
        that of the objective, the forward passes included.
    """
    found: Counter[LinearOp] = Counter()
    lowest = True
    for part, loops in ((model.encoder, 0), (model.network, iterations)):
        for layer in [] if part is None else leaves(part):
            if isinstance(layer, (FeedbackConv2D, FeedbackDense)):
                both = 1 + 2 * loops
                calls = {"": (1 + loops, loops, 0), "images": (both, both, 0), "weights": (both, both - lowest, both)}
                forward, lowest = _forward_op(layer, batch_size), False
                for kind, count in zip(Kind, calls[gradient], strict=True):
                    if count:
                        found[forward._replace(kind=kind)] += count
    return found


def of_case(model: CNNF | Network, case: Case) -> Work:
    """What a case of the benchmark needs."""
    bare = functools.partial(work, model)
    gradient = {ATTACK_FIRST_PASS: "images", ATTACK_FULL_UNROLL: "images", TRAINING: "weights"}.get(case.kind, "")
    if case.kind == ADVERSARIAL_TRAINING:
        step = bare(case.batch_size, iterations=0, gradient="images")
        update = bare(2 * case.batch_size, iterations=case.iterations, gradient="weights")
        return combine(update, combine(step, times=ATTACK_STEPS))
    iterations = 0 if case.kind == ATTACK_FIRST_PASS else case.iterations
    return bare(case.batch_size, iterations=iterations, gradient=gradient)


def combine(*parts: Work, times: int = 1) -> Work:
    """The sum of several pieces of work, each done `times` times."""
    return sum((Counter({op: times * count for op, count in part.items()}) for part in parts), Counter())


def _forward_op(layer: FeedbackConv2D | FeedbackDense, batch_size: int) -> LinearOp:
    sides = list(layer.input_spec.shape[1:])
    output = tuple(layer.output_shape_for((batch_size, *sides)))
    strides, same = 0, False
    if isinstance(layer, FeedbackConv2D):
        strides = layer.strides
        pad = (layer.kernel_size - 1) // 2 if layer.padding == "same" else 0
        same = strides == 1 and pad > 0
        if not same:
            sides[:2] = (side + 2 * pad for side in sides[:2])
    return LinearOp(
        Kind.FORWARD, (batch_size, *sides), tuple(layer.kernel.shape), output, strides, same, layer.compute_dtype
    )


def as_json(work: Work) -> list[dict[str, Any]]:
    """What `torch_floor.floor` takes: each op as a mapping, with its `count`."""
    return [{**op._asdict(), "kind": op.kind.value, "count": count} for op, count in work.items()]
