"""Scores a model on the validation split while it is trained."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from cnnf_tf.attacks import PGD, predictor
from cnnf_tf.models import CNNF
from cnnf_tf.training.step import evaluation_step


class HeldOut:
    """The validation split, or nothing where the config names none.

    Args:
      model: the model that is trained.
      dataset: batches of it, or None.
      attack: to measure the robust accuracy with, through the full unroll at the model's own K and readout; or None.
      robust_images: how many images are attacked, from the first on.
      seed: of the attack.
    """

    def __init__(
        self, model: CNNF, dataset: tf.data.Dataset | None, *, attack: PGD | None, robust_images: int, seed: int
    ):
        self._dataset = dataset
        self._evaluate = evaluation_step(model)
        self._attack = None if attack is None else attack.bind(predictor(model))
        self._robust_images = robust_images
        self._seed = seed

    def score(self) -> dict[str, float]:
        """Means over the split: losses, accuracies and, with an attack, `robust_accuracy`; empty without a split."""
        if self._dataset is None:
            return {}
        sums: dict[str, float] = {}
        count = robust_count = robust = 0
        for images, labels in self._dataset:
            size = int(labels.shape[0])
            for name, value in self._evaluate(images, labels).items():
                sums[name] = sums.get(name, 0.0) + size * float(value)
            left = min(size, self._robust_images - robust_count)
            if self._attack is not None and left > 0:
                indices = tf.range(count, count + left)
                result = self._attack(images[:left], labels[:left], seed=self._seed, indices=indices)
                robust += int(tf.reduce_sum(tf.cast(~result.success, tf.int32)))
                robust_count += left
            count += size
        means = {name: total / count for name, total in sums.items()}
        return means | ({"robust_accuracy": robust / robust_count} if robust_count else {})

    def attacked(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor | None:
        """Adversarial versions of some images; None without an attack."""
        return None if self._attack is None else self._attack.perturb(images, labels, seed=self._seed)


@contextlib.contextmanager
def averaged_weights(model: CNNF, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Within, the model has the exponential moving average of its weights, where the optimiser keeps one."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema:
        yield
        return
    kept = model.get_weights()
    inner.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        model.set_weights(kept)
