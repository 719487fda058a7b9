"""What the playground measures: one image, corrupted or attacked, in a CNN and a CNN-F, pass by pass.

A graph is traced once for each network and once for the attack on it: eta is a tensor, attacks share their graph, and
the loop always runs to the largest K, of which a page shows as many passes as it likes.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import PGD, predictor
from cnnf_tf.data import CORRUPTIONS, SEVERITIES, corrupt
from cnnf_tf.generative.self_consistency import self_consistency
from cnnf_tf.models import CNNF, READOUTS, unroll
from cnnf_tf.models.step_sizes import apart
from cnnf_tf.utils.validation import number, one_of

MOST_ITERATIONS = 10
"""The largest K."""
ATTACK_STEPS = 10
"""Of PGD."""
LARGEST_RADIUS = 0.3
"""Of an attack, l-inf on the [0, 1] pixel scale."""
NOTHING, ATTACK = "nothing", "attack"
CHANGES = (NOTHING, *CORRUPTIONS, ATTACK)
"""What can be done to an image."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What is done to an image before the networks see it.

    Args:
      kind: one of `CHANGES`.
      severity: of a corruption, 1 to 5.
      radius: of an attack, l-inf, from 0 to `LARGEST_RADIUS` on the [0, 1] pixel scale.

    Raises:
      ValueError: an argument out of its range.
    """

    kind: str = NOTHING
    severity: int = 3
    radius: float = 0.05

    def __post_init__(self) -> None:
        one_of("kind", self.kind, CHANGES)
        one_of("severity", self.severity, SEVERITIES)
        number("radius", self.radius, high=LARGEST_RADIUS)


class Passes(NamedTuple):
    """What a network makes of an image; all is NumPy. A CNN has one pass, and K = 0."""

    image: np.ndarray
    """What it was given, `[height, width, channels]` in [0, 1]."""
    probabilities: np.ndarray
    """Of the readout after each pass, `[K + 1, classes]`."""
    features: np.ndarray
    """h of each pass as a picture, `[K + 1, height, width, channels]` in [0, 1]; a sketch where h is no image."""
    reconstructions: np.ndarray
    """g(0) of each feedback pass, `[K, height, width, channels]`, likewise."""
    label_changed: np.ndarray
    """1 where the answer moved in an iteration, `[K]`; see `generative.SelfConsistency`, also for the next two."""
    latent_flip_rate: np.ndarray
    feature_residual: np.ndarray


class Network:
    """A model as the playground runs it: on one image at a time, with graphs that are traced once.

    Args:
      model: a CNN-F for images of one size.
      plain: whether to run it without feedback, as the CNN that it is then.

    Raises:
      ValueError: a model for images of any size, or of other than 1 or 3 channels.
    """

    def __init__(self, model: CNNF, *, plain: bool = False):
        if None in model.image_shape:
            raise ValueError(f"the playground wants a model for images of one size, got {model.image_shape}.")
        if model.image_shape[-1] not in (1, 3):
            raise ValueError(f"the playground wants a model for grey or colour images, got {model.image_shape}.")
        self.model, self.plain = model, plain
        self.iterations = 0 if plain else MOST_ITERATIONS
        self.predict = predictor(model, iterations=0 if plain else None)
        signature = [tf.TensorSpec((1, *model.image_shape)), tf.TensorSpec(())]
        self._passes = tf.function(self._run, input_signature=signature, autograph=False)

    @property
    def eta(self) -> float:
        """The model's own step of h."""
        return float(apart(self.model.step_sizes())[0])

    @property
    def own_eta_is_one_number(self) -> bool:
        """Whether h and every layer have the same step."""
        return isinstance(self.model.reported_eta(), float)

    def passes(self, image: np.ndarray, eta: float) -> Passes:
        """Runs all passes.

        Args:
          image: floats in [0, 1], `[height, width, channels]`.
          eta: step size of h and of all layers, in [0, 1].
        """
        found = self._passes(tf.constant(image[np.newaxis], tf.float32), tf.constant(eta, tf.float32))
        return Passes(
            image, *(np.stack([entry.numpy()[0] for entry in entries]) if entries else _NONE for entries in found)
        )

    def attacked(self, image: np.ndarray, label: int | None, radius: float) -> np.ndarray:
        """The image after PGD through all passes of the model as it was trained: its own K, eta and readout.

        Args:
          image: floats in [0, 1], `[height, width, channels]`.
          label: the class to lead away from; None for the one that the model sees in the image.
          radius: see `Change`.
        """
        images = tf.constant(image[np.newaxis], tf.float32)
        aimed_at = int(tf.argmax(self.predict(images)[0])) if label is None else label
        attack = PGD(epsilon=radius, steps=ATTACK_STEPS, random_start=False, early_stop=False)
        return attack.bind(self.predict).perturb(images, [aimed_at], seed=0)[0].numpy()

    def _run(self, images: tf.Tensor, eta: tf.Tensor) -> list[list[tf.Tensor]]:
        model, count = self.model, self.iterations
        trajectory = unroll(
            model.network, model.encode(images), iterations=count, eta=eta, feedback_start=model.feedback_start
        )
        readout = READOUTS[model.readout]
        probabilities = [tf.nn.softmax(readout(trajectory.logits[: last + 1])) for last in range(count + 1)]
        pictures = model.pictures(trajectory.features, images), model.pictures(trajectory.reconstructions, images)
        measured = [tf.unstack(entry, count) for entry in self_consistency(trajectory, model.network)]
        return [probabilities, *pictures, *measured]


class Lab:
    """A CNN-F and a CNN, side by side.

    Args:
      cnnf: the model with feedback.
      cnn: the one without; may be the same model, which is then run without.

    Raises:
      ValueError: models for other images or numbers of classes, or as `Network`.
    """

    def __init__(self, cnnf: CNNF, cnn: CNNF):
        for name in ("image_shape", "num_classes"):
            if getattr(cnnf, name) != getattr(cnn, name):
                raise ValueError(
                    f"CNN-F and CNN want the same {name}, got {getattr(cnnf, name)} and {getattr(cnn, name)}."
                )
        self.cnnf, self.cnn = Network(cnnf), Network(cnn, plain=True)
        self.image_shape: tuple[int, int, int] = cnnf.image_shape
        self.num_classes: int = cnnf.num_classes

    def watch(self, image: np.ndarray, label: int | None, change: Change, eta: float) -> tuple[Passes, Passes]:
        """What CNN-F and CNN make of an image, in this order. Each is attacked by itself.

        Args:
          image: floats in [0, 1], `[height, width, channels]`.
          label: its class if it is known; see `Network.attacked`.
          change: what to do to the image first.
          eta: see `Network.passes`.
        """
        number("eta", eta, high=1.0)
        image = _corrupted(image, change)
        found = []
        for network in (self.cnnf, self.cnn):
            seen = network.attacked(image, label, change.radius) if change.kind == ATTACK else image
            found.append(network.passes(seen, eta))
        return found[0], found[1]

    def preparations(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """What takes seconds the first time, in small parts: what each is, for people, and what does it."""
        image: np.ndarray = np.full(self.image_shape, 0.5, np.float32)
        for name, network in (("CNN", self.cnn), ("CNN-F", self.cnnf)):
            yield f"the {name}", functools.partial(network.passes, image, 0.0)
        yield "the corruptions", lambda: [_corrupted(image, Change(kind)) for kind in CORRUPTIONS]
        for name, network in (("CNN", self.cnn), ("CNN-F", self.cnnf)):
            yield f"the attack on the {name}", functools.partial(network.attacked, image, None, 0.0)


def _corrupted(image: np.ndarray, change: Change) -> np.ndarray:
    """The image after a corruption; after anything else as it is."""
    if change.kind not in CORRUPTIONS:
        return image
    return corrupt(tf.constant(image[np.newaxis]), change.kind, change.severity, seed=0)[0].numpy()


_NONE: Any = np.zeros(0, np.float32)
