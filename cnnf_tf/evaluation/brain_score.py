"""A CNN-F as Brain-Score (https://www.brain-score.org) wants a model: an animal to show images to and record from.

Brain-Score asks for the activations of named layers, maps layers to regions of the ventral stream, and compares with
recordings there. Its layers are `LAYER-tN` here: what LAYER computes in pass N, named as its recurrent models name
their time steps. Its images are those of `preprocess`; `docs/neuroscience.md` tells how to score.
"""

import functools
import hashlib
import importlib
import json
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.attacks import predictor
from cnnf_tf.data.image_files import read_image
from cnnf_tf.evaluation.recordings.names import list_activations, select
from cnnf_tf.evaluation.recordings.probes import record
from cnnf_tf.models import CNNF
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.traces import described, traced
from cnnf_tf.utils.validation import positive_int

TimeBins = Sequence[tuple[int, int]]

RECORDED = (70, 250)
"""Milliseconds after the image came on in which Kar et al. (2019), and the benchmark made of it, record from IT."""
LOGITS = "logits"
"""Brain-Score's name for what a model decides by; here the readout's logits after the last pass."""


class BrainScoreModel:
    """What Brain-Score calls an activations model, over a CNN-F.

    Layers are named `LAYER-tN`, LAYER being a name of `list_activations` ("block3.f") or a pattern that fits one, N a
    pass; without `-tN`, all passes are returned along the dimension `time_bin`, which Brain-Score's own models align
    with the time bins of a benchmark.

    Args:
      model: a CNN-F for grey or colour images.
      identifier: a name; Brain-Score keeps results by it, so a digest of model and weights is added.
      iterations: K' >= 0, passes of feedback; None for the model's own K.
      time_bins: K' + 1 of (start, end) in milliseconds, each beginning where the one before ends: when each pass
        happens. None divides `RECORDED` evenly: with K' = 5, pass 0 is 70-100 ms, pass 5 is 220-250 ms.
      image_size: height and width that images are resized to, of a model of images of any size.
      batch_size: images at once.

    Attributes:
      identifier: what results are kept by.
      image_size: (height, width).
      time_bins: of the passes.

    Raises:
      ImportError: Brain-Score is not installed.
      ValueError: `iterations`, `time_bins` or `image_size` that do not fit, or images of neither 1 nor 3 channels.
    """

    def __init__(
        self,
        model: CNNF,
        identifier: str,
        *,
        iterations: int | None = None,
        time_bins: TimeBins | None = None,
        image_size: tuple[int, int] | None = None,
        batch_size: int = 64,
    ):
        self.model = model
        self.iterations = check_iterations(model.iterations if iterations is None else iterations)
        self.time_bins = _check_time_bins(time_bins, self.iterations + 1)
        self._image_shape = _check_image_shape(model, image_size)
        self.image_size = self._image_shape[:2]
        self._extractor = _brain_score("model_helpers.activations.core").ActivationsExtractorHelper(
            get_activations=self.get_activations,
            preprocessing=self.preprocess,
            identifier=f"{identifier}-{_digest(model, self.iterations)}",
            batch_size=positive_int("batch_size", batch_size),
        )
        self._extractor.insert_attrs(self)
        self._known = list_activations(model, self._image_shape)
        self._parse = functools.cache(self._parsed)
        self._recorder = functools.cache(lambda names: traced(record, model, self.iterations, names, False))
        predict: Any = predictor(model, iterations=self.iterations)
        self._predict = traced(predict.function, *predict.settings)

    @property
    def identifier(self) -> str:
        return self._extractor.identifier

    @identifier.setter
    def identifier(self, value: str) -> None:  # Brain-Score marks it where it reduces activations
        self._extractor.identifier = value

    def layers(self, pattern: str = "*.f") -> list[str]:
        """`LAYER-tN` for the layers that a pattern of `Recording` fits and all passes, bottom to top."""
        chosen = select(self._known, pattern)
        return [f"{each.name}-t{number}" for each in chosen for number in range(self.iterations + 1)]

    def preprocess(self, paths: Sequence[Any]) -> np.ndarray:
        """Reads image files as the model wants them.

        Args:
          paths: of image files of any size.

        Returns:
          float32 `[images, 3, height, width]` in [0, 1]: channels first, and three of them for grey images too, as
          Brain-Score shifts them then where it wants responses that vary from trial to trial.

        Raises:
          ValueError: not an image.
        """
        images = [read_image(str(path), self._image_shape, fit=True) for path in paths]
        colour = np.broadcast_to(np.stack(images), (len(images), *self.image_size, 3))
        return np.moveaxis(colour, -1, 1).astype(np.float32) / np.float32(255)

    def get_activations(self, images: Any, layer_names: Sequence[str]) -> "OrderedDict[str, np.ndarray]":
        """What layers compute.

        Args:
          images: of `preprocess`.
          layer_names: `LAYER-tN`, or "logits".

        Returns:
          `[images, units]` or, channels first, `[images, channels, height, width]` by these names.

        Raises:
          ValueError: no such layer, or a pass beyond the last one.
        """
        pixels = np.clip(np.moveaxis(np.asarray(images, np.float32), 1, -1), 0, 1)[..., : self._image_shape[2]]
        wanted = {name: self._parse(name) for name in layer_names if name != LOGITS}
        chosen = tuple(sorted({layer for layer, _ in wanted.values()}))
        found = {name: value.numpy() for name, value in self._recorder(chosen)(pixels).items()} if chosen else {}
        result = OrderedDict()
        for name in layer_names:
            if name == LOGITS:
                result[name] = self._predict(pixels).numpy()
            else:
                layer, number = wanted[name]
                value = found[layer][:, min(number, found[layer].shape[1] - 1)]  # an encoder runs once
                result[name] = np.moveaxis(value, -1, 1) if value.ndim == 4 else value
        return result

    def __call__(self, stimuli: Any, layers: Sequence[str], **options: Any) -> Any:
        """Activations as an assembly of Brain-Score.

        Args:
          stimuli: a `StimulusSet`, or paths of image files.
          layers: all with `-tN` (or "logits"), or all without.
          **options: of Brain-Score's `ActivationsExtractorHelper`.

        Returns:
          presentation x neuroid; of layers without `-tN`, presentation x neuroid x time_bin.

        Raises:
          ValueError: see `get_activations`; layers with and without `-tN`.
        """
        timed = [name == LOGITS or _split(name)[1] is not None for name in layers]
        if all(timed):
            return self._extractor(stimuli, layers=list(layers), **options)
        if any(timed):
            raise ValueError(f"layers must all have a pass (LAYER-tN), or none of them, got {list(layers)}.")
        passes = range(self.iterations + 1)
        names = [f"{layer}-t{number}" for layer in layers for number in passes]
        return self._over_time(self._extractor(stimuli, layers=names, **options), layers)

    def brain_model(
        self,
        regions: Mapping[str, str] | None = None,
        *,
        layers: Sequence[str] | None = None,
        readout_layer: str | None = None,
        visual_degrees: float = 8,
    ) -> Any:
        """The model as a subject of experiments: Brain-Score's `ModelCommitment`.

        Args:
          regions: the layer of each region, such as {"V4": "block2.f", "IT": "block3.f"}; without `-tN` recordings
            change over time. None has Brain-Score choose among `layers`, on its public data.
          layers: `LAYER-tN` to choose from; None for the features of all.
          readout_layer: `LAYER-tN` that behaviour is read out of; None for the last one.
          visual_degrees: of the field of view that an image fills.

        Raises:
          ValueError: a readout without a pass.
        """
        layers = self.layers() if layers is None else list(layers)
        readout = layers[-1] if readout_layer is None else readout_layer
        if readout != LOGITS:
            self._parse(readout)
        for layer in (regions or {}).values():
            self._parse(layer if _split(layer)[1] is not None else f"{layer}-t0")
        return _brain_score("model_helpers.brain_transformation").ModelCommitment(
            identifier=self.identifier,
            activations_model=self,
            layers=layers,
            behavioral_readout_layer=readout,
            region_layer_map=None if regions is None else dict(regions),
            visual_degrees=visual_degrees,
        )

    def _parsed(self, name: str) -> tuple[str, int]:
        """The one activation that `LAYER-tN` names, and N."""
        layer, number = _split(name)
        if number is None:
            raise ValueError(f"wanted LAYER-tN with a pass N of 0 to {self.iterations}, or {LOGITS!r}, got {name!r}.")
        if number > self.iterations:
            raise ValueError(f"{name!r}: there are passes 0 to {self.iterations}.")
        chosen = [each.name for each in select(self._known, layer)]
        if len(chosen) > 1:
            raise ValueError(f"{name!r} names {len(chosen)} layers ({', '.join(chosen)}); wanted one.")
        return chosen[0], number

    def _over_time(self, flat: Any, layers: Sequence[str]) -> Any:
        """From neuroids of each pass to neuroids of the layers, over time."""
        assemblies = _import("brainscore_core.supported_data_standards.brainio.assemblies")
        named, passes = flat["layer"].values, range(self.iterations + 1)
        places = [np.concatenate([np.flatnonzero(named == f"{layer}-t{t}") for layer in layers]) for t in passes]
        first = flat[{"neuroid": places[0]}]
        coords = {name: (dims, values) for name, dims, values in assemblies.walk_coords(first)}
        own = [_split(name)[0] for name in named[places[0]]]
        coords["layer"] = ("neuroid", own)
        numbers = first["neuroid_num"].values
        ids = [f"{self.identifier}.{layer}.{number}" for layer, number in zip(own, numbers, strict=True)]
        coords["neuroid_id"] = ("neuroid", ids)
        for end, name in enumerate(("time_bin_start", "time_bin_end")):
            coords[name] = ("time_bin", [bounds[end] for bounds in self.time_bins])
        values = np.stack([flat.values[:, place] for place in places], axis=-1)
        return assemblies.NeuroidAssembly(values, coords=coords, dims=(*flat.dims, "time_bin"))


def _split(name: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.+)-t(\d+)", name)
    return (match[1], int(match[2])) if match else (name, None)


def _check_time_bins(time_bins: TimeBins | None, passes: int) -> list[tuple[int, int]]:
    if time_bins is None:
        bounds = [round(bound) for bound in np.linspace(*RECORDED, passes + 1)]
        time_bins = list(zip(bounds[:-1], bounds[1:], strict=True))
    ends = np.asarray(time_bins)
    if (
        ends.shape != (passes, 2)
        or not np.array_equal(ends, ends.astype(int))
        or (ends[1:, 0] != ends[:-1, 1]).any()
        or (ends[:, 0] >= ends[:, 1]).any()
    ):
        raise ValueError(
            f"time_bins: wanted (start, end) in whole milliseconds for each of {passes} passes, each beginning where "
            f"the one before ends, got {list(time_bins)}."
        )
    return [(int(start), int(end)) for start, end in ends]


def _check_image_shape(model: CNNF, image_size: tuple[int, int] | None) -> tuple[int, int, int]:
    height, width, channels = model.image_shape
    shape = (height, width, channels) if image_size is None else (*image_size, channels)
    if None in shape or not model.accepts(shape):
        raise ValueError(f"image_size: wanted (height, width) of images {model.image_shape}, got {image_size}.")
    if channels not in (1, 3):
        raise ValueError(f"Brain-Score shows images of 1 or 3 channels; the model takes {channels}.")
    return shape


def _digest(model: CNNF, iterations: int) -> str:
    """Of what the activations depend on."""
    about = described(model) or json.dumps([type(model).__qualname__, model.get_config()], default=str, sort_keys=True)
    found = hashlib.sha256(f"{iterations} {about}".encode())
    for weights in model.get_weights():
        found.update(np.ascontiguousarray(weights).tobytes())
    return found.hexdigest()[:12]


def _brain_score(module: str) -> Any:
    return _import(f"brainscore_vision.{module}")


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this needs Brain-Score: pip install 'cnnf_tf[brainscore]', in an environment of its own, as it wants an "
            f"older NumPy ({error})."
        ) from error
