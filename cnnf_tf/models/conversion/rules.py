"""What each layer of Keras becomes; a user adds their own layers with `register_conversion`."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers as kl
from keras.src.applications import convnext  # its layers have no public name

from cnnf_tf.layers import (
    AdaActivation,
    AdaGlobalMaxPool2D,
    AdaPool2D,
    AdaReLU,
    FeedbackBatchNorm,
    FeedbackDropout,
    FeedbackKerasLayer,
    FeedbackLayer,
)

Stack = list[FeedbackLayer]
Rule = Callable[[Any], Sequence[FeedbackLayer]]
"""From a Keras layer to the feedback layers that stand for it, bottom to top; none of them for the identity."""

RULES: dict[type, Rule] = {}
"""By the exact class: a subclass may do anything."""

ELEMENTWISE = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu"),
    *("log_sigmoid", "mish", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softplus", "softsign"),
    *("sparse_plus", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink", "threshold"),
)
"""Activations of Keras that act on each unit by itself; `relu` is the paper's own."""
JACOBIAN = ("glu", "log_softmax", "softmax", "sparsemax")
"""Those that mix units."""


class NoConversionError(ValueError):
    """Why a layer cannot be converted."""


def register_conversion(keras_class: type) -> Callable[[Rule], Rule]:
    """Decorates a function that converts layers of a class of your own.

    The function gets a layer, and returns the feedback layers that stand for it, bottom to top. Hand them the layer, or
    a copy of it: `layers.FeedbackKerasLayer(copy_layer(layer), linear=False)` comes down as its Jacobian at the
    features of the pass, and is right for everything that is differentiable and not random.

        @register_conversion(MyNormalization)
        def convert(layer):
            return [layers.FeedbackKerasLayer(copy_layer(layer), linear=False)]

    Raises:
      ValueError: `keras_class` is not a class of Keras layers.
    """
    if not (isinstance(keras_class, type) and issubclass(keras_class, kl.Layer)):
        raise ValueError(f"register_conversion wants a subclass of keras.layers.Layer, got {keras_class!r}.")

    def add(rule: Rule) -> Rule:
        RULES[keras_class] = rule
        return rule

    return add


def feedback_layers(layer: Any) -> Stack:
    """The feedback layers that stand for a Keras layer, with copies of its weights.

    Raises:
      NoConversionError: there is no rule for its class, or for its arguments.
    """
    if type(layer) not in RULES:
        raise NoConversionError("there is no conversion for its class")
    if getattr(layer, "data_format", None) == "channels_first":
        raise NoConversionError(
            'data_format="channels_first", and channels must be last: made with "channels_last" a model takes the same '
            "weights"
        )
    if getattr(layer, "quantization_mode", None) is not None:
        raise NoConversionError("it is quantized, and rounded weights have no gradient to come down: convert it before")
    return list(RULES[type(layer)](layer))


def copy_layer(layer: Any, **changes: Any) -> Any:
    """A layer of its own with the same weights; of its configuration, what `changes` names is different."""
    copy = type(layer).from_config(layer.get_config() | changes)
    if layer.built and not copy.built:
        copy.build_from_config(layer.get_build_config())
        copy.built = True
    if len(copy.weights) == len(layer.weights):
        take_weights(copy, layer)
        return copy
    weights = {variable.name: variable for variable in layer.weights}
    for variable in copy.weights:
        assign_copy(variable, weights[variable.name])
    return copy


def assign_copy(variable: Any, original: Any) -> None:
    """Gives a variable the value of another, in memory of its own: on JAX Keras gives that of variables up to steps."""
    variable.assign(keras.ops.convert_to_numpy(original))


def take_weights(copy: Any, original: Any) -> None:
    """Gives a copy, a layer or a model, the weights of the original, and what Keras computes from them."""
    copy.set_weights(original.get_weights())
    for layer in copy._flatten_layers():
        if isinstance(layer, kl.Normalization) and layer.weights:
            layer.finalize_state()


def activation_layers(activation: Any, name: str, dtype: Any) -> Stack:
    """The feedback layers of an activation function of Keras, or of a layer in the place of one."""
    if isinstance(activation, kl.Layer):
        return feedback_layers(copy_layer(activation, name=name, dtype=dtype))
    kind = keras.activations.serialize(keras.activations.get(activation))
    if kind == "linear":
        return []
    if kind == "relu":
        return [AdaReLU(use_bias=False, name=name, dtype=dtype)]
    if kind in ELEMENTWISE:
        return [AdaActivation(kl.Activation(kind, name=name, dtype=dtype))]
    if kind in JACOBIAN:
        return [FeedbackKerasLayer(kl.Activation(kind, name=name, dtype=dtype), linear=False)]
    raise NoConversionError(f"its activation {kind!r} is none of Keras' own")


def _linear(layer: Any) -> Stack:
    return [FeedbackKerasLayer(copy_layer(layer))]


def _linear_and_activation(layer: Any) -> Stack:
    """A bias before a rectifier becomes the rectifier's own, as in the paper: it is a logit of the latents, too."""
    above = activation_layers(layer.activation, f"{layer.name}_activation", layer.dtype_policy)
    if not (above and isinstance(above[0], AdaReLU) and getattr(layer, "use_bias", False)):
        return [FeedbackKerasLayer(copy_layer(layer, activation=None)), *above]
    rectifier = AdaReLU(name=above[0].name, dtype=layer.dtype_policy)
    rectifier.build(layer.compute_output_shape(layer.get_build_config()["input_shape"]))
    assign_copy(rectifier.bias, layer.bias)
    return [FeedbackKerasLayer(copy_layer(layer, activation=None, use_bias=False)), rectifier]


def _jacobian(layer: Any) -> Stack:
    return [FeedbackKerasLayer(copy_layer(layer), linear=False)]


def _linear_merge(layer: Any) -> Stack:
    return [FeedbackKerasLayer(copy_layer(layer), merges=True)]


def _jacobian_merge(layer: Any) -> Stack:
    return [FeedbackKerasLayer(copy_layer(layer), linear=False, merges=True)]


def _rectifier(layer: kl.ReLU) -> Stack:
    if layer.max_value is None and not layer.negative_slope and not layer.threshold:
        return [AdaReLU(use_bias=False, name=layer.name, dtype=layer.dtype_policy)]
    return _elementwise(layer)


def _elementwise(layer: Any) -> Stack:
    return [AdaActivation(copy_layer(layer))]


def _pool(layer: kl.MaxPooling2D) -> Stack:
    options = {"strides": tuple(layer.strides), "padding": layer.padding, "dtype": layer.dtype_policy}
    return [AdaPool2D(tuple(layer.pool_size), name=layer.name, **options)]


def _global_pool(layer: kl.GlobalMaxPooling2D) -> Stack:
    return [AdaGlobalMaxPool2D(keepdims=layer.keepdims, name=layer.name, dtype=layer.dtype_policy)]


def _batch_norm(layer: kl.BatchNormalization) -> Stack:
    return [FeedbackBatchNorm(copy_layer(layer))]


def _dropout(layer: Any) -> Stack:
    return [FeedbackDropout(copy_layer(layer))]


def _add(rule: Rule, *classes: type) -> None:
    RULES.update(dict.fromkeys(classes, rule))


_add(_linear_and_activation, kl.Conv1D, kl.Conv2D, kl.Conv1DTranspose, kl.Conv2DTranspose, kl.Dense, kl.EinsumDense)
_add(_linear_and_activation, kl.DepthwiseConv1D, kl.DepthwiseConv2D, kl.SeparableConv1D, kl.SeparableConv2D)
_add(_linear, kl.ZeroPadding1D, kl.ZeroPadding2D, kl.Cropping1D, kl.Cropping2D, kl.UpSampling1D, kl.UpSampling2D)
_add(_linear, kl.AveragePooling1D, kl.AveragePooling2D, kl.GlobalAveragePooling1D, kl.GlobalAveragePooling2D)
_add(_linear, kl.Flatten, kl.Reshape, kl.Permute, kl.RepeatVector, kl.Rescaling, kl.Normalization)
_add(_linear_merge, kl.Add, kl.Average, kl.Concatenate, kl.Subtract)
_add(_jacobian_merge, kl.Multiply, kl.Maximum, kl.Minimum, kl.Dot)
_add(_jacobian, kl.LayerNormalization, kl.GroupNormalization, kl.UnitNormalization, kl.Softmax, kl.RMSNormalization)
_add(_elementwise, kl.ELU, kl.LeakyReLU, kl.PReLU)
_add(_linear, convnext.LayerScale)
_add(_dropout, convnext.StochasticDepth, kl.Dropout, kl.SpatialDropout1D, kl.SpatialDropout2D, kl.GaussianDropout)
_add(lambda layer: [], kl.ActivityRegularization, kl.GaussianNoise, kl.Identity, kl.InputLayer)
_add(_rectifier, kl.ReLU)
_add(_pool, kl.MaxPooling2D)
_add(_global_pool, kl.GlobalMaxPooling2D)
_add(_batch_norm, kl.BatchNormalization)
_add(lambda layer: activation_layers(layer.activation, layer.name, layer.dtype_policy), kl.Activation)
