"""What is timed, in order of importance: a run that is cut short has the first of it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.setups import BenchmarkNetwork, Case
from cnnf_tf.utils.validation import one_of

PRECISIONS = {
    "tf32": ("float32", "default"),
    "bfloat16": ("mixed_bfloat16", "default"),
    "float32": ("float32", "highest"),
}
"""Keras' dtype policy, and JAX's precision of products; "tf32" is float32 on a device without such products."""
KINDS = (setups.INFERENCE, setups.ATTACK_FULL_UNROLL, setups.TRAINING)


@dataclasses.dataclass(frozen=True)
class Timed:
    """A case, and how it is computed."""

    case: Case
    precision: str
    rematerialize: bool = False

    @property
    def name(self) -> str:
        """For the record, and to say what is there already."""
        case = self.case
        parts = [case.setup.network, case.kind, f"K {case.iterations}", f"batch {case.batch_size}", self.precision]
        return ", ".join(parts + ["rematerialised"] * self.rematerialize)

    def about(self) -> dict[str, Any]:
        """For JSON."""
        case = self.case
        return {
            "network": case.setup.network,
            "kind": case.kind,
            "iterations": case.iterations,
            "batch_size": case.batch_size,
            "precision": self.precision,
            "rematerialize": self.rematerialize,
        }


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
      networks: by name, with their batch.
      trained: the network of adversarial training, with its batch.
      golden: of the golden files' names; none for all.
      precisions: of `PRECISIONS`, the most important first.
      iterations: K of what is timed.
      memory_iterations: K of training steps whose memory is wanted with and without rematerialisation.
      repeats: runs that count; medians are taken over them.
      copies: of each bare op in one program, so that starting it does not count.
      steps: updates of training in one go, before anything is written.
      train_seconds: of each training at most.
      test_images: for accuracy without an attack.
      attacked_images: the first so many of them.
      attack_steps: of each PGD.
    """

    networks: dict[str, BenchmarkNetwork]
    trained: BenchmarkNetwork
    golden: tuple[str, ...] = ()
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    iterations: tuple[int, ...] = (0, 2, 1, 5)
    memory_iterations: tuple[int, ...] = (5, 10, 1)
    repeats: int = 7
    copies: int = 8
    steps: int = 25
    train_seconds: float = float("inf")
    test_images: int = 10_000
    attacked_images: int = 1000
    attack_steps: tuple[int, ...] = (10, 40)


_FASHION, _WIDE = (setups.SETUPS[name] for name in ("fashion_cnn", "wide_resnet"))
WHOLE = Scale(
    networks={
        "fashion_cnn": dataclasses.replace(_FASHION, batch_size=1024),
        "wide_resnet": dataclasses.replace(_WIDE, batch_size=256),
    },
    trained=dataclasses.replace(_WIDE, batch_size=256),
)
"""For one card of the H100's class, with 80 GB."""
TINY = {name: dataclasses.replace(setup, iterations=1, batch_size=2) for name, setup in setups.SMOKE_SETUPS.items()}


def tiny(network: str) -> Scale:
    """To see on a CPU that everything runs with this network; minutes."""
    setup = TINY[one_of("tiny", network, TINY)]
    return Scale(
        networks={network: setup},
        trained=setup,
        golden=("fashion_cnn_ind2",),
        precisions=("bfloat16",),
        iterations=(1,),
        memory_iterations=(1,),
        repeats=1,
        copies=1,
        steps=2,
        train_seconds=0.5,
        test_images=8,
        attacked_images=4,
        attack_steps=(1, 2),
    )


def groups(scale: Scale) -> Iterator[list[Timed]]:
    """What is compiled together: one network at one precision, or the training steps of one whose memory is wanted."""
    for place, precision in enumerate(scale.precisions):
        for setup in scale.networks.values():
            yield [_timed(setup, kind, count, precision) for count in scale.iterations for kind in KINDS]
        for setup in [] if place else reversed(scale.networks.values()):
            steps = [_timed(setup, setups.TRAINING, count, precision) for count in scale.memory_iterations]
            yield [timed for step in steps for timed in (dataclasses.replace(step, rematerialize=True), step)]


def _timed(setup: BenchmarkNetwork, kind: str, iterations: int, precision: str) -> Timed:
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    case = Case(kind, setup, setup.encoder_blocks, iterations, setup.batch_size, dtype)
    return Timed(case, precision)
