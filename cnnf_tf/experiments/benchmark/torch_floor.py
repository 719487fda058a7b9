"""The second floor: the ops of `lower_bound` by PyTorch, which has its own build of the same kernels.

As there, they run one after the other, on random inputs of the same shapes and dtype, in PyTorch's fastest layout for
images (channels last). This file imports nothing of cnnf_tf, so that the process that runs it by its path is without
TensorFlow.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Tensor = Any  # of PyTorch, which is imported where it is used
Op = Mapping[str, Any]
"""`linear_ops.LinearOp` as a mapping, and `count`: how often it is called."""
Inputs = Callable[[int, tuple[int, ...], str], Tensor]
"""As in `lower_bound`."""


def floor(ops: Sequence[Op]) -> Callable[[], None]:
    """A function that does a piece of work once: one op after the other, as often as each says."""
    import torch

    inputs = random_inputs()
    calls = [(bare(op, inputs), op["count"]) for op in ops]

    def run() -> None:
        with torch.inference_mode():
            for call, count in calls:
                for _ in range(count):
                    call()

    return run


def random_inputs(*, seed: int = 0) -> Inputs:
    """Standard normal numbers by stream, shape and dtype, made once, in TensorFlow's order of axes."""
    import torch

    @functools.cache
    def inputs(stream: int, shape: tuple[int, ...], dtype: str) -> Tensor:
        generator = torch.Generator().manual_seed(10 * seed + stream)
        return torch.randn(*shape, generator=generator).to(getattr(torch, dtype))

    return inputs


def bare(op: Op, inputs: Inputs) -> Callable[[], Tensor]:
    """A function that runs the op once and returns its result, images and kernels in PyTorch's order of axes."""
    import torch

    shapes = enumerate((op["features"], op["kernel"], op["output"]), start=1)
    features, kernel, signal = (inputs(stream, tuple(shape), op["dtype"]) for stream, shape in shapes)
    if not op["strides"]:
        return {
            "forward": lambda: features @ kernel,
            "data gradient": lambda: signal @ kernel.T,
            "weight gradient": lambda: features.T @ signal,
        }[op["kind"]]
    # Images that lie in memory as in TensorFlow are in PyTorch's layout "channels last".
    features, signal = features.permute(0, 3, 1, 2), signal.permute(0, 3, 1, 2)
    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    pad = [(side - 1) // 2 if op["same"] else 0 for side in op["kernel"][:2]]
    layout: list[Any] = [[op["strides"]] * 2, pad, [1, 1], False, [0, 0], 1]  # ..., dilation, transposed, groups

    def gradient(which: int) -> Tensor:
        mask = [place == which for place in range(3)]
        return torch.ops.aten.convolution_backward(signal, features, kernel, None, *layout, mask)[which]

    return {
        "forward": lambda: torch.ops.aten.convolution(features, kernel, None, *layout),
        "data gradient": lambda: gradient(0),
        "weight gradient": lambda: gradient(1),
    }[op["kind"]]
