"""When does information arrive? The first pass from which on an image is read correctly.

After the object solution times of Kar et al. 2019 (doi:10.1038/s41593-019-0392-5), who asked at which time the class of
an image can be read from monkey IT as well as the monkey knows it, and found late times for *challenge images*: those
that feedforward networks get wrong. Here an image arrives at pass t if it is right at t and at every later pass; one
that is right for a while and wrong at the end never arrives, so that the curve ends at the accuracy of the last pass.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.decoding import correctness
from cnnf_tf.evaluation.representations.estimates import Estimate, mean_over_images, share_of_images
from cnnf_tf.evaluation.representations.features import image_mask

NEVER = -1
"""The arrival of an image that is wrong at the end."""


def arrival_passes(predictions: Any, labels: Any) -> np.ndarray:
    """The pass at which each image arrives.

    Args:
      predictions: class ids, `[passes, images]`: of `decode`, or argmax of a network's logits.
      labels: class ids, `[images]`.

    Returns:
      int64 `[images]` in 0, ..., passes - 1, or `NEVER`.

    Raises:
      ValueError: labels that do not go with the predictions.
    """
    correct = correctness(predictions, labels)
    staying = np.logical_and.accumulate(correct[::-1])[::-1]  # right at this pass and all later ones
    return np.where(staying[-1], np.argmax(staying, axis=0), NEVER)


def arrived(arrivals: Any, passes: int) -> np.ndarray:
    """Which images have arrived by each pass, bool `[passes, images]`, from arrivals `[images]`."""
    times = np.asarray(arrivals)
    return (times != NEVER) & (times <= np.arange(passes)[:, np.newaxis])


@dataclasses.dataclass(frozen=True)
class Arrival:
    """When the images of one name arrive.

    Attributes:
      passes: int64 `[images]`, of `arrival_passes`.
      curve: share of all images that have arrived by each pass, with Wilson's intervals.
      challenge_curve: the same of the challenge images; None where there is none.
      lost: images that pass 0 has right and the last pass wrong, a share of all.
    """

    passes: np.ndarray
    curve: Estimate
    challenge_curve: Estimate | None
    lost: Estimate

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        challenge = None if self.challenge_curve is None else self.challenge_curve.to_dict()
        curves = {"curve": self.curve.to_dict(), "challenge_curve": challenge}
        return {"passes": self.passes.tolist(), **curves, "lost": self.lost.to_dict()}


def challenge_images(predictions: Sequence[Any], labels: Any) -> np.ndarray:
    """The images that pass 0, which is the plain CNN, has wrong, bool `[images]`.

    Args:
      predictions: class ids, `[passes, images]` of each model: an image must be wrong for all of them, so that none has
        its luck at pass 0 counted against it.
      labels: class ids, `[images]`.

    Raises:
      ValueError: labels that do not go with the predictions.
    """
    return ~np.any([correctness(each, labels)[0] for each in predictions], axis=0)


def arrival(predictions: Any, labels: Any, challenge: np.ndarray | None = None) -> Arrival:
    """When images arrive.

    Args:
      predictions: class ids, `[passes, images]`.
      labels: class ids, `[images]`.
      challenge: bool `[images]`; by default `challenge_images` of these predictions.

    Raises:
      ValueError: labels or challenge images that do not go with the predictions.
    """
    correct = correctness(predictions, labels)
    times = arrival_passes(predictions, labels)
    there = arrived(times, len(correct))
    chosen = ~correct[0] if challenge is None else image_mask(challenge, correct.shape[1])
    hard = share_of_images(there[:, chosen]) if chosen.any() else None
    return Arrival(times, share_of_images(there), hard, share_of_images(correct[0] & ~correct[-1]))


def arrival_difference(
    first: Arrival, second: Arrival, chosen: np.ndarray, *, resamples: int = 200, seed: int = 0
) -> Estimate:
    """Share of images that have arrived in the second model less that in the first, by each pass: a paired bootstrap.

    Args:
      first: of one model.
      second: of another one, on the same images, up to the same pass: to arrive is to stay right up to the last.
      chosen: the images to look at, bool `[images]`, such as the challenge images; at least 10.
      resamples: of the bootstrap over images.
      seed: of the bootstrap.

    Raises:
      ValueError: different numbers of passes or images, or fewer than 10 images.
    """
    count, other = (len(each.curve.value) for each in (first, second))
    if count != other:
        raise ValueError(
            f"arrivals up to different passes cannot be compared, got {count} and {other} passes; cut the predictions "
            "to the passes that both have."
        )
    chosen = image_mask(chosen, len(first.passes))
    if len(second.passes) != len(chosen):
        raise ValueError(f"wanted arrivals of the same images, got {len(chosen)} and {len(second.passes)} of them.")
    there: list[np.ndarray] = [arrived(each.passes, count)[:, chosen].astype(np.float64) for each in (first, second)]
    return mean_over_images(there[1] - there[0], resamples=resamples, seed=seed)
