"""The functions that do the work of a case once, in TensorFlow."""

import functools
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from cnnf_tf import attacks
from cnnf_tf.experiments.benchmark import linear_ops
from cnnf_tf.experiments.benchmark.setups import (
    ADVERSARIAL_TRAINING,
    ATTACK_FULL_UNROLL,
    ATTACK_STEPS,
    ATTACKS,
    EXPORT,
    INFERENCE,
    POLICIES,
    TRAININGS,
    Case,
)
from cnnf_tf.models import CNNF, batch_losses
from cnnf_tf.serving.signatures import ServingOptions, write_module
from cnnf_tf.utils.dtypes import dtype_policy

_CLASSES = 10


Exporter = Callable[[CNNF, pathlib.Path, int, int], None]
"""Writes a SavedModel: `(model, directory, iterations, batch_size)`. Its signature `serving_default` takes `images`."""
RECONSTRUCTION_WEIGHT = 0.1
OPTIMIZER = {"learning_rate": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "global_clipnorm": 0.5}
"""SGD as the authors use it; the rate is small because the labels are random."""


class CaseBuilder:
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
        key = (case.setup, case.encoder_blocks, case.iterations if case.kind in TRAININGS else None, case.dtype)
        if key not in self._models:
            self._models[key] = _build_model(case, self._seed)
        return self._models[key]

    def work(self, case: Case) -> linear_ops.Work:
        """The bare operations of a case."""
        return linear_ops.of_case(self.model(case), case)

    def step(self, case: Case) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """The case's work as a function of images and labels; in no mode yet."""
        if case.kind == INFERENCE:
            predict = attacks.predictor(self.model(case), iterations=case.iterations)
            return lambda images, labels: predict(images)
        if case.kind in ATTACKS:
            bound = _pgd(case, self.model(case), steps=1)
            return lambda images, labels: bound.perturb(images, labels, seed=0)
        if case.kind in TRAININGS:
            return _training_step(case, self.model(case))
        raise ValueError(f"there is no case of the kind {case.kind!r}.")

    def build(self, case: Case) -> Callable[[], Any]:
        """A function that does the case's work once, to the end."""
        images, labels = self.batch(case)
        if case.kind.startswith(EXPORT):
            with tempfile.TemporaryDirectory() as folder:
                exporter = self._exporters[case.kind.removeprefix(EXPORT).strip()]
                exporter(self.model(case), pathlib.Path(folder), case.iterations, case.batch_size)
                loaded = tf.saved_model.load(folder)
            return lambda: loaded.signatures["serving_default"](images=images)["logits"].numpy()
        step = self.step(case)
        if case.mode == "eager":
            return lambda: _eagerly(step, images, labels).numpy()
        # A partial, as TensorFlow's warning of retracing takes all functions of one code for the same.
        function = tf.function(functools.partial(step), autograph=False, jit_compile=case.mode == "xla")
        return lambda: function(images, labels).numpy()

    def batch(self, case: Case) -> tuple[tf.Tensor, tf.Tensor]:
        """The random images and labels that a case works on."""
        shape = (case.batch_size, *case.setup.image_shape)
        images = tf.random.stateless_uniform(shape, (self._seed, 0))
        return images, tf.random.stateless_uniform(shape[:1], (self._seed, 1), 0, _CLASSES, tf.int32)


def saved_model(model: CNNF, directory: pathlib.Path, iterations: int, batch_size: int) -> None:
    """The plainest exporter: the readout after K iterations, for batches of any size."""
    del batch_size
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    predict = attacks.predictor(model, iterations=iterations)
    spec = tf.TensorSpec((None, *model.image_shape), tf.float32, name="images")
    serve = tf.function(lambda images: {"logits": predict(images)}, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve})


def serving(model: CNNF, directory: pathlib.Path, iterations: int, batch_size: int) -> None:
    """The SavedModel that bin/export.py makes, with its adaptive loop, a chunk being the whole batch."""
    names = [str(index) for index in range(model.num_classes)]
    write_module(model, directory, ServingOptions.for_model(model, iterations=iterations, chunk_size=batch_size), names)


EXPORTERS: Mapping[str, Exporter] = {"saved_model": saved_model, "serving": serving}


def _build_model(case: Case, seed: int) -> CNNF:
    keras.utils.set_random_seed(seed)
    with dtype_policy(POLICIES[case.dtype]):
        model = CNNF.from_name(
            case.setup.network,
            image_shape=case.setup.image_shape,
            network={"encoder_blocks": case.encoder_blocks, "num_classes": _CLASSES, **dict(case.setup.options)},
            iterations=case.iterations,
            reconstruction_weight=RECONSTRUCTION_WEIGHT,
        )
        model.compile(optimizer=keras.optimizers.SGD(**OPTIMIZER))
    model.optimizer.build(model.trainable_variables)
    return model


def _pgd(case: Case, model: CNNF, *, steps: int) -> attacks.BoundAttack:
    """One step from the images along the case's path, or the authors' PGD through the first pass, to train on."""
    pgd = attacks.PGD(
        epsilon=case.setup.epsilon,
        step_size=case.setup.step_size,
        steps=steps,
        random_start=steps > 1,
        early_stop=False,
    )
    path = "full_unroll" if case.kind == ATTACK_FULL_UNROLL else "first_pass"
    source = attacks.gradient_source(model, path, iterations=case.iterations)
    return pgd.bind(attacks.predictor(model, iterations=case.iterations), surrogate=source)


def _training_step(case: Case, model: CNNF) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The objective, its gradient, and the optimiser's update; returns the loss.

    With an attack, the authors' recipe: PGD through the first pass, then clean and adversarial images as one batch.
    """
    variables = model.trainable_variables
    bound = _pgd(case, model, steps=ATTACK_STEPS) if case.kind == ADVERSARIAL_TRAINING else None

    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        seen = images
        options: dict[str, Any] = {"reconstruction_weight": RECONSTRUCTION_WEIGHT, "training": True}
        if bound is not None:
            seen = bound.perturb(images, labels, seed=model.optimizer.iterations.value)
            options |= {"clean": images, "clean_weight": case.setup.clean_weight}

        def cross_entropy(logits: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

        with tf.GradientTape() as tape:
            loss = batch_losses(model.infer, seen, cross_entropy, **options).losses.total
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
