"""The loop that PGD and SPSA share: start, step, clip, drop what is broken, start again."""

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops
from keras.backend import standardize_dtype

from cnnf_tf.attacks import attack_arguments, programs
from cnnf_tf.attacks.base import Attack, Found
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.layers.base import Tensor
from cnnf_tf.utils.validation import positive_int

Schedule = Callable[[float], float] | Sequence[float]
"""Multipliers of the step size: a function of the fraction of steps done, in [0, 1), or one number for each step."""
Slots = tuple[Tensor, ...]


class Ascent(NamedTuple):
    """What a step knows, for each image in work."""

    images: Tensor
    """The clean images."""
    iterates: Tensor
    losses: Tensor
    """Of the iterates, `[batch]`."""
    gradient: Tensor
    """Of the losses, or its estimate; finite."""


class IterativeAttack(Attack):
    """Base of attacks that move all images a step at a time.

    The result is the first iterate that breaks an image, else the iterate after the last step of the last restart.
    Where `surrogate` is `predict`, each step's own forward pass tells which images are broken; else `predict` is asked
    after each restart. Without `early_stop` every image takes all steps of a restart, and those that are broken
    at its end take no part in the next one.

    Args:
      epsilon: see `PGD`, also for the rest. With the default `step_size` the border can be reached from every point of
        the ball (Madry et al., arXiv:1706.06083).
    """

    queries_per_step = 1
    random_steps = False
    """Whether restarts from the same point differ."""
    thorough = False
    """Whether `predict` is asked at every step also where gradients go through something else; see `Problem.broken`."""

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int,
        step_size: float | None = None,
        norm: str = "linf",
        random_start: bool = True,
        restarts: int = 1,
        loss: str = "cross_entropy",
        schedule: Schedule | None = None,
        early_stop: bool = True,
    ):
        super().__init__(epsilon=epsilon, norm=norm, loss=loss, early_stop=early_stop)
        self.steps = positive_int("steps", steps)
        default = 2.5 * self.epsilon / self.steps
        self.step_size = default if step_size is None else attack_arguments.non_negative("step_size", step_size)
        self.random_start = bool(random_start)
        self.restarts = positive_int("restarts", restarts)
        self.multipliers = _multipliers(schedule, self.steps)
        if self.restarts > 1 and not (self.random_start or self.random_steps):
            raise ValueError(f"{self.restarts} restarts without a random start would all be the same; want 1 restart.")

    def settings(self) -> dict[str, Any]:
        return super().settings() | {
            "steps": self.steps,
            "step_size": self.step_size,
            "schedule": self.multipliers if set(self.multipliers) != {1.0} else None,
            "random_start": self.random_start,
            "restarts": self.restarts,
        }

    @abc.abstractmethod
    def ascent(
        self, problem: Problem, iterates: Tensor, restart: Any, step: Any
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Losses and where they are broken, as `Problem.evaluate`, and a gradient of the losses or its estimate."""

    def slots(self, images: Tensor) -> Slots:
        """What `move` remembers between steps, for each image, at the start."""
        del images
        return ()

    @abc.abstractmethod
    def move(self, ascent: Ascent, slots: Slots, step: Any, step_size: Tensor) -> tuple[Tensor, Slots]:
        """The next iterates, not yet clipped, and the next slots."""

    def start(self, problem: Problem, restart: Any) -> Tensor:
        """Where a restart begins, not yet clipped: at a uniform draw from the ball, or at the clean images."""
        if not self.random_start:
            return problem.images
        shape, dtype = tuple(problem.images.shape[1:]), standardize_dtype(problem.images.dtype)
        delta = problem.draw([restart], lambda seed: self.norm.uniform(shape, seed, dtype), programs.like(shape, dtype))
        return problem.images + self.epsilon * delta

    def aims(self, problem: Problem) -> Tensor | None:
        """The classes that the loss leads to in each restart, int32 `[batch, restarts]`; None: what the task says."""
        del problem
        return None

    def search(self, problem: Problem, working: Tensor) -> Found:
        aims = self.aims(problem)
        rows = programs.row_numbers(working)
        queries = ops.zeros_like(problem.labels)
        losses = ops.zeros([self.steps + 1], "float32")
        zero = programs.number(0)
        if self.restarts == 1 and aims is None:
            images, _, queries, losses = self._restart(problem, zero, problem.images, rows, queries)
            return Found(images, losses, queries)

        def again(restart: Any, images: Any, rows: Any, queries: Any, losses: Any) -> Any:
            task = problem if aims is None else dataclasses.replace(problem, aims=aims[:, restart])
            images, rows, queries, new_losses = self._restart(task, restart, images, rows, queries)
            return restart + 1, images, rows, queries, ops.where(restart == 0, new_losses, losses)

        found = programs.loop(
            lambda restart, images, rows, queries, losses: (restart == 0) | (programs.count(rows) > 0),
            again,
            (zero, problem.images, rows, queries, losses),
            self.restarts if aims is None else ops.shape(aims)[1],
        )
        return Found(images=found[1], losses=found[4], queries=found[3])

    def _restart(self, problem: Problem, restart: Any, images: Any, rows: Any, queries: Any) -> Any:
        """One start and its steps for the images in `rows`; returns images, rows not yet broken, queries, losses."""
        count = ops.cast(programs.count(rows), "float32")
        work = problem.rows(rows)
        images = programs.put_rows(images, rows, self.clip(self.start(work, restart), work.images))
        sizes = [self.step_size * multiplier for multiplier in self.multipliers]
        step_sizes = ops.convert_to_tensor(sizes, images.dtype)  # numbers, or tensors
        numbers = ops.arange(self.steps + 1, dtype="int32")

        def step(number: Any, images: Any, rows: Any, slots: Any, latest: Any, queries: Any, losses: Any) -> Any:
            work, iterates = problem.rows(rows), programs.take(images, rows)
            values, success, gradient = self.ascent(work, iterates, restart, number)
            gradient = ops.where(ops.isfinite(gradient), gradient, 0)
            latest = programs.put_rows(latest, rows, ops.cast(values, "float32"))
            values = ops.cast(values, iterates.dtype)
            queries = programs.add_to_rows(queries, rows, self.queries_per_step)
            losses = ops.where(numbers == number, ops.sum(latest) / count, losses)
            kept = tuple(programs.take(slot, rows) for slot in slots)
            moved, kept = self.move(Ascent(work.images, iterates, values, gradient), kept, number, step_sizes[number])
            moved = self.clip(moved, work.images)
            if success is not None and self.early_stop:
                robust = ops.logical_not(success)
                rows, moved = programs.keep(rows, robust), programs.keep(moved, robust)
                kept = tuple(programs.keep(slot, robust) for slot in kept)
            images = programs.put_rows(images, rows, moved)
            slots = tuple(programs.put_rows(slot, rows, value) for slot, value in zip(slots, kept, strict=True))
            return number + 1, images, rows, slots, latest, queries, losses

        start = (
            programs.number(0),
            images,
            rows,
            self.slots(problem.images),
            ops.zeros_like(problem.labels, "float32"),
            queries,
            ops.zeros([self.steps + 1], "float32"),
        )
        number, images, rows, _, latest, queries, losses = programs.loop(
            lambda number, images, rows, *rest: programs.count(rows) > 0, step, start, self.steps
        )
        if problem.images_only and self.restarts == 1:
            return images, rows, queries, losses

        def score_last() -> tuple[Tensor, Tensor, Any]:
            work, iterates = problem.rows(rows), programs.take(images, rows)
            values, success = work.evaluate(iterates, thorough=self.thorough, gradient=False)
            asked = programs.add_to_rows(queries, rows, 1)
            robust = rows
            if self.restarts > 1:
                success = work.check(iterates) if success is None else success
                robust = programs.keep(rows, ops.logical_not(success))
            return programs.put_rows(latest, rows, ops.cast(values, "float32")), asked, robust

        # Once every image is broken there is nothing left to ask.
        some = programs.count(rows) > 0
        latest, queries, rows = programs.branch(some, score_last, lambda: (latest, queries, rows))
        losses = ops.where(numbers >= number, ops.sum(latest) / count, losses)
        return images, rows, queries, losses


def _multipliers(schedule: Schedule | None, steps: int) -> tuple[float, ...]:
    if schedule is None:
        return (1.0,) * steps
    values = [schedule(step / steps) for step in range(steps)] if callable(schedule) else list(schedule)
    if len(values) != steps:
        raise ValueError(f"schedule must have one multiplier for each of the {steps} steps, got {len(values)}.")
    for value in values:
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise ValueError(f"schedule must give finite multipliers >= 0 of the step size, got {value!r}.")
    return tuple(float(value) for value in values)
