"""How much memory a batch takes, told from shapes before it takes it."""

import math

from cnnf_tf.utils.backend import need_tensorflow

need_tensorflow(__name__, "asks TensorFlow for GPUs", as_backend=False)

import tensorflow as tf

from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.networks import leaves
from cnnf_tf.utils.environment import bytes_text, free_memory


def check_memory(model: CNNF, batch_size: int, *, iterations: int, gradients: bool) -> None:
    """Raises ValueError if a batch cannot fit into the memory that is free; the system would kill the process.

    The estimate is that of the features: without gradients one pass of them, with gradients those of all passes (with
    `rematerialize`, one pass and what is handed on between them). Measured peaks of the shipped networks are within a
    third of it. A GPU is not looked at: TensorFlow says itself when its memory is full.

    Args:
      model: a built one. Of one for images of any size only the smallest can be told.
      batch_size: images in work at once.
      iterations: feedback passes to run.
      gradients: whether gradients go through all of them, as in training and attacks.
    """
    passes = 1.0
    if gradients:
        passes = 2 + 0.3 * iterations if model.rematerialize else 1 + 1.5 * iterations
    needed = passes * batch_size * feature_bytes(model)
    free = free_memory()
    if needed > free and not tf.config.list_physical_devices("GPU"):
        fits = max(1, math.floor(0.8 * batch_size * free / needed))
        raise ValueError(
            f"{batch_size:,} images at once, as in a batch of that size, take about {bytes_text(needed)} of memory, "
            f"and {bytes_text(free)} are free; give a batch size of at most {fits:,}."
        )


def feature_bytes(model: CNNF) -> int:
    """Bytes of the outputs of all layers for one image, in one pass up."""
    size = {"float64": 8, "float32": 4}.get(model.compute_dtype, 2)
    total = 0
    for part in filter(None, (model.encoder, model.network)):
        for leaf in leaves(part):
            shape = (leaf.get_build_config() or {}).get("input_shape")
            if shape:
                total += size * math.prod(side or 1 for side in leaf.output_shape_for(tuple(shape))[1:])
    return total
