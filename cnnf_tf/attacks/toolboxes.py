"""A CNN-F as other people's attacks want it: for Foolbox and for the Adversarial Robustness Toolbox (ART).

    theirs = attacks.as_foolbox(model)    # wants labels of int64
    _, adversarial, success = foolbox.attacks.LinfDeepFoolAttack()(theirs, images, labels, epsilons=8 / 255)

    theirs = attacks.as_art(model)
    adversarial = art.attacks.evasion.CarliniL2Method(theirs).generate(images, labels)

Both classify by K' passes and a readout, with gradients through whatever `path` says; both need the extra `toolboxes`.
Pixels that such an attack puts outside of [0, 1], by rounding or on its way, are taken for the nearest in the range.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from cnnf_tf.attacks.model_functions import GradientPath, gradient_source
from cnnf_tf.attacks.problem import Predict
from cnnf_tf.attacks.programs.tensorflow import ask
from cnnf_tf.models import CNNF


def as_foolbox(
    model: CNNF,
    *,
    iterations: int | None = None,
    readout: str | None = None,
    path: GradientPath | str = GradientPath.FULL_UNROLL,
) -> Any:
    """The model as a `foolbox.TensorFlowModel` with bounds (0, 1).

    Args:
      model: a CNN-F.
      iterations: K'; None for the model's own.
      readout: "last" or "average"; None for the model's own.
      path: a `GradientPath` or its name. Through the first pass the attack sees the plain CNN, predictions included:
        judge its images with `attacks.predictor(model)`.

    Raises:
      ImportError: the extra is not installed.
      ValueError: as `gradient_source`.
    """
    with _toolbox("Foolbox"):
        import foolbox
    logits = _logits(gradient_source(model, path, iterations=iterations, readout=readout))
    return foolbox.TensorFlowModel(logits, bounds=(0, 1))


def as_art(
    model: CNNF,
    *,
    iterations: int | None = None,
    readout: str | None = None,
    path: GradientPath | str = GradientPath.FULL_UNROLL,
) -> Any:
    """The model as an `art.estimators.classification.TensorFlowV2Classifier` of logits, clipping to [0, 1].

    For arguments and errors see `as_foolbox`; beyond these, it wants a model of images of one size.
    """
    with _toolbox("the Adversarial Robustness Toolbox"):
        from art.estimators import classification
    logits = _logits(gradient_source(model, path, iterations=iterations, readout=readout))
    if None in model.image_shape:
        raise ValueError(f"ART wants a model of images of one size, got image_shape {model.image_shape}.")

    def call(images: Any, training: bool = False) -> tf.Tensor:
        del training
        return logits(tf.convert_to_tensor(images, tf.float32))

    return classification.TensorFlowV2Classifier(
        call,
        nb_classes=model.num_classes,
        input_shape=model.image_shape,
        loss_object=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        clip_values=(0.0, 1.0),
    )


def _logits(predict: Predict) -> Predict:
    """`predict`, traced, of the nearest images in [0, 1]; gradients are as if they had been there."""

    def function(images: tf.Tensor) -> tf.Tensor:
        return ask(predict, images + tf.stop_gradient(tf.clip_by_value(images, 0, 1) - images))

    return tf.function(function, autograph=False, reduce_retracing=True)


@contextlib.contextmanager
def _toolbox(name: str) -> Iterator[None]:
    """Says how to install what cannot be imported."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"this needs {name}: pip install 'cnnf_tf[toolboxes]' ({error}).") from error
