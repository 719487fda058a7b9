"""Every public layer once, for the tests that hold for all; one missing here fails `layers/contract_test`."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from cnnf_tf import layers


@dataclasses.dataclass(frozen=True)
class Descriptor:
    """A layer to build, the shape of its input without batch, and whether it is linear given its latents."""

    name: str
    make: Callable[[], layers.FeedbackLayer]
    input_shape: tuple[int, ...]
    linear: bool = True


def _block() -> list[layers.FeedbackLayer]:
    return [layers.FeedbackConv2D(3), layers.AdaReLU(), layers.Tap(layers.AdaPool2D())]


def _conv(**options) -> layers.FeedbackLayer:
    return layers.FeedbackKerasLayer(keras.layers.Conv2D(4, use_bias=False, **options))


def _inception() -> layers.FeedbackLayer:
    """Two branches that are concatenated, and one that is added."""
    inside = [
        layers.FeedbackConv2D(3),
        layers.AdaReLU(),
        layers.FeedbackKerasLayer(keras.layers.AveragePooling2D(3, 1, "same")),
    ]
    inside += [layers.FeedbackKerasLayer(keras.layers.Concatenate(), merges=True)]
    return layers.FeedbackGraph(inside, [(0,), (1,), (0, 2), (3, 1), (4,)])


LAYERS = (
    Descriptor("FeedbackConv2D", lambda: layers.FeedbackConv2D(4), (6, 5, 3)),
    Descriptor("FeedbackConv2D_stride", lambda: layers.FeedbackConv2D(4, strides=2), (6, 8, 3)),
    Descriptor("FeedbackConv2D_odd_stride", lambda: layers.FeedbackConv2D(4, strides=2), (7, 5, 3)),
    Descriptor("FeedbackConv2D_valid", lambda: layers.FeedbackConv2D(4, 2, strides=2, padding="valid"), (7, 6, 3)),
    Descriptor("FeedbackDense", lambda: layers.FeedbackDense(5), (7,)),
    Descriptor("FeedbackDense_bias", lambda: layers.FeedbackDense(5, use_bias=True), (7,), linear=False),
    Descriptor("AdaReLU", lambda: layers.AdaReLU(use_bias=False), (4, 5, 3)),
    Descriptor("AdaReLU_slide", lambda: layers.AdaReLU(rule="slide"), (4, 5, 3), linear=False),
    Descriptor("AdaReLU_reference_dense", lambda: layers.AdaReLU(rule="reference"), (9,), linear=False),
    Descriptor("AdaPool2D", lambda: layers.AdaPool2D(), (6, 4, 3)),
    Descriptor("AdaPool2D_left_over", lambda: layers.AdaPool2D(3, rule="reference"), (7, 8, 2)),
    Descriptor("FeedbackAveragePooling2D", lambda: layers.FeedbackAveragePooling2D(2), (4, 6, 3), linear=False),
    Descriptor("FeedbackAveragePooling2D_adjoint", lambda: layers.FeedbackAveragePooling2D(2, adjoint=True), (4, 6, 3)),
    Descriptor("InstanceNorm", lambda: layers.InstanceNorm(), (4, 5, 3), linear=False),
    Descriptor("InstanceNorm_up", lambda: layers.InstanceNorm(down=False), (4, 5, 3), linear=False),
    Descriptor("AdaActivation_leaky", lambda: layers.AdaActivation(keras.layers.LeakyReLU(0.1)), (4, 5, 3)),
    Descriptor("AdaActivation_relu6", lambda: layers.AdaActivation("relu6"), (4, 5, 3)),
    Descriptor("AdaGlobalMaxPool2D", lambda: layers.AdaGlobalMaxPool2D(), (4, 5, 3)),
    Descriptor("AdaPool2D_overlapping", lambda: layers.AdaPool2D(3, strides=2), (7, 8, 2)),
    Descriptor("AdaPool2D_same", lambda: layers.AdaPool2D((3, 2), strides=(2, 1), padding="same"), (7, 6, 2)),
    Descriptor(
        "FeedbackBatchNorm",
        lambda: layers.FeedbackBatchNorm(keras.layers.BatchNormalization(center=False)),
        (3, 4, 2),
        linear=False,
    ),
    Descriptor("FeedbackDropout", lambda: layers.FeedbackDropout(keras.layers.Dropout(0.5)), (3, 4, 2)),
    Descriptor("FeedbackGraph", _inception, (4, 6, 3)),
    Descriptor("FeedbackKerasLayer_conv", lambda: _conv(kernel_size=(3, 2), strides=2, padding="same"), (7, 6, 3)),
    Descriptor("FeedbackKerasLayer_dilated", lambda: _conv(kernel_size=3, dilation_rate=2), (7, 6, 3)),
    Descriptor("FeedbackKerasLayer_groups", lambda: _conv(kernel_size=3, groups=2), (7, 6, 4)),
    Descriptor(
        "FeedbackKerasLayer_depthwise",
        lambda: layers.FeedbackKerasLayer(keras.layers.DepthwiseConv2D(3, 2, "same", 2, use_bias=False)),
        (7, 6, 3),
    ),
    Descriptor("FeedbackFlatten", lambda: layers.FeedbackFlatten(), (2, 3, 4)),
    Descriptor("FeedbackLayer", lambda: layers.FeedbackLayer(), (3, 2)),
    Descriptor("Tap", lambda: layers.Tap(), (3, 4, 2)),
    Descriptor("FeedbackSequential", lambda: layers.FeedbackSequential(_block()), (6, 6, 2)),
    Descriptor("FeedbackResidual", lambda: layers.FeedbackResidual([layers.FeedbackConv2D(2)]), (5, 4, 2)),
    Descriptor(
        "FeedbackResidual_shortcut",
        lambda: layers.FeedbackResidual(
            [layers.FeedbackConv2D(4, strides=2), layers.AdaReLU()], [layers.FeedbackConv2D(4, 1, strides=2)]
        ),
        (6, 4, 3),
    ),
)


def batch(descriptor: Descriptor, size: int = 3, seed: int = 0) -> np.ndarray:
    """Random features for a layer, float32, with zeros among them."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((size, *descriptor.input_shape)).astype("float32")
    return np.where(rng.random(values.shape) < 0.2, np.float32(0), values)


def built(descriptor: Descriptor) -> layers.FeedbackLayer:
    """The layer, built, its biases away from zero."""
    layer = descriptor.make()
    layer.build((None, *descriptor.input_shape))
    rng = np.random.default_rng(1)
    for variable in layer.weights:
        variable.assign(rng.standard_normal(variable.shape) * 0.5)
    return layer
