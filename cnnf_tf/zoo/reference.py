"""Weights of the authors' PyTorch code (yjhuangcd/CNNF, commit 37b610a) into our models.

Parameter names and layouts are those of its `.pt` state dicts. Tied copies (`*.conv_t.*`, `*.linear_t.*`, `fcN.weight`)
are ignored.
"""

import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnf_tf.layers import FeedbackConv2D, FeedbackDense, FeedbackFlatten, FeedbackLayer
from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.networks import leaves

StateDict = Mapping[str, np.ndarray]


def load_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads a `.pt` file into NumPy arrays without running any code that it may hold.

    Raises:
      ImportError: PyTorch is not installed.
      FileNotFoundError: no such file.
      ValueError: the file is not a state dict of tensors.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no reference weights at {os.fspath(path)!r}; wanted a .pt file holding a state dict.")
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "reading .pt files needs PyTorch, which is not installed; run `pip install 'cnnf_tf[torch]'` (in a "
            "checkout: `.venv/bin/pip install -e '.[torch]'`)."
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for a damaged file
        raise ValueError(f"{os.fspath(path)!r} is not a readable PyTorch state dict: {error}") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{os.fspath(path)!r} must hold a state dict (names to tensors), got {type(state).__name__}.")
    return {name.removeprefix("module."): value.detach().cpu().numpy() for name, value in state.items()}


def from_state_dict(state: StateDict, *, ind: int, iterations: int, eta: float = 0.1, **kwargs: Any) -> CNNF:
    """Builds the model that a reference state dict belongs to, with rule "reference", and fills in its weights.

    Args:
      state: names to arrays, as `load_state_dict` returns.
      ind: blocks left out of the loop; a state dict does not tell. Released files: 2 (Fashion-MNIST), 5 (CIFAR-10).
      iterations: K; a state dict does not tell.
      eta: step size.
      **kwargs: further arguments of `CNNF`.

    Raises:
      ValueError: missing parameters, wrong shapes, or names of neither network.
    """
    if "conv4.conv.weight" in state:
        name, side = "fashion_cnn", 28
        network: dict[str, Any] = {"num_classes": _size(state, "fc3.linear.weight")}
    elif "block1.layer.0.conv1.conv.weight" in state:
        blocks = {int(match[1]) for key in state if (match := re.match(r"block1\.layer\.(\d+)\.", key))}
        name, side = "wide_resnet", 32
        network = {"num_classes": _size(state, "fc.linear.weight"), "depth": 6 * len(blocks) + 4}
        network["widen_factor"] = _size(state, "block1.layer.0.conv1.conv.weight") // 16
    else:
        raise ValueError(
            "these weights are of neither reference network: wanted conv4.conv.weight (Fashion-MNIST) or "
            f"block1.layer.0.conv1.conv.weight (WideResNet) among the names, got {sorted(state)[:5]}..."
        )
    network |= {"encoder_blocks": ind, "rule": "reference"}
    image_shape = (side, side, _size(state, "conv1.conv.weight", axis=1))
    model = CNNF.from_name(name, image_shape=image_shape, network=network, iterations=iterations, eta=eta, **kwargs)
    assign(model, state)
    return model


def assign(model: CNNF, state: StateDict) -> None:
    """Fills a model of `NETWORKS` with reference weights; every weight of the model is assigned, or ValueError."""
    below: FeedbackLayer | None = None
    image_before_flatten: tuple[int, ...] = ()
    for part in (model.encoder, model.network):
        for layer in [] if part is None else leaves(part):
            if isinstance(layer, FeedbackFlatten):
                image_before_flatten = layer.image_shape
            if isinstance(layer, FeedbackConv2D):
                name = f"{_reference_name(layer.name)}.conv.weight"
                _set(layer.kernel, state, name, lambda weight: np.transpose(weight, (2, 3, 1, 0)))  # OIHW to HWIO
            elif isinstance(layer, FeedbackDense):
                shape = image_before_flatten if isinstance(below, FeedbackFlatten) else ()
                convert = functools.partial(_dense_kernel, image_shape=shape)
                _set(layer.kernel, state, f"{layer.name}.linear.weight", convert)
            if getattr(layer, "bias", None) is not None:
                _set(layer.bias, state, f"{_bias_name(layer.name)}.bias", np.ravel)
            below = layer


def _reference_name(name: str) -> str:
    """conv1 stays; block2_0_conv1 becomes block2.layer.0.conv1."""
    return re.sub(r"^block(\d)_(\d+)_", r"block\1.layer.\2.", name)


def _bias_name(name: str) -> str:
    """ada_relu3: ins3_bias; fc1_ada_relu: fc1_bias; block1_0_2_ada_relu: block1.layer.0.ins2_bias; fc3: fc3_bias."""
    if name == "head_ada_relu":
        return "ins1_bias"
    name = re.sub(r"^ada_relu(\d)$", r"ins\1_bias", name)
    name = re.sub(r"^(block\d_\d+_)(\d)_ada_relu$", r"\1ins\2_bias", name)
    name = re.sub(r"^(fc\d?)(_ada_relu)?$", r"\1_bias", name)
    return _reference_name(name)


def _dense_kernel(weight: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """`[out, in]` to `[in, out]`; inputs flattened in (channel, row, column) order become (row, column, channel)."""
    if not image_shape:
        return weight.T
    height, width, channels = image_shape
    return weight.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, len(weight))


def _array(state: StateDict, name: str) -> np.ndarray:
    if name not in state:
        raise ValueError(f"the reference weights lack {name!r}; they have {sorted(state)[:5]}... ({len(state)} names).")
    return np.asarray(state[name])


def _set(variable: Any, state: StateDict, name: str, convert: Callable[[np.ndarray], np.ndarray]) -> None:
    value = convert(_array(state, name))
    if tuple(value.shape) != tuple(variable.shape):
        raise ValueError(f"{name!r} has shape {state[name].shape}, which does not fit our {tuple(variable.shape)}.")
    variable.assign(value)


def _size(state: StateDict, name: str, axis: int = 0) -> int:
    return int(_array(state, name).shape[axis])
