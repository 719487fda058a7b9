"""Where the latents of a network live, and the way between their nested structure and a dictionary by layer name.

`network(features)` returns latents nested like the network: None for a layer without latents, a list for a composite,
`[latent, record]` for a `Tap`. Probabilities are easier to speak about by name: `{"ada_relu1": z, "ada_pool": z, ...}`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cnnf_tf.layers import (
    AdaPool2D,
    AdaReLU,
    FeedbackComposite,
    FeedbackLayer,
    FeedbackResidual,
    FeedbackSequential,
    Tap,
)
from cnnf_tf.layers.base import Shape, Tensor


class LatentSite(NamedTuple):
    """One layer of latents."""

    name: str
    """The layer's name; preceded by the names of the composites around it, joined by "_", where two share a name."""
    layer: FeedbackLayer
    """An `AdaReLU` (z_R) or an `AdaPool2D` (z_P)."""
    shape: Shape
    """Shape of z without the batch: that of the layer's input."""


def input_shape(network: FeedbackSequential) -> Shape:
    """Shape of h without the batch.

    Raises:
      ValueError: `network` is not a `FeedbackSequential`, or is not built.
    """
    if not isinstance(network, FeedbackSequential):
        raise ValueError(
            f"network must be a FeedbackSequential, got {type(network).__name__}; of a CNNF, model.network."
        )
    config = network.get_build_config()
    if config is None:
        raise ValueError(f"network {network.name!r} is not built; call network.build((None, *shape of h)) first.")
    return tuple(config["input_shape"][1:])


def latent_sites(network: FeedbackSequential) -> list[LatentSite]:
    """The layers with latents, bottom to top (of a residual block, main branch before shortcut).

    Raises:
      ValueError: the network is not built, holds a composite that is unknown here, or one layer in two places.
    """
    found = list(_find(network, (None, *input_shape(network)), ()))
    counts = Counter(path[-1] for path, _, _ in found)
    names = [path[-1] if counts[path[-1]] == 1 else "_".join(path) for path, _, _ in found]
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise ValueError(f"{network.name!r}: every layer with latents wants a name of its own, got twice: {repeated}.")
    return [LatentSite(name, layer, shape) for name, (_, layer, shape) in zip(names, found, strict=True)]


def flatten_latents(network: FeedbackSequential, latents: Any) -> dict[str, Tensor]:
    """Nested latents, as the network returns them, to a dictionary by layer name, bottom to top.

    Raises:
      ValueError: latents that are not nested or shaped like those of this network.
    """
    values = list(_collect(network, latents, network.name))
    sites = latent_sites(network)
    for site, value in zip(sites, values, strict=True):
        shape = getattr(value, "shape", None)
        if shape is None or len(shape) != len(site.shape) + 1 or tuple(shape[1:]) != site.shape:
            got = f"shape {tuple(shape)}" if shape is not None else type(value).__name__
            raise ValueError(
                f"latents of {site.name!r} must be a tensor of shape [batch, {', '.join(map(str, site.shape))}], got "
                f"{got}; pass latents of this very network."
            )
    return {site.name: value for site, value in zip(sites, values, strict=True)}


def nest_latents(network: FeedbackSequential, by_name: dict[str, Tensor]) -> list[Any]:
    """The inverse of `flatten_latents`; the records of taps, which are no latents, are None.

    Raises:
      ValueError: names other than those of this network's latents.
    """
    sites = latent_sites(network)
    wanted = [site.name for site in sites]
    if set(by_name) != set(wanted):
        raise ValueError(f"latents by name must have the names {wanted}, got {list(by_name)}.")
    values = iter([by_name[name] for name in wanted])
    return _nest(network, lambda: next(values))


def unknown_composite(layer: FeedbackLayer) -> ValueError:
    """The error for a composite that only its own code can walk."""
    return ValueError(
        f"the generative model knows the composites FeedbackSequential, FeedbackResidual and Tap, got "
        f"{type(layer).__name__} {layer.name!r}."
    )


def _find(layer: FeedbackLayer, shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Shape]]:
    if isinstance(layer, FeedbackSequential):
        for child in layer.layers:
            yield from _find(child, shape, (*path, child.name))
            shape = child.output_shape_for(shape)
    elif isinstance(layer, FeedbackResidual):
        for child in layer.children():
            yield from _find(child, shape, (*path, child.name))
    elif isinstance(layer, Tap):
        yield from _find(layer.layer, shape, (*path, layer.layer.name))
    elif isinstance(layer, FeedbackComposite):
        raise unknown_composite(layer)
    elif isinstance(layer, (AdaReLU, AdaPool2D)):
        yield path, layer, tuple(shape[1:])


def _collect(layer: FeedbackLayer, entry: Any, name: str) -> Iterator[Any]:
    """The latents inside `entry`, in the order of `_find`."""
    if isinstance(layer, FeedbackSequential):
        for child, own in zip(layer.layers, _entries(entry, len(layer.layers), name), strict=True):
            yield from _collect(child, own, child.name)
    elif isinstance(layer, FeedbackResidual):
        main, shortcut = _entries(entry, 2, name)
        yield from _collect(layer.main, main, f"{name}/main")
        if layer.shortcut is not None:
            yield from _collect(layer.shortcut, shortcut, f"{name}/shortcut")
    elif isinstance(layer, Tap):
        yield from _collect(layer.layer, _entries(entry, 2, name)[0], layer.layer.name)
    elif isinstance(layer, FeedbackComposite):
        raise unknown_composite(layer)
    elif isinstance(layer, (AdaReLU, AdaPool2D)):
        yield entry
    elif entry is not None:
        raise ValueError(
            f"layer {name!r} ({type(layer).__name__}) has no latents and wants None in their place, got "
            f"{type(entry).__name__}; pass latents of this very network."
        )


def _entries(entry: Any, count: int, name: str) -> list[Any]:
    if not isinstance(entry, (list, tuple)) or len(entry) != count:
        got = f"{len(entry)} entries" if isinstance(entry, (list, tuple)) else type(entry).__name__
        raise ValueError(
            f"latents of {name!r} must be a list of {count} entries, got {got}; pass latents of this very network, "
            "nested as it returns them."
        )
    return list(entry)


def _nest(layer: FeedbackLayer, take: Callable[[], Tensor]) -> Any:
    if isinstance(layer, FeedbackSequential):
        return [_nest(child, take) for child in layer.layers]
    if isinstance(layer, FeedbackResidual):
        main = _nest(layer.main, take)
        return [main, None if layer.shortcut is None else _nest(layer.shortcut, take)]
    if isinstance(layer, Tap):
        return [_nest(layer.layer, take), None]
    return take() if isinstance(layer, (AdaReLU, AdaPool2D)) else None
