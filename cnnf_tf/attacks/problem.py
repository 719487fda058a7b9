"""What an attack has to solve for one batch: the images, what counts as success, and the functions to ask."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops

from cnnf_tf.attacks import attack_arguments, programs
from cnnf_tf.attacks.losses import LOSSES, check_classes, own_class
from cnnf_tf.layers.base import Tensor

Predict = Callable[[Tensor], Tensor]
"""Images in [0, 1], `[batch, height, width, channels]`, to logits `[batch, classes]`; made of ops of the backend."""
AttackObjective = Callable[[Tensor, Tensor], Tensor]
"""Images and labels `[batch]` to the loss to maximise, `[batch]`."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """The task of one batch."""

    predict: Predict  # decides success
    surrogate: Predict  # what gradients or queries go through
    objective: AttackObjective | None  # takes the place of the loss of the surrogate's logits; None for that loss
    loss: str  # a key of `LOSSES`
    shared: bool  # whether the surrogate is `predict`, its logits at hand, so that success costs nothing to check
    images: Tensor  # the clean images, `[batch, height, width, channels]`
    labels: Tensor  # int32 `[batch]`
    targets: Tensor | None  # int32 `[batch]`, or None for an untargeted attack
    seeds: Any  # int64 `[batch, 2]`, an independent stream of random numbers for each image
    images_only: bool = False  # whether the caller needs nothing but the images
    aims: Tensor | None = None  # int32 `[batch]`, the class the loss leads to, whatever counts as success

    def rows(self, rows: Any) -> "Problem":
        """The same task for the images with these row numbers, int32 `[n]`; numbers may occur more than once."""
        parts = {name: getattr(self, name) for name in ("images", "labels", "targets", "seeds", "aims")}
        taken = {name: programs.take(part, rows) for name, part in parts.items() if part is not None}
        return dataclasses.replace(self, **taken)

    def success(self, logits: Tensor) -> Tensor:
        """Where `predict`'s logits mean success, bool `[batch]`: another class than the label, or the target."""
        predictions = programs.largest(logits)
        return predictions != self.labels if self.targets is None else predictions == self.targets

    def check(self, iterates: Tensor) -> Tensor:
        """Asks `predict` where it is broken by these images, bool `[batch]`."""
        return self.success(attack_arguments.logits("predict", self.predict(iterates)))

    def broken(self, iterates: Tensor, logits: Tensor) -> Tensor:
        """Where `predict` is broken by these images, bool `[batch]`, at little cost.

        If it is not `shared`, `predict` is asked only about images that the surrogate, with these `logits`, gets wrong.
        """
        wrong = self.success(logits)
        if self.shared:
            return wrong
        rows = programs.row_numbers(wrong)

        def ask_predict() -> Tensor:
            return programs.put_rows(wrong, rows, self.rows(rows).check(programs.take(iterates, rows)))

        return programs.branch(programs.count(rows) > 0, ask_predict, lambda: wrong)

    def rivals(self) -> Tensor:
        """The wrong classes of each clean image, the surrogate's likeliest first, int32 `[batch, classes - 1]`."""
        logits = attack_arguments.logits("surrogate", self.surrogate(self.images))
        others = ops.where(own_class(logits, self.labels), -float("inf"), logits)
        return ops.cast(ops.argsort(-others, axis=-1), "int32")[:, :-1]

    def evaluate(
        self, iterates: Tensor, *, thorough: bool = False, gradient: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The loss to maximise at these images, `[batch]`, and, if `shared`, where they are broken, bool `[batch]`.

        Args:
          iterates: the images.
          thorough: say where they are broken also if not `shared`; see `broken`.
          gradient: False where no gradient is wanted: what `predict` was traced for is then not traced again.

        Raises:
          ValueError: an objective or a surrogate that returns something else.
        """
        if self.objective is not None:
            losses = self.objective(iterates, self.labels)
            if not ops.is_tensor(losses) or len(losses.shape) != 1 or not attack_arguments.is_float(losses):
                got = losses.shape if ops.is_tensor(losses) else f"a {type(losses).__name__}"
                raise ValueError(f"objective must return one float loss for each image, [batch], got {got}.")
            return losses, None
        source = self.surrogate if gradient or not self.shared else self.predict
        logits = attack_arguments.logits("surrogate", source(iterates))
        aims = self.targets if self.aims is None else self.aims
        check_classes(self.loss, logits.shape[-1], targeted=aims is not None)
        losses = LOSSES[self.loss](logits, self.labels, aims)
        return losses, self.broken(iterates, logits) if self.shared or thorough else None

    def draw(self, stream: list[Tensor | int], draw: Callable[[Any], Tensor], like: Any) -> Tensor:
        """Random numbers for each image, `[batch, *like.shape]`, which do not depend on the other images.

        Args:
          stream: whole numbers (restart, step, ...) that name this draw among all draws of the attack.
          draw: from a seed, `[2]`, to the numbers for one image.
          like: `programs.like` of those numbers.
        """
        return programs.draw(self.seeds, stream, draw, like)
