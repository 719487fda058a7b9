"""Linear maps and their adjoints, by the backend that Keras runs on: one name, one file for each backend."""

import importlib

import keras

from cnnf_tf.utils.backend import BACKENDS

if keras.backend.backend() not in BACKENDS:
    raise ImportError(
        f"cnnf_tf runs on the Keras backends {', '.join(BACKENDS)}, got {keras.backend.backend()!r}; set "
        "KERAS_BACKEND before Keras is first imported."
    )
_kernels = importlib.import_module(f"{__name__}.{keras.backend.backend()}")

adaptive_pool = _kernels.adaptive_pool
average_pool = _kernels.average_pool
conv2d = _kernels.conv2d
conv2d_adjoint = _kernels.conv2d_adjoint
flip_where_negative = _kernels.flip_where_negative
matmul_adjoint = _kernels.matmul_adjoint
max_pool = _kernels.max_pool
max_pool_adjoint = _kernels.max_pool_adjoint
sum_pool = _kernels.sum_pool
times_upsampled = _kernels.times_upsampled
unpool = _kernels.unpool
upsample = _kernels.upsample
vector_jacobian_product = _kernels.vector_jacobian_product
where_positive = _kernels.where_positive

__all__ = [
    "adaptive_pool",
    "average_pool",
    "conv2d",
    "conv2d_adjoint",
    "flip_where_negative",
    "matmul_adjoint",
    "max_pool",
    "max_pool_adjoint",
    "sum_pool",
    "times_upsampled",
    "unpool",
    "upsample",
    "vector_jacobian_product",
    "where_positive",
]
