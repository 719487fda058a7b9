"""The tiny model, exported once for all tests of a process."""

import atexit
import functools
import pathlib
import shutil
import tempfile

import numpy as np

from cnnf_tf import CNNF, serving
from tests.models import fixtures_models

NAME = "tiny"
CLASS_NAMES = ("circle", "square", "a third")
LIMITS = {"max_iterations": 4, "chunk_size": 4, "max_images": 20}


@functools.cache
def model() -> CNNF:
    """K = 2, readout "average"."""
    return fixtures_models.model(readout="average")


def options() -> serving.ServingOptions:
    """Small limits, so that tests reach them."""
    return serving.ServingOptions.for_model(model(), **LIMITS)


@functools.cache
def result() -> serving.Exported:
    """Version 1 in a folder that is removed when the process ends."""
    base = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    images = fixtures_models.images(6).numpy()
    return serving.export_model(
        model(), base / NAME, options=options(), class_names=CLASS_NAMES, images=images, name=NAME
    )


def base() -> pathlib.Path:
    """The folder of the versions."""
    return result().directory.parent


def pixels(count: int, seed: int = 0) -> np.ndarray:
    """Random uint8 images."""
    return np.random.default_rng(seed).integers(0, 256, (count, *fixtures_models.IMAGE_SHAPE), np.uint8)
