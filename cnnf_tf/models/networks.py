"""The two networks of the paper, split into a fixed front part (encoder) and the part inside the loop.

Both follow the authors' code (yjhuangcd/CNNF, commit 37b610a). N^ is `InstanceNorm` going up only, Nv going down only.
Beside them, `leaves` walks through any network.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras

from cnnf_tf.layers import (
    AdaPool2D,
    AdaReLU,
    FeedbackAveragePooling2D,
    FeedbackBatchNorm,
    FeedbackComposite,
    FeedbackConv2D,
    FeedbackDense,
    FeedbackFlatten,
    FeedbackLayer,
    FeedbackResidual,
    FeedbackSequential,
    InstanceNorm,
    Tap,
    ada_pool,
    ada_relu,
)
from cnnf_tf.utils.validation import one_of, positive_int

Layers = list[FeedbackLayer]


class Network(NamedTuple):
    """A CNN cut in two."""

    encoder: FeedbackSequential | None
    """From the image to h; None where h is the image (`encoder_blocks = 0`)."""
    network: FeedbackSequential
    """From h to the logits; this is what the loop runs up and down."""


def fashion_cnn(*, num_classes: int = 10, encoder_blocks: int = 0, rule: str = "map", taps: bool = True) -> Network:
    """The Fashion-MNIST network, "4 convolutions and 3 dense layers" (for 28x28x1, and any size of at least 4x4).

        conv1 16  N^ A Nv   | conv2 32  N^ A Nv   | conv3 32  N^ A P Nv  | conv4 64  N^ A P Nv
        flatten | fc1 1000 A | fc2 128 A | fc3 num_classes + bias

    Args:
      num_classes: number of labels.
      encoder_blocks: leading convolution blocks left out of the loop: h is the image (0) or the output of block 1 or 2.
      rule: how AdaReLU and AdaPool decide, "map", "slide" or "reference" (AdaPool uses "map" where it has no "slide").
      taps: whether training reconstructs the outputs of the rectifiers of block 3 and 4 as well, as the authors do, or
        h alone.
    """
    _check_encoder_blocks(encoder_blocks, 2)
    pool_rule = rule if one_of("rule", rule, ada_relu.RULES) in ada_pool.RULES else "map"

    def block(index: int, filters: int, pool: bool) -> Layers:
        rectifier: FeedbackLayer = AdaReLU(rule=rule, name=f"ada_relu{index}")
        layers = [FeedbackConv2D(filters, name=f"conv{index}"), _norm_up(f"norm_up{index}")]
        layers.append(Tap(rectifier, name=f"tap{index}") if pool and taps else rectifier)
        if pool:
            layers.append(AdaPool2D(rule=pool_rule, name=f"ada_pool{index}"))
        return [*layers, _norm_down(f"norm_down{index}")]

    blocks = [block(1, 16, False), block(2, 32, False), block(3, 32, True), block(4, 64, True)]
    head: Layers = [
        FeedbackFlatten(name="flatten"),
        FeedbackDense(1000, name="fc1"),
        AdaReLU(rule=rule, name="fc1_ada_relu"),
        FeedbackDense(128, name="fc2"),
        AdaReLU(rule=rule, name="fc2_ada_relu"),
        _logits(num_classes, "fc3"),
    ]
    return _split([*blocks, head], encoder_blocks)


def wide_resnet(
    *,
    num_classes: int = 10,
    depth: int = 40,
    widen_factor: int = 2,
    encoder_blocks: int = 0,
    rule: str = "map",
    head_batch_norm: bool = False,
) -> Network:
    """WideResNet-depth-widen_factor (for 32x32 colour images; sides must be multiples of 32).

        stem conv 16 | 3 stages of n blocks (16k, 32k, 64k channels; strides 1, 2, 2) | N^ A Nv, average pool 8, fc
        block: N^ A Nv conv(stride) N^ A Nv conv + shortcut

    The shortcut is the identity on the block's input; where the width changes it is a 1x1 convolution on the
    *activated* input of the block's first convolution.

    Args:
      num_classes: number of labels.
      depth: 6 n + 4 with n >= 1.
      widen_factor: k >= 1.
      encoder_blocks: 0: h is the image; else h is the output of block number `encoder_blocks` (1-based) of stage 1.
      rule: how AdaReLU decides, "map", "slide" or "reference".
      head_batch_norm: whether the last N^, before the average, is a batch norm, and not the authors' division by the
        root mean square of each channel of each image. With theirs 99.5 % of what `fc` reads at first is the same for
        all images, and the network learns nothing for hundreds of steps. Below, theirs stay: statistics are those of
        the first pass, and if all norms kept to them, features of later passes would be up to 50 times as large.

    Taps: the outputs of the three stages.
    """
    positive_int("widen_factor", widen_factor)
    if positive_int("depth", depth) < 10 or (depth - 4) % 6:
        raise ValueError(f"depth must be 6 n + 4 with n >= 1 (10, 16, 22, 28, 34, 40, ...), got {depth}.")
    num_blocks = (depth - 4) // 6
    _check_encoder_blocks(encoder_blocks, num_blocks)
    one_of("rule", rule, ada_relu.RULES)

    def activation(name: str) -> Layers:
        return [_norm_up(f"{name}_norm_up"), AdaReLU(rule=rule, name=f"{name}_ada_relu")]

    def block(name: str, width_in: int, width: int, strides: int) -> Layers:
        before = activation(f"{name}_1")
        main = [
            _norm_down(f"{name}_1_norm_down"),
            FeedbackConv2D(width, strides=strides, name=f"{name}_conv1"),
            *activation(f"{name}_2"),
            _norm_down(f"{name}_2_norm_down"),
            FeedbackConv2D(width, name=f"{name}_conv2"),
        ]
        if width_in == width:
            return [FeedbackResidual([*before, *main], name=name)]
        shortcut = [FeedbackConv2D(width, 1, strides=strides, name=f"{name}_conv_shortcut")]
        return [*before, FeedbackResidual(main, shortcut, name=name)]

    widths = [16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
    parts: list[Layers] = [[FeedbackConv2D(16, name="conv1")]]
    width_in = 16
    for stage, (width, strides) in enumerate(zip(widths, (1, 2, 2), strict=True), start=1):
        for index in range(num_blocks):
            parts.append(block(f"block{stage}_{index}", width_in, width, strides if index == 0 else 1))
            width_in = width
        parts.append([Tap(name=f"tap{stage}")])
    head = activation("head")
    if head_batch_norm:
        head[0] = _batch_norm(head[0].name)
    parts.append([*head, _norm_down("head_norm_down")])
    parts.append([FeedbackAveragePooling2D(8, name="average_pool"), FeedbackFlatten(name="flatten")])
    parts.append([_logits(num_classes, "fc")])
    return _split(parts, 0 if encoder_blocks == 0 else 1 + encoder_blocks)


NETWORKS: dict[str, Callable[..., Network]] = {"fashion_cnn": fashion_cnn, "wide_resnet": wide_resnet}
"""Networks by the name that configs use."""


def leaves(layer: FeedbackLayer) -> Iterator[FeedbackLayer]:
    """The plain layers inside a layer, bottom to top (main branch before shortcut); the layer itself if it is plain."""
    for _, leaf in named_leaves(layer):
        yield leaf


def named_leaves(layer: FeedbackLayer, path: str = "") -> Iterator[tuple[str, FeedbackLayer]]:
    """`leaves`, each with its path: `path`, then the names of the layers around it and its own, as in "/tap1/relu"."""
    if not isinstance(layer, FeedbackComposite):
        yield path, layer
        return
    for child in layer.children():
        yield from named_leaves(child, f"{path}/{child.name}")


def bernoulli_latents(layer: FeedbackLayer, latents: Any) -> list[Any]:
    """The latents that are zeros and ones, bottom to top, out of the nest that a layer returned."""
    if isinstance(layer, FeedbackComposite):
        pairs = zip(layer.children(), layer.entries("latent", latents), strict=True)
        return [latent for child, own in pairs for latent in bernoulli_latents(child, own)]
    if not layer.has_latents:
        return []
    return [latents[0] if isinstance(latents, tuple) else latents]


def _norm_up(name: str) -> InstanceNorm:
    return InstanceNorm(down=False, name=name)


def _batch_norm(name: str) -> FeedbackBatchNorm:
    """With the moving average of PyTorch's default: that of Keras is too slow for trainings of a few thousand steps."""
    return FeedbackBatchNorm(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5), frozen=False, name=name)


def _norm_down(name: str) -> InstanceNorm:
    return InstanceNorm(up=False, name=name)


def _logits(num_classes: int, name: str) -> FeedbackDense:
    """The last layer; never in half precision."""
    policy = keras.config.dtype_policy()
    dtype = policy.variable_dtype if policy.compute_dtype in ("float16", "bfloat16") else policy
    return FeedbackDense(positive_int("num_classes", num_classes), use_bias=True, name=name, dtype=dtype)


def _check_encoder_blocks(encoder_blocks: int, largest: int) -> None:
    if isinstance(encoder_blocks, bool) or not isinstance(encoder_blocks, int) or not 0 <= encoder_blocks <= largest:
        raise ValueError(
            f"encoder_blocks must be an integer from 0 (h is the image) to {largest} for this network, got "
            f"{encoder_blocks!r}."
        )


def _split(parts: Sequence[Layers], at: int) -> Network:
    front, rest = (list(itertools.chain.from_iterable(half)) for half in (parts[:at], parts[at:]))
    encoder = FeedbackSequential(front, name="encoder") if front else None
    return Network(encoder, FeedbackSequential(rest, name="network"))
