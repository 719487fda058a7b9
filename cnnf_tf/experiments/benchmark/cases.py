"""What the benchmark can time: its networks, its cases, and the functions that do a case's work once."""

import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from cnnf_tf import attacks
from cnnf_tf.experiments.benchmark import lower_bound as benchmark_floor
from cnnf_tf.models import CNNF, batch_losses
from cnnf_tf.utils.dtypes import dtype_policy

INFERENCE, TRAINING, ADVERSARIAL_TRAINING = "inference", "training", "adversarial training"
ATTACK_FIRST_PASS, ATTACK_FULL_UNROLL = "attack step, first pass", "attack step, full unroll"
EXPORT = "export"
"""Kinds of case; export is followed by the name of the exporter."""
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
MODES = ("function", "eager", "xla")
ATTACK_STEPS = 7
_CLASSES = 10

Exporter = Callable[[CNNF, pathlib.Path, int, int], None]
"""Writes a SavedModel: `(model, directory, iterations, batch_size)`. Its signature `serving_default` takes `images`."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """A network with the authors' settings; lengths are on the [0, 1] pixel scale."""

    network: str
    image_shape: tuple[int, int, int]
    batch_size: int
    ind: int
    iterations: int
    radius: float
    step_size: float
    clean_weight: float
    heavy: bool = False
    """Whether it is too slow to time everything of it by default."""
    options: tuple[tuple[str, int], ...] = ()
    """Further arguments of the network's function."""


_FASHION = Setup("fashion_cnn", (28, 28, 1), 256, 2, 1, 0.1, 0.071 / 2, 0.1)
_WIDE = Setup("wide_resnet", (32, 32, 3), 32, 5, 2, 8 / 255, 0.02 / 2, 0.05, heavy=True)
SETUPS = {setup.network: setup for setup in (_FASHION, _WIDE)}
"""The two networks of the paper; the wide one is WRN-40-2."""
SMOKE_SETUPS = {
    "fashion_cnn": dataclasses.replace(_FASHION, batch_size=2, heavy=True),
    "wide_resnet": dataclasses.replace(_WIDE, batch_size=2, ind=1, options=(("depth", 10), ("widen_factor", 1))),
}
"""Two images, and a WRN-10-1: to see that everything runs."""
RECONSTRUCTION_WEIGHT = 0.1
OPTIMIZER = {"learning_rate": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "global_clipnorm": 0.5}
"""SGD as the authors use it; the rate is small because the labels are random."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to time; times and memory are those of the whole batch."""

    kind: str
    setup: Setup
    ind: int
    iterations: int
    batch_size: int
    dtype: str = "float32"
    mode: str = "function"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Case":
        """The inverse of `to_dict`, also after JSON."""
        setup = dict(values["setup"])
        setup["image_shape"] = tuple(setup["image_shape"])
        setup["options"] = tuple((name, value) for name, value in setup["options"])
        return cls(**{**values, "setup": Setup(**setup)})


class Workbench:
    """Builds cases; those on the same network share its model.

    Args:
      exporters: for each export case, by the name that follows "export " in its kind.
      seed: of the random images, labels and weights.
    """

    def __init__(self, exporters: Mapping[str, Exporter], *, seed: int = 0):
        self._exporters = dict(exporters)
        self._seed = seed
        self._models: dict[Any, CNNF] = {}

    def model(self, case: Case) -> CNNF:
        """The model of a case, compiled with the optimiser."""
        key = (case.setup, case.ind, case.iterations if _trains(case) else None, case.dtype)
        if key not in self._models:
            self._models[key] = _build_model(case, self._seed)
        return self._models[key]

    def work(self, case: Case) -> benchmark_floor.Work:
        """The bare operations of a case."""
        model, batch, iterations = self.model(case), case.batch_size, case.iterations
        if case.kind == ATTACK_FIRST_PASS:
            return benchmark_floor.image_gradient_work(model, batch, iterations=0)
        if case.kind == ATTACK_FULL_UNROLL:
            return benchmark_floor.image_gradient_work(model, batch, iterations=iterations)
        if case.kind == TRAINING:
            return benchmark_floor.training_work(model, batch, iterations=iterations)
        if case.kind == ADVERSARIAL_TRAINING:
            step = benchmark_floor.image_gradient_work(model, batch, iterations=0)
            update = benchmark_floor.training_work(model, 2 * batch, iterations=iterations)
            return benchmark_floor.together(update, benchmark_floor.together(step, times=ATTACK_STEPS))
        return benchmark_floor.inference_work(model, batch, iterations=iterations)

    def step(self, case: Case) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """The case's work as a function of images and labels; in no mode yet."""
        model = self.model(case)
        if case.kind == INFERENCE:
            predict = attacks.predictor(model, iterations=case.iterations)
            return lambda images, labels: predict(images)
        if case.kind in (ATTACK_FIRST_PASS, ATTACK_FULL_UNROLL):
            bound = _pgd(case, model, full_unroll=case.kind == ATTACK_FULL_UNROLL, steps=1)
            return lambda images, labels: bound.perturb(images, labels, seed=0)
        if case.kind in (TRAINING, ADVERSARIAL_TRAINING):
            return _training_step(case, model)
        raise ValueError(f"there is no case of the kind {case.kind!r}.")

    def build(self, case: Case) -> Callable[[], Any]:
        """A function that does the case's work once, to the end."""
        images, labels = self._batch(case)
        if case.kind.startswith(EXPORT):
            loaded = self._exported(case)
            return lambda: loaded.signatures["serving_default"](images=images)["logits"].numpy()
        step = self.step(case)
        if case.mode == "eager":
            return lambda: _eagerly(step, images, labels).numpy()
        # A partial, as TensorFlow's warning of retracing takes all functions of one code for the same.
        function = tf.function(functools.partial(step), autograph=False, jit_compile=case.mode == "xla")
        return lambda: function(images, labels).numpy()

    def _batch(self, case: Case) -> tuple[tf.Tensor, tf.Tensor]:
        shape = (case.batch_size, *case.setup.image_shape)
        images = tf.random.stateless_uniform(shape, (self._seed, 0))
        return images, tf.random.stateless_uniform(shape[:1], (self._seed, 1), 0, _CLASSES, tf.int32)

    def _exported(self, case: Case) -> Any:
        exporter = self._exporters[case.kind.removeprefix(EXPORT).strip()]
        with tempfile.TemporaryDirectory() as folder:
            exporter(self.model(case), pathlib.Path(folder), case.iterations, case.batch_size)
            return tf.saved_model.load(folder)


def saved_model(model: CNNF, directory: pathlib.Path, iterations: int, batch_size: int) -> None:
    """The plainest exporter: the readout after K iterations, for batches of any size."""
    del batch_size
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    predict = attacks.predictor(model, iterations=iterations)
    spec = tf.TensorSpec((None, *model.image_shape), tf.float32, name="images")
    serve = tf.function(lambda images: {"logits": predict(images)}, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve})


def _trains(case: Case) -> bool:
    return case.kind in (TRAINING, ADVERSARIAL_TRAINING)


def _build_model(case: Case, seed: int) -> CNNF:
    setup = case.setup
    keras.utils.set_random_seed(seed)
    with dtype_policy(POLICIES[case.dtype]):
        model = CNNF.from_name(
            setup.network,
            image_shape=setup.image_shape,
            network={"ind": case.ind, "num_classes": _CLASSES, **dict(setup.options)},
            iterations=case.iterations,
            reconstruction_weight=RECONSTRUCTION_WEIGHT,
        )
        model.compile(optimizer=keras.optimizers.SGD(**OPTIMIZER))
    model.optimizer.build(model.trainable_variables)
    return model


def _pgd(case: Case, model: CNNF, *, full_unroll: bool, steps: int, random_start: bool = False) -> attacks.BoundAttack:
    path = attacks.GradientPath.FULL_UNROLL if full_unroll else attacks.GradientPath.FIRST_PASS
    pgd = attacks.PGD(
        radius=case.setup.radius,
        step_size=case.setup.step_size,
        steps=steps,
        random_start=random_start,
        stop_when_broken=False,
    )
    source = attacks.gradient_source(model, path, iterations=case.iterations)
    return pgd.bind(attacks.predictor(model, iterations=case.iterations), surrogate=source)


def _training_step(case: Case, model: CNNF) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The objective, its gradient, and the optimiser's update; returns the loss.

    With an attack, the authors' recipe: PGD through the first pass, then clean and adversarial images as one batch.
    """
    variables, bound = model.trainable_variables, None
    if case.kind == ADVERSARIAL_TRAINING:
        bound = _pgd(case, model, full_unroll=False, steps=ATTACK_STEPS, random_start=True)

    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        seen, pairs = images, {}
        if bound is not None:
            seen = bound.perturb(images, labels, seed=model.optimizer.iterations.value)
            pairs = {"clean": images, "clean_weight": case.setup.clean_weight}

        def cross_entropy(logits: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

        with tf.GradientTape() as tape:
            loss = batch_losses(
                model.infer,
                seen,
                cross_entropy,
                reconstruction_weight=RECONSTRUCTION_WEIGHT,
                training=True,
                **pairs,
            ).losses.total
        model.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def _eagerly(step: Callable[..., tf.Tensor], *arguments: tf.Tensor) -> tf.Tensor:
    """Without any graph, the functions inside included."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        return step(*arguments)
    finally:
        tf.config.run_functions_eagerly(before)
