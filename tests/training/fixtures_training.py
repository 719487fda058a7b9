"""Small things that the tests of training share: a data set of 8x8 images, configurations for it, tiny networks."""

import atexit
import functools
import gzip
import pathlib
import shutil
import tempfile
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from cnnf_tf import CNNF, layers, training
from cnnf_tf.data.sources import idx
from cnnf_tf.models.networks import NETWORKS, Network
from configs import fashion_mnist_adversarial, fashion_mnist_restore, fashion_mnist_standard
from tests.reference_data import TESTDATA

IMAGE_SHAPE = (8, 8, 1)
_SMOKE = {
    "standard": fashion_mnist_standard,
    "adversarial": fashion_mnist_adversarial,
    "restore": fashion_mnist_restore,
}


@functools.cache
def data() -> str:
    """Name of a data set: every third pixel of the first images of Fashion-MNIST, 64 to train and 32 to test.

    Noise takes the place of the black background. Where an image is flat, the pixels of a pooling window are equal up
    to rounding, which then decides where the feedback goes: runs that should agree to 1e-5 would differ by 1e-3.
    """
    rng = np.random.default_rng(0)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cnnf-tf-test-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for split, count in (("train", 64), ("test", 32)):
        images, labels = idx.FILE_STEMS[split]
        source = TESTDATA / "fashion_mnist_mini"
        pixels = idx.read_images(source / f"{images}.gz")[:count, 2:26:3, 2:26:3]
        pixels = np.maximum(pixels, rng.integers(64, size=pixels.shape, dtype=np.uint8))
        (folder / f"{images}.gz").write_bytes(gzip.compress(idx.encode(np.ascontiguousarray(pixels))))
        (folder / f"{labels}.gz").write_bytes(
            gzip.compress(idx.encode(idx.read_labels(source / f"{labels}.gz")[:count]))
        )
    return f"idx:{folder}"


def values(kind: str = "standard", **changes) -> dict[str, object]:
    """What to change in the smoke variant of a configuration, by dotted names.

    Args:
      kind: "standard", "adversarial" or "restore".
      **changes: further changes, with a double underscore for the dot.
    """
    found: dict[str, object] = {"data.name": data(), "data.batch_size": 8, "train.optimizer.schedule": "constant"}
    if kind == "adversarial":
        found |= {"adversarial.steps": 1, "adversarial.robust_steps": 1, "train.optimizer.schedule": "poly"}
    return found | {name.replace("__", "."): value for name, value in changes.items()}


def config(kind: str = "standard", **changes):
    """That configuration."""
    found = _SMOKE[kind].get_config("smoke").copy_and_resolve_references()
    found.unlock()
    for name, value in values(kind, **changes).items():
        node = found
        *path, last = name.split(".")
        for part in path:
            node = node[part]
        node[last] = value
    return found


def arguments(kind: str = "standard", **changes) -> list[str]:
    """That configuration as arguments of bin/train.py."""
    name = "fashion_mnist_" + kind
    chosen = [f"--config.{key}={value}" for key, value in values(kind, **changes).items()]
    return [f"--config=configs/{name}.py:smoke", *chosen]


def network(*, num_classes: int, encoder_blocks: int = 0, rule: str = "reference", taps: bool = True) -> Network:
    """One convolution, with a tap and no encoder."""
    del encoder_blocks
    rectifier = layers.AdaReLU(rule=rule, name="ada_relu")
    policy = keras.config.dtype_policy()
    half = policy.compute_dtype in ("float16", "bfloat16")
    sequence = [
        layers.FeedbackConv2D(3, name="conv"),
        layers.InstanceNorm(down=False, name="norm_up"),
        layers.Tap(rectifier, name="tap") if taps else rectifier,
        layers.AdaPool2D(rule=rule, name="ada_pool"),
        layers.FeedbackFlatten(name="flatten"),
        layers.FeedbackDense(num_classes, use_bias=True, name="fc", dtype=policy.variable_dtype if half else policy),
    ]
    return Network(None, layers.FeedbackSequential(sequence, name="network"))


def model(*, seed: int = 0, **kwargs) -> CNNF:
    """A CNNF of that network for three classes, with fixed random weights."""
    keras.utils.set_random_seed(seed)
    options = {"image_shape": IMAGE_SHAPE, "iterations": 1, "eta": 0.1} | kwargs
    return CNNF(network(num_classes=3).network, **options)


def run(config, workdir, **kwargs):
    """`training.run`, but the network is the small one above."""
    with mock.patch.dict(NETWORKS, {config.model.name: network}):
        return training.run(config, workdir, **kwargs)


@functools.cache
def mirrored() -> tf.distribute.Strategy:
    """Two replicas on logical CPUs, with numbers of collective operations that no strategy of other tests has."""
    with mock.patch.object(tf.distribute.MirroredStrategy, "_collective_key_base", 10_000):
        return training.build_strategy("mirrored", devices=2)


def batches(count: int, size: int = 8, seed: int = 0) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Random images and labels for `model`."""
    rng = np.random.default_rng(seed)
    return [
        (
            tf.constant(rng.random((size, *IMAGE_SHAPE)), tf.float32),
            tf.constant(rng.integers(0, 3, size), tf.int32),
        )
        for _ in range(count)
    ]


def tags(folder: pathlib.Path) -> dict[str, list]:
    """What TensorBoard files hold: `train/loss` and the like, each with its steps."""
    found = {}
    for path in folder.rglob("events.out.tfevents*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.setdefault(f"{path.parent.name}/{value.tag}", []).append((event.step, value.tensor))
    return found
