"""AutoAttack: an ensemble of attacks without parameters to tune, each on the images that stand so far.

Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
(arXiv:2003.01690); the versions and their numbers of restarts are those of the authors' present code.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.attacks import attack_arguments
from cnnf_tf.attacks.auto_pgd import APGD
from cnnf_tf.attacks.base import Attack, Found
from cnnf_tf.attacks.fab import FAB
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.attacks.programs.tensorflow import row_numbers
from cnnf_tf.attacks.square import Square
from cnnf_tf.utils.validation import one_of

_MOST_TARGETS = 9

COMPONENTS: dict[str, Callable[..., Attack]] = {
    "apgd-ce": APGD,
    "apgd-dlr": functools.partial(APGD, loss="dlr"),
    "apgd-t": functools.partial(APGD, loss="dlr", targets=_MOST_TARGETS),
    "fab": functools.partial(FAB, targets=0),
    "fab-t": functools.partial(FAB, targets=_MOST_TARGETS),
    "square": Square,
}
"""The components by the names of the paper's code, as functions of epsilon and the norm: Auto-PGD on cross-entropy, on
the difference of logits ratio, and on that ratio towards up to 9 classes; FAB from all boundaries, and from those to up
to 9 classes; and Square, which needs no gradient."""

VERSIONS: dict[str, dict[str, dict[str, int]]] = {
    "standard": {"apgd-ce": {}, "apgd-t": {}, "fab-t": {}, "square": {}},
    "plus": {
        "apgd-ce": {"restarts": 5},
        "apgd-dlr": {"restarts": 5},
        "fab": {"restarts": 5},
        "square": {},
        "apgd-t": {},
        "fab-t": {},
    },
    "rand": {"apgd-ce": {"samples": 20}, "apgd-dlr": {"samples": 20}},
}
"""The components of each version in their order, with their arguments: the standard of leaderboards; a longer one; and
one for models that are random, which averages gradients."""


class AutoAttack(Attack):
    """Several attacks, one after the other, each on the images that the ones before left standing.

    It always stops at images that are broken, is untargeted, and takes no objective. The components with a targeted
    loss want at least 4 classes, "apgd-dlr" wants 3.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      norm: "linf" or "l2".
      version: a key of `VERSIONS`.
      components: names of `COMPONENTS` to run in this order, instead of a version's.
      steps: of each start of Auto-PGD and FAB; 100 in the paper.
      queries: of Square; 5,000 in the paper.
      progress: called with the name of each component and the number of images that it starts on.

    Raises:
      ValueError: an argument out of its range.
    """

    def __init__(
        self,
        *,
        epsilon: float,
        norm: str = "linf",
        version: str = "standard",
        components: Sequence[str] | None = None,
        steps: int = 100,
        queries: int = 5000,
        progress: Callable[[str, int], None] | None = None,
    ):
        super().__init__(epsilon=epsilon, norm=norm)
        self.version = one_of("version", version, VERSIONS)
        options: dict[str, dict[str, int]] = VERSIONS[version]
        if components is not None:
            if isinstance(components, str) or len({*components}) < len(components) or version != "standard":
                raise ValueError(
                    f"components must be a list of {list(COMPONENTS)}, each once, in place of a version; got "
                    f"{components!r} and version {version!r}."
                )
            self.version = "custom"
            options = {one_of("components", name, COMPONENTS): {} for name in components}
        if not options:
            raise ValueError(f"components must name at least one of {list(COMPONENTS)}, got none.")
        self.components: dict[str, Attack] = {}
        for name, own in options.items():
            length = {"queries": queries} if name == "square" else {"steps": steps}
            self.components[name] = COMPONENTS[name](epsilon=epsilon, norm=norm, **length, **own)
        """The attacks by name, in their order."""
        self._progress = (
            None if progress is None else attack_arguments.function("progress", progress, "of name and number")
        )

    def settings(self) -> dict[str, Any]:
        common = {name: value for name, value in super().settings().items() if name != "loss"}
        own = {
            name: {key: value for key, value in attack.settings().items() if key not in common or key == "attack"}
            for name, attack in self.components.items()
        }
        return common | {"version": self.version, "components": own}

    def check_classes(self, num_classes: int, *, targeted: bool) -> None:
        if targeted:
            raise ValueError("AutoAttack is untargeted; leave out the targets, or use PGD.")
        for name, attack in self.components.items():
            try:
                attack.check_classes(num_classes, targeted=False)
            except ValueError as error:
                others = [other for other in COMPONENTS if other not in ("apgd-dlr", "apgd-t")]
                raise ValueError(f"{name}: {error} Choose components among {others}.") from error

    def search(self, problem: Problem, working: tf.Tensor) -> Found:
        if problem.targets is not None or problem.objective is not None:
            raise ValueError("AutoAttack is untargeted and takes no objective; use PGD.")
        images, queries, part = problem.images, tf.zeros_like(problem.labels), tf.zeros_like(problem.labels)
        for number, (name, attack) in enumerate(self.components.items()):
            rows = row_numbers(working)
            with tf.control_dependencies(self._announce(name, rows)):
                working = tf.identity(working)
            found = attack.search(dataclasses.replace(problem, loss=attack.loss), working)
            clipped = attack.clip(tf.cast(found.images, images.dtype), problem.images)
            images = tf.where(working[:, None, None, None], clipped, images)
            queries += found.queries
            part = tf.where(working, number, part)
            broken = problem.rows(rows).check(tf.gather(images, rows))
            working = tf.tensor_scatter_nd_update(working, rows[:, None], tf.logical_not(broken))
        return Found(images, tf.zeros([0]), queries, part)

    def _announce(self, name: str, rows: tf.Tensor) -> list[tf.Operation]:
        if self._progress is None:
            return []
        call = functools.partial(self._progress, name)
        return [tf.py_function(lambda count: call(int(count)), [tf.size(rows)], [])]
