"""Scores a model on the validation split while it is trained."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from cnnf_tf.attacks import PGD, predictor, run_attack
from cnnf_tf.models import CNNF
from cnnf_tf.training.step import evaluation_step


@dataclasses.dataclass(eq=False)
class Validator:
    """The validation split, or nothing where the config names none."""

    model: CNNF  # the model that is trained
    dataset: tf.data.Dataset | None  # batches of the split
    _: dataclasses.KW_ONLY
    attack: PGD | None  # for the robust accuracy: through the full unroll, at the model's own K and readout
    robust_images: int  # how many images are attacked, from the first on
    seed: int  # of the attack

    def __post_init__(self) -> None:
        self._evaluate = functools.cache(lambda plain: evaluation_step(self.model, plain=plain))
        self._predict = predictor(self.model)

    def score(self, *, plain: bool = False) -> dict[str, float]:
        """Means over the split: losses, accuracies and, with an attack, `robust_accuracy`; empty without a split.

        Args:
          plain: run the plain CNN, K = 0.
        """
        if self.dataset is None:
            return {}
        sums: dict[str, float] = {}
        sizes = []
        for images, labels in self.dataset:
            sizes.append(int(labels.shape[0]))
            for name, value in self._evaluate(plain)(images, labels).items():
                sums[name] = sums.get(name, 0.0) + sizes[-1] * float(value)
        means = {name: total / sum(sizes) for name, total in sums.items()}
        if self.attack is not None and self.robust_images:
            first = self.dataset.unbatch().take(self.robust_images).batch(sizes[0])
            predict = predictor(self.model, iterations=0) if plain else self._predict
            means["robust_accuracy"] = run_attack(self.attack, predict, first, seed=self.seed).robust_accuracy
        return means

    def attacked(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor | None:
        """Adversarial versions of some images; None without an attack."""
        return self.attack and self.attack.bind(self._predict).perturb(images, labels, seed=self.seed)


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
