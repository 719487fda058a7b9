"""What a card could do at best, by arithmetic: operations and bytes of each network, and the roofline of an H100.

    KERAS_BACKEND=jax python -m cnnf_tf.experiments.accelerator.arithmetic

prints the tables of docs/performance.md. Nothing of it is measured.
"""

import math
import sys
from collections.abc import Iterator

from cnnf_tf.experiments.accelerator import plan
from cnnf_tf.experiments.accelerator.plan import PRECISIONS, WHOLE
from cnnf_tf.experiments.accelerator.programs import model_of
from cnnf_tf.experiments.benchmark import linear_ops, setups
from cnnf_tf.experiments.benchmark.linear_ops import LinearOp, Work
from cnnf_tf.experiments.benchmark.setups import BenchmarkNetwork, Case
from cnnf_tf.layers import FeedbackConv2D, FeedbackDense
from cnnf_tf.models import Network, leaves

PEAKS = {"float32": 67e12, "tf32": 494.7e12, "bfloat16": 989.4e12}
"""FLOP/s of an H100 SXM5, dense, and `BANDWIDTH` in bytes/s: NVIDIA's data sheet (which gives twice as much, with
sparsity, for the last two)."""
BANDWIDTH = 3.35e12
_BYTES = {"float32": 4, "bfloat16": 2}
EPOCHS, TRAIN_IMAGES = 30, 49_000
"""Of configs/cifar10_adversarial.py:fast, whose attack has one step."""


def operations(op: LinearOp) -> int:
    """Of one call: a multiplication and an addition each; the three maps of a layer need as many."""
    return 2 * math.prod(op.output) * math.prod(op.kernel[:-1])


def traffic(op: LinearOp) -> int:
    """Bytes of one call that reads its two inputs once and writes its result once."""
    return _BYTES[op.dtype] * sum(math.prod(shape) for shape in (op.features, op.kernel, op.output))


def traffic_between(network: Network, case: Case) -> int:
    """Bytes of what is between the linear ops, if every layer there reads one map and writes one in each of its passes.

    Passes are up, down and, with a gradient, back through each of them. A map is as large as what the linear layer
    before gave. An estimate: compilers fuse layers, and some layers read more than once.
    """
    loops = 0 if case.kind == setups.ATTACK_FIRST_PASS else case.iterations
    total = 0
    for part, count in ((network.encoder, 0), (network.network, loops)):
        passes = (1 + 2 * count) * (1 if case.kind == setups.INFERENCE else 2)
        shape, before = None, None
        for layer in [] if part is None else leaves(part):
            if isinstance(layer, (FeedbackConv2D, FeedbackDense)):
                shape = layer.output_shape_for((case.batch_size, *layer.input_spec.shape[1:]))
                before = layer
            elif shape is not None and before is not None:
                total += 2 * passes * _BYTES[before.compute_dtype] * math.prod(shape)
    return total


def seconds(work: Work, peak: float) -> float:
    """At least: each op takes the time of its arithmetic or of its bytes, whichever is longer."""
    return sum(count * max(operations(op) / peak, traffic(op) / BANDWIDTH) for op, count in work.items())


def rows(setup: BenchmarkNetwork) -> Iterator[list[str]]:
    """Cells of the first table, per image."""
    for kind in plan.KINDS:
        for iterations in sorted(WHOLE.iterations):
            case = Case(kind, setup, setup.encoder_blocks, iterations, setup.batch_size)
            cells = [setup.network, kind, str(iterations)]
            for precision in ("tf32", "bfloat16"):
                parts = model_of(setup, PRECISIONS[precision][0]).parts
                work, size = linear_ops.of_case(parts, case), setup.batch_size
                linear = sum(count * traffic(op) for op, count in work.items())
                between = traffic_between(parts, case)
                if precision == "tf32":
                    flop = sum(count * operations(op) for op, count in work.items())
                    cells += [_number(flop / size / 1e9), _number(linear / size / 1e6), _number(between / size / 1e6)]
                least = seconds(work, PEAKS[precision])
                cells += [_number(size / each / 1000) for each in (least, least + between / BANDWIDTH)]
            yield cells


def training_minutes(
    setup: BenchmarkNetwork, precision: str, iterations: int, attack_steps: int
) -> tuple[float, float]:
    """Least minutes of the recipe's epochs: of the linear ops alone, and with all that is between them."""
    parts = model_of(setup, PRECISIONS[precision][0]).parts
    attack = Case(setups.ATTACK_FIRST_PASS, setup, setup.encoder_blocks, iterations, setup.batch_size)
    update = Case(setups.TRAINING, setup, setup.encoder_blocks, iterations, 2 * setup.batch_size)
    found = []
    for case, times in ((attack, attack_steps), (update, 1)):
        least = seconds(linear_ops.of_case(parts, case), PEAKS[precision])
        found.append((times * least, times * traffic_between(parts, case) / BANDWIDTH))
    linear, between = (sum(each) * EPOCHS * TRAIN_IMAGES / setup.batch_size / 60 for each in zip(*found, strict=True))
    return linear, linear + between


def main() -> None:
    """Prints both tables."""
    header = ["network", "work", "K", "GFLOP", "MB, linear", "MB, between"]
    header += ["1000 images/s: TF32, linear", "all", "bfloat16, linear", "all"]
    _print([header, *(row for setup in WHOLE.networks.values() for row in rows(setup))])
    lines = [["WRN-40-2, 30 epochs", "K", "TF32, minutes", "bfloat16, minutes"]]
    for attack_steps in (1, setups.ATTACK_STEPS):
        for iterations in (0, 2):
            found = [training_minutes(WHOLE.trained, each, iterations, attack_steps) for each in ("tf32", "bfloat16")]
            cells = [f"{least:.1f} to {most:.1f}" for least, most in found]
            lines.append([f"PGD-{attack_steps} in training", str(iterations), *cells])
    _print(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _print(lines: list[list[str]]) -> None:
    separated = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    sys.stdout.write("\n".join("| " + " | ".join(line) + " |" for line in separated) + "\n\n")


if __name__ == "__main__":
    main()
