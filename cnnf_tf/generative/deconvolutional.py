"""The deconvolutional generative model (DGM): what the feedback of a CNN-F renders (paper section 2.2).

    y       ~ Categorical(p(y))                                the label
    g(L)    = W(L)^T y                                         the class template, y one-hot
    z(i)    ~ Bernoulli(logits = b(i) * g(i))                  z_R of every AdaReLU, z_P of every AdaPool (its b is 0)
    g(i-1)  = W(i)^T (z_R(i) * unpool(z_P(i), g(i)))           the layers' `feedback`
    h       ~ Normal(g(0), diag(sigma^2))                      pixels, or the features the network starts from

    log p(h, y, z) = log p(y) + sum_i sum_j [z_ij b_ij g_ij - softplus(b_ij g_ij)] + log Normal(h; g(0), sigma^2)

Symbols to names: y label, z latents, g signals, g(0) reconstruction, h features, sigma scale, b the bias of AdaReLU.
"""

import functools
import re
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from cnnf_tf.generative.latents import LatentSite, flatten_latents, input_shape, latent_sites
from cnnf_tf.generative.model_arguments import (
    check_binary,
    check_features,
    check_labels,
    check_prior,
    check_scale,
    stateless_seed,
)
from cnnf_tf.layers import FeedbackComposite
from cnnf_tf.layers.base import Tensor
from cnnf_tf.models import leaves
from cnnf_tf.utils.validation import positive_int

tfd = tfp.distributions


class Sample(NamedTuple):
    """A draw from the model."""

    label: Tensor
    """y, int32 `[n]`."""
    latents: Any
    """z, nested as the network returns them."""
    features: Tensor
    """h, `[n, ...]`."""


_plain_python = tf.autograph.experimental.do_not_convert  # AutoGraph cannot convert generators, nor need it


class DeconvolutionalGenerativeModel(keras.layers.Layer):
    """The generative model of a network, on the network's own weights; a Keras layer so that its variables are tracked.

    Conventions (docs/theory.md has the reasons). The bias c of the last dense layer does nothing going down; it is the
    label prior: p(y) = softmax(c). Bernoulli logits are b * g whatever the scale. With these two, and constancy,
    p(y | h, z) = softmax(linear_forward(h / sigma^2; z)); for one sigma, that is softmax(logits / sigma^2) of the CNN
    whose biases (c among them) are sigma^2 times as large, and for sigma = 1 the plain CNN.

    Warns once, at construction, if the network is not exactly the adjoint of the model (instance normalisation, ...):
    the distribution is well defined all the same, but the theorem holds only approximately.

    Args:
      network: a built `FeedbackComposite` from h to the logits; its weights are used, not copied.
      prior: p(y), `[classes]` positive probabilities; None ties it to the last bias, softmax(c), uniform without one.
      scale: sigma > 0 in units of h: a number, or an array that broadcasts to the shape of h.
      trainable_scale: make log(sigma) a trainable weight.

    Raises:
      ValueError: an argument out of its range, a network that is not built or does not end in logits.
    """

    def __init__(
        self,
        network: FeedbackComposite,
        prior: Any = None,
        scale: Any = 1.0,
        *,
        trainable_scale: bool = False,
        **kwargs: Any,
    ):
        shape = input_shape(network)
        super().__init__(**({"dtype": network.variable_dtype} | kwargs))
        self.features_shape = shape
        logits_shape = network.output_shape_for((None, *shape))
        if len(logits_shape) != 2:
            raise ValueError(f"the network must end in logits [batch, classes], but ends in shape {logits_shape}.")
        self.network = network
        self.num_classes = int(logits_shape[-1])
        taken = {"label", "features"} & {site.name for site in self.sites}
        if taken:
            raise ValueError(f"{sorted(taken)} name terms of the model; give these layers of the network other names.")
        self._log_prior = None if prior is None else np.log(check_prior(prior, self.num_classes))
        sigma = check_scale(scale, shape)
        self._log_scale = self.add_weight(
            shape=sigma.shape,
            initializer=lambda _, dtype=None: tf.constant(np.log(sigma), dtype),
            trainable=bool(trainable_scale),
            name="log_scale",
        )
        self.built = True
        reasons = inexactness(network)
        if reasons:
            warnings.warn(
                f"the generative model of {network.name!r} is defined, but its CNN is not exactly the model's "
                f"inference: {'; '.join(reasons)}.",
                stacklevel=2,
            )

    @functools.cached_property
    def sites(self) -> tuple[LatentSite, ...]:
        """The layers of latents, bottom to top."""
        return tuple(latent_sites(self.network))

    # The distributions.

    @property
    def _probability_dtype(self) -> str:
        """Half precision is no good for sums of many logarithms."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    @property
    def scale(self) -> Tensor:
        """sigma, positive, a scalar or broadcasting to h."""
        return tf.exp(tf.cast(tf.convert_to_tensor(self._log_scale), self._probability_dtype))

    @property
    def prior(self) -> Any:
        """p(y), a `tfd.Categorical` over int32 class ids."""
        choices = (self._log_prior, self.network.output_bias, np.zeros(self.num_classes))
        logits = tf.convert_to_tensor(next(choice for choice in choices if choice is not None))
        return tfd.Categorical(logits=tf.cast(logits, self._probability_dtype), name="label")

    def latent_distribution(self, site: LatentSite, signal: Tensor) -> Any:
        """Bernoulli(logits = b * g) of one layer's z, one event for each example; g at the layer's output side."""
        logits = site.layer.latent_logits(tf.cast(signal, self._probability_dtype))
        return tfd.Independent(tfd.Bernoulli(logits=logits, dtype=logits.dtype), len(site.shape), name=site.name)

    def features_distribution(self, reconstruction: Tensor) -> Any:
        """Normal(g(0), sigma) with a diagonal scale, one event of the shape of h for each example."""
        mean = tf.cast(reconstruction, self._probability_dtype)
        return tfd.Independent(tfd.Normal(mean, self.scale), len(self.features_shape), name="features")

    def walk(self, label: Tensor, answer: Callable[[LatentSite, Any], Tensor]) -> tuple[Tensor, Any]:
        """Down from class ids `[batch]`: `answer(site, distribution of its z)` gives z; returns g(0) and nested z."""
        dtype, sites = self.network.compute_dtype, iter(reversed(self.sites))

        def latent(signal: Tensor) -> Tensor:
            site = next(sites)
            return tf.cast(answer(site, self.latent_distribution(site, signal)), dtype)

        return answer_all(self.network.descend(tf.one_hot(label, self.num_classes, dtype=dtype)), latent)

    # Sampling and rendering.

    @_plain_python
    def sample(self, n: int, label: Any = None, *, seed: Any) -> Sample:
        """Ancestral samples, top down.

        Args:
          n: how many, >= 1.
          label: class ids to condition on, a scalar or `[n]`; None draws them from the prior.
          seed: an int, or a stateless seed of two ints; equal seeds give equal samples.

        Raises:
          ValueError: a bad `n`, `label` or `seed`.
        """
        positive_int("n", n)
        label_seed, features_seed, *seeds = tfp.random.split_seed(stateless_seed(seed), 2 + len(self.sites))
        label = self.prior.sample(n, seed=label_seed) if label is None else self._batched(label, n)
        remaining = iter(seeds)
        reconstruction, latents = self.walk(label, lambda _, z: z.sample(seed=next(remaining)))
        return Sample(label, latents, self.features_distribution(reconstruction).sample(seed=features_seed))

    @_plain_python
    def reconstruct(self, label: Any, latents: Any) -> Tensor:
        """g(0; y, z), `[batch, ...]`: the mean, and the mode, of h given label and latents."""
        values = flatten_latents(self.network, latents)
        batch_size = tf.shape(next(iter(values.values())))[0] if values else tf.size(label)
        label = self._batched(label, batch_size)
        return self.network.feedback(tf.one_hot(label, self.num_classes, dtype=self.network.compute_dtype), latents)[0]

    # Log-probabilities.

    @_plain_python
    def log_prob_terms(self, features: Tensor, label: Any, latents: Any) -> dict[str, Tensor]:
        """The terms of log p(h, y, z) in nats, each `[batch]`, by name and top down.

        Args:
          features: h, `[batch, ...]`.
          label: class ids, a scalar or `[batch]`.
          latents: z in {0, 1}, nested as the network returns them; any number of ones in a window of a pool.

        Returns:
          `{"label": log p(y), <layer name>: log p(z of that layer | what is above), ..., "features": log p(h | y, z)}`.

        Raises:
          ValueError: features or latents of another network, label out of range, of a wrong shape or dtype.
          tf.errors.InvalidArgumentError: latents other than 0 and 1.
        """
        features = check_features(features, self.features_shape)
        values = {name: check_binary(name, value) for name, value in flatten_latents(self.network, latents).items()}
        for name, latent in values.items():
            if None not in (features.shape[0], latent.shape[0]) and features.shape[0] != latent.shape[0]:
                raise ValueError(
                    f"features and latents must be of one batch, got {features.shape[0]} features and latents of "
                    f"{name!r} for {latent.shape[0]}."
                )
        label = self._batched(label, tf.shape(features)[0])
        terms = {"label": self.prior.log_prob(label)}

        def answer(site: LatentSite, distribution: Any) -> Tensor:
            terms[site.name] = distribution.log_prob(tf.cast(values[site.name], distribution.dtype))
            return values[site.name]

        reconstruction, _ = self.walk(label, answer)
        distribution = self.features_distribution(reconstruction)
        return terms | {"features": distribution.log_prob(tf.cast(features, distribution.dtype))}

    def log_prob(self, features: Tensor, label: Any, latents: Any) -> Tensor:
        """log p(h, y, z) in nats, `[batch]`: the sum of `log_prob_terms`, which has the arguments and errors."""
        return sum_terms(self.log_prob_terms(features, label, latents).values())

    def label_log_posterior(self, features: Tensor, latents: Any) -> Tensor:
        """log p(y | h, z), `[batch, classes]`, exact for any network: by enumeration over all labels."""
        joint = [self.log_prob(features, label, latents) for label in range(self.num_classes)]
        return tf.nn.log_softmax(tf.stack(joint, axis=-1))

    # TFP.

    def joint_distribution(self) -> Any:
        """The same model as a `tfd.JointDistributionCoroutine`, so that TFP's own tools work on it; for small networks.

        Its parts are `label`, then one for each latent layer by name, top down, then `features`; any sample shape is
        allowed. `nest_latents` and `flatten_latents` translate between its latents and those of the network.
        """

        @_plain_python
        def parts() -> Generator[Any, Any, None]:
            label = yield tfd.JointDistributionCoroutine.Root(self.prior)
            # The network wants one batch dimension: sample shapes are folded into it on the way in and unfolded again.
            sample_shape, dtype = tf.shape(label), self.network.compute_dtype
            top = tf.one_hot(tf.reshape(label, [-1]), self.num_classes, dtype=dtype)
            descent, sites, latent = self.network.descend(top), iter(reversed(self.sites)), None
            while True:
                try:
                    signal = descent.send(latent)
                except StopIteration as stop:
                    reconstruction, _ = stop.value
                    break
                site = next(sites)
                logits = _unfold(self.latent_distribution(site, signal).distribution.logits, sample_shape)
                bernoulli = tfd.Bernoulli(logits=logits, dtype=logits.dtype)
                value = yield tfd.Independent(bernoulli, len(site.shape), name=_identifier(site.name))
                latent = tf.cast(tf.reshape(value, [-1, *site.shape]), dtype)
            yield self.features_distribution(_unfold(reconstruction, sample_shape))

        return tfd.JointDistributionCoroutine(parts, name=_identifier(self.network.name))

    # Checks.

    def _batched(self, label: Any, batch_size: Any) -> Tensor:
        """Class ids `[batch]`, a scalar being repeated."""
        label = check_labels(label, self.num_classes)
        size = tf.get_static_value(batch_size)
        if label.shape.rank == 0:
            return tf.fill([batch_size], label)
        if size is not None and label.shape[0] not in (None, int(size)):
            raise ValueError(
                f"label must be a scalar or one class id for each of {size} examples, got {label.shape[0]}."
            )
        return label


def answer_all(walk: Generator[Any, Any, Any], answer: Callable[[Any], Any]) -> Any:
    """Runs a generator to its end, sending `answer(request)` for everything it yields; returns what it returns."""
    reply = None
    while True:
        try:
            request = walk.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = answer(request)


def inexactness(network: FeedbackComposite) -> list[str]:
    """Why the theorem of docs/theory.md does not hold exactly for this network; empty where it does."""
    reasons: dict[str, list[str]] = {}
    for layer in leaves(network):
        reason = layer.inexactness
        if layer.output_bias is not None and layer.output_bias is not network.output_bias:
            reason = "dense biases below the last layer have no part in the generative model"
        if reason is not None:
            reasons.setdefault(reason, []).append(layer.name)
    return [f"{reason} ({', '.join(names)})" for reason, names in reasons.items()]


def sum_terms(terms: Iterable[Tensor]) -> Tensor:
    """Their sum, in a fixed order: that of `tf.add_n`, into which graphs turn sums, changes from run to run."""
    return tf.reduce_sum(tf.stack(list(terms)), 0)


def _identifier(name: str) -> str:
    """A layer's name as the name of a field."""
    return re.sub(r"\W|^(?=\d)", "_", name)


def _unfold(values: Tensor, sample_shape: Tensor) -> Tensor:
    """`[samples, *event]` to `[*sample_shape, *event]`."""
    return tf.reshape(values, tf.concat([sample_shape, values.shape[1:]], 0))
