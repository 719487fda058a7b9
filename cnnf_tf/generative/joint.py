"""The generative model as one of TFP's joint distributions."""

import re
from collections.abc import Generator
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from cnnf_tf.layers.base import Tensor

tfd = tfp.distributions


def joint_distribution(model: Any) -> Any:
    """Builds a `tfd.JointDistributionCoroutine`; see `DeconvolutionalGenerativeModel.joint_distribution`."""

    @tf.autograph.experimental.do_not_convert
    def parts() -> Generator[Any, Any, None]:
        label = yield tfd.JointDistributionCoroutine.Root(model.prior)
        # The network wants one batch dimension: sample shapes are folded into it on the way in and unfolded again.
        sample_shape = tf.shape(label)
        walk, latent = model.walk(tf.reshape(label, [-1])), None
        while True:
            try:
                site, distribution = walk.send(latent)
            except StopIteration as stop:
                reconstruction, _ = stop.value
                break
            logits = _unfold(distribution.distribution.logits, sample_shape)
            bernoulli = tfd.Bernoulli(logits=logits, dtype=logits.dtype)
            value = yield tfd.Independent(bernoulli, len(site.shape), name=identifier(site.name))
            latent = tf.reshape(value, [-1, *site.shape])
        yield model.features_distribution(_unfold(reconstruction, sample_shape))

    return tfd.JointDistributionCoroutine(parts, name=identifier(model.network.name))


def identifier(name: str) -> str:
    """A layer's name as the name of a field."""
    return re.sub(r"\W|^(?=\d)", "_", name)


def _unfold(values: Tensor, sample_shape: Tensor) -> Tensor:
    """`[samples, *event]` to `[*sample_shape, *event]`."""
    return tf.reshape(values, tf.concat([sample_shape, values.shape[1:]], 0))
