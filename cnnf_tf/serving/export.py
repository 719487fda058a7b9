"""From a model to a numbered SavedModel directory that TensorFlow Serving can take as it is."""

import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF
from cnnf_tf.serving.server_files import warmup_records, write_config_files
from cnnf_tf.serving.signatures import ServingOptions, write_module
from cnnf_tf.serving.verification import expected_cases, verify
from cnnf_tf.serving.versions import new_version
from cnnf_tf.utils.files import plainly_named
from cnnf_tf.version import __version__


class Exported(NamedTuple):
    """What an export wrote."""

    directory: pathlib.Path
    """The version directory, `BASE/VERSION`."""
    differences: dict[str, float]
    """For each loader that was tried, the largest difference from the original model."""
    config_files: list[pathlib.Path]
    """The configuration files written; those that existed were kept."""


def export_model(
    model: CNNF,
    base: str | os.PathLike[str],
    *,
    options: ServingOptions,
    class_names: Sequence[str],
    images: np.ndarray,
    name: str | None = None,
    version: int | None = None,
    overwrite: bool = False,
) -> Exported:
    """Writes `BASE/VERSION`, verifies it, and only then lets it be seen.

    The model is written to a temporary folder, reloaded in two fresh processes (`tf.saved_model.load`, and TensorFlow's
    C API), and compared with the original on `images`. If anything fails, nothing is left behind.

    Args:
      model: the model to serve.
      base: folder of the versions; made if need be. `models.config` and `batching.config` go there too.
      options: defaults and limits fixed at export.
      class_names: one name for each class of the model.
      images: real images to verify with, float32 in [0, 1], `[batch, *image_shape]`.
      name: the model's name in requests; by default the last part of `base`.
      version: number of the version; by default the highest plus one.
      overwrite: whether `version` may exist already.

    Raises:
      ValueError: class names, images, model name or version that do not fit.
      FileExistsError: the version exists.
      VerificationError: the written model computes something else, or does not load.
      ImportError: tensorflow-serving-api is not installed.
    """
    base = pathlib.Path(base).absolute()
    name = base.name if name is None else name
    images = np.asarray(images)
    _check(model, name, images, class_names)
    records = warmup_records(name, images, options)
    with new_version(base, version=version, overwrite=overwrite) as (new, target), plainly_named(new) as temporary:
        write_module(model, temporary, options, class_names)
        extra = temporary / "assets.extra"
        extra.mkdir()
        with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
            for record in records:
                writer.write(record)
        facts = {
            "cnnf_tf": __version__,
            "tensorflow": tf.__version__,
            "model": name,
            "image_shape": list(model.image_shape),
            "readout": model.readout,
            "eta": model.reported_eta(),
            "trained_iterations": model.iterations,
            **vars(options),
        }
        (extra / "export.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        with tf.device("/CPU:0"):
            cases = expected_cases(model, options, images)
        differences = verify(temporary, cases)
    return Exported(target, differences, write_config_files(base, name, options))


def _check(model: CNNF, name: str, images: np.ndarray, class_names: Sequence[str]) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"the model name must consist of letters, digits and _ . - (letter or digit first), got {name!r}."
        )
    check_images_and_names(model, images, class_names)


def check_images_and_names(model: CNNF, images: np.ndarray, class_names: Sequence[str]) -> None:
    """Raises ValueError unless the model takes the images, and has as many classes as there are names."""
    if images.dtype != np.float32 or not model.accepts(images.shape[1:]) or not len(images):
        raise ValueError(
            f"the images to verify with must be float32 [batch, {', '.join(map(str, model.image_shape))}], at least "
            f"one; got {images.dtype} {images.shape}."
        )
    if len(class_names) != model.num_classes:
        raise ValueError(
            f"the model has {model.num_classes} classes and wants as many names, got {len(class_names)}: "
            f"{', '.join(class_names)}."
        )
    for class_name in class_names:
        if not class_name.strip() or len(class_name.splitlines()) != 1:
            raise ValueError(f"a class name must be one line that is not blank, got {class_name!r}.")
