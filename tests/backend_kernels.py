"""The laws of a file of kernels, against brute force in NumPy, with the gradients of whatever Keras runs on."""

import contextlib
import itertools

import keras
import numpy as np
from keras import ops


def gradients(function, points, layer=None):
    """Of a scalar function of tensors, at the points and then of the trainable weights of a layer, as NumPy arrays."""
    variables = [] if layer is None else layer.trainable_variables
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        sources = [*points, *[variable.value for variable in variables]]
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = function(*points)
        found = tape.gradient(value, sources, unconnected_gradients="zero")
    elif backend == "jax":
        import jax

        def of_values(points, values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*points)

        found = sum(jax.jit(jax.grad(of_values, (0, 1)))(points, [variable.value for variable in variables]), [])
    else:
        import torch

        points = [point.detach().clone().requires_grad_() for point in points]
        sources = [*points, *[variable.value for variable in variables]]
        found = torch.autograd.grad(function(*points), sources, allow_unused=True, materialize_grads=True)
    return [ops.convert_to_numpy(gradient) for gradient in found]


_CONVOLUTIONS = [(1, 1, 3, (7, 8)), (1, 0, 2, (9, 6)), (2, 1, 3, (7, 8)), (2, 2, 5, (9, 6)), (3, 0, 1, (7, 8))]
"""Strides, zeros around, side of the kernel, sides of the image: some divide, others do not."""


def check(kernels):
    """All laws of a module of kernels, in float64."""
    with float64():
        _signs(kernels)
        for strides, pad, size, sides in _CONVOLUTIONS:
            _convolution(kernels, strides, pad, size, sides)
        matrix, units = np.random.default_rng(0).normal(size=(5, 3)), np.random.default_rng(1).normal(size=(2, 3))
        _equal(kernels.matmul_adjoint(as_tensor(units), as_tensor(matrix)), np.einsum("bu,iu->bi", units, matrix), 1e-6)
        _pools(kernels, 2, (6, 6))
        _pools(kernels, 3, (7, 8))
        if not kernels.__name__.endswith("plain"):
            _product(kernels)
    for dtype in ("float16", "bfloat16", "float32"):
        _dtypes(kernels, dtype)


@contextlib.contextmanager
def float64():
    """JAX has it on demand only."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def as_tensor(values):
    """Of an array, in its own dtype."""
    return ops.convert_to_tensor(values, values.dtype.name)


def _equal(found, expected, atol=1e-10):
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=max(1e-9, atol), atol=atol)


def _signs(kernels):
    numbers = np.array([-3.0, -1.0, -(2.0**-126), -0.0, 0.0, 2.0**-126, 1.0, 3.0])
    values, signal = (part.astype("float32") for part in np.array(list(itertools.product(numbers, numbers))).T)
    flipped = kernels.flip_where_negative(as_tensor(values), as_tensor(signal))
    if keras.backend.backend() == "tensorflow":  # whose smallest number may be flushed to zero, see kernels_test.py
        signal[np.abs(signal) < 2.0**-100] = 0
        flipped = kernels.flip_where_negative(as_tensor(values), as_tensor(signal))
    _equal(flipped, np.where(signal < 0, -values, values), 0)
    _equal(kernels.where_positive(as_tensor(values), as_tensor(signal)), np.where(signal > 0, values, 0), 0)
    signal = as_tensor(np.array([-1.0, 0.0, 1.0]))
    for function, expected in ((kernels.flip_where_negative, [-1, 1, 1]), (kernels.where_positive, [0, 0, 1])):
        total = lambda values, signal, apply=function: ops.sum(apply(values, signal))  # noqa: E731
        to_values, to_signal = gradients(total, [as_tensor(np.array([2.0, -3.0, 4.0])), signal])
        np.testing.assert_array_equal(to_values, expected)
        np.testing.assert_array_equal(to_signal, [0, 0, 0])


def _convolution(kernels, strides, pad, size, sides):
    rng = np.random.default_rng(0)
    features, kernel = rng.normal(size=(2, *sides, 3)), rng.normal(size=(size, size, 3, 4))
    padded = np.pad(features, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = ((side + 2 * pad - size) // strides + 1 for side in sides)
    expected = np.zeros((2, height, width, 4))
    for row, column in itertools.product(range(height), range(width)):
        top, left = row * strides, column * strides
        window = padded[:, top : top + size, left : left + size]
        expected[:, row, column] = np.einsum("bijc,ijcf->bf", window, kernel)
    _equal(kernels.conv2d(as_tensor(features), as_tensor(kernel), strides, pad), expected)
    signal = rng.normal(size=expected.shape)
    below = kernels.conv2d_adjoint(as_tensor(signal), as_tensor(kernel), strides, pad, (*sides, 3))
    assert tuple(below.shape) == (2, *sides, 3)
    _equal(np.sum(ops.convert_to_numpy(below) * features), np.sum(signal * expected))
    if (strides, size) == (2, 3):  # the gradient of the way down is that of the way up
        points, inside = [as_tensor(signal), as_tensor(kernel)], as_tensor(features)
        down = gradients(lambda g, w: ops.sum(inside * kernels.conv2d_adjoint(g, w, strides, pad, (*sides, 3))), points)
        up = gradients(lambda g, w: ops.sum(g * kernels.conv2d(inside, w, strides, pad)), points)
        for ours, theirs in zip(down, up, strict=True):
            _equal(ours, theirs)


def _pools(kernels, size, sides):
    rng = np.random.default_rng(0)
    features = rng.integers(-1, 2, size=(2, *sides, 3)).astype("float64")  # many ties
    height, width = (side // size for side in sides)
    signal, sign = rng.normal(size=(2, height, width, 3)), rng.integers(-1, 2, size=(2, height, width, 3)) * 1.0
    shape = (2, height, width, 3)
    largest, mean, picked = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    put, spread, chosen = (np.zeros_like(features) for _ in range(3))
    for image, row, column, channel in np.ndindex(shape):
        rows, columns = slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size)
        here, window = (image, row, column, channel), features[image, rows, columns, channel]
        largest[here], mean[here] = window.max(), window.mean()
        spread[image, rows, columns, channel] = signal[here]
        for values, target, what in ((window, put, signal[here]), (window * sign[here], chosen, abs(sign[here]))):
            first = np.unravel_index(np.argmax(values), window.shape)
            target[image, row * size + first[0], column * size + first[1], channel] = what
        picked[here] = np.sum(window * chosen[image, rows, columns, channel])
    latent = (put != 0).astype("float64")
    tensors = [as_tensor(values) for values in (features, signal, latent, sign)]
    features_, signal_, latent_, sign_ = tensors
    pooled = kernels.max_pool(features_, size)
    _equal(pooled, largest, 0)
    _equal(kernels.max_pool_adjoint(features_, pooled, signal_, size), put, 0)
    _equal(kernels.average_pool(features_, size), mean)
    _equal(kernels.sum_pool(features_, size), mean * size**2)
    _equal(kernels.upsample(signal_, size, sides), spread, 0)
    _equal(kernels.times_upsampled(features_, signal_, size), features * spread, 0)
    _equal(kernels.unpool(signal_, latent_, size), put, 0)
    for given, output, places in ((None, largest, latent), (sign_, picked, chosen)):
        found = kernels.adaptive_pool(features_, given, size)
        _equal(found[0], output)
        _equal(found[1], places, 0)
        (down,) = gradients(lambda x, s=given: ops.sum(signal_ * kernels.adaptive_pool(x, s, size)[0]), [features_])
        _equal(down, spread * places)
    weights = as_tensor(rng.normal(size=features.shape))
    (back,) = gradients(lambda s: ops.sum(weights * kernels.unpool(s, latent_, size)), [signal_])
    _equal(back, ops.convert_to_numpy(kernels.sum_pool(weights * latent_, size)))
    (back,) = gradients(lambda s: ops.sum(weights * kernels.upsample(s, size, sides)), [signal_])
    _equal(back, ops.convert_to_numpy(kernels.sum_pool(weights, size)))


def _product(kernels):
    """Nested points, of which one does not matter; differentiable in turn."""
    rng = np.random.default_rng(0)
    point, signal = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))

    def below(point):
        nest = {"a": [point], "b": ops.ones((2,), "float64")}
        return kernels.vector_jacobian_product(lambda nest: nest["a"][0] ** 3, nest, as_tensor(signal))

    found = below(as_tensor(point))
    _equal(found["a"][0], signal * 3 * point**2)
    _equal(found["b"], [0, 0])
    (second,) = gradients(lambda point: ops.sum(below(point)["a"][0]), [as_tensor(point)])
    _equal(second, signal * 6 * point)
    if keras.backend.backend() == "torch":  # where saved tensors have hooks there
        again = keras.remat(lambda point: below(point)["a"][0] + ops.sum(below(point)["b"]))
        (second,) = gradients(lambda point: ops.sum(again(point)), [as_tensor(point)])
        _equal(second, signal * 6 * point)


def _dtypes(kernels, dtype):
    """What goes in in a dtype comes out in it."""
    features, kernel = ops.ones((2, 6, 6, 3), dtype), ops.ones((3, 3, 3, 4), dtype)
    up = kernels.conv2d(features, kernel, 2, 1)
    down = kernels.conv2d_adjoint(up, kernel, 2, 1, (6, 6, 3))
    pooled, latent = kernels.adaptive_pool(down, None, 2)
    again, _ = kernels.adaptive_pool(down, ops.sign(pooled), 2)
    moved = kernels.flip_where_negative(kernels.unpool(again, latent, 2), down)
    ends = [kernels.where_positive(moved, down), kernels.average_pool(moved, 2), kernels.sum_pool(moved, 3)]
    for tensor in (up, down, pooled, latent, again, *ends):
        assert keras.backend.standardize_dtype(tensor.dtype) == dtype, (kernels.__name__, tensor.dtype)
        assert np.isfinite(ops.convert_to_numpy(ops.cast(tensor, "float32"))).all()
