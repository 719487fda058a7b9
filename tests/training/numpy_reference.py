"""CNN-F of dense layers written out in NumPy, float64: its loss, its gradient by differences, the authors' update.

Written from the description of the authors' training code, not from ours: clean and adversarial images go through
together; every pass adds its cross-entropies, every feedback pass its squared errors.
"""

import numpy as np

from cnnf_tf import CNNF, layers
from tests.generative import fixtures_networks

IMAGE_SHAPE = (2, 2, 1)
ETA = 0.3


def model(**kwargs) -> CNNF:
    """dense A | dense A-tap dense A-tap dense, float64, where | ends the encoder."""
    with fixtures_networks.float64():
        encoder = layers.FeedbackSequential(
            [
                layers.FeedbackFlatten(name="flatten"),
                layers.FeedbackDense(4, name="fc0"),
                layers.AdaReLU(rule="reference", name="ada_relu0"),
            ],
            name="encoder",
        )
        network = layers.FeedbackSequential(
            [
                layers.FeedbackDense(5, name="fc1"),
                layers.Tap(layers.AdaReLU(rule="reference", name="ada_relu1"), name="tap1"),
                layers.FeedbackDense(4, name="fc2"),
                layers.Tap(layers.AdaReLU(rule="reference", name="ada_relu2"), name="tap2"),
                layers.FeedbackDense(3, use_bias=True, name="fc3"),
            ],
            name="network",
        )
        made = CNNF(network, encoder, image_shape=IMAGE_SHAPE, eta=ETA, **kwargs)
    fixtures_networks.randomise(made)
    return made


def weights(model: CNNF) -> list[np.ndarray]:
    """kernel and bias of each dense layer, bottom to top."""
    return [np.array(variable.numpy(), np.float64) for variable in model.trainable_variables]


def images(count: int, seed: int) -> np.ndarray:
    """Random images in [0, 1]."""
    return np.random.default_rng(seed).random((count, *IMAGE_SHAPE))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Batch mean."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_probabilities[np.arange(len(labels)), labels].mean()


def loss(
    parameters: list[np.ndarray],
    clean: np.ndarray,
    adversarial: np.ndarray,
    labels: np.ndarray,
    *,
    iterations: int,
    clean_weight: float,
    reconstruction_weight: float,
) -> float:
    """`sum over passes of (a CE(clean) + CE(adv)) / 2 / (K + 1) + r / (3 K) sum of squared errors`."""
    w0, b0, w1, b1, w2, b2, w3, b3 = parameters
    count = len(labels)
    pixels = np.concatenate([clean, adversarial]).reshape(2 * count, -1) * 2 - 1
    feature = np.maximum(pixels @ w0 + b0, 0)

    def rectify(values: np.ndarray, signal: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if signal is None:
            mask = values > 0
        else:
            values = values + ETA * (signal - values)
            mask = values * signal > 0
        return values * mask, mask

    def up(feature: np.ndarray, signal1: np.ndarray | None, signal2: np.ndarray | None):
        tap1, mask1 = rectify(feature @ w1 + b1, signal1)
        tap2, mask2 = rectify(tap1 @ w2 + b2, signal2)
        return tap2 @ w3 + b3, tap1, tap2, mask1, mask2

    def classify(logits: np.ndarray) -> float:
        both = clean_weight * cross_entropy(logits[:count], labels) + cross_entropy(logits[count:], labels)
        return both / (2 * (iterations + 1))

    logits, tap1, tap2, mask1, mask2 = up(feature, None, None)
    targets = [feature[:count], tap1[:count], tap2[:count]]
    total = classify(logits)
    for _ in range(iterations):
        signal2 = logits @ w3.T
        below2 = signal2 * mask2
        signal1 = below2 @ w2.T
        below1 = signal1 * mask1
        reconstruction = below1 @ w1.T
        for found, target in zip([reconstruction, below1, below2], targets, strict=True):
            total += reconstruction_weight * np.mean((found[count:] - target) ** 2) / (3 * iterations)
        feature = feature + ETA * (reconstruction - feature)
        logits, _, _, mask1, mask2 = up(feature, signal1, signal2)
        total += classify(logits)
    return total


def gradient(parameters: list[np.ndarray], *args, **kwargs) -> list[np.ndarray]:
    """Of `loss`, by central differences."""
    step = 1e-6
    found = []
    for parameter in parameters:
        slopes = np.zeros_like(parameter)
        for index in np.ndindex(parameter.shape):
            kept = parameter[index]
            parameter[index] = kept + step
            above = loss(parameters, *args, **kwargs)
            parameter[index] = kept - step
            below = loss(parameters, *args, **kwargs)
            parameter[index] = kept
            slopes[index] = (above - below) / (2 * step)
        found.append(slopes)
    return found


class Training:
    """The authors' update: clip by global norm, add the weight decay, momentum as in PyTorch, poly learning rate."""

    def __init__(self, parameters, *, rate, total_steps, clip_norm, weight_decay, momentum):
        self.parameters = [np.array(parameter) for parameter in parameters]
        self._velocities = [np.zeros_like(parameter) for parameter in parameters]
        self._rate, self._total_steps, self._clip_norm = rate, total_steps, clip_norm
        self._weight_decay, self._momentum = weight_decay, momentum
        self._step = 0

    def step(self, gradients: list[np.ndarray]) -> float:
        """One update; returns the norm before clipping."""
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        rate = self._rate * (1 - self._step / self._total_steps) ** 0.9
        for parameter, velocity, slope in zip(self.parameters, self._velocities, gradients, strict=True):
            clipped = slope * min(1.0, self._clip_norm / norm)
            velocity *= self._momentum
            velocity += clipped + self._weight_decay * parameter
            parameter -= rate * velocity
        self._step += 1
        return norm
