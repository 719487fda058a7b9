"""The base of all attacks: it owns the checks, the ball, the pixel range, the scoring and the tracing.

An attack looks for images x' with |x' - x| <= epsilon and pixels in [0, 1] that a model takes for another class. It
sees functions, never a model: `predict(images) -> logits` decides what counts as success, `surrogate` is what its
gradients or queries go through. The two differ when gradients follow the first pass only (see `GradientPath`) or when
images are made on one model to be tried on another (transfer).

    attack = attacks.PGD(epsilon=8 / 255, steps=40)
    result = attack(attacks.predictor(model), images, labels, seed=0)
    result.success                          # bool [batch]
"""

import abc
import copy
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple, final

from keras import ops

from cnnf_tf.attacks import attack_arguments, programs
from cnnf_tf.attacks.losses import LOSSES, check_classes
from cnnf_tf.attacks.norms import NORMS, Norm
from cnnf_tf.attacks.problem import AttackObjective, Predict, Problem
from cnnf_tf.layers.base import Tensor
from cnnf_tf.utils.traces import KEPT, described, kept
from cnnf_tf.utils.validation import one_of

_NUMBERS = ("epsilon", "step_size")  # attributes that a graph takes as tensors, so that one does for all their values
_LARGEST_EPSILON = 1e6  # squares of more could overflow


class AttackResult(NamedTuple):
    """What an attack did to a batch."""

    images: Tensor
    """x', `[batch, height, width, channels]` in [0, 1], at most `epsilon` away; dtype of the clean images."""
    success: Tensor
    """bool `[batch]`: `predict` takes x' for another class than the label or, if targeted, for the target."""
    distance: Tensor
    """|x' - x| in the attack's norm, `[batch]`, on the [0, 1] pixel scale."""
    predictions: Tensor
    """int32 `[batch]`: the class `predict` gives x'."""
    clean_correct: Tensor
    """bool `[batch]`: `predict` gives the clean image its label."""
    losses: Tensor
    """float32 `[steps + 1]`: the loss that is maximised, before each step and after the last one of the first restart,
    mean over the images that were attacked; an image that broke keeps the loss it broke with. NaN if no image needed
    an attack; shape `[0]` for an attack that follows no single loss."""
    queries: Tensor
    """int32 `[batch]`: how often the image went through the surrogate; 0 for an image that needed no attack."""
    broken_by: Tensor
    """int32 `[batch]`: the number, from 0, of the part of an attack of several parts (AutoAttack's components) that
    broke the image, 0 for all other attacks; -1 for an image that stands or needed no attack."""


class Found(NamedTuple):
    """What `Attack.search` returns; see `AttackResult`."""

    images: Tensor
    losses: Tensor
    queries: Tensor
    part: Tensor | None = None
    """int32 `[batch]`, the part of the attack that made each image; None for an attack of one part."""


class Attack(abc.ABC):
    """Base class. A subclass takes keyword arguments only and writes `search`; it need not project or score.

    A clean image that is broken already (untargeted: misclassified) counts as success with distance 0 and is left as
    it is, and an image leaves the work once it is broken, so that only images that stand cost time.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale; 0 leaves all images as they are.
      norm: "linf" or "l2".
      loss: "cross_entropy", "margin" or "dlr"; see `losses.py`.
      early_stop: False works on all images to the end, those that were misclassified from the start included,
        which is what adversarial training wants.

    Raises:
      ValueError: an argument out of its range.
    """

    components: Mapping[str, "Attack"] = {}
    """The attacks that this one is made of, by name, in their order."""
    runs_eagerly = False
    """Whether `search` needs concrete arrays; in TensorFlow all others run inside one `tf.function`."""

    def __init__(self, *, epsilon: float, norm: str = "linf", loss: str = "cross_entropy", early_stop: bool = True):
        self.epsilon = attack_arguments.non_negative("epsilon", epsilon)
        if self.epsilon > _LARGEST_EPSILON:
            raise ValueError(
                f"epsilon must be at most {_LARGEST_EPSILON:g}, got {epsilon!r}: no two images are so far apart."
            )
        self.norm = NORMS[one_of("norm", norm, NORMS)]
        self.loss = one_of("loss", loss, LOSSES)
        self.early_stop = bool(early_stop)

    @abc.abstractmethod
    def search(self, problem: Problem, working: Tensor) -> Found:
        """Looks for adversarial images.

        Args:
          problem: what to solve.
          working: bool `[batch]`, the images to work on.
        """

    def settings(self) -> dict[str, Any]:
        """What a report must say about this attack, for JSON."""
        return {
            "attack": type(self).__name__,
            "epsilon": self.epsilon,
            "epsilon_unit": "pixels in [0, 1]",
            "norm": self.norm.name,
            "loss": self.loss,
            "early_stop": self.early_stop,
        }

    def check_classes(self, num_classes: int, *, targeted: bool) -> None:
        """Raises ValueError if the attack cannot work on a model of so few classes."""
        check_classes(self.loss, num_classes, targeted=targeted)

    @final
    def clip(self, iterates: Tensor, images: Tensor) -> Tensor:
        """The nearest images in the ball around `images`, then in [0, 1]."""
        return ops.clip(images + self.norm.project(iterates - images, self.epsilon), 0, 1)

    @final
    def bind(
        self, predict: Predict, *, surrogate: Predict | None = None, objective: AttackObjective | None = None
    ) -> "BoundAttack":
        """The attack on given functions, traced once however many batches and calls of this method follow.

        Args:
          predict: images in [0, 1] to logits `[batch, classes]`, made of ops of the backend; a Keras model will do.
          surrogate: what gradients or queries go through; None for `predict` itself.
          objective: takes the place of the loss of the surrogate's logits: from images and labels to the loss to
            maximise, `[batch]`. For untargeted attacks, and not together with a surrogate.

        Raises:
          ValueError: an argument that is not a function, or both a surrogate and an objective.
        """
        return BoundAttack(self, predict, surrogate=surrogate, objective=objective)

    @final
    def __call__(
        self,
        predict: Predict,
        images: Any,
        labels: Any,
        *,
        seed: Any,
        surrogate: Predict | None = None,
        objective: AttackObjective | None = None,
        targets: Any = None,
        indices: Any = None,
    ) -> AttackResult:
        """`bind` and run; see there for the functions and `BoundAttack.__call__` for the rest."""
        bound = self.bind(predict, surrogate=surrogate, objective=objective)
        return bound(images, labels, seed=seed, targets=targets, indices=indices)


class BoundAttack:
    """An attack together with the functions it works on; from `Attack.bind`.

    It may be called eagerly, inside a `tf.function`, and on the replicas of a distribution strategy.
    """

    def __init__(
        self, attack: Attack, predict: Predict, *, surrogate: Predict | None, objective: AttackObjective | None
    ):
        what = "from images to logits [batch, classes]"
        self.attack = attack
        attack_arguments.function("predict", predict, what)
        self._given = predict, surrogate, objective
        shared = surrogate is None or surrogate is predict or surrogate == predict
        source = predict if surrogate is None else attack_arguments.function("surrogate", surrogate, what)
        self._source = source
        if objective is not None:
            attack_arguments.function("objective", objective, "from images and labels to losses [batch]")
            if surrogate is not None:
                raise ValueError("an objective takes the place of the surrogate's loss: give one of them, not both.")
        self._shared = shared and objective is None

    def _kept(self, functions: tuple[Any, ...], key: Hashable, make: Callable[[], Any]) -> Any:
        """A trace: of known models with them, for the next attack; what other functions do may change unseen."""
        models = _models(functions)
        states = tuple(map(described, dict.fromkeys(models)))
        return kept(self.attack if None in states else models[0], (functions, states, key), make)

    @property
    def _predict(self) -> Any:
        """Scoring is forward only: one trace serves every place that needs it."""
        functions = self._given[:1]
        make = functools.partial(programs.predictor, functions[0], _models(functions))
        return self._kept(functions, "predict", make)

    def _differentiable(self, function: Any) -> Any:
        make = functools.partial(programs.differentiable, function, _models((function,)))
        return self._kept((function,), "differentiable", make)

    def __call__(
        self, images: Any, labels: Any, *, seed: Any, targets: Any = None, indices: Any = None
    ) -> AttackResult:
        """Attacks a batch.

        Args:
          images: float32 or float64 in [0, 1], `[batch, height, width, channels]`.
          labels: integer class ids `[batch]`.
          seed: integer, or integer scalar tensor; equal seeds give equal random numbers.
          targets: the class to reach for each image, integers `[batch]`; None to leave the label for any class.
          indices: integers `[batch]`, the number of each image in its data set; None for 0, 1, ... An image's random
            numbers depend on the seed and this number only, never on the batch around it.

        Raises:
          ValueError: an argument of wrong shape, dtype or range, or functions that return something else than asked
            for; before any work.
          tf.errors.InvalidArgumentError: pixels or class ids out of range, where only running a graph shows them.
        """
        return self._run(images, labels, seed, targets, indices, images_only=False)

    def perturb(self, images: Any, labels: Any, *, seed: Any, targets: Any = None, indices: Any = None) -> Tensor:
        """As calling, but returns the images only and saves the passes that score them; for training loops.

        Call it outside of gradient tapes: nothing of the attack is to be differentiated.
        """
        return self._run(images, labels, seed, targets, indices, images_only=True)

    def _run(self, images: Any, labels: Any, seed: Any, targets: Any, indices: Any, *, images_only: bool) -> Any:
        images = attack_arguments.image_batch(images)
        labels = attack_arguments.class_ids("labels", labels, images)
        targeted = targets is not None
        if targeted and self._given[2] is not None:
            raise ValueError("an objective is for untargeted attacks, got targets as well.")
        targets = attack_arguments.class_ids("targets", targets, images) if targeted else labels
        indices = (
            programs.all_rows(images) if indices is None else attack_arguments.class_ids("indices", indices, images)
        )
        pair = attack_arguments.seed_pair(seed)
        if programs.executing_eagerly():
            num_classes = self._count_classes(images, targeted)
            attack_arguments.class_range("labels", labels, num_classes)
            attack_arguments.class_range("targets", targets, num_classes)
        elif self.attack.runs_eagerly:
            raise ValueError(f"{type(self.attack).__name__} works on concrete arrays; call it outside of tf.function.")
        numbers = programs.numbers(_numbers(self.attack), images.dtype)
        return self._trace(images, len(numbers), targeted, images_only)(images, labels, targets, indices, pair, numbers)

    def _count_classes(self, images: Tensor, targeted: bool) -> int:
        """The number of classes, found with as little work as can be; checks what the functions return."""
        num_classes = attack_arguments.num_classes("predict", programs.from_shape(self._predict, images))
        if self._given[2] is None:
            self.attack.check_classes(num_classes, targeted=targeted)
        return num_classes

    def _trace(self, images: Tensor, numbers: int, targeted: bool, images_only: bool) -> Callable[..., Any]:
        """`_work`, in TensorFlow as a `tf.function` for batches of any size."""
        # A partial, as TensorFlow's warning of retracing takes all functions of one code for the same.
        work = functools.partial(self._work, targeted, images_only)
        if self.attack.runs_eagerly:
            return work
        spec = programs.like((None, *images.shape[1:]), images.dtype)
        key = _form(self.attack), spec, targeted, images_only
        return self._kept(self._given, key, functools.partial(programs.graph, work, spec, numbers))

    def _work(
        self,
        targeted: bool,
        images_only: bool,
        images: Any,
        labels: Any,
        targets: Any,
        indices: Any,
        seed: Any,
        numbers: Any,
    ) -> Any:
        attack = _with_numbers(self.attack, iter(numbers))
        targets = targets if targeted else None
        objective = self._given[2]
        problem = Problem(
            predict=self._predict,
            surrogate=self._differentiable(self._source),
            objective=None if objective is None else self._differentiable(objective),
            loss=attack.loss,
            shared=self._shared,
            images=images,
            labels=labels,
            targets=targets,
            seeds=programs.stream(seed, indices),
            images_only=images_only,
        )
        working = ops.ones_like(labels, "bool")
        clean = None
        if attack.early_stop or not images_only:
            clean = attack_arguments.logits("predict", self._predict(images))
            for name, ids in (("labels", labels), ("targets", targets)):
                if ids is not None:
                    message = f"{name} must be in [0, {clean.shape[-1]}), the model's classes."
                    programs.require(ops.all(ops.logical_and(ids >= 0, ids < clean.shape[-1])), message)
            if attack.early_stop:
                working = ops.logical_not(problem.success(clean))
        found = attack.search(problem, working)
        adversarial = attack.clip(ops.cast(found.images, images.dtype), images)
        adversarial = ops.stop_gradient(ops.where(working[:, None, None, None], adversarial, images))
        if images_only:
            return adversarial
        logits = attack_arguments.logits("predict", self._predict(adversarial))
        success = problem.success(logits)
        part = ops.zeros_like(labels) if found.part is None else found.part
        return AttackResult(
            images=adversarial,
            success=success,
            distance=attack.norm.distance(adversarial - images),
            predictions=programs.largest(logits),
            clean_correct=programs.largest(clean) == labels,
            losses=found.losses,
            queries=found.queries,
            broken_by=ops.where(success & working, part, -1),
        )


def _models(functions: tuple[Any, ...]) -> list[Any]:
    """What functions are of, as far as they say it."""
    return [getattr(function, "model", function) for function in functions if function is not None]


def _is_ours(attack: Attack) -> bool:
    """Whether it is one of this package with nothing but plain values: its radius and step size may be tensors.

    In an attack of others they stay numbers, which Python may compare.
    """
    own = type(attack).__module__.startswith(f"{__package__}.") and all(map(_is_plain, _attributes(attack).values()))
    return own and all(map(_is_ours, attack.components.values()))


def _attributes(attack: Attack) -> dict[str, Any]:
    """All but the components, and what is kept."""
    return {name: value for name, value in vars(attack).items() if name not in ("components", KEPT)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple) and not isinstance(value, Norm):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | Norm)


def _numbers(attack: Attack) -> list[Any]:
    """Radius and step size of an attack of ours, and of its components: what its graph takes as tensors."""
    if not _is_ours(attack):
        return []
    own = [vars(attack)[name] for name in _NUMBERS if name in vars(attack)]
    return own + [number for component in attack.components.values() for number in _numbers(component)]


def _with_numbers(attack: Attack, numbers: Iterator[Any]) -> Attack:
    """The attack with others in place of its `_numbers`."""
    if not _is_ours(attack):
        return attack
    twin = copy.copy(attack)
    vars(twin).update({name: next(numbers) for name in _NUMBERS if name in vars(attack)})
    vars(twin)["components"] = {name: _with_numbers(part, numbers) for name, part in attack.components.items()}
    return twin


def _form(attack: Attack) -> Hashable:
    """Equal for attacks of ours that differ in nothing but their `_numbers`; and for another that stays as it is."""
    ours = _is_ours(attack)
    apart = _NUMBERS if ours else ()
    own = [(name, value) for name, value in _attributes(attack).items() if name not in apart and _is_plain(value)]
    parts = [(name, _form(part)) for name, part in attack.components.items()]
    return type(attack) if ours else id(attack), tuple(own), tuple(parts)
