"""Steps in TensorFlow: a tape, and assertions around what XLA compiles."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.models.steps.base import BaseSteps, warn_of_no_weights


class Steps(BaseSteps):
    """As the module says."""

    _checks_labels = True

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, report = self._training_loss(data)
        variables = self.trainable_variables
        if variables:
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        else:
            warn_of_no_weights()
        return report()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        return self._tested(data)

    def make_predict_function(self, force: bool = False) -> Any:
        """As in Keras."""
        self._checks_labels = False  # which data for predictions may hold, of any kind
        try:
            return super().make_predict_function(force)
        finally:
            self._checks_labels = True

    def _autoconvert_optionals(self, step_func: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Keras passes each step through here, outside of what XLA compiles: the place where assertions are kept."""
        labelled = self._checks_labels

        def step(data: Any) -> Any:
            with tf.control_dependencies(self._faults(data, labelled)):
                return step_func(data)

        return super()._autoconvert_optionals(step)

    def _parts(self, values: Any) -> Sequence[Any]:
        return self.distribute_strategy.experimental_local_results(values)

    def _num_replicas(self) -> int:
        return tf.distribute.get_strategy().num_replicas_in_sync

    def _draw(self, step: tf.Tensor, high: int) -> tf.Tensor:
        seed = tf.stack([tf.cast(step, tf.int32), 0])
        return tf.random.stateless_uniform([], seed, 0, high, tf.int32)
