"""What to analyse: activations of one model, or of several on the same images, and the choices to make."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from cnnf_tf.evaluation.representations.decoding import check_folds, decode
from cnnf_tf.evaluation.representations.features import Activations, LazyMapping, class_labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """Activations, and how to analyse them.

    Attributes:
      activations: for each model, by name `[passes, images, ...]`; the same images in the same order for all. Two
        models are also compared with each other, by the names that both have.
      labels: class ids, `[images]`; None where there are none, which decoding and arrival cannot do without.
      logits: the name of the network's own scores of the classes, which need no decoder; None: there are none.
      num_classes: how many scores logits have, where it is known.
      metric: of `dissimilarities`.
      comparison: of `compare_dissimilarities`.
      debiased: of `cka`.
      folds: of `decode`.
      resamples: of the bootstrap over images.
      seed: of bootstrap and folds.

    Raises:
      ValueError: a model without activations, logits that no model has, or two activations that would be called the
        same.
    """

    activations: Mapping[str, Activations]
    labels: np.ndarray | None = None
    logits: str | None = None
    num_classes: int | None = None
    metric: str = "correlation"
    comparison: str = "spearman"
    debiased: bool = True
    folds: int = 5
    resamples: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for field, value in vars(self).copy().items():
            if isinstance(value, np.integer):
                object.__setattr__(self, field, int(value))
        if not self.activations or not all(self.activations.values()):
            raise ValueError("a study wants activations of at least one name for each model.")
        texts = [self.text(model, name) for model, each in self.activations.items() for name in each]
        twice = sorted({text for text in texts if texts.count(text) > 1})
        if twice:
            raise ValueError(f"two activations would be called {twice[0]!r}; give the models other names.")
        there = dict.fromkeys(name for each in self.activations.values() for name in each)
        if self.logits is not None and self.logits not in there:
            raise ValueError(f"logits must be one of {', '.join(there)}, got {self.logits!r}.")

    @functools.cached_property
    def models(self) -> dict[str, str]:
        """The model by what its activations are called here: their name, after the model where there are several."""
        return {
            self.text(model, name): model for model, activations in self.activations.items() for name in activations
        }

    @functools.cached_property
    def flat(self) -> Activations:
        """All activations, by what they are called here; each is read when it is asked for."""
        return LazyMapping(
            {
                self.text(model, name): functools.partial(activations.__getitem__, name)
                for model, activations in self.activations.items()
                for name in activations
            }
        )

    @functools.cached_property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Of two models, what to compare, by the name that both have."""
        if len(self.activations) != 2:
            return {}
        (first, its), (second, other) = self.activations.items()
        return {name: (self.text(first, name), self.text(second, name)) for name in its if name in other}

    def compared(self, text: str) -> tuple[str, ...]:
        """What is called so here, and what it is compared with."""
        return next((pair for pair in self.pairs.values() if text in pair), (text,))

    def shared_passes(self, text: str) -> int:
        """How many passes all that `text` is compared with have, and itself."""
        return min(len(self.predictions[each]) for each in self.compared(text))

    @property
    def sampling(self) -> dict[str, int]:
        """Arguments of whatever has intervals."""
        return {"resamples": self.resamples, "seed": self.seed}

    @functools.cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        """Class ids `[passes, images]`: of a decoder for each pass, or argmax of the logits."""
        return {
            text: self._argmax(text, values) if self.reads_itself(text) else self._decode(text, values)
            for text, values in self.flat.items()
        }

    def check_logits(self) -> None:
        """Raises ValueError for logits that are no scores of these classes."""
        for text in filter(self.reads_itself, self.flat):
            self._argmax(text, self.flat[text])

    def check_labels(self) -> None:
        """Raises ValueError for labels by which no class can be read, as `decode` does; logits want them alone."""
        if all(map(self.reads_itself, self.flat)):
            class_labels(self.labels, len(self.labels) if self.labels is not None else 0)
        else:
            check_folds(self.labels, self.folds)

    @functools.cached_property
    def transferred(self) -> dict[str, np.ndarray]:
        """The same of the decoder of pass 0, without the logits."""
        return {
            text: self._decode(text, values, transfer=True)
            for text, values in self.flat.items()
            if not self.reads_itself(text)
        }

    def text(self, model: str, name: str) -> str:
        """What activations of a model are called here."""
        return f"{model} {name}" if len(self.activations) > 1 else name

    def reads_itself(self, text: str) -> bool:
        """Whether these are the logits."""
        return self.logits is not None and text == self.text(self.models[text], self.logits)

    def _decode(self, text: str, values: np.ndarray, *, transfer: bool = False) -> np.ndarray:
        return decode(values, self.labels, transfer=transfer, folds=self.folds, seed=self.seed, name=text)

    def _argmax(self, text: str, logits: np.ndarray) -> np.ndarray:
        least = 1 + max(0 if self.labels is None else int(np.max(self.labels)), (self.num_classes or 0) - 1)
        known = self.num_classes is not None
        right = logits.ndim == 3 and logits.shape[-1] >= least and not (known and logits.shape[-1] > least)
        if not right or not np.isfinite(logits).all():
            raise ValueError(
                f"{text}: wanted finite logits [passes, images, classes] of {'' if known else 'at least '}{least} "
                f"classes, got shape {logits.shape}."
            )
        return np.argmax(logits, axis=-1)
