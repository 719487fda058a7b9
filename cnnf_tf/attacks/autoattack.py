"""AutoAttack's parameter-free attacks, from the Adversarial Robustness Toolbox (ART).

Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
(arXiv:2003.01690). Of their four attacks ART has Auto-PGD, with either loss, and Square; its AutoAttack takes DeepFool
for the fourth, FAB. Here the components run one after the other on the images that still stand.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import attack_arguments
from cnnf_tf.attacks.base import Attack, Found
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.utils.validation import one_of, positive_int

COMPONENTS = ("apgd-ce", "apgd-dlr", "square")
"""Auto-PGD on cross-entropy, Auto-PGD on the difference of logits ratio, and Square, which needs no gradient."""


class AutoAttack(Attack):
    """Auto-PGD and Square, one after the other, each on the images that the ones before left standing.

    Needs the extra `autoattack`. It works on concrete arrays: call it outside of `tf.function`. It always stops at
    images that are broken, is untargeted, and takes no objective. Square is random and knows no seeds of its own: equal
    seeds give equal results for equal batches, but results depend on the batch size.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      norm: "linf" or "l2".
      attacks: components to run, in this order, among `COMPONENTS`. "apgd-dlr" wants at least 4 classes (ART's form of
        the loss).
      steps: steps of each Auto-PGD start; 100 in the paper.
      restarts: starts of Auto-PGD; 1 in its present standard form.
      queries: of Square; 5,000 in the paper.

    Raises:
      ImportError: the extra is not installed.
      ValueError: an argument out of its range.
    """

    runs_eagerly = True

    def __init__(
        self,
        *,
        epsilon: float,
        norm: str = "linf",
        attacks: Sequence[str] = COMPONENTS,
        steps: int = 100,
        restarts: int = 1,
        queries: int = 5000,
    ):
        super().__init__(epsilon=epsilon, norm=norm)
        self.attacks = tuple(one_of("attacks", name, COMPONENTS) for name in attacks)
        if not self.attacks:
            raise ValueError(f"attacks must name at least one of {list(COMPONENTS)}, got none.")
        self.steps = positive_int("steps", steps)
        self.restarts = positive_int("restarts", restarts)
        self.max_queries = positive_int("queries", queries)
        _import_art()

    def settings(self) -> dict[str, Any]:
        own = {"attacks": list(self.attacks), "steps": self.steps, "restarts": self.restarts}
        ours = super().settings()
        del ours["loss"]
        return ours | own | {"queries": self.max_queries, "adversarial-robustness-toolbox": _import_art().__version__}

    def search(self, problem: Problem, working: tf.Tensor) -> Found:
        if problem.targets is not None or problem.objective is not None:
            raise ValueError("AutoAttack is untargeted and takes no objective; use PGD.")
        images = problem.images.numpy().astype(np.float32)
        found, robust = images.copy(), working.numpy()
        if self.epsilon > 0:
            with _global_seed(int(problem.seeds[0, 0].numpy() % 2**32) if len(images) else 0):
                for name in self.attacks:
                    rows = np.flatnonzero(robust)
                    if not rows.size:
                        break
                    found[rows] = self._component(name, problem, images[rows], problem.labels.numpy()[rows])
                    # What ART returns may lie outside by rounding: judge what the caller will get.
                    clipped = self.clip(tf.constant(found[rows], problem.images.dtype), problem.images.numpy()[rows])
                    robust[rows] = ~problem.rows(tf.constant(rows, tf.int32)).check(clipped).numpy()
        counts = np.where(working.numpy(), -1, 0).astype(np.int32)
        return Found(tf.constant(found), tf.zeros([0]), tf.constant(counts))

    def _component(self, name: str, problem: Problem, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        art = _import_art()
        dtype = problem.images.dtype
        traced = tf.function(
            lambda points: attack_arguments.logits("surrogate", problem.surrogate(tf.cast(points, dtype))),
            autograph=False,
        )

        def model(points: Any, training: bool = False) -> tf.Tensor:
            del training
            return traced(tf.convert_to_tensor(points, tf.float32))

        num_classes = int(model(images[:1]).shape[-1])
        if name == "apgd-dlr" and num_classes < 4:
            raise ValueError(f"'apgd-dlr' wants logits of at least 4 classes, got {num_classes}; leave it out.")
        estimator = art.estimators.classification.TensorFlowV2Classifier(
            model,
            nb_classes=num_classes,
            input_shape=images.shape[1:],
            loss_object=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
            clip_values=(0.0, 1.0),
        )
        shared = {"estimator": estimator, "eps": self.epsilon, "batch_size": len(images), "verbose": False}
        shared["norm"] = np.inf if self.norm.name == "linf" else 2
        if name == "square":
            attack = art.attacks.evasion.SquareAttack(max_iter=self.max_queries, **shared)
        else:
            attack = art.attacks.evasion.AutoProjectedGradientDescent(
                eps_step=2 * self.epsilon,
                max_iter=self.steps,
                nb_random_init=self.restarts,
                loss_type="cross_entropy" if name == "apgd-ce" else "difference_logits_ratio",
                **shared,
            )
        return attack.generate(images, y=np.eye(num_classes, dtype=np.float32)[labels])


def _import_art() -> Any:
    try:
        import art.attacks.evasion
        import art.estimators.classification
    except ImportError as error:
        raise ImportError(
            f"AutoAttack needs the Adversarial Robustness Toolbox: pip install 'cnnf_tf[autoattack]' ({error})."
        ) from error
    return art


@contextlib.contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """ART draws from the global states of NumPy and of Python: seeds them, and puts them back afterwards."""
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
