"""What a step needs of `KerasTraining`, and what it says about its backend."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras

from cnnf_tf.layers.base import Tensor


class BaseSteps(keras.Model):
    """Base of the steps of each backend, which themselves are the base of `KerasTraining`."""

    _training_loss: Callable[[Any], tuple[Tensor, Callable[[], dict[str, Tensor]]]]
    """From a batch as `fit` hands it over to the loss to differentiate, and a function that updates and returns what is
    reported."""
    _tested: Callable[[Any], dict[str, Tensor]]
    """From a batch to what is reported of it."""
    _faults: Callable[[Any, bool], list[Any]]
    """Raises for a batch that cannot be; labels count only where the bool says so."""

    def _parts(self, values: Any) -> Sequence[Any]:
        """The values of each replica, of what a batch holds."""
        return [values]

    def _num_replicas(self) -> int:
        """Of how many parts the loss of a batch is the sum."""
        return 1

    def _shares(self) -> int:
        """Of how many rows a batch must be a multiple."""
        return 1

    def _draw(self, step: Tensor, high: int) -> Tensor:
        """A whole number in [0, high): that of `philox.integer` for the seed [step, 0], on every backend."""
        raise NotImplementedError


def warn_of_no_weights() -> None:
    """As Keras does in a training step."""
    warnings.warn("The model does not have any trainable weights.", stacklevel=3)
