"""What an attack has to solve for one batch: the images, what counts as success, and the functions to ask."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from cnnf_tf.attacks import attack_arguments
from cnnf_tf.attacks.losses import LOSSES, check_classes

Predict = Callable[[tf.Tensor], tf.Tensor]
"""Images in [0, 1], `[batch, height, width, channels]`, to logits `[batch, classes]`; made of TensorFlow ops."""
AttackObjective = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Images and labels `[batch]` to the loss to maximise, `[batch]`."""


def ask(function: Callable[..., tf.Tensor], *arguments: tf.Tensor) -> tf.Tensor:
    """Calls a model, which never gets to see a batch of no images: TensorFlow's CPU convolutions abort on it."""
    count = tf.shape(arguments[0])[0]
    extra = tf.cast(count == 0, tf.int32)
    padded = []
    for argument in arguments:
        filled = tf.pad(argument, [[0, extra], *[[0, 0]] * (argument.shape.rank - 1)])
        padded.append(tf.ensure_shape(filled, [None, *argument.shape[1:]]))
    found = function(*padded)
    return found[:count] if tf.is_tensor(found) and found.shape.rank else found


def row_numbers(chosen: tf.Tensor) -> tf.Tensor:
    """The numbers of the rows that are chosen, int32 `[n]`, from bool `[batch]`."""
    return tf.cast(tf.where(chosen)[:, 0], tf.int32)


@dataclasses.dataclass(frozen=True)
class Problem:
    """The task of one batch."""

    predict: Predict  # decides success
    surrogate: Predict  # what gradients or queries go through
    objective: AttackObjective | None  # takes the place of the loss of the surrogate's logits; None for that loss
    loss: str  # a key of `LOSSES`
    shared: bool  # whether the surrogate is `predict`, its logits at hand, so that success costs nothing to check
    images: tf.Tensor  # the clean images, `[batch, height, width, channels]`
    labels: tf.Tensor  # int32 `[batch]`
    targets: tf.Tensor | None  # int32 `[batch]`, or None for an untargeted attack
    seeds: tf.Tensor  # int64 `[batch, 2]`, an independent stream of random numbers for each image
    images_only: bool = False  # whether the caller needs nothing but the images
    aims: tf.Tensor | None = None  # int32 `[batch]`, the class the loss leads to, whatever counts as success

    def rows(self, rows: tf.Tensor) -> "Problem":
        """The same task for the images with these row numbers, int32 `[n]`; numbers may occur more than once."""
        parts = {name: getattr(self, name) for name in ("images", "labels", "targets", "seeds", "aims")}
        taken = {name: tf.gather(part, rows) for name, part in parts.items() if part is not None}
        return dataclasses.replace(self, **taken)

    def success(self, logits: tf.Tensor) -> tf.Tensor:
        """Where `predict`'s logits mean success, bool `[batch]`: another class than the label, or the target."""
        predictions = tf.argmax(logits, -1, output_type=tf.int32)
        return predictions != self.labels if self.targets is None else predictions == self.targets

    def check(self, iterates: tf.Tensor) -> tf.Tensor:
        """Asks `predict` where it is broken by these images, bool `[batch]`."""
        return self.success(attack_arguments.logits("predict", self.predict(iterates)))

    def broken(self, iterates: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Where `predict` is broken by these images, bool `[batch]`, at little cost.

        If it is not `shared`, `predict` is asked only about images that the surrogate, with these `logits`, gets wrong.
        """
        wrong = self.success(logits)
        if self.shared:
            return wrong
        rows = row_numbers(wrong)

        def ask_predict() -> tf.Tensor:
            broken = self.rows(rows).check(tf.gather(iterates, rows))
            return tf.tensor_scatter_nd_update(wrong, rows[:, None], broken)

        return tf.cond(tf.size(rows) > 0, ask_predict, lambda: wrong)

    def rivals(self) -> tf.Tensor:
        """The wrong classes of each clean image, the surrogate's likeliest first, int32 `[batch, classes - 1]`."""
        logits = attack_arguments.logits("surrogate", self.surrogate(self.images))
        own = tf.one_hot(self.labels, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        others = tf.where(own, tf.constant(-float("inf"), logits.dtype), logits)
        return tf.argsort(others, direction="DESCENDING", stable=True)[:, :-1]

    def evaluate(
        self, iterates: tf.Tensor, *, thorough: bool = False, gradient: bool = True
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
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
            if not tf.is_tensor(losses) or losses.shape.rank != 1 or not losses.dtype.is_floating:
                got = losses.shape if tf.is_tensor(losses) else f"a {type(losses).__name__}"
                raise ValueError(f"objective must return one float loss for each image, [batch], got {got}.")
            return losses, None
        source = self.surrogate if gradient or not self.shared else self.predict
        logits = attack_arguments.logits("surrogate", source(iterates))
        aims = self.targets if self.aims is None else self.aims
        check_classes(self.loss, logits.shape[-1], targeted=aims is not None)
        losses = LOSSES[self.loss](logits, self.labels, aims)
        return losses, self.broken(iterates, logits) if self.shared or thorough else None

    def draw(self, stream: list[tf.Tensor | int], draw: Callable[[tf.Tensor], tf.Tensor], like: tf.Tensor) -> tf.Tensor:
        """Random numbers for each image, `[batch, *like.shape]`, which do not depend on the other images.

        Args:
          stream: whole numbers (restart, step, ...) that name this draw among all draws of the attack.
          draw: from a seed, `[2]`, to the numbers for one image.
          like: a `tf.TensorSpec` of those numbers.
        """

        def one(seed: tf.Tensor) -> tf.Tensor:
            for number in stream:
                seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int64))
            return draw(seed)

        return tf.map_fn(one, self.seeds, fn_output_signature=like)
