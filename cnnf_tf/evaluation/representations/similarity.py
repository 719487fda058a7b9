"""How alike passes, layers and models are: every pass of every named activations beside every other."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.estimates import Estimate


@dataclasses.dataclass(frozen=True)
class Similarity:
    """What `rsa` and `cka` find.

    Attributes:
      measure: what the numbers are, in words.
      items: name and pass of each row and column; the passes of a name stand together, in order.
      matrix: `[items, items]`, symmetric, 1 on the diagonal.
    """

    measure: str
    items: Sequence[tuple[str, int]]
    matrix: Estimate

    def names(self) -> list[str]:
        """The names, in order."""
        return list(dict.fromkeys(name for name, _ in self.items))

    def with_first_pass(self, name: str) -> Estimate:
        """Similarity of each pass of a name with its own first one; that itself is 1. KeyError for an unknown name."""
        places = list(self._places(name))
        return self.matrix[places, places[0]]

    def between(self, first: str, second: str) -> Estimate:
        """Similarity of two names at each pass that both have; KeyError for an unknown name."""
        pairs = zip(self._places(first), self._places(second), strict=False)
        return self.matrix[tuple(np.transpose(list(pairs)))]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        items = [{"name": name, "pass": index} for name, index in self.items]
        return {"measure": self.measure, "items": items, **self.matrix.to_dict()}

    def _places(self, name: str) -> Iterator[int]:
        if name not in self.names():
            raise KeyError(f"there is no {name!r} here; there are {', '.join(self.names())}.")
        return (place for place, (other, _) in enumerate(self.items) if other == name)
