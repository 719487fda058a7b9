"""Steps in PyTorch, which runs eagerly: gradients are those that `backward` leaves with the weights."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnf_tf.models.steps.base import BaseSteps, warn_of_no_weights
from cnnf_tf.utils import philox


class Steps(BaseSteps):
    """As the module says."""

    def train_step(self, data: Any) -> dict[str, Tensor]:
        self._faults(data, True)
        self.zero_grad()
        loss, report = self._training_loss(data)
        variables = self.trainable_variables
        if variables:
            loss.backward()
            with torch.no_grad():
                self.optimizer.apply([variable.value.grad for variable in variables], variables)
        else:
            warn_of_no_weights()
        with torch.no_grad():
            return report()

    def test_step(self, data: Any) -> dict[str, Tensor]:
        self._faults(data, True)
        return self._tested(data)

    def predict_step(self, data: Any) -> Tensor:
        self._faults(data, False)
        return super().predict_step(data)

    def _draw(self, step: Tensor, high: int) -> int:
        words = [np.array([int(step)], np.uint32), np.zeros(1, np.uint32)]
        return int(philox.integer(words, high)[0])
