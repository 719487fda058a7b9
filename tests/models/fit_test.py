"""`fit`, `evaluate`, `predict`, attacks on JAX and PyTorch against TensorFlow; what runs there is in fit_backend.py."""

import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.utils import philox
from tests import other_backend
from tests.models import fit_backend


class FitTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("jax", "torch")
    def test_as_in_tensorflow(self, backend):
        """50 steps from equal weights and batches, and all else that a user sees; errors; two devices in JAX."""
        path = os.path.join(self.get_temp_dir(), "expected.npz")
        other_backend.skip_without(self, backend)
        np.savez(path, **_expected())
        other_backend.run(self, backend, path, module="tests.models.fit_backend")

    def test_draws(self):
        """The number of each training step is TensorFlow's stateless draw, without TensorFlow."""
        steps = np.array([*range(100), 10**6, 2**31 - 1], np.uint32)
        for high in (1, 5, 1000):
            expected = [tf.random.stateless_uniform([], [step, 0], 0, high, tf.int32) for step in steps.tolist()]
            self.assertAllEqual(philox.integer([steps, np.zeros_like(steps)], high), expected)


_KEPT = {}


def _expected():
    """Of TensorFlow, computed once."""
    if not _KEPT:
        _KEPT.update(fit_backend.observed())
    return _KEPT


if __name__ == "__main__":
    tf.test.main()
