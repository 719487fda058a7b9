"""The training loop: steps, evaluations, checkpoints. Everything a step depends on is in a checkpoint or the config."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from cnnf_tf.attacks import PGD
from cnnf_tf.models import CNNF
from cnnf_tf.training.checkpoints import Checkpoints
from cnnf_tf.training.objectives import Curriculum
from cnnf_tf.training.run_log import RunLog
from cnnf_tf.training.step import TrainingStep, split_over_replicas
from cnnf_tf.training.strategies import from_chief, is_chief
from cnnf_tf.training.trackers import open_trackers, unfinished
from cnnf_tf.training.trackers.base import TrackerFactory
from cnnf_tf.training.validator import Validator, averaged_weights
from cnnf_tf.training.workdir import Workdir
from cnnf_tf.utils.archives import write_npz
from cnnf_tf.utils.files import atomic_path
from cnnf_tf.utils.progress import say

_NUM_PICTURES = 8


@dataclasses.dataclass(eq=False)
class Loop:
    """A run of the configuration; made in the scope of the strategy."""

    config: ConfigDict  # see `training.run`
    folder: Workdir  # opened and locked
    model: CNNF  # new
    optimizer: keras.optimizers.Optimizer  # new and built
    curriculum: Curriculum  # what each step minimises
    _: dataclasses.KW_ONLY
    steps_per_epoch: int  # number of steps that count as one epoch

    def __post_init__(self) -> None:
        options = self.config.train
        self._strategy = tf.distribute.get_strategy()
        self._chief = is_chief(self._strategy)
        self._checkpoints = Checkpoints(self.folder.checkpoints)
        self._sums: dict[str, float] = {}
        self._summed = 0
        self._training_step = functools.cache(
            lambda objective: TrainingStep(
                self.model,
                self.optimizer,
                objective,
                clip_norm=options.optimizer.clip_norm,
                weight_decay=options.optimizer.weight_decay,
                accumulation=options.accumulation,
            )
        )

    def run(
        self,
        train: tf.data.Dataset,
        validation: tf.data.Dataset | None,
        *,
        progress: bool,
        trackers: Mapping[str, TrackerFactory],
        command: str | None = None,
    ) -> None:
        """Trains up to the last step of the config.

        Args:
          train: batches without end.
          validation: batches, or None.
          progress: whether to show how far it is.
          trackers: from `find_trackers`.
          command: the command line that asks for this, for `run.json`.
        """
        config, folder, total = self.config, self.folder, self.steps_per_epoch * self.config.train.epochs
        done = self._restore()
        if done >= total:
            self._say(f"{folder.root}: all {config.train.epochs} epochs are done already; nothing to train.")
            if self._chief:
                self._finish(unfinished(trackers, folder))
            return
        if done:
            self._say(f"{folder.root}: going on after step {done} of {total}.")
        if self._chief:
            folder.add_session(step=done, command=command, replicas=self._strategy.num_replicas_in_sync)
        checkpoint_every = config.train.checkpoint_every or self.steps_per_epoch
        evaluate_every = config.train.evaluate_every or self.steps_per_epoch
        attack, attacked = None, 0
        if "adversarial" in config:
            options = config.adversarial
            attack, attacked = PGD(epsilon=options.epsilon, steps=options.robust_steps), options.robust_images
        held_out = Validator(self.model, validation, attack=attack, robust_images=attacked, seed=config.seed)
        pictures = next(iter((validation or train).take(1)))
        batches = iter(split_over_replicas(self._strategy, train.skip(done), config.data.batch_size))
        with RunLog(
            folder,
            done=done,
            total_steps=total,
            batch_size=config.data.batch_size,
            shown=progress and self._chief,
            trackers=open_trackers(trackers, folder) if self._chief else (),
        ) as watch:
            while done < total:
                images, labels = next(batches)
                self._train(done, images, labels, watch)
                done += 1
                last = done == total
                if last or done % evaluate_every == 0:
                    self._evaluate(done, held_out, watch, pictures)
                if last or done % checkpoint_every == 0:
                    self._checkpoint(done)
        self._say(f"{folder.root}: {total} steps of {config.data.batch_size} images are done; saved {folder.best}.")

    def _finish(self, trackers: Mapping[str, TrackerFactory]) -> None:
        """Tells trackers the end of a run that was killed after its last checkpoint."""
        if not trackers:
            return
        self._say(f"{self.folder.root}: telling the end of the run to {', '.join(trackers)}.")
        total, size = self.steps_per_epoch * self.config.train.epochs, self.config.data.batch_size
        opened = open_trackers(trackers, self.folder)
        with RunLog(self.folder, done=total, total_steps=total, batch_size=size, shown=False, trackers=opened):
            pass

    def _train(self, done: int, images: Any, labels: Any, watch: RunLog) -> None:
        step = self._training_step(self.curriculum.at(done))
        learning_rate = float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))
        report = {name: float(value) for name, value in step(images, labels, step=done, seed=self.config.seed).items()}
        bad = [name for name in ("loss", "gradient_norm") if not np.isfinite(report[name])]
        if bad:
            self._save_bad_batch(done, images, labels)
            kept = self._checkpoints.steps()
            raise ValueError(
                f"the {bad[0].replace('_', ' ')} became {report[bad[0]]} in step {done + 1}; the batch is in "
                f"{self.folder.bad_batch}, and "
                f"{f'the checkpoint of step {kept[-1]} is kept' if kept else 'there is no checkpoint yet'}. A lower "
                "config.train.optimizer.learning_rate usually helps."
            )
        for name, value in report.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._summed += 1
        watch.step(done + 1, report, learning_rate)

    def _evaluate(self, done: int, held_out: Validator, watch: RunLog, pictures: tuple[Any, tf.Tensor]) -> None:
        means = {name: total / self._summed for name, total in self._sums.items()}
        steps = range(done - self._summed, done)
        self._sums, self._summed = {}, 0
        watch.stop_clock(done)
        with averaged_weights(self.model, self.optimizer):
            plain = self.curriculum.is_plain(done - 1)
            validation = held_out.score(plain=plain)
            if validation:  # each worker measured for itself, but all must come to the same decisions
                values = from_chief(self._strategy, [], list(validation.values()))
                validation = dict(zip(validation, map(float, values), strict=True))
            change = self.curriculum.evaluated(steps, validation)
            # History first: should a kill fall between the two, the steps are run again and the line is replaced.
            record = (change.record if change else {}) | ({"plain": True} if plain else {})
            entry = watch.evaluation(done, done / self.steps_per_epoch, means, validation, record)
            images, labels = pictures
            images = (images["images"] if isinstance(images, Mapping) else images)[:_NUM_PICTURES]
            watch.pictures(done, self.model, images, held_out.attacked(images, labels[:_NUM_PICTURES]))
            if all(_score(entry) >= _score(earlier) for earlier in watch.history):
                save_model(self.model, self.folder.best)
            save_model(self.model, self.folder.last)
        if change:
            self._say(change.message)
        watch.restart_clock(done)

    def _variables(self) -> list[Any]:
        """What a step changes; order and number follow from the config."""
        variables = {id(variable): variable for variable in [*self.model.variables, *self.optimizer.variables]}
        return [variable.value for variable in variables.values()]

    def _checkpoint(self, done: int) -> None:
        state = {"sums": self._sums, "summed": self._summed} | self.curriculum.state
        self._checkpoints.write(done, [variable.numpy() for variable in self._variables()], state=json.dumps(state))

    def _restore(self) -> int:
        """Reads the newest checkpoint, if there is one, and gives it to all workers; returns the steps done."""
        done, variables = 0, self._variables()
        found = self._checkpoints.read_newest()
        if found is not None:
            done, arrays, extra = found
            if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
                raise ValueError(f"{self._checkpoints.path(done)} does not fit the model; give another --workdir.")
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
            state = json.loads(str(extra["state"]))
            self._sums, self._summed = state["sums"], state["summed"]
            self.curriculum.restore(state)
        names = list(self.curriculum.state)
        done, *numbers = from_chief(self._strategy, variables, [done, *self.curriculum.state.values()])
        self.curriculum.restore(dict(zip(names, numbers, strict=True)))
        return int(done)

    def _save_bad_batch(self, done: int, images: Any, labels: Any) -> None:
        def join(value: Any) -> np.ndarray:
            return np.concatenate([part.numpy() for part in self._strategy.experimental_local_results(value)])

        parts = images if isinstance(images, Mapping) else {"images": images}
        arrays = {name: join(value) for name, value in parts.items()}
        write_npz(self.folder.bad_batch, arrays | {"labels": join(labels), "step": np.asarray(done)})

    def _say(self, message: str) -> None:
        if self._chief:
            say(message)


def save_model(model: CNNF, path: Any) -> None:
    """Saves a `.keras` file atomically; raises OSError that names it."""
    try:
        with atomic_path(path) as temporary:
            model.save(temporary)
    except OSError as error:
        raise OSError(error.errno, f"{path} could not be written ({error.strerror})") from error


def _score(entry: Mapping[str, float]) -> tuple[float, ...]:
    """What makes the best model: feedback, robust accuracy, then accuracy. Without a validation split, the newest."""
    return not entry.get("plain", False), entry.get("val_robust_accuracy", 0.0), entry.get("val_accuracy", 0.0)
