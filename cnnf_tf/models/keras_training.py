"""`compile`, `fit`, `evaluate` and `predict` of a `CNNF`: the objective in Keras' own loops."""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from cnnf_tf.layers.base import Tensor
from cnnf_tf.models.batch_checks import (
    check_image_spec,
    check_is_array,
    check_label_spec,
    clear_errors,
    image_faults,
    label_faults,
    weight_faults,
    with_known_rank,
)
from cnnf_tf.models.objective import Scored, batch_losses
from cnnf_tf.models.steps import Steps
from cnnf_tf.models.unroll import READOUTS

_ACCURACIES = ("accuracy", "first_pass_accuracy", "last_pass_accuracy")
_MEANS = ("first_pass_loss", "last_pass_loss", "reconstruction_loss")
_MODES = dict.fromkeys(_ACCURACIES, "max") | dict.fromkeys(_MEANS, "min")
_LOGIT_LOSSES = {
    "ce": keras.losses.SparseCategoricalCrossentropy,
    "crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}
"""Losses that Keras would take for losses of probabilities, when given by name."""
_FIRST_ROWS = 256
_BATCH_SIZE = 32
"""That of Keras, where none is given."""


def _checked(name: str) -> Callable[..., Any]:
    """A method of `keras.Model` that looks at its arguments before any work, and whose errors are clear."""
    method = getattr(keras.Model, name)
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(self: "KerasTraining", *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(self, *args, **kwargs).arguments
        with clear_errors():
            for argument, what in (("x", "images"), ("y", "labels"), ("sample_weight", "sample_weight")):
                check_is_array(what, given.get(argument))
            if name in ("fit", "evaluate", "predict"):
                self._check_data(given.get("x"), given.get("y"), labelled=name != "predict")
                self._check_shares(given)
            if given.get("validation_data") is not None:
                images, labels, _ = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
                self._check_data(images, labels, labelled=True, ahead=True)
            _set_modes(given.get("callbacks"))
            return method(self, *args, **kwargs)

    return checked


class Batch(NamedTuple):
    """What `fit` and its kin take, a batch of it, all of it, or its specs."""

    images: Any
    clean: Any
    """The clean images of pairs, or None."""
    labels: Any
    """Or None."""
    sample_weight: Any
    """Or None."""


class KerasTraining(Steps):
    """Base of `CNNF`: what Keras' loops do with a model whose `infer` returns a `Trajectory`.

    How a step is taken is up to the backend: see `steps`. Batches are checked as `batch_checks` says: each one while
    the loop runs; of arrays the first 256 rows, and shape and dtype of a `tf.data.Dataset`, before it starts, also of
    `validation_data`.
    """

    network: Any
    image_shape: tuple[Any, Any, int]
    num_classes: int
    iterations: int
    training_horizon: int
    reconstruction_weight: float
    readout: str
    infer: Callable[..., Any]

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._accuracy_metrics = [keras.metrics.SparseCategoricalAccuracy(name=name) for name in _ACCURACIES]
        self._mean_metrics = [keras.metrics.Mean(name=name) for name in _MEANS]

    fit = _checked("fit")
    evaluate = _checked("evaluate")
    predict = _checked("predict")
    train_on_batch = _checked("train_on_batch")
    test_on_batch = _checked("test_on_batch")
    predict_on_batch = _checked("predict_on_batch")

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:  # noqa: A003
        """As `keras.Model.compile`; the loss defaults to cross-entropy of integer labels and applies to every pass.

        `fit` and `evaluate` report the loss, the accuracy of the readout, loss and accuracy of the first pass (the
        plain CNN) and of the last, and the reconstruction loss. Weights of examples and classes weigh all of them, and
        the reconstruction term is reduced over the batch as the loss is.

        Instead of images, `fit` and `evaluate` also take pairs `{"images": ..., "clean": ...}`: the model sees the
        images, and reconstruction is compared with h and taps of the clean ones. That trains a model to repair.

        Args:
          optimizer: as in Keras.
          loss: of logits. A cross-entropy given by its name is taken as that of logits.
          **kwargs: as in Keras.

        Raises:
          ValueError: a loss or metric of probabilities: `from_logits=False`.
        """
        loss = _of_logits(loss)
        for metric in tree.flatten([kwargs.get("metrics"), kwargs.get("weighted_metrics")]):
            _check_of_logits(metric)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        reduction = getattr(loss, "reduction", None) or "sum_over_batch_size"
        self._reduce = _Reduction(name="reconstruction", reduction=reduction, dtype=getattr(loss, "dtype", None))

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Raises NotImplementedError: a CNN-F is not quantized."""
        del config, kwargs
        raise NotImplementedError(
            f"CNNF is not quantized (mode {mode!r}): what comes down its layers is a gradient of what went up, which "
            "rounded weights have none of. For half the memory use a dtype policy such as 'mixed_bfloat16'."
        )

    # What the steps are made of.

    def burn_in_iterations(self, training_step: Tensor) -> Tensor | None:
        """How many iterations a training step goes on without gradients (see `training_horizon`); None without one.

        Args:
          training_step: integer scalar; the same step gives the same number, also after a resume and on each backend.
        """
        if not self.training_horizon:
            return None
        return self._draw(training_step, self.training_horizon - self.iterations)

    def _training_loss(self, data: Any) -> tuple[Tensor, Callable[[], dict[str, Tensor]]]:
        batch = self._labelled(data)
        burn_in = self.burn_in_iterations(self.optimizer.iterations)
        scored = self._score(batch, training=True, burn_in=burn_in)
        return self.optimizer.scale_loss(scored.losses.total), lambda: self._report(scored, batch)

    def _tested(self, data: Any) -> dict[str, Tensor]:
        batch = self._labelled(data)
        return self._report(self._score(batch), batch)

    def _labelled(self, data: Any) -> Batch:
        """A batch with labels; those of unknown rank, as some data sets have, get the wanted one."""
        batch = _batch(data)
        check_label_spec(batch.labels, self.loss, self.num_classes)
        return batch._replace(labels=with_known_rank(batch.labels, self.loss, self.num_classes))

    def _score(self, batch: Batch, **options: Any) -> Scored:
        images, clean, labels, sample_weight = batch

        def classification(logits: Tensor) -> Tensor:
            return self.compute_loss(x=images, y=labels, y_pred=logits, sample_weight=sample_weight)

        return batch_losses(
            self.infer,
            images,
            classification,
            reconstruction_weight=self.reconstruction_weight,
            reduce=lambda errors: self._reduce(errors, errors, sample_weight),
            clean=clean,
            **options,
        )

    def _report(self, scored: Scored, batch: Batch) -> dict[str, Tensor]:
        images, _, labels, sample_weight = batch
        losses, passes = scored.losses, scored.seen.logits
        readout = READOUTS[self.readout](passes)
        one_hot = len(labels.shape) == 2 and labels.shape[-1] == self.num_classes
        class_ids = ops.argmax(labels, axis=-1) if one_hot else labels
        for metric, logits in zip(self._accuracy_metrics, (readout, passes[0], passes[-1]), strict=True):
            metric.update_state(class_ids, logits, sample_weight=sample_weight)
        total_mean = next(metric for metric in self.metrics if metric.name == "loss")
        values = (losses.total, losses.passes[0], losses.passes[-1], losses.reconstruction)
        for metric, value in zip([total_mean, *self._mean_metrics], values, strict=True):
            metric.update_state(value * self._num_replicas(), sample_weight=ops.shape(passes)[1])
        return self.compute_metrics(images, labels, readout, sample_weight)

    # Checks.

    def _faults(self, data: Any, labelled: bool) -> list[Any]:
        """Raises for a batch that cannot be, now or in a graph by the operations that it returns; of each replica."""
        images, clean, labels, sample_weight = _batch(data)
        found = []
        for part in [*self._parts(images), *(() if clean is None else self._parts(clean))]:
            part = ops.convert_to_tensor(part)
            check_image_spec(part, self.image_shape)
            found += image_faults(part)
        for part in self._parts(labels) if labelled else []:
            check_label_spec(part, self.loss, self.num_classes)
            found += label_faults(ops.convert_to_tensor(part), self.loss, self.num_classes)
        for part in self._parts(sample_weight) if labelled and sample_weight is not None else []:
            found += weight_faults(ops.convert_to_tensor(part))
        return found

    def _check_data(self, images: Any, labels: Any, *, labelled: bool, ahead: bool = False) -> None:
        """What can be told of data before they are used, without reading a generator or a `tf.data.Dataset`.

        `ahead`: they are used so much later that a batch of a `PyDataset` is worth reading twice.
        """
        first: Any = next(iter(tree.flatten(images)), None) if isinstance(images, (dict, list, tuple)) else images
        with contextlib.suppress(TypeError):  # a data set of unknown length, a generator
            if len(first) == 0:
                raise ValueError("CNNF wants at least one image; got no data.")
        if hasattr(images, "element_spec"):  # a `tf.data.Dataset`
            specs = _batch(images.element_spec)
            check_image_spec(specs.images, self.image_shape)
            if labelled:
                check_label_spec(specs.labels, self.loss, self.num_classes)
        elif isinstance(images, keras.utils.PyDataset):
            if ahead:
                self._faults(images[0], labelled)
        elif hasattr(first, "shape"):
            data = (images, labels) if labelled else (images,)
            rows = tree.map_structure(lambda array: None if array is None else array[:_FIRST_ROWS], data)
            self._faults(rows, labelled)

    def _check_shares(self, given: Mapping[str, Any]) -> None:
        """Raises ValueError where arrays make a batch that the devices cannot share, which may come after an epoch."""
        shares = self._shares()
        rows, size = _num_rows(given.get("x")), given.get("batch_size") or _BATCH_SIZE
        if shares == 1 or rows is None:
            return
        training = math.floor(rows * (1 - (given.get("validation_split") or 0)))
        steps = (given.get("steps_per_epoch") or given.get("steps") or rows) * given.get("epochs", 1)
        parts = [(training, size, steps)]
        validation, held_out = given.get("validation_data"), rows - training
        if validation is not None:
            held_out = _num_rows(keras.utils.unpack_x_y_sample_weight(validation)[0]) or 0
        parts.append((held_out, given.get("validation_batch_size") or size, given.get("validation_steps") or held_out))
        for count, size, steps in parts:
            seen = min(count, size * steps)
            wrong = [batch for batch in (min(size, seen), seen % size) if batch % shares]
            if wrong:
                raise ValueError(
                    f"DataParallel wants batches that its {shares} devices can share equally, got {count} images in "
                    f"batches of {size}, one of which has {wrong[0]}: let batch size and number of images be multiples "
                    f"of {shares}, as of images[:{count - count % shares}]."
                )


def _num_rows(images: Any) -> int | None:
    """How many there are in arrays; None for what else holds images."""
    shape = getattr(next(iter(tree.flatten(images)), None), "shape", None)
    return int(shape[0]) if shape else None


class _Reduction(keras.losses.Loss):
    """Reduces errors `[batch]`, given as predictions, as a loss of Keras is: with weights, and over replicas."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        del y_true
        return y_pred


def _batch(data: Any) -> Batch:
    images, labels, sample_weight = (_single(part) for part in keras.utils.unpack_x_y_sample_weight(data))
    clean = images.get("clean") if isinstance(images, dict) else None
    return Batch(seen_images(images), clean, labels, sample_weight)


def seen_images(images: Any) -> Any:
    """The images that a model sees: the first ones of pairs, the one entry of a list, else what is given.

    Raises:
      ValueError: a dict that is no pair of images, see `KerasTraining.compile`; None.
    """
    images = _single(images)
    if images is None:
        raise ValueError("CNNF wants images, got None.")
    if not isinstance(images, dict):
        return images
    if set(images) != {"images", "clean"}:
        raise ValueError(f'pairs of images want the keys "images" and "clean", got {sorted(images)}.')
    return images["images"]


def _single(values: Any) -> Any:
    """The one entry of a list or tuple of one, as Keras hands over the inputs of a model with one; else as it is."""
    return values[0] if isinstance(values, (list, tuple)) and len(values) == 1 else values


def _of_logits(loss: Any) -> Any:
    """A loss for `compile` as one of logits."""
    loss = next(iter(tree.flatten(loss)), None) if isinstance(loss, (list, tuple, dict)) else loss
    if loss is None:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    known = _LOGIT_LOSSES.get(_name_in_keras(loss))
    if known is not None:
        return known(from_logits=True)
    _check_of_logits(loss)
    return loss


def _check_of_logits(loss: Any) -> None:
    if getattr(loss, "from_logits", True) is False or _name_in_keras(loss) in _LOGIT_LOSSES:
        name = loss if isinstance(loss, str) else type(loss).__name__
        raise ValueError(f"CNNF gives logits and no probabilities: give {name!r} as an object with from_logits=True.")


def _name_in_keras(loss: Any) -> str:
    """The name of a loss that is a name, or one of the functions of Keras; "" for others."""
    if isinstance(loss, str):
        return loss
    return next((name for name in _LOGIT_LOSSES if loss is getattr(keras.losses, name, _LOGIT_LOSSES)), "")


def _set_modes(callbacks: Any) -> None:
    """Tells callbacks that monitor a metric of CNNF whether more of it is better, which Keras knows of its own only."""
    for callback in tree.flatten(getattr(callbacks, "callbacks", callbacks)):
        monitor = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if getattr(callback, "mode", None) == "auto" and monitor in _MODES:
            callback.mode = _MODES[monitor]
