"""Steps in JAX: functions from a state to the next one, as Keras' loops there want them.

JAX compiles a step, and nothing in it can raise. So each batch is looked at on its way into the step.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import Array

from cnnf_tf.models.steps.base import BaseSteps, warn_of_no_weights
from cnnf_tf.utils import philox

State = tuple[list[Array], ...]
"""Values of the model's variables: trainable, not trainable, of the optimizer (in training), of the metrics."""
_STATES = {
    4: ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables"),
    3: ("trainable_variables", "non_trainable_variables", "metrics_variables"),
    2: ("trainable_variables", "non_trainable_variables"),
}
"""What a state holds, by its length: in training, evaluation and prediction."""


class Steps(BaseSteps):
    """As the module says."""

    def train_step(self, state: State, data: Any) -> tuple[dict[str, Array], State]:
        trainable, others, of_optimizer, metrics = state

        def objective(trainable: list[Array]) -> tuple[Array, Any]:
            with self._holding((trainable, others, of_optimizer, metrics)) as scope:
                loss, report = self._training_loss(data)
                logs = report()
            return loss, (logs, _found(scope, self.non_trainable_variables), _found(scope, self.metrics_variables))

        gradients, (logs, others, metrics) = jax.grad(objective, has_aux=True)(trainable)
        if trainable:
            trainable, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trainable)
        else:
            warn_of_no_weights()
        return logs, (trainable, others, of_optimizer, metrics)

    def test_step(self, state: State, data: Any) -> tuple[dict[str, Array], State]:
        with self._holding(state) as scope:
            logs = self._tested(data)
        return logs, (state[0], _found(scope, self.non_trainable_variables), _found(scope, self.metrics_variables))

    def _holding(self, state: State) -> keras.StatelessScope:
        """A scope in which the variables have the values of a state."""
        variables = {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if len(state) == 4 else [],
            "metrics_variables": self.metrics_variables,
        }
        pairs = zip(_STATES[len(state)], state, strict=True)
        mapping = [pair for name, values in pairs for pair in zip(variables[name], values, strict=True)]
        return keras.StatelessScope(state_mapping=mapping, collect_losses=True)

    def _make_function(
        self, step_function: Callable[..., Any], concatenate_outputs: bool = False
    ) -> Callable[..., Any]:
        """Keras hands batches to each step through here, outside of what JAX compiles."""
        run = super()._make_function(step_function, concatenate_outputs)
        labelled = not concatenate_outputs  # data for predictions may hold labels of any kind

        def checked(state: State, iterator: Iterator[Any]) -> Any:
            try:
                batches = list(itertools.islice(iterator, self.steps_per_execution))
                for batch in batches:
                    self._faults(batch, labelled)
            except Exception:
                # Keras took the values out of the variables, and would not put them back.
                self._jax_state = dict(zip(_STATES[len(state)], state, strict=True))
                self._jax_state_synced = False
                self.jax_state_sync()
                raise
            return run(state, iter(batches))

        return checked

    def _shares(self) -> int:
        distribution = keras.distribution.distribution()
        if not isinstance(distribution, keras.distribution.DataParallel):
            return 1
        return max(1, distribution.device_mesh.devices.size // jax.process_count())

    def _draw(self, step: Any, high: int) -> Array:
        step = jnp.asarray(step, np.uint32)
        return philox.integer([step, step ^ step], high).astype(np.int32)


def _found(scope: keras.StatelessScope, variables: Sequence[keras.Variable]) -> list[Array]:
    """The values that variables have at the end of a scope."""
    return [scope.get_current_value(variable) for variable in variables]
