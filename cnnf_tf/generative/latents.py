"""Where the latents of a network live, and the way between their nested structure and a dictionary by layer name.

`network(features)` returns latents nested like the network: None for a layer without latents, and for a composite a
list with one entry for each layer inside. Probabilities are easier to speak about by name:
`{"ada_relu1": z, "ada_pool": z, ...}`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnf_tf.layers import FeedbackComposite, FeedbackLayer
from cnnf_tf.layers.base import Shape, Tensor


class LatentSite(NamedTuple):
    """One layer of latents."""

    name: str
    """The layer's name; preceded by the names of the composites around it, joined by "_", where two share a name."""
    layer: FeedbackLayer
    """An `AdaReLU` (z_R), an `AdaPool2D` (z_P), or another layer that `has_latents`."""
    shape: Shape
    """Shape of z without the batch."""


def input_shape(network: FeedbackComposite) -> Shape:
    """Shape of h without the batch.

    Raises:
      ValueError: `network` is not a `FeedbackComposite`, or is not built.
    """
    if not isinstance(network, FeedbackComposite):
        raise ValueError(
            f"network must be a FeedbackComposite, such as FeedbackSequential, got {type(network).__name__}; of a "
            "CNNF, model.network."
        )
    config = network.get_build_config()
    if config is None:
        raise ValueError(f"network {network.name!r} is not built; call network.build((None, *shape of h)) first.")
    return tuple(config["input_shape"][1:])


def latent_sites(network: FeedbackComposite) -> list[LatentSite]:
    """The layers with latents, bottom to top (of a residual block, main branch before shortcut).

    Raises:
      ValueError: the network is not built, or holds one layer of latents in two places.
    """
    found = list(_find(network, (None, *input_shape(network)), ()))
    counts = Counter(path[-1] for path, _, _ in found)
    names = [path[-1] if counts[path[-1]] == 1 else "_".join(path) for path, _, _ in found]
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise ValueError(f"{network.name!r}: every layer with latents wants a name of its own, got twice: {repeated}.")
    return [LatentSite(name, layer, shape) for name, (_, layer, shape) in zip(names, found, strict=True)]


def flatten_latents(network: FeedbackComposite, latents: Any) -> dict[str, Tensor]:
    """Nested latents, as the network returns them, to a dictionary by layer name, bottom to top.

    Raises:
      ValueError: latents that are not nested or shaped like those of this network.
    """
    found = {}
    for site, value in zip(latent_sites(network), list(_collect(network, latents)), strict=True):
        shape = getattr(value, "shape", None)
        if shape is None or len(shape) != len(site.shape) + 1 or tuple(shape[1:]) != site.shape:
            got = f"shape {tuple(shape)}" if shape is not None else type(value).__name__
            raise ValueError(
                f"latents of {site.name!r} must be a tensor of shape [batch, {', '.join(map(str, site.shape))}], got "
                f"{got}; pass latents of this very network."
            )
        found[site.name] = value
    return found


def nest_latents(network: FeedbackComposite, by_name: dict[str, Tensor]) -> list[Any]:
    """The inverse of `flatten_latents`.

    Raises:
      ValueError: names other than those of this network's latents.
    """
    sites = latent_sites(network)
    wanted = [site.name for site in sites]
    if set(by_name) != set(wanted):
        raise ValueError(f"latents by name must have the names {wanted}, got {list(by_name)}.")
    return _nest(network, iter([by_name[name] for name in wanted]))


def _find(layer: FeedbackLayer, shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Shape]]:
    if isinstance(layer, FeedbackComposite):
        for child, below in zip(layer.children(), layer.child_shapes(shape), strict=True):
            yield from _find(child, below, (*path, child.name))
    elif layer.has_latents:
        yield path, layer, tuple(layer.latent_shape(shape)[1:])


def _collect(layer: FeedbackLayer, entry: Any) -> Iterator[Any]:
    """The latents inside `entry`, in the order of `_find`."""
    if isinstance(layer, FeedbackComposite):
        for child, own in zip(layer.children(), layer.entries("latent", entry), strict=True):
            yield from _collect(child, own)
    elif layer.has_latents:
        yield entry


def _nest(layer: FeedbackLayer, values: Iterator[Tensor]) -> Any:
    if isinstance(layer, FeedbackComposite):
        return [_nest(child, values) for child in layer.children()]
    return next(values) if layer.has_latents else None
