"""Work on the batches of a data set: on several devices, in parts on several machines, and on after a kill.

The batch is the unit of work. What is found for an image depends on the rest of its batch, if on nothing else, through
the rounding of kernels. So devices and machines share out whole batches and never cut one: results are then the same to
the last bit, however many share the work and however often it was cut off, on hardware of one kind.

    job = Job("passes", dataset, work)               # work(images, labels, indices) -> {"correct": ..., ...}
    facts = BatchRunner(strategy=strategy).run(job)  # {"correct": array over all images, ...}
"""

import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.utils.traces import by_shape

Facts = dict[str, np.ndarray]
"""What was found, by name: arrays whose first axis runs over images, in the order of the data set."""

SECONDS = "seconds"
"""The fact that every run adds: what an image took of its batch's time, which is all that differs between two runs."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, counted from 1: batches number - 1, number - 1 + count, ... of each data set."""

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, batch: int) -> bool:
        """Whether the batch with this number, counted from 0, is of this part."""
        return batch % self.count == self.number - 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads text such as "2/3"; raises ValueError otherwise."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        shard = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.count:
            raise ValueError(f"wants part i of n as i/n with i from 1 to n, such as 2/3; got {text!r}.")
        return shard


@dataclasses.dataclass(frozen=True)
class Job:
    """Something to find out about each image of a data set.

    Attributes:
      name: of the job, other than that of each other job of an evaluation.
      batches: tensors with a leading batch axis, or tuples of such.
      work: from the tensors of a batch and `indices`, int32 `[batch]`, the numbers of its images in the data set, to
        facts; it must be fit for the replicas of a strategy, and its facts for NumPy (no bfloat16).
      if_empty: the error of a data set without images.
    """

    name: str
    batches: Iterable[Any]
    work: Callable[..., Mapping[str, Any]]
    if_empty: str = "the data set to evaluate is empty; wanted at least one image."


def counting(progress: Callable[[int], None] | None) -> Callable[[Facts], None]:
    """The `progress` of `BatchRunner.run` for one that takes the number of images of each batch, or for none."""
    return lambda facts: None if progress is None else progress(len(facts[SECONDS]))


class Record:
    """Where a run keeps what it found; this one keeps nothing. See `batch_records`."""

    def finished(self, job: str) -> int | None:
        """The number of batches of a job that is finished; None of any other."""
        del job
        return None

    def read(self, job: str, batch: int) -> Facts | None:
        """The facts of a batch; None if they are not there."""
        del job, batch
        return None

    def write(self, job: str, batch: int, facts: Facts) -> None:
        """Keeps the facts of a batch."""

    def finish(self, job: str, batches: int) -> None:
        """Keeps that a job of so many batches is finished, as far as it belongs to this part."""


@dataclasses.dataclass(frozen=True)
class BatchRunner:
    """How batches are worked on.

    Attributes:
      strategy: whose replicas take a whole batch each, all at the same time. Models must be made or loaded in its
        scope. None, or a strategy of one replica: one batch after the other.
      shard: which batches to work on.
      record: what is found there is not worked on again, and what is found out goes there.
    """

    strategy: tf.distribute.Strategy | None = None
    shard: Shard = Shard()
    record: Record = Record()

    def run(self, job: Job, progress: Callable[[Facts], None] | None = None) -> Facts:
        """The facts of all images of the shard, and `SECONDS` of each; empty where the shard has no image.

        Args:
          job: what to do.
          progress: called with the facts of each batch, those from the record included.

        Raises:
          ValueError: an empty data set, or a damaged record; and what `job.work` raises.
        """
        found: dict[int, Facts] = {}

        def put(batch: int, facts: Facts) -> None:
            found[batch] = facts
            if progress is not None:
                progress(facts)

        finished = filter(self.shard.holds, range(self.record.finished(job.name) or 0))
        known = {number: self.record.read(job.name, number) for number in finished}
        if self.record.finished(job.name) is None or None in known.values():
            self.record.finish(job.name, self._work(job, put))
        else:
            for number, facts in known.items():
                put(number, facts or {})
        parts = [found[number] for number in sorted(found)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}

    def _work(self, job: Job, put: Callable[[int, Facts], None]) -> int:
        """Works on all batches; returns how many the data set has."""
        step, group_size = self._step(job.work), self._replicas()
        group: list[tuple[int, tuple[Any, ...]]] = []

        def work_on_group() -> None:
            start = time.perf_counter()
            batches = [batch for _, batch in group]
            filled = batches + batches[:1] * (group_size - len(group))  # some replicas do the first one again
            results = [{name: np.asarray(value) for name, value in facts.items()} for facts in step(filled)]
            seconds = (time.perf_counter() - start) / sum(len(batch[-1]) for batch in batches)
            for (number, batch), facts in zip(group, results, strict=False):
                facts[SECONDS] = np.full(len(batch[-1]), seconds)
                self.record.write(job.name, number, facts)
                put(number, facts)
            group.clear()

        count = images = 0
        for number, batch in enumerate(job.batches):
            tensors = batch if isinstance(batch, tuple) else (batch,)
            count, first = number + 1, images
            images += int(tensors[0].shape[0])
            if not self.shard.holds(number):
                continue
            known = self.record.read(job.name, number)
            if known is not None:
                put(number, known)
                continue
            group.append((number, (*tensors, tf.range(first, images))))
            if len(group) == group_size:
                work_on_group()
        if group:
            work_on_group()
        if not images:
            raise ValueError(job.if_empty)
        return count

    def _replicas(self) -> int:
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    def _step(self, work: Callable[..., Mapping[str, Any]]) -> Callable[[list[tuple[Any, ...]]], list[Any]]:
        """`work` on one batch for each replica, all at once."""
        if self._replicas() == 1:
            return lambda batches: [work(*batches[0])]
        strategy: Any = self.strategy

        def share(*tensors: tf.Tensor) -> Any:
            """Tensors of all batches, in a row."""
            each = len(tensors) // self._replicas()

            def own_batch(tensors: tuple[tf.Tensor, ...]) -> dict[str, Any]:
                replica = int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))
                return dict(work(*tensors[replica * each : (replica + 1) * each]))

            return strategy.run(own_batch, args=(tensors,))

        run = by_shape(share)

        def step(batches: list[tuple[Any, ...]]) -> list[Any]:
            found = run(*(tensor for batch in batches for tensor in batch))
            by_name = {name: strategy.experimental_local_results(value) for name, value in found.items()}
            return [{name: values[index] for name, values in by_name.items()} for index in range(len(batches))]

        return step
