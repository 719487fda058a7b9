"""Layers made of layers: a graph of them, which everything that runs through a network walks in the same way.

A composite says what is inside (`children`) and how that is wired (`sources`). The rest follows: going up, a child gets
the sum of its sources, or one by one where it `merges` them itself; coming down, where a copy becomes a sum and a sum a
copy, the signal at a place is the sum over all that read it. So `feedback` is the adjoint of `call`, given the latents,
as soon as it is so for every child.
"""

from collections.abc import Sequence
from typing import Any

from cnnf_tf.layers.base import Descent, FeedbackLayer, Shape, Tensor

Sources = list[tuple[int, ...]]
"""See `FeedbackComposite.sources`."""


class FeedbackComposite(FeedbackLayer):
    """Base of layers made of layers.

    Its latents and its signals are lists with one entry for each child, nested where a child is itself a composite.
    `call` returns `(output, latents)` and `feedback` returns `(signal below, signals)`.
    """

    records: bool = False
    """Whether `pass_up` records the output, and `pass_down` the signal that leaves below; see `Tap`."""

    def children(self) -> list[FeedbackLayer]:
        """The layers inside, bottom to top: each reads only the input of the composite and children before it."""
        raise NotImplementedError(f"{type(self).__name__} {self.name!r} must say which layers are inside: `children`.")

    def sources(self) -> Sources:
        """What each child reads, and after that what the output is made of; a chain unless overridden.

        Each entry names values that are added up, or listed for a child that `merges`: 0 is the input of the
        composite, i + 1 the output of child i. `[(0,), (1,)]` is one child, `[(0,), (1, 0)]` one child with a shortcut.
        """
        return [(place,) for place in range(len(self.children()) + 1)]

    def build(self, input_shape: Shape) -> None:
        self._input_shapes(input_shape, build=True)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        return self._input_shapes(input_shape)[-1]

    def child_shapes(self, input_shape: Shape) -> list[Any]:
        """Shape of what each child reads, where the composite reads `input_shape`; a list for one that merges."""
        return self._input_shapes(input_shape)[:-1]

    def call(
        self, features: Tensor, signal: Any = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, list[Any]]:
        output, latents, _ = self.pass_up(features, signal, eta=eta, training=training)
        return output, latents

    def feedback(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, list[Any]]:
        below, signals, _ = self.pass_down(signal, latent)
        return below, signals

    def pass_up(
        self, features: Tensor, signal: Any = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, list[Any], list[Tensor]]:
        if not self.built:
            self.build(features.shape)
        children, sources = self.children(), self.sources()
        signals = self.entries("signal", [None] * len(children) if signal is None else signal)
        etas = self._etas(eta)
        values: list[Tensor] = [features]
        latents: list[Any] = []
        taps: list[Tensor] = []
        for child, read, own, step in zip(children, sources[:-1], signals, etas, strict=True):
            output, latent, recorded = child.pass_up(self._read(child, values, read), own, eta=step, training=training)
            values.append(output)
            latents.append(latent)
            taps += recorded
        output = self._total([values[place] for place in sources[-1]])
        return output, latents, [*taps, output] if self.records else taps

    def pass_down(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, list[Any], list[Tensor]]:
        children, latents = self.children(), self.entries("latent", latent)
        arrived, signals = self._arrivals(signal), [None] * len(children)
        recorded: list[list[Tensor]] = [[]] * len(children)
        for place, child in reversed(list(enumerate(children))):
            below, signals[place], recorded[place] = child.pass_down(self._total(arrived[place + 1]), latents[place])
            self._hand_down(arrived, place, below)
        lowest = self._total(arrived[0])
        taps = [tap for inside in recorded for tap in inside]
        return lowest, signals, [*taps, lowest] if self.records else taps

    def descend(self, signal: Tensor) -> Descent:
        children = self.children()
        arrived, latents = self._arrivals(signal), [None] * len(children)
        for place, child in reversed(list(enumerate(children))):
            below, latents[place] = yield from child.descend(self._total(arrived[place + 1]))
            self._hand_down(arrived, place, below)
        return self._total(arrived[0]), latents

    def linear_call(
        self, features: Tensor, latent: Any = None, signal: Any = None, *, eta: float | Tensor = 0.0
    ) -> Tensor:
        children, sources, latents = self.children(), self.sources(), self.entries("latent", latent)
        signals = self.entries("signal", [None] * len(children) if signal is None else signal)
        values = [features]
        for child, read, z, g, step in zip(children, sources[:-1], latents, signals, self._etas(eta), strict=True):
            values.append(child.linear_call(self._read(child, values, read), z, g, eta=step))
        return self._total([values[place] for place in sources[-1]])

    @property
    def output_bias(self) -> Any:
        """That of the one child that makes the output by itself; None where the output is a sum."""
        top = self.sources()[-1]
        return self.children()[top[0] - 1].output_bias if len(top) == 1 and top[0] else None

    def entries(self, argument: str, structure: Any) -> list[Any]:
        """The entries of a nested structure, one for each child.

        Raises:
          ValueError: a structure that is not of this composite, called `argument`.
        """
        count = len(self.children())
        if not isinstance(structure, (list, tuple)) or len(structure) != count:
            size = len(structure) if isinstance(structure, (list, tuple)) else type(structure).__name__
            raise ValueError(
                f"{self.name!r} has {count} layers and wants a list of as many entries as {argument}, got {size}; pass "
                f"{argument}s of this very network, nested as it returns them."
            )
        return list(structure)

    def _input_shapes(self, input_shape: Shape, build: bool = False) -> list[Any]:
        """Shape of what each child reads and, at last, of the output; a list of shapes for a child that merges."""
        outputs = [input_shape]
        found: list[Any] = []
        for child, read in zip([*self.children(), None], self.sources(), strict=True):
            merges = child is not None and child.merges
            found.append([outputs[place] for place in read] if merges else self._common_shape(outputs, read))
            if child is None:
                break
            if build and not child.built:
                child.build(found[-1])
            outputs.append(child.output_shape_for(found[-1]))
        return found

    def _common_shape(self, shapes: Sequence[Shape], places: Sequence[int]) -> Shape:
        if len({tuple(shapes[place]) for place in places}) > 1:
            names = ["input", *(child.name for child in self.children())]
            ends = ", ".join(f"the {names[place]} branch ends in shape {tuple(shapes[place])}" for place in places)
            raise ValueError(f"{self.name!r} adds its branches, which must be of one shape: {ends}.")
        return shapes[places[0]]

    def _etas(self, eta: Any) -> list[Any]:
        """The step size of each child: one for all, or nested like the network."""
        return self.entries("eta", eta) if isinstance(eta, (list, tuple)) else [eta] * len(self.children())

    def _read(self, child: FeedbackLayer, values: Sequence[Tensor], places: Sequence[int]) -> Any:
        """What a child reads of the values so far."""
        read = [values[place] for place in places]
        return read if child.merges else self._total(read)

    def _total(self, values: Sequence[Tensor]) -> Tensor:
        """Their sum, in the compute dtype; a single value as it is."""
        if len(values) == 1:
            return values[0]
        first, *others = (self.in_compute_dtype(value) for value in values)
        return sum(others, start=first)

    def _arrivals(self, signal: Tensor) -> list[list[Tensor]]:
        """For each value, the signals that its readers send down: so far those to the output of the composite."""
        top = self.sources()[-1]
        return [[signal] * top.count(value) for value in range(len(self.children()) + 1)]

    def _hand_down(self, arrived: list[list[Tensor]], place: int, below: Any) -> None:
        """Adds what leaves child `place` below to the arrivals at each of its sources."""
        read = self.sources()[place]
        for value, signal in zip(read, below if self.children()[place].merges else [below] * len(read), strict=True):
            arrived[value].append(signal)


def check_layers(owner: str, layers: Sequence[FeedbackLayer]) -> list[FeedbackLayer]:
    """Returns `layers` as a list, or raises ValueError where one is no `FeedbackLayer`."""
    for position, layer in enumerate(layers):
        if not isinstance(layer, FeedbackLayer):
            raise ValueError(f"{owner} wants FeedbackLayer instances, got {layer!r} at position {position}.")
    return list(layers)
