"""Gives feedback to a Keras CNN: a .keras file, or a network of keras.applications, becomes a CNN-F.

Example:
  python bin/convert.py --keras=my_cnn.keras --output=runs/mine/cnnf.keras
  python bin/convert.py --keras=ResNet50 --start=conv3_block4_out \\
      --output=runs/resnet50/cnnf.keras
  python bin/convert.py --keras=EfficientNetB0 --num_classes=10 \\
      --image_size=96 --output=runs/b0/cnnf.keras

The layers go up as they are and come down transposed, with the weights of the file. Nothing is trained: with
--iterations=0 the result is the original, which is checked on random images before --output appears. --model of every
other binary takes it, and `keras.saving.load_model` after `import cnnf_tf`, for fine-tuning. docs/any_cnn.md says what
converts, what to do about the rest, and what to expect.
"""

import collections
import pathlib
import zipfile
from typing import Any

import _app
from absl import flags

import cnnf_tf
from cnnf_tf.utils.files import atomic_path

_KERAS: flags.FlagHolder = flags.DEFINE_string(
    "keras", None, "What to convert: a .keras file, or the name of a network in keras.applications, such as VGG16."
)
_OUTPUT = _app.define_output("The .keras file to write.", suffix=".keras", replaces=False)
_START = flags.DEFINE_string(
    "start", None, "Layer whose output is h; what lies below it runs once, without feedback. Default: h is the image."
)
_ITERATIONS = flags.DEFINE_integer("iterations", 1, "K, feedback passes; any other number can be run.", lower_bound=0)
_ETA = flags.DEFINE_float("eta", 0.1, "Step size of the loop.", lower_bound=0.0, upper_bound=1.0)
_FEEDBACK_NORM = flags.DEFINE_bool(
    "feedback_norm", True, "Bring what comes down each block to a root mean square of 1; without, it is the gradient."
)
_PREPROCESSING = flags.DEFINE_string(
    "preprocessing",
    None,
    "What the network was trained on: caffe, tf or torch, as keras.applications call them; MEAN,SCALE for "
    "(image - MEAN) / SCALE of images in [0, 1], such as 0,1/255 for pixels from 0 to 255; or none for images in "
    "[0, 1], and for networks whose first layers say it. Default: that of keras.applications for its own, else none.",
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    "imagenet",
    "Of a network in keras.applications: imagenet, which Keras downloads once; none for random ones; or a file.",
)
_IMAGE_SIZE = flags.DEFINE_string(
    "image_size", None, "Of a network in keras.applications: pixels, 96 or 96x128 (height x width). Default: its own."
)
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes", None, "Of a network in keras.applications: a new, untrained top for so many classes.", lower_bound=2
)
_SEED = _app.define_seed("random weights, and of the images of the check")
_app.limit_iterations("iterations")


def main() -> None:
    _app.require(_KERAS, _OUTPUT)
    output = pathlib.Path(_OUTPUT.value)
    image_size, preprocessing = _image_size(), _preprocessing()

    _app.start_tensorflow()
    import keras

    from cnnf_tf.models.conversion import applications
    from cnnf_tf.models.conversion.self_check import Original

    keras.utils.set_random_seed(_SEED.value)
    if _is_file():
        original = _load()
    else:
        original = _application(image_size)
        if _PREPROCESSING.value is None:
            preprocessing = applications.preprocessing_of(_KERAS.value)
    model = cnnf_tf.CNNF.from_keras(
        original,
        start=_START.value or None,
        iterations=_ITERATIONS.value,
        eta=_ETA.value,
        feedback_norm=_FEEDBACK_NORM.value,
        preprocessing=preprocessing,
    )
    print(_summary(original, model))
    before = Original(original, preprocessing=preprocessing, seed=_SEED.value)
    del original  # large networks are large
    model.compile(optimizer="sgd")
    with atomic_path(output) as temporary:
        model.save(temporary)
        model = cnnf_tf.load_model(temporary)
        difference, allowed = before.difference(model), before.allowed(model)
        what = "log-probabilities" if before.softmax else "logits"
        found = f"largest difference from the original's {what} {difference:.1e}, which go up to {before.largest:.2g}"
        if not difference <= allowed:
            raise ValueError(f"with K = 0 the result is not the original: {found}. Nothing was written.")
    print(f"  with K = 0, on {len(before.images)} random images: {found}")
    print(f"wrote {output}: {model.count_params():,} parameters, K = {model.iterations}, eta = {model.eta:g}.")


def _is_file() -> bool:
    """Whether --keras names a file; else it is a network of keras.applications."""
    path = pathlib.Path(_KERAS.value)
    return bool(path.suffix) or len(path.parts) > 1 or path.exists()


def _image_size() -> tuple[int, int] | None:
    """--image_size as height and width."""
    if _is_file():
        for flag in ("weights", "image_size", "num_classes"):
            if flags.FLAGS[flag].present:
                raise _app.UsageError(f"--{flag} is for a network of keras.applications, and {_KERAS.value} is a file.")
    if _IMAGE_SIZE.value is None:
        return None
    sides = _IMAGE_SIZE.value.split("x")
    if not all(side.isdecimal() and int(side) for side in sides) or len(sides) > 2:
        raise _app.UsageError(f"--image_size wants pixels, such as 96 or 96x128, got {_IMAGE_SIZE.value!r}.")
    return int(sides[0]), int(sides[-1])


def _preprocessing() -> Any:
    """--preprocessing as `from_keras` takes it."""
    text = _PREPROCESSING.value
    if text in (None, "none"):
        return None
    if "," not in text:
        if text not in ("caffe", "tf", "torch"):
            raise _app.UsageError(f"--preprocessing wants caffe, tf, torch, none or MEAN,SCALE, got {text!r}.")
        return text
    numbers = [_app.pixel_length("preprocessing", number) for number in text.split(",")]
    if len(numbers) != 2 or not numbers[1]:
        raise _app.UsageError(f"--preprocessing wants two numbers, MEAN,SCALE with SCALE > 0, got {text!r}.")
    return numbers[0], numbers[1]


def _load() -> Any:
    """The Keras model in the file --keras."""
    import keras

    path = pathlib.Path(_KERAS.value)
    if not path.is_file():
        raise FileNotFoundError(
            f"--keras wants a .keras file or a network of keras.applications, no file {str(path)!r}."
        )
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(
            f"Keras cannot load {str(path)!r}: it is no zip archive, or one that was cut short; write or copy it again."
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # noqa: BLE001 - Keras, zip and HDF5 raise many kinds
        raise ValueError(
            f"Keras cannot load {str(path)!r}: {error}. A model with classes or functions of your own must be "
            "converted in Python, where they are: cnnf_tf.CNNF.from_keras(model).save(...)."
        ) from error
    if isinstance(model, cnnf_tf.CNNF):
        raise ValueError(f"{str(path)!r} holds a CNN-F already.")
    return model


def _application(image_size: tuple[int, int] | None) -> Any:
    """The network --keras of keras.applications."""
    from cnnf_tf.models.conversion import applications

    if _KERAS.value not in applications.names():
        known = ", ".join(applications.names())
        raise _app.UsageError(f"--keras wants a .keras file or one of {known}; got {_KERAS.value!r}.")
    weights = None if _WEIGHTS.value == "none" else _WEIGHTS.value
    try:
        return applications.build(_KERAS.value, weights=weights, image_size=image_size, num_classes=_NUM_CLASSES.value)
    except ConnectionError as error:
        raise ConnectionError(
            f"{error}. Give --weights=FILE if you have them, or --weights=none for random ones."
        ) from error


def _summary(original: Any, model: Any) -> str:
    """What became of the layers, in a few lines."""
    from cnnf_tf import layers
    from cnnf_tf.models.conversion.keras_graph import read

    unique = {id(layer): layer for layer in model.network.layers}.values()
    adaptive = (layers.AdaReLU, layers.AdaActivation, layers.AdaPool2D, layers.AdaGlobalMaxPool2D)
    listening = collections.Counter(type(layer).__name__ for layer in unique if isinstance(layer, adaptive))
    kinds = ", ".join(f"{count} {kind}" for kind, count in listening.most_common()) or "none"
    norms = sum(isinstance(layer, layers.InstanceNorm) for layer in unique)
    h = f"the image, {_size(model.image_shape)}"
    if model.encoder is not None:
        shape = model.encoder.output_shape_for((None, *model.image_shape))[1:]
        h = f"the output of {_START.value}, {_size(shape)}; what is below it runs once, as an encoder"
    lines = [
        f"{original.name}: {len(read(original).nodes)} layers of Keras, {len(unique)} feedback layers",
        f"  h: {h}",
        f"  listen to feedback: {kinds}",
        f"  norms on the way down: {norms}",
    ]
    return "\n".join(lines)


def _size(shape: Any) -> str:
    return "x".join(str(side or "any") for side in shape)


if __name__ == "__main__":
    _app.run(main)
