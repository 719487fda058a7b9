"""What can be recorded, and its names: PLACE.KIND, such as "block3_0/main/block3_0_conv1.f".

A place is "h", what the loop moves, or the path of a layer, composites among them, as step sizes have it. Layers of the
encoder, which run once, stand under "encoder/". Where one path is that of several places, as with a layer that is used
twice, they are numbered from the bottom: "conv@1", "conv@2". A kind is

    f    features: what the layer puts out in pass t; of "h", h itself
    z    latents, of layers that have Bernoulli ones: zeros and ones, which units were on in pass t
    g    the signal that reached the layer's output side on the way down from pass t; of "h", the reconstruction g(0)
"""

import collections
import difflib
import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cnnf_tf.layers import FeedbackComposite, FeedbackLayer
from cnnf_tf.layers.base import Shape
from cnnf_tf.models import CNNF
from cnnf_tf.models.step_sizes import FEATURES, matches

KINDS = {"f": "features", "z": "latents", "g": "signals"}
ENCODER = "encoder"
"""What the paths of an encoder's layers begin with."""
_MOST = 40  # names in an error


class Place(NamedTuple):
    """Where there is something to record."""

    name: str
    """Its path, perhaps numbered."""
    path: str
    """Without the number."""
    layer: FeedbackLayer | None
    """None for h."""
    shapes: dict[str, Shape]
    """By kind, without the batch; None where images may have any size."""


class Activation(NamedTuple):
    """Something to record."""

    place: Place
    kind: str
    """Of `KINDS`."""

    @property
    def name(self) -> str:
        return f"{self.place.name}.{self.kind}"

    @property
    def shape(self) -> Shape:
        """Of one image in one pass."""
        return self.place.shapes[self.kind]


def list_places(model: CNNF, image_shape: Sequence[int | None] | None = None) -> list[Place]:
    """All places of a model: those of the encoder, h, those of the network, each composite after what is inside.

    Args:
      model: a CNN-F.
      image_shape: `(height, width, channels)` of the images, for a model of images of any size.
    """
    shape: Shape = (None, *(model.image_shape if image_shape is None else image_shape))
    found = []
    if model.encoder is not None:
        found += [
            Place("", f"{ENCODER}/{path}", layer, {"f": shapes["f"]})
            for path, layer, shapes in _walk(model.encoder, shape)
            if path
        ]
        shape = tuple(model.encoder.output_shape_for(shape))
    found.append(Place("", FEATURES, None, dict.fromkeys("fg", shape[1:])))
    found += [Place("", path, layer, shapes) for path, layer, shapes in _walk(model.network, shape) if path]
    times = collections.Counter(place.path for place in found)
    seen: collections.Counter[str] = collections.Counter()
    named = []
    for place in found:
        seen[place.path] += 1
        number = f"@{seen[place.path]}" if times[place.path] > 1 else ""
        named.append(place._replace(name=f"{place.path}{number}"))
    return named


def list_activations(model: CNNF, image_shape: Sequence[int | None] | None = None) -> list[Activation]:
    """All that can be recorded of a model, bottom to top; for the arguments see `list_places`."""
    places = list_places(model, image_shape)
    return [Activation(place, kind) for place in places for kind in KINDS if kind in place.shapes]


def select(found: Sequence[Activation], layers: str | Sequence[str]) -> list[Activation]:
    """Those that a pattern, or one of several, matches, in the order given.

    Args:
      found: of `list_activations`.
      layers: patterns as in file names (`*`, `?`, `[ab]`), against the path of a place or the bare name at its end,
        followed by the kind, a pattern too: "block3*.f", "*relu*.z", "h.*". Without a kind features are meant.

    Raises:
      ValueError: no pattern, or one that matches nothing.
    """
    chosen: set[str] = set()
    for pattern in patterns(layers):
        fitting = {each.name for each in found if fits(each.place.name, each.place.path, each.kind, pattern)}
        if not fitting:
            raise ValueError(_nothing(found, pattern))
        chosen |= fitting
    return [activation for activation in found if activation.name in chosen]


def patterns(layers: Any) -> Sequence[str]:
    """Of a pattern, or a list of such, the list; ValueError for anything else."""
    found = [layers] if isinstance(layers, str) else layers
    if not isinstance(found, Sequence) or not found or not all(isinstance(each, str) for each in found):
        raise ValueError(f'layers must be a pattern such as "conv*.f", or a list of such, got {layers!r}.')
    return found


def fits(name: str, path: str, kind: str, pattern: str) -> bool:
    """Whether what a place has of a kind fits a pattern, as `select` has them; for name and path see `Place`."""
    wanted, dot, end = pattern.rpartition(".")
    if not (dot and any(fnmatch.fnmatchcase(known, end) for known in KINDS)):
        wanted, end = pattern, "f"
    return fnmatch.fnmatchcase(kind, end) and any(matches(each, wanted) for each in (name, path))


def inside(layer: FeedbackLayer) -> list[FeedbackLayer]:
    """The layers that can be looked at one by one: none in a composite that goes up or down in a way of its own."""
    own = type(layer)
    if not isinstance(layer, FeedbackComposite) or any(
        getattr(own, way) is not getattr(FeedbackComposite, way) for way in ("pass_up", "pass_down")
    ):
        return []
    return layer.children()


def _walk(layer: FeedbackLayer, shape: Shape, path: str = "") -> Iterator[tuple[str, FeedbackLayer, dict[str, Shape]]]:
    """Paths, layers and shapes, what is inside of a composite before itself: the order in which features are made."""
    children = inside(layer)
    if children:
        for child, read in zip(children, layer.child_shapes(shape), strict=True):
            yield from _walk(child, read, f"{path}/{child.name}" if path else child.name)
    output = layer.output_shape_for(shape)[1:]
    shapes = {"f": output, "g": output}
    if layer.has_latents:
        shapes["z"] = layer.latent_shape(shape)[1:]
    yield path, layer, shapes


def _nothing(found: Sequence[Activation], pattern: str) -> str:
    """The error of a pattern that matches nothing."""
    names = [activation.name for activation in found]
    known = dict.fromkeys([*names, *(name.rpartition("/")[2] for name in names)])
    close = difflib.get_close_matches(pattern, known, n=6, cutoff=0.5)
    more = "" if len(names) <= _MOST else f", ... ({len(names)} in all)"
    listed = f"close to it are {', '.join(close)}" if close else f"there are {', '.join(names[:_MOST])}{more}"
    return (
        f"layers: {pattern!r} matches nothing; wanted the path of a layer, or its bare name, as in file names (*, ?, "
        f"[ab]), and after a dot a kind, f (features), z (latents, of rectifiers and max pools) or g (signals), or "
        f"nothing for f; {listed}."
    )
