"""What tests run with Keras on JAX, in a process of its own: `KERAS_BACKEND=jax python -m tests.jax_backend CHECK`.

It needs no TensorFlow. tests/layers/jax_kernels_test.py and tests/models/jax_golden_test.py start it.
"""

import functools
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from cnnf_tf.layers import kernels  # noqa: E402


def _windows(size, sides):
    return itertools.product(range(sides[0] // size), range(sides[1] // size))


def signs():
    numbers = np.array([-3.0, -1.0, -(2.0**-126), -0.0, 0.0, 2.0**-126, 1.0, 3.0])
    values, signal = (part.astype("float32") for part in np.array(list(itertools.product(numbers, numbers))).T)
    np.testing.assert_array_equal(kernels.flip_where_negative(values, signal), np.where(signal < 0, -values, values))
    np.testing.assert_array_equal(kernels.where_positive(values, signal), np.where(signal > 0, values, 0))
    for function, expected in ((kernels.flip_where_negative, [-1, 1, 1]), (kernels.where_positive, [0, 0, 1])):
        arguments = jnp.array([2.0, -3.0, 4.0]), jnp.array([-1.0, 0.0, 1.0])
        to_values, to_signal = jax.grad(lambda v, s, f=function: f(v, s).sum(), (0, 1))(*arguments)
        np.testing.assert_array_equal(to_values, expected)
        np.testing.assert_array_equal(to_signal, [0, 0, 0])


def convolutions():
    for strides, pad, size, sides in itertools.product((1, 2, 3), (0, 1, 2), (1, 3, 5), ((7, 8), (9, 6))):
        _convolution(strides, pad, size, sides)


def _convolution(strides, pad, size, sides):
    rng = np.random.default_rng(0)
    features, kernel = rng.normal(size=(2, *sides, 3)), rng.normal(size=(size, size, 3, 4))
    padded = np.pad(features, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = ((side + 2 * pad - size) // strides + 1 for side in sides)
    expected = np.zeros((2, height, width, 4))
    for row, column in itertools.product(range(height), range(width)):
        top, left = row * strides, column * strides
        window = padded[:, top : top + size, left : left + size]
        expected[:, row, column] = np.einsum("bijc,ijcf->bf", window, kernel)
    np.testing.assert_allclose(kernels.conv2d(features, kernel, strides, pad), expected, rtol=1e-10, atol=1e-10)
    signal = jnp.array(rng.normal(size=expected.shape))

    def adjoint(kernel):
        return kernels.conv2d_adjoint(signal, kernel, strides, pad, (*sides, 3))

    assert adjoint(kernel).shape == (2, *sides, 3)
    np.testing.assert_allclose(np.sum(adjoint(kernel) * features), np.sum(signal * expected), rtol=1e-9, atol=1e-9)
    down = jax.grad(lambda kernel: jnp.sum(adjoint(kernel)))(kernel)
    up = jax.grad(lambda kernel: jnp.sum(signal * kernels.conv2d(jnp.ones_like(features), kernel, strides, pad)))(
        kernel
    )
    np.testing.assert_allclose(down, up, rtol=1e-9, atol=1e-9)


def dense():
    rng = np.random.default_rng(0)
    features, kernel, signal = (rng.normal(size=shape) for shape in ((2, 5), (5, 3), (2, 3)))
    np.testing.assert_allclose(
        np.sum(kernels.matmul_adjoint(signal, kernel) * features), np.sum(signal * (features @ kernel)), rtol=1e-12
    )


def pools():
    for size, sides in itertools.product((2, 3), ((6, 6), (7, 8))):
        rng = np.random.default_rng(0)
        features = rng.integers(-1, 2, size=(2, *sides, 3)).astype("float64")  # many ties
        height, width = (side // size for side in sides)
        largest, mean, latent = (np.zeros((2, height, width, 3)) for _ in range(2)), None, np.zeros_like(features)
        largest, mean = largest
        signal = rng.normal(size=(2, height, width, 3))
        put, spread = np.zeros_like(features), np.zeros_like(features)
        for row, column in _windows(size, sides):
            rows, columns = slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size)
            spread[:, rows, columns] = signal[:, row, column][:, None, None]
            for image, channel in itertools.product(range(2), range(3)):
                window = features[image, rows, columns, channel]
                first = np.unravel_index(np.argmax(window), window.shape)
                largest[image, row, column, channel], mean[image, row, column, channel] = window.max(), window.mean()
                place = image, row * size + first[0], column * size + first[1], channel
                put[place], latent[place] = signal[image, row, column, channel], 1
        pooled = kernels.max_pool(features, size)
        np.testing.assert_array_equal(pooled, largest)
        np.testing.assert_array_equal(kernels.max_pool_adjoint(features, pooled, jnp.array(signal), size), put)
        np.testing.assert_allclose(kernels.average_pool(features, size), mean, atol=1e-12)
        np.testing.assert_allclose(kernels.sum_pool(features, size), mean * size**2, atol=1e-12)
        np.testing.assert_array_equal(kernels.upsample(jnp.array(signal), size, sides), spread)
        np.testing.assert_array_equal(kernels.times_upsampled(features, jnp.array(signal), size), features * spread)
        np.testing.assert_array_equal(kernels.unpool(jnp.array(signal), latent, size), put)
        up = jnp.array(rng.normal(size=features.shape))
        (back,) = jax.vjp(lambda s, z=latent, n=size: kernels.unpool(s, z, n), jnp.array(signal))[1](up)
        np.testing.assert_allclose(back, kernels.sum_pool(up * latent, size), atol=1e-12)


def gradients():
    """Of a whole unrolled loop, with taps, a burn-in and every rule, against finite differences; and rematerialised."""
    import keras

    from cnnf_tf.models.networks import fashion_cnn
    from cnnf_tf.models.objective import trajectory_losses
    from cnnf_tf.models.unroll import unroll

    keras.ops.mean = jnp.mean  # that of Keras averages float64 in float32 on JAX
    keras.config.set_dtype_policy("float64")
    for rule in ("map", "slide", "reference"):
        keras.utils.set_random_seed(0)
        network = fashion_cnn(rule=rule).network
        network.build((None, 8, 8, 1))
        images = jnp.array(np.random.default_rng(0).normal(size=(2, 8, 8, 1)))

        def loss(images, kernel, burn_in, network=network, **options):
            with keras.StatelessScope(state_mapping=[(network.layers[0].kernel, kernel)]):
                trajectory = unroll(network, images, iterations=2, eta=0.1, burn_in=burn_in, **options)
                return trajectory_losses(
                    trajectory, lambda logits: jnp.mean(jnp.square(logits)), reconstruction_weight=0.1
                ).total

        def along(images, kernel, burn_in, rng):
            found = jax.jit(jax.grad(loss, (0, 1)))(images, kernel, burn_in)
            for index, argument in enumerate((images, kernel)):
                direction = rng.normal(size=argument.shape)
                both = []
                for sign in (1, -1):
                    moved = [images, kernel]
                    moved[index] = argument + sign * 1e-8 * direction  # few latents flip on the way
                    both.append(loss(*moved, burn_in))
                np.testing.assert_allclose(
                    np.sum(found[index] * direction), (both[0] - both[1]) / 2e-8, rtol=1e-4, atol=1e-6
                )

        along(images, network.layers[0].kernel.value, None, np.random.default_rng(1))
        arguments = images, network.layers[0].kernel.value, jnp.array(3)
        kept = jax.jit(jax.grad(loss, (0, 1)))(*arguments)
        again = jax.jit(jax.grad(functools.partial(loss, rematerialize=True), (0, 1)))(*arguments)
        for ours, theirs in zip(again, kept, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def screening():
    """The screening's loop under `lax.scan` and its objective are those of the models."""
    import keras

    from cnnf_tf.experiments.screening import images as images_lib
    from cnnf_tf.experiments.screening import training
    from cnnf_tf.experiments.screening.loop import Model
    from cnnf_tf.experiments.screening.recipes import Recipe
    from cnnf_tf.models.networks import fashion_cnn
    from cnnf_tf.models.objective import trajectory_losses
    from cnnf_tf.models.unroll import unroll

    recipe = Recipe("test", "", iterations=2, horizon=7, reconstruction_weight=0.3)
    model = Model(recipe, (12, 12, 1), 0)
    keras.utils.set_random_seed(0)
    network = fashion_cnn().network
    network.build((None, 12, 12, 1))
    images = jnp.array(np.random.default_rng(0).uniform(size=(4, 12, 12, 1)), jnp.float32)
    labels = jnp.array([0, 3, 9, 3])

    def cross_entropy(logits):
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(4), labels])

    trajectory = unroll(network, images * 2 - 1, iterations=2, eta=0.1, burn_in=jnp.array(3))
    expected = trajectory_losses(trajectory, cross_entropy, reconstruction_weight=0.3).total
    numbers = training.numbers_of(recipe, 10)
    found, _ = training._loss(model, recipe, 2, numbers, model.initial(), images, images, labels, jnp.array(3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    grey = jnp.full((64, 28, 28, 1), 128, jnp.uint8)
    for name in images_lib.CORRUPTIONS:
        noisy = images_lib.corrupt(jax.random.key(0), grey, name, 3)
        assert noisy.dtype == jnp.uint8
        change = np.asarray(noisy, "float64") / 255 - 128 / 255
        if name != "dotted_line":
            deviation = {"shot_noise": np.sqrt(0.502 / 12), "gaussian_noise": 0.18}[name]
            np.testing.assert_allclose((change.mean() + 1, change.std() / deviation), 1, atol=0.05)
        else:
            np.testing.assert_allclose((change.min(), change.mean()), (0, 0.05), atol=0.045)


def golden(name):
    import keras

    from cnnf_tf.zoo import reference
    from tests import golden_files

    make_state, ind, iterations = golden_files.FILES[name]
    images, expected = golden_files.load(name)
    model = reference.from_state_dict(make_state(), ind=ind, iterations=iterations)
    assert keras.backend.backend() == "jax"
    for infer in (model.infer, jax.jit(lambda images: model.infer(images)._replace(latents=[], signals=[]))):
        arrays = golden_files.named_arrays(infer(jnp.asarray(images, "float32")))
        assert arrays.keys() == expected.keys()
        for key, values in expected.items():
            error = golden_files.relative_error(arrays[key], values)
            assert error < golden_files.TOLERANCE, (key, error)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write("passed\n")
