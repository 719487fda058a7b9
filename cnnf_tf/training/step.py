"""One optimiser step, on any number of replicas.

    prepare the images (attack)  ->  objective and gradients, in micro-batches  ->  sum over replicas  ->  unscale
    ->  clip by global norm  ->  add weight_decay * w  ->  optimiser

Clipping comes after the sum over replicas and before the weight decay, and the decay is coupled (L2: part of the
gradient, also of momentum), as in the authors' PyTorch code. So a step does not depend on how many replicas share the
batch.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from cnnf_tf.models import CNNF
from cnnf_tf.training.objectives import Objective, Prepared

Report = dict[str, tf.Tensor]


@dataclasses.dataclass(eq=False)
class TrainingStep:
    """A traced step on a global batch.

    Args:
      model: made in the scope of the strategy.
      optimizer: made and built there too; without clipping or weight decay of its own. A `LossScaleOptimizer` makes
        float16 safe: its scale is applied and removed here, and a step whose gradients overflow is left out.
      objective: what to minimise.
      clip_norm: of the global gradient; 0 for none.
      weight_decay: L2, >= 0; learned step sizes do not decay, since zero means nothing to their logits.
      accumulation: number of equal micro-batches that each replica works through one by one.
    """

    model: CNNF
    optimizer: keras.optimizers.Optimizer
    objective: Objective
    _: dataclasses.KW_ONLY
    clip_norm: float
    weight_decay: float
    accumulation: int = 1

    def __post_init__(self) -> None:
        self._variables = self.model.trainable_variables
        self._scales_loss = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        self._strategy = tf.distribute.get_strategy()
        self._traced: Callable[..., Report] = tf.function(self._global, autograph=False, reduce_retracing=True)

    def __call__(self, images: Any, labels: tf.Tensor, *, step: int, seed: int) -> Report:
        """Trains on a batch that is distributed over the replicas.

        Args:
          images: as the objective takes them.
          labels: class ids.
          step: number of this step, from 0.
          seed: of the run.

        Returns:
          Means over the global batch, as the objective reports them, and `gradient_norm` before clipping. With loss
          scaling also `skipped`, 1 if the step was left out, else 0; `gradient_norm` is 0 then.
        """
        return self._traced(images, labels, tf.constant(step, tf.int64), tf.constant(seed, tf.int64))

    def _global(self, images: Any, labels: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> Report:
        report = self._strategy.run(self._replica, args=(images, labels, step, seed))
        return {name: self._strategy.reduce("SUM", value, axis=None) for name, value in report.items()}

    def _replica(self, images: Any, labels: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> Report:
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        size = tf.shape(labels)[0]
        indices = tf.cast(context.replica_id_in_sync_group, tf.int32) * size + tf.range(size)
        step_seed = tf.random.experimental.stateless_fold_in(tf.stack([seed, tf.zeros_like(seed)]), step)[0]

        report, gradients = self._accumulate(images, labels, indices, step, step_seed)
        gradients = context.all_reduce("SUM", [gradient / replicas for gradient in gradients])
        scale = tf.convert_to_tensor(self.optimizer.dynamic_scale) if self._scales_loss else 1.0
        gradients = [gradient / scale for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        if self.weight_decay:
            pairs = zip(gradients, self._variables, strict=True)
            gradients = [
                gradient if w is self.model.eta_logits else gradient + self.weight_decay * tf.convert_to_tensor(w)
                for gradient, w in pairs
            ]
        # The optimiser sums over replicas once more and, if it scales the loss, divides by the scale.
        gradients = [gradient * (scale / replicas) for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        report |= {"gradient_norm": norm}
        if self._scales_loss:
            skipped = tf.reduce_any([tf.reduce_any(~tf.math.is_finite(gradient)) for gradient in gradients])
            report |= {"gradient_norm": tf.where(skipped, 0.0, norm), "skipped": tf.cast(skipped, tf.float32)}
        return {name: value / replicas for name, value in report.items()}

    def _accumulate(
        self, images: Any, labels: tf.Tensor, indices: tf.Tensor, step: tf.Tensor, seed: tf.Tensor
    ) -> tuple[Report, list[tf.Tensor]]:
        """Means over the micro-batches of this replica."""
        batch = (images, labels, indices)
        if self.accumulation == 1:
            return self._micro(batch, step, seed)
        size = tf.shape(labels)[0] // self.accumulation

        def micro(number: tf.Tensor) -> tuple[Report, list[tf.Tensor]]:
            part = tf.nest.map_structure(lambda tensor: tensor[number * size : (number + 1) * size], batch)
            return self._micro(part, step, seed)

        def add(number: tf.Tensor, sums: Any) -> tuple[tf.Tensor, Any]:
            return number + 1, tf.nest.map_structure(tf.add, sums, micro(number))

        _, sums = tf.while_loop(lambda number, _: number < self.accumulation, add, (1, micro(tf.constant(0))))
        return tf.nest.map_structure(lambda total: total / self.accumulation, sums)

    def _micro(self, batch: Any, step: tf.Tensor, seed: tf.Tensor) -> tuple[Report, list[tf.Tensor]]:
        images, labels, indices = batch
        prepared: Prepared = self.objective.prepare(images, labels, seed=seed, indices=indices)
        with tf.GradientTape() as tape:
            scored = self.objective.score(prepared, labels, step=step)
            scaled = self.optimizer.scale_loss(scored.losses.total)
        gradients = tape.gradient(scaled, self._variables, unconnected_gradients="zero")  # step sizes where K = 0
        return self.objective.report(scored, labels), gradients


def split_over_replicas(strategy: tf.distribute.Strategy, dataset: tf.data.Dataset, batch_size: int) -> Any:
    """Distributes a data set of global batches: replica i of n gets the i-th n-th of every batch, in order.

    Every worker reads whole batches and keeps its part, so that the same images meet in a batch however many workers
    there are, and `skip` continues a run exactly.

    Args:
      strategy: of the training.
      dataset: global batches of a static size.
      batch_size: that size; the replicas must divide it.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return dataset
    size = batch_size // replicas

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        count = replicas // context.num_input_pipelines
        start = context.input_pipeline_id * count * size

        def pieces(*batch: Any) -> tf.data.Dataset:
            def cut(tensor: tf.Tensor) -> tf.Tensor:
                return tf.reshape(tensor[start : start + count * size], (count, size, *tensor.shape[1:]))

            return tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(cut, batch))

        return dataset.flat_map(pieces).prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(of_worker)


def evaluation_step(model: CNNF, *, plain: bool = False) -> Callable[..., Report]:
    """A traced function of a batch that reports the standard objective, see there, without training."""
    objective = Objective(model, plain=plain)

    @tf.function(reduce_retracing=True, autograph=False)
    def evaluate(images: Any, labels: tf.Tensor) -> Report:
        prepared = objective.prepare(images, labels, seed=tf.constant(0), indices=tf.constant([0]))
        return objective.report(objective.score(prepared, labels, step=None), labels)

    return evaluate
