"""Keras CNNs to convert: those of `keras.applications`, and small ones with everything that these do not have."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers as kl

SMALL_CLASSES = 5
APPLICATIONS = (
    *("VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "MobileNet", "MobileNetV2", "Xception", "InceptionV3"),
    *("EfficientNetB0", "ConvNeXtTiny"),
)
_SIZES = {"Xception": 71, "InceptionV3": 75}


def application(name: str) -> keras.Model:
    """A network of `keras.applications`, in a small size, with logits."""
    size = _SIZES.get(name, 32)
    make = getattr(keras.applications, name)
    options = {"weights": None, "classes": SMALL_CLASSES, "classifier_activation": None}
    return disturbed(make(input_shape=(size, size, 3), **options))


def _branches() -> keras.Model:
    """Dilation, groups, strides, odd sizes, every padding, branches that are concatenated, multiplied and averaged."""
    images = keras.Input((13, 11, 3))
    trunk = kl.Conv2D(8, (3, 5), padding="same", activation="relu")(images)
    dilated = kl.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2, activation=kl.LeakyReLU(0.1))(trunk)
    depthwise = kl.DepthwiseConv2D(3, padding="same", activation="gelu")(trunk)
    gate = kl.Dense(8, activation="sigmoid")(kl.GlobalAveragePooling2D(keepdims=True)(trunk))
    scaled = kl.Multiply()([dilated, gate])
    averaged = kl.Average()([scaled, depthwise])
    joined = kl.Concatenate()([averaged, kl.ZeroPadding2D(1)(kl.Cropping2D(1)(trunk))])
    pooled = [
        kl.MaxPooling2D(3, 2, "same")(joined),
        kl.AveragePooling2D((3, 2), 2, "same")(joined),
        kl.Conv2D(16, 2, 2, padding="same", use_bias=False)(joined),
    ]
    merged = kl.PReLU()(kl.Subtract()([kl.Add()(pooled[:2]), pooled[2]]))
    merged = kl.MaxPooling2D(2, 1, "valid")(merged)
    up = kl.Conv2DTranspose(8, 3, 2, activation="silu")(kl.UpSampling2D(2, interpolation="bilinear")(merged))
    top = kl.LayerNormalization()(kl.SeparableConv2D(8, 3, activation="elu")(up))
    features = kl.Concatenate()([kl.GlobalMaxPooling2D()(top), kl.GlobalAveragePooling2D()(top)])
    return keras.Model(images, kl.Dense(SMALL_CLASSES)(kl.Dropout(0.3)(features)), name="branches")


def _shared() -> keras.Model:
    """A convolution and a rectifier that stand at two places, operations without layers, one value read three times."""
    convolution, rectifier = kl.Conv2D(3, 3, padding="same"), kl.ReLU()
    images = keras.Input((8, 9, 3))
    first = rectifier(convolution(images))
    second = rectifier(convolution(first))
    total = first + second * 0.5 - images
    mixed = keras.ops.maximum(keras.ops.relu6(total), 1.0 - total)
    return keras.Model(images, kl.Dense(SMALL_CLASSES)(kl.Flatten()(mixed)), name="shared")


def _nested() -> keras.Model:
    """A model in a model in a Sequential one; the inner one has two outputs."""
    inside = keras.Input((6, 7, 4))
    inner = keras.Model(inside, [kl.Conv2D(4, 1, name="left")(inside), kl.Activation("tanh")(inside)], name="inner")
    middle_in = keras.Input((6, 7, 3))
    left, right = inner(kl.Conv2D(4, 3, padding="same", name="left")(middle_in))
    middle = keras.Model(middle_in, kl.BatchNormalization()(kl.Add()([left, right])), name="middle")
    head = [kl.Activation("relu"), kl.MaxPooling2D(3, 2), kl.Flatten(), kl.Dense(SMALL_CLASSES)]
    return keras.Sequential([keras.Input((6, 7, 3)), middle, *head], name="nested")


def residual(size: int | None = 16, channels: int = 3) -> keras.Model:
    """A small ResNet with batch norm, strides, an overlapping pool; of any size where `size` is None."""
    images = keras.Input((size, size, channels))
    trunk = kl.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(images)
    trunk = kl.ReLU(name="stem_relu")(kl.BatchNormalization(name="stem_norm")(trunk))
    trunk = kl.MaxPooling2D(3, 2, "same", name="stem_pool")(trunk)
    for index in range(2):
        branch = kl.Conv2D(8, 3, padding="same", name=f"block{index}_conv1")(trunk)
        branch = kl.ReLU(name=f"block{index}_relu1")(kl.BatchNormalization(name=f"block{index}_norm1")(branch))
        branch = kl.BatchNormalization(name=f"block{index}_norm2")(kl.Conv2D(8, 3, padding="same")(branch))
        trunk = kl.ReLU(name=f"block{index}_out")(kl.Add(name=f"block{index}_add")([trunk, branch]))
    top = kl.GlobalAveragePooling2D(name="pool")(trunk)
    return keras.Model(images, kl.Dense(SMALL_CLASSES, name="logits")(top), name="small_resnet")


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    **{name: lambda name=name: application(name) for name in APPLICATIONS},
    "branches": lambda: disturbed(_branches()),
    "shared": lambda: disturbed(_shared()),
    "nested": lambda: disturbed(_nested()),
    "residual": lambda: disturbed(residual()),
}


def disturbed(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with biases and statistics that are not those of a start, in which mistakes would not show."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name in ("moving_mean", "beta", "bias"):
            variable.assign(0.1 * rng.standard_normal(variable.shape))
        elif variable.name in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def images(model: keras.Model, count: int = 2, seed: int = 1) -> np.ndarray:
    """Random images in [0, 1] that fit a model; 16 pixels where it takes any number."""
    shape = [size or 16 for size in model.input_shape[1:]]
    return np.random.default_rng(seed).random((count, *shape)).astype(keras.config.floatx())
