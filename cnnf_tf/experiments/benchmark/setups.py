"""What the benchmark can time: its networks and its cases, as data."""

import dataclasses
from collections.abc import Mapping
from typing import Any

INFERENCE, EXPORT = "inference", "export"
ATTACKS = ATTACK_FIRST_PASS, ATTACK_FULL_UNROLL = "attack step, first pass", "attack step, full unroll"
TRAININGS = TRAINING, ADVERSARIAL_TRAINING = "training", "adversarial training"
FIRST_RESULTS = FIRST_PREDICTION, FIRST_ATTACK, FIRST_TRAINING = (
    "first prediction",
    "first attack",
    "first training step",
)
"""Kinds of case; export is followed by the name of the exporter."""
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
MODES = ("function", "eager", "xla")
ATTACK_STEPS = 7
"""Of PGD in adversarial training."""


@dataclasses.dataclass(frozen=True)
class BenchmarkNetwork:
    """A network with the authors' settings; lengths are on the [0, 1] pixel scale."""

    network: str
    image_shape: tuple[int, int, int]
    batch_size: int
    encoder_blocks: int
    iterations: int
    epsilon: float
    step_size: float
    clean_weight: float
    heavy: bool = False
    """Whether it is too slow to time everything of it by default."""
    options: tuple[tuple[str, int], ...] = ()
    """Further arguments of the network's function."""


_FASHION = BenchmarkNetwork("fashion_cnn", (28, 28, 1), 256, 2, 1, 0.1, 0.071 / 2, 0.1)
_WIDE = BenchmarkNetwork("wide_resnet", (32, 32, 3), 32, 5, 2, 8 / 255, 0.02 / 2, 0.05, heavy=True)
SETUPS = {setup.network: setup for setup in (_FASHION, _WIDE)}
"""The two networks of the paper; the wide one is WRN-40-2."""
SMOKE_SETUPS = {
    "fashion_cnn": dataclasses.replace(_FASHION, batch_size=2, heavy=True),
    "wide_resnet": dataclasses.replace(
        _WIDE, batch_size=2, encoder_blocks=1, options=(("depth", 10), ("widen_factor", 1))
    ),
}
"""Two images, and a WRN-10-1: to see that everything runs."""
PRETRAINED = {"fashion_cnn": "fashion_mnist_standard"}
"""What `load_pretrained` gives of a network; the others have random weights."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to time; times and memory are those of the whole batch."""

    kind: str
    setup: BenchmarkNetwork
    encoder_blocks: int
    iterations: int
    batch_size: int
    dtype: str = "float32"
    mode: str = "function"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Case":
        """The inverse of `to_dict`, also after JSON."""
        setup = dict(values["setup"])
        setup["image_shape"] = tuple(setup["image_shape"])
        setup["options"] = tuple((name, value) for name, value in setup["options"])
        return cls(**{**values, "setup": BenchmarkNetwork(**setup)})
