"""What the generative model of a CNN-F draws: class templates, samples, and latents drawn against latents inferred.

All pictures are g(0), the mean of h given label and latents, as pixels; the Gaussian noise of h is left out. So they do
not depend on sigma. Where h is the output of an encoder there is no way from h to pixels without an image, and the
functions refuse.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cnnf_tf.generative import DeconvolutionalGenerativeModel, LatentSite, flatten_latents
from cnnf_tf.generative.deconvolutional import inexactness
from cnnf_tf.generative.model_arguments import stateless_seed
from cnnf_tf.layers.base import Tensor
from cnnf_tf.models import CNNF

TEMPLATES = {
    "ones": "all latents 1",
    "means": "latents at their means",
    "samples": "average over drawn latents",
}
"""The ways to render a class without an image, by name; see `class_templates`."""


class LatentComparison(NamedTuple):
    """Latents inferred from images against latents drawn for the same labels; arrays in [0, 1]."""

    labels: np.ndarray
    """y-hat, int32 `[batch]`: what inference ended with."""
    inferred: np.ndarray
    """g(0; y-hat, z-hat) with the latents of the last pass, `[batch, height, width, channels]`."""
    drawn: np.ndarray
    """g(0; y-hat, z) with z drawn top down, same shape."""
    inferred_map: np.ndarray
    """Share of the channels of the chosen layer whose latent is 1 at each place, `[batch, h, w]`; inferred z."""
    drawn_map: np.ndarray
    """The same for the drawn z."""


def generative_model(model: CNNF, *, scale: Any = 1.0) -> tuple[DeconvolutionalGenerativeModel, list[str]]:
    """The generative model of a CNN-F, and in place of its warning the reasons why the theorem is not exact for it.

    Args:
      model: the CNN-F; its weights are shared, not copied.
      scale: sigma, in units of h.

    Raises:
      ValueError: a bad scale, or a network that the generative model does not know.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        generative = DeconvolutionalGenerativeModel(model.network, scale=scale)
    return generative, [reason.split(" (")[0] for reason in inexactness(model.network)]


def class_templates(
    model: CNNF, generative: DeconvolutionalGenerativeModel, labels: Any, *, num_samples: int, seed: int
) -> dict[str, np.ndarray]:
    """g(0 | y) of some classes, one picture for each way to set the latents.

    * "ones": every latent 1, the linear part of the renderer. (The latents' joint mode is no alternative: those of a
      pool are fair coins and have none.)
    * "means": top down, every latent at the mean of its Bernoulli, sigmoid(b g), and 1/2 in pools. A mean field, not
      the mean of g(0).
    * "samples": the mean of g(0) over `num_samples` draws of all latents; estimates E[g(0) | y].

    Args:
      model: a CNNF whose h is the image.
      generative: its generative model.
      labels: class ids, `[count]`.
      num_samples: draws for each class, at least 1.
      seed: of the draws.

    Returns:
      By name of `TEMPLATES`, pictures `[count, height, width, channels]` in [0, 1].

    Raises:
      ValueError: h is not the image, a label out of range, a bad `num_samples` or `seed`.
    """
    _check_pixels(model)
    labels = tf.convert_to_tensor(labels)
    _check_labels(model, labels)
    ones, _ = generative.walk(labels, lambda _, z: tf.ones_like(z.mean()))
    means, _ = generative.walk(labels, lambda _, z: z.mean())
    samples = [tf.reduce_mean(_draw(generative, int(y), num_samples, seed)[0], 0) for y in labels.numpy()]
    pictures = zip(TEMPLATES, (ones, means, tf.stack(samples)), strict=True)
    return {name: np.asarray(model.to_pixels(values)) for name, values in pictures}


def sample_pictures(
    model: CNNF, generative: DeconvolutionalGenerativeModel, label: int, *, num_samples: int, seed: int
) -> np.ndarray:
    """g(0; y, z) of ancestral samples z of one class, `[num_samples, height, width, channels]` in [0, 1].

    The samples depend on seed and label alone, not on which other labels are drawn.

    Raises:
      ValueError: as `class_templates`.
    """
    _check_pixels(model)
    return np.asarray(model.to_pixels(_draw(generative, label, num_samples, seed)[0]))


def render_through(
    model: CNNF,
    generative: DeconvolutionalGenerativeModel,
    images: Tensor,
    label: int,
    *,
    iterations: int | None = None,
) -> np.ndarray:
    """g(0; label, z-hat), `[batch, height, width, channels]` in [0, 1]: a class through the latents of given images.

    Args:
      model: a CNNF whose h is the image.
      generative: its generative model.
      images: floats in [0, 1], `[batch, height, width, channels]`.
      label: the class to render, whatever the images show.
      iterations: K of the inference; the model's own by default.

    Raises:
      ValueError: h is not the image, a label out of range, images that do not fit the model.
    """
    _check_pixels(model)
    latents = model.infer(images, iterations=iterations).latents[-1]
    return np.asarray(model.to_pixels(generative.reconstruct(label, latents)))


def latent_site(generative: DeconvolutionalGenerativeModel, name: str | None = None) -> LatentSite:
    """A layer of latents with a place in the image: the one of that name, else the lowest rectifier.

    A rectifier is what has one latent for each unit of its output.

    Raises:
      ValueError: no such layer; the message lists those there are.
    """
    sites = {site.name: site for site in generative.sites if len(site.shape) == 3}
    if name is None:
        name = next((key for key, site in sites.items() if _one_for_each_output(site)), None)
    if name not in sites:
        raise ValueError(f"layer: wanted one of the latent layers with height and width, {list(sites)}, got {name!r}.")
    return sites[name]


def compare_latents(
    model: CNNF,
    generative: DeconvolutionalGenerativeModel,
    images: Tensor,
    *,
    site: LatentSite,
    seed: int,
    iterations: int | None = None,
) -> LatentComparison:
    """Infers label and latents of images, draws other latents for the same labels, and renders both.

    Args:
      model: a CNNF whose h is the image.
      generative: its generative model.
      images: floats in [0, 1], `[batch, height, width, channels]`.
      site: the layer to draw maps of; see `latent_site`.
      seed: of the draws.
      iterations: K of the inference; the model's own by default.

    Raises:
      ValueError: h is not the image, images that do not fit the model, a bad `seed`.
    """
    _check_pixels(model)
    trajectory = model.infer(images, iterations=iterations)
    latents = trajectory.latents[-1]
    labels = tf.argmax(trajectory.logits[-1], -1, output_type=tf.int32)
    sample = generative.sample(int(labels.shape[0]), labels, seed=stateless_seed(seed))
    rendered = [model.to_pixels(generative.reconstruct(labels, values)) for values in (latents, sample.latents)]
    maps = [
        tf.reduce_mean(tf.cast(flatten_latents(model.network, values)[site.name], tf.float32), -1)
        for values in (latents, sample.latents)
    ]
    return LatentComparison(labels.numpy(), *(np.asarray(values) for values in (*rendered, *maps)))


def bernoulli_means(generative: DeconvolutionalGenerativeModel, label: int) -> dict[str, dict[str, float]]:
    """How far the latents of each layer are from fair coins in the mean field of one class, by layer, bottom to top.

    Returns:
      By layer name, `mean` of P(z = 1) over the units and `mean_distance_to_half`, the mean of |P(z = 1) - 1/2|.
    """
    found = {}

    def answer(site: LatentSite, distribution: Any) -> Tensor:
        probabilities = distribution.mean()
        found[site.name] = {
            "mean": float(tf.reduce_mean(probabilities)),
            "mean_distance_to_half": float(tf.reduce_mean(tf.abs(probabilities - 0.5))),
        }
        return probabilities

    generative.walk(tf.constant([label]), answer)
    return dict(reversed(found.items()))


def _draw(generative: DeconvolutionalGenerativeModel, label: int, count: int, seed: int) -> tuple[Tensor, Any]:
    """g(0) and latents of ancestral samples of a class."""
    sample = generative.sample(count, label, seed=tf.constant([seed, label], tf.int32))
    return generative.reconstruct(sample.label, sample.latents), sample.latents


def _one_for_each_output(site: LatentSite) -> bool:
    return tuple(site.layer.output_shape_for((None, *site.shape))[1:]) == site.shape


def _check_pixels(model: CNNF) -> None:
    if model.encoder is not None:
        raise ValueError(
            "pictures of samples want a model whose h is the image (encoder_blocks = 0): here h is the output of an "
            "encoder, and without an image there are no latents to go down through it. Sample h itself with "
            "cnnf_tf.generative.DeconvolutionalGenerativeModel(model.network)."
        )


def _check_labels(model: CNNF, labels: Tensor) -> None:
    values = labels.numpy()
    if values.ndim != 1 or not values.size or values.min() < 0 or values.max() >= model.num_classes:
        raise ValueError(f"labels must be class ids [count] in [0, {model.num_classes - 1}], got {values.tolist()!r}.")
