"""An attack in PyTorch: see `eager`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def is_traced(values: Any) -> bool:
    """Whether values are not known yet."""
    del values
    return False


is_spec = is_traced


def predictor(function: Callable[..., Tensor], models: Sequence[Any]) -> Callable[..., Tensor]:
    """A function of models and images, for their values."""
    del models
    return torch.no_grad()(functools.partial(ask, function))


def differentiable(function: Callable[..., Tensor], models: Sequence[Any]) -> Callable[..., Tensor]:
    """A function of models and images, for gradients, too."""
    del models
    return functools.partial(ask, function)


def from_shape(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What a function makes of images, for shape and dtype; of one image, as cheap as it gets."""
    return function(images[:1])


def ask(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Calls a model, which never gets to see a batch of no images."""
    rows = arguments[0].shape[0]
    filled = [functional.pad(part, [0, 0] * (part.ndim - 1) + [0, int(rows == 0)]) for part in arguments]
    found = function(*filled)
    return found[:rows] if isinstance(found, Tensor) and found.ndim else found


def value_and_gradient(
    function: Callable[[Tensor], tuple[Tensor, Any]], images: Tensor
) -> tuple[Tensor, Any, Tensor | None]:
    """Losses `[batch]` and what else a function returns, and the gradient of the losses with respect to the images."""
    images = images.detach().requires_grad_(True)
    losses, others = function(images)
    if not losses.requires_grad:
        return losses, others, None
    (gradient,) = torch.autograd.grad(losses.sum(), images, allow_unused=True)
    return losses.detach(), others, gradient
