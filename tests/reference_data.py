"""The recipe of the golden files: names, shapes, values of the authors' parameters; see testdata/golden/README.md."""

import pathlib
import zlib

import numpy as np

TESTDATA = pathlib.Path(__file__).parent / "testdata"


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Value of one parameter, float32."""
    values = np.random.RandomState(zlib.crc32(name.encode()) % 2**31).standard_normal(shape)  # noqa: NPY002 - the recipe
    if "bias" in name:
        return (0.1 * values).astype(np.float32)
    return (values * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


def fashion_state() -> dict[str, np.ndarray]:
    """State dict of the Fashion-MNIST network."""
    shapes: dict[str, tuple[int, ...]] = {}
    widths = (1, 16, 32, 32, 64)
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False), start=1):
        shapes[f"conv{index}.conv.weight"] = (outputs, inputs, 3, 3)
        shapes[f"ins{index}_bias.bias"] = (1, outputs, 1, 1)
    for index, (inputs, outputs) in enumerate(((3136, 1000), (1000, 128), (128, 10)), start=1):
        shapes[f"fc{index}.linear.weight"] = (outputs, inputs)
        shapes[f"fc{index}_bias.bias"] = (1, outputs)
    return {name: weight(name, shape) for name, shape in shapes.items()}


def wide_resnet_state(depth: int, widen_factor: int) -> dict[str, np.ndarray]:
    """State dict of WideResNet-depth-widen_factor."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.conv.weight": (16, 3, 3, 3)}
    inputs = 16
    for stage, base in enumerate((16, 32, 64), start=1):
        width = base * widen_factor
        for block in range((depth - 4) // 6):
            prefix = f"block{stage}.layer.{block}."
            shapes[f"{prefix}ins1_bias.bias"] = (1, inputs, 1, 1)
            shapes[f"{prefix}conv1.conv.weight"] = (width, inputs, 3, 3)
            shapes[f"{prefix}ins2_bias.bias"] = (1, width, 1, 1)
            shapes[f"{prefix}conv2.conv.weight"] = (width, width, 3, 3)
            if inputs != width:
                shapes[f"{prefix}conv_shortcut.conv.weight"] = (width, inputs, 1, 1)
            inputs = width
    shapes["ins1_bias.bias"] = (1, inputs, 1, 1)
    shapes["fc.linear.weight"] = (10, inputs)
    shapes["fc_bias.bias"] = (1, 10)
    return {name: weight(name, shape) for name, shape in shapes.items()}
