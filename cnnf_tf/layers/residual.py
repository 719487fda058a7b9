"""A residual block: two branches that are added up."""

from collections.abc import Sequence
from typing import Any

import keras

from cnnf_tf.layers.base import FeedbackLayer, register
from cnnf_tf.layers.composite import FeedbackComposite, Sources
from cnnf_tf.layers.sequential import FeedbackSequential


@register
class FeedbackResidual(FeedbackComposite):
    """`main(x) + shortcut(x)` going up, `main^T(g) + shortcut^T(g)` coming down.

    Args:
      main: feedback layers of the residual branch, bottom to top.
      shortcut: feedback layers of the other branch; None is the identity.
    """

    def __init__(self, main: Sequence[FeedbackLayer], shortcut: Sequence[FeedbackLayer] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.main = FeedbackSequential(main, name="main", dtype=self.dtype_policy)
        self.shortcut = None
        if shortcut is not None:
            self.shortcut = FeedbackSequential(shortcut, name="shortcut", dtype=self.dtype_policy)

    def children(self) -> list[FeedbackLayer]:
        return [self.main] if self.shortcut is None else [self.main, self.shortcut]

    def sources(self) -> Sources:
        return [(0,), (1, 0)] if self.shortcut is None else [(0,), (0,), (1, 2)]

    def get_config(self) -> dict[str, Any]:
        branches = {"main": self.main.children(), "shortcut": self.shortcut and self.shortcut.children()}
        return super().get_config() | keras.saving.serialize_keras_object(branches)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeedbackResidual":
        branches = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("main", "shortcut")}
        return cls(**(config | branches))
