"""Linear maps and their adjoints, by the backend that Keras runs on: one name, one file for each backend."""

import keras

if keras.backend.backend() == "jax":
    from cnnf_tf.layers.kernels import jax as _kernels
else:
    from cnnf_tf.layers.kernels import tensorflow as _kernels

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
    "where_positive",
]
