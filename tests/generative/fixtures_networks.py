"""Small networks in float64 on which the theorem of the generative model is exact, and random latents for them."""

import numpy as np

from cnnf_tf import layers
from cnnf_tf.generative import flatten_latents, latent_sites, nest_latents
from cnnf_tf.utils.dtypes import dtype_policy


def float64():
    """Layers made inside compute in float64."""
    return dtype_policy("float64")


def randomise(network, seed=0, scale=0.7):
    """Fixed random weights, the biases away from zero."""
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        variable.assign(rng.standard_normal(variable.shape) * scale)
    return network


def dense(rule="map", hidden=4, inputs=3, classes=3):
    """dense - AdaReLU - dense with bias."""
    with float64():
        network = layers.FeedbackSequential(
            [
                layers.FeedbackDense(hidden, name="fc1"),
                layers.AdaReLU(rule=rule, name="ada_relu"),
                layers.FeedbackDense(classes, use_bias=True, name="fc2"),
            ],
            name="dense_network",
        )
        network.build((None, inputs))
    return randomise(network)


def conv(rule="map", image_shape=(4, 4, 1), filters=2, classes=3):
    """conv - AdaReLU - AdaPool - flatten - dense - AdaReLU - dense with bias."""
    with float64():
        network = layers.FeedbackSequential(
            [
                layers.FeedbackConv2D(filters, name="conv1"),
                layers.AdaReLU(rule=rule, name="ada_relu1"),
                layers.AdaPool2D(name="ada_pool"),
                layers.FeedbackFlatten(name="flatten"),
                layers.FeedbackDense(3, name="fc1"),
                layers.AdaReLU(rule=rule, name="ada_relu2"),
                layers.FeedbackDense(classes, use_bias=True, name="fc2"),
            ],
            name="conv_network",
        )
        network.build((None, *image_shape))
    return randomise(network)


def everything():
    """Strides, left-over rows of a pool, taps, both residual blocks, adjoint average pooling; for 9x8x2."""
    with float64():
        network = layers.FeedbackSequential(
            [
                layers.FeedbackConv2D(3, name="conv1"),
                layers.Tap(layers.AdaReLU(name="ada_relu1"), name="tap1"),
                layers.AdaPool2D(name="ada_pool"),
                layers.FeedbackResidual(
                    [layers.AdaReLU(use_bias=False, name="rectifier"), layers.FeedbackConv2D(3)], name="identity_block"
                ),
                layers.FeedbackResidual(
                    [layers.FeedbackConv2D(4, strides=2), layers.AdaReLU(name="rectifier")],
                    [layers.FeedbackConv2D(4, 1, strides=2), layers.Tap(layers.AdaReLU(name="rectifier"), name="tap")],
                    name="block",
                ),
                layers.Tap(name="bare_tap"),
                layers.FeedbackAveragePooling2D(2, adjoint=True, name="average_pool"),
                layers.FeedbackFlatten(name="flatten"),
                layers.FeedbackDense(3, use_bias=True, name="fc"),
            ],
            name="network",
        )
        network.build((None, 9, 8, 2))
    return randomise(network)


NETWORKS = {"dense": dense, "conv": conv, "everything": everything}


def features(network, count, seed=1):
    """Random h."""
    return np.random.default_rng(seed).standard_normal((count, *network.get_build_config()["input_shape"][1:]))


def random_latents(network, count, seed=2):
    """Every latent a fair coin: any number of ones in a pool's window."""
    rng = np.random.default_rng(seed)
    draws = {site.name: rng.integers(0, 2, (count, *site.shape)).astype("float64") for site in latent_sites(network)}
    return nest_latents(network, draws)


def one_hot(label, network):
    """`[batch, classes]` in float64."""
    return np.eye(network.layers[-1].units)[label]


def symmetric(classes=4):
    """A network with constancy built in: its four classes are one template and its three mirror images.

    Kernels that equal their own mirror images commute with mirroring, and so do AdaReLU and AdaPool under latents that
    equal theirs. So g(i; y, z) of the four classes are mirror images of each other, at every layer: |g(0)|^2 and
    sum softplus(b g) are the same for all. Here classes are (identity, left-right, up-down, both).
    """
    with float64():
        network = layers.FeedbackSequential(
            [
                layers.FeedbackConv2D(2, name="conv1"),
                layers.AdaReLU(name="ada_relu1"),
                layers.AdaPool2D(name="ada_pool"),
                layers.FeedbackConv2D(3, name="conv2"),
                layers.AdaReLU(name="ada_relu2"),
                layers.FeedbackFlatten(name="flatten"),
                layers.FeedbackDense(classes, use_bias=True, name="fc"),
            ],
            name="symmetric_network",
        )
        network.build((None, 4, 8, 1))
    randomise(network, seed=4)
    for conv in (network.layers[0], network.layers[3]):
        conv.kernel.assign(_mirrored_mean(conv.kernel.numpy(), (0, 1)))
    template = np.random.default_rng(5).standard_normal((2, 4, 3))
    mirrors = [template, template[:, ::-1], template[::-1], template[::-1, ::-1]]
    network.layers[-1].kernel.assign(np.stack([mirror.reshape(-1) for mirror in mirrors], axis=-1))
    return network


def _mirrored_mean(values, axes):
    """The mean of an array and its mirror images."""
    for axis in axes:
        values = (values + np.flip(values, axis)) / 2
    return values


def symmetric_latents(network, count):
    """Random latents that equal their own mirror images."""
    latents = flatten_latents(network, random_latents(network, count))
    top_left = {name: z[:, : z.shape[1] // 2, : z.shape[2] // 2] for name, z in latents.items()}
    top = {name: np.concatenate([z, z[:, :, ::-1]], axis=2) for name, z in top_left.items()}
    return nest_latents(network, {name: np.concatenate([z, z[:, ::-1]], axis=1) for name, z in top.items()})
