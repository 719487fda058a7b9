"""The sets of corruptions: which kinds each has, and their strengths."""

from collections.abc import Callable

from cnnf_tf.data.corruptions import blur, digital, noise, ours, shapes, strengths, weather
from cnnf_tf.data.corruptions.base import Apply, ApplyToImage, Corruption, description_of, each_image, eight_bit
from cnnf_tf.utils.validation import one_of

# Written for batches in TensorFlow, and for an image in NumPy; the latter are of the published sets alone.
_NOISES: list[Apply] = [noise.gaussian_noise, noise.shot_noise, noise.impulse_noise, noise.speckle_noise]
_TENSORS: list[Apply] = [*_NOISES, digital.contrast]
_OUR_OWN: list[Apply] = [ours.dotted_line, ours.gaussian_blur, ours.brightness, ours.occlusion]
_BLURS: list[ApplyToImage] = [blur.gaussian_blur, blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur]
_WEATHER: list[ApplyToImage] = [weather.fog, weather.frost, weather.snow, weather.spatter, weather.brightness]
_DIGITAL: list[ApplyToImage] = [digital.saturate, digital.elastic_transform, digital.pixelate, digital.jpeg_compression]
_AFFINE: list[ApplyToImage] = [shapes.shear, shapes.scale, shapes.rotate, shapes.translate]
_LINES: list[ApplyToImage] = [shapes.stripe, shapes.dotted_line, shapes.zigzag, shapes.canny_edges]

_EXTRAS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")  # of CIFAR-10-C and ImageNet-C


def _set(
    table: strengths.Strengths,
    kinds: dict[str, tuple[Apply, Callable]],
    *,
    extras: tuple[str, ...] = (),
    channels: tuple[int, ...] = (),
) -> dict[str, Corruption]:
    return {
        name: Corruption(
            kinds[name][0],
            values,
            description_of(kinds[name][1]),
            extra=name in extras,
            channels=channels,
            **({"needs": weather.check_frost_pictures} if name == "frost" else {}),
        )
        for name, values in table.items()
    }


_OURS = {kind.__name__: (kind, kind) for kind in (*_TENSORS, *_OUR_OWN)}
_PUBLIC: dict[str, tuple[Apply, Callable]] = {kind.__name__: (eight_bit(kind), kind) for kind in _TENSORS}
_PUBLIC |= {
    kind.__name__: (eight_bit(each_image(kind)), kind) for kind in (*_BLURS, *_WEATHER, *_DIGITAL, *_AFFINE, *_LINES)
}

CORRUPTIONS: dict[str, Corruption] = _set(strengths.OURS, _OURS)
"""Our own corruptions by name; the talk shows the first three."""

CORRUPTION_SETS: dict[str, dict[str, Corruption]] = {
    "ours": CORRUPTIONS,
    "cifar10_c": _set(strengths.CIFAR10_C, _PUBLIC, extras=_EXTRAS, channels=(1, 3)),
    "imagenet_c": _set(strengths.IMAGENET_C, _PUBLIC, extras=_EXTRAS, channels=(1, 3)),
    "mnist_c": _set(strengths.MNIST_C, _PUBLIC, channels=(1, 3)),
}
"""Every set of corruptions by name: kinds by name."""


def severities_of(strengths: str) -> tuple[int, ...]:
    """The severities of a set of `CORRUPTION_SETS`, from slight to strong: 1 to 5, of MNIST-C only 1."""
    kinds = CORRUPTION_SETS[one_of("strengths", strengths, CORRUPTION_SETS)]
    return tuple(range(1, 1 + max(len(kind.strengths) for kind in kinds.values())))


def benchmark_corruptions(strengths: str) -> tuple[str, ...]:
    """The kinds of a set that a benchmark is the mean over: all of it but the extras."""
    kinds = CORRUPTION_SETS[one_of("strengths", strengths, CORRUPTION_SETS)]
    return tuple(name for name, kind in kinds.items() if not kind.extra)


def lacking(strengths: str) -> dict[str, str]:
    """The kinds of a set that cannot be had here, and why: "frost" without its pictures."""
    reasons = {}
    for name, kind in CORRUPTION_SETS[one_of("strengths", strengths, CORRUPTION_SETS)].items():
        try:
            kind.needs()
        except ValueError as error:
            reasons[name] = str(error)
    return reasons
