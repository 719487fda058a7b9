"""What can be read from activations by a linear decoder, pass by pass, and on which pass it can be read first.

The decoder is a multinomial logistic regression on standardised features, with an L2 penalty (scikit-learn's, C = 1).
It is cross-validated: each image is read by a decoder that was fitted to other images. There are two questions:

* Is the class there? A decoder of its own for each pass answers that.
* Is it there in the same form? The decoder of pass 0, given the features of every pass, answers that: where it loses
  while the own decoders do not, feedback has moved the code.
"""

import dataclasses
from typing import Any

import numpy as np

from cnnf_tf.evaluation.representations.estimates import Estimate, mean_over_images, share_of_images
from cnnf_tf.evaluation.representations.features import class_labels, every_pass, image_features
from cnnf_tf.utils.validation import integer


def decode(
    features: Any, labels: Any, *, transfer: bool = False, folds: int = 5, seed: int = 0, name: str = "features"
) -> np.ndarray:
    """Predicts the class of each image from each pass.

    Args:
      features: `[passes, images, ...]`.
      labels: class ids, `[images]`.
      transfer: read every pass by the decoder of pass 0, instead of one decoder for each pass.
      folds: of the cross-validation, at least 2, which have the classes in equal shares.
      seed: of the folds.
      name: of the features, for messages.

    Returns:
      The class ids read, int64 `[passes, images]`.

    Raises:
      ValueError: features that are not finite or the same for all images, labels that do not go with them or are all
        of one class, or a class with fewer images than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    passes = [(f"{name}, pass {index}", one) for _, index, one in every_pass({name: features})]
    class_labels(labels, len(passes[0][1]))
    classes = check_folds(labels, folds)
    splits = list(StratifiedKFold(folds, shuffle=True, random_state=integer("seed", seed)).split(classes, classes))
    decoders: dict[int, Any] = {}
    read: list[np.ndarray] = []
    for index, one in enumerate(passes):
        rows = image_features(*one)
        read.append(np.empty(len(rows), np.int64))
        for fold, (training, held_out) in enumerate(splits):
            if index == 0 or not transfer:
                decoders[fold] = fit_decoder(rows[training], classes[training])
            read[-1][held_out] = decoders[fold].predict(rows[held_out])
    return np.stack(read)


def fit_decoder(rows: np.ndarray, classes: np.ndarray) -> Any:
    """The decoder that is fitted to some images.

    Args:
      rows: float64 `[images, features]`.
      classes: class ids, `[images]`.

    Returns:
      A pipeline of scikit-learn, whose `predict` takes `[any number of images, features]`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(rows)
    scaled = scaler.transform(rows)
    decoder = LogisticRegression(tol=1e-5, max_iter=10_000)
    with threadpool_limits(1):  # many small products: threads would wait for each other
        if scaled.shape[1] <= len(scaled):
            return make_pipeline(scaler, decoder.fit(scaled, classes))
        # The best weights are a sum of these images, so that as many coordinates as there are images do.
        squares, directions = np.linalg.eigh(scaled @ scaled.T)
        kept = squares > 1e-12 * squares[-1]
        lengths, directions = np.sqrt(squares[kept]), directions[:, kept]
        decoder.fit(directions * lengths, classes)
        decoder.coef_ = (decoder.coef_ / lengths) @ directions.T @ scaled
        decoder.n_features_in_ = scaled.shape[1]
    return make_pipeline(scaler, decoder)


def check_folds(labels: Any, folds: int) -> np.ndarray:
    """The labels as int64 `[images]`; ValueError unless there are two classes, each with an image for each fold."""
    classes = class_labels(labels, len(labels) if labels is not None else 0)
    integer("folds", int(folds) if isinstance(folds, np.integer) else folds, least=2)
    found, counts = np.unique(classes, return_counts=True)
    if len(found) < 2:
        raise ValueError(f"decoding wants images of at least 2 classes, got {len(classes)} of class {found.tolist()}.")
    if counts.min() < folds:
        raise ValueError(
            f"decoding in {folds} folds wants at least {folds} images of each class, got {counts.min()} of class "
            f"{found[np.argmin(counts)]}; take more images, or fewer folds."
        )
    return classes


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How often the class was read.

    Attributes:
      accuracy: share of images in [0, 1], with Wilson's intervals.
      gain: accuracy less that of pass 0, on the same images: a paired bootstrap.
    """

    accuracy: Estimate
    gain: Estimate

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"accuracy": self.accuracy.to_dict(), "gain": self.gain.to_dict()}


def decodability(predictions: Any, labels: Any, *, resamples: int = 200, seed: int = 0) -> Decoding:
    """What predictions of each pass come to.

    Args:
      predictions: class ids, `[passes, images]`: of `decode`, or argmax of a network's logits.
      labels: class ids, `[images]`.
      resamples: of the bootstrap over images.
      seed: of the bootstrap.

    Raises:
      ValueError: labels that do not go with the predictions, or fewer than 10 images.
    """
    correct = correctness(predictions, labels)
    gain = correct.astype(np.float64) - correct[0]
    return Decoding(share_of_images(correct), mean_over_images(gain, resamples=resamples, seed=seed))


def correctness(predictions: Any, labels: Any) -> np.ndarray:
    """Which images each pass has right, bool `[passes, images]`.

    Args:
      predictions: class ids, `[passes, images]`.
      labels: class ids, `[images]`.

    Raises:
      ValueError: shapes that do not go together.
    """
    array = np.asarray(predictions)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"wanted predictions [passes, images], at least one of each, got shape {array.shape}.")
    return array == class_labels(labels, array.shape[1])


def chance(labels: Any) -> float:
    """The accuracy of whoever always names the commonest class."""
    counts = np.bincount(class_labels(labels, len(labels)))
    return float(counts.max() / counts.sum())
