"""The same layers, loop and files on JAX and PyTorch as on TensorFlow; what runs there is in backend_checks.py."""

import functools
import json
import pathlib
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

import cnnf_tf
from cnnf_tf.layers.kernels import plain, tensorflow
from cnnf_tf.utils.backend import BACKENDS
from tests import backend_checks, backend_kernels, other_backend

OTHERS = tuple(name for name in BACKENDS if name != "tensorflow")


class BackendsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(backend=OTHERS, check=tuple(backend_checks.CHECKS))
    def test_on(self, backend, check):
        _, failures = _results(self, backend)
        self.assertEqual(failures.get(check, ""), "")

    @parameterized.parameters(*OTHERS)
    def test_files_come_back(self, backend):
        folder, _ = _results(self, backend)
        backend_checks.read(folder / backend)

    @parameterized.parameters(plain, tensorflow)
    def test_kernels_on_tensorflow(self, kernels):
        backend_kernels.check(kernels)

    def test_backends(self):
        self.assertEqual(BACKENDS, ("jax", "tensorflow", "torch"))


@functools.cache
def _left_behind():
    """A folder with what TensorFlow wrote and found."""
    folder = pathlib.Path(tempfile.mkdtemp())
    backend_checks.leave_behind(folder)
    np.savez(folder / "layers.npz", **backend_checks.layer_outputs())
    loops = {rule: backend_checks.loop_gradients(rule) for rule in ("map", "slide", "reference")}
    np.savez(
        folder / "loop.npz", **{f"{rule}.{i}": part for rule, parts in loops.items() for i, part in enumerate(parts)}
    )
    images = np.random.default_rng(0).random((4, 28, 28, 1)).astype("float32")
    model = cnnf_tf.load_pretrained("fashion_mnist_standard")
    np.savez(folder / "pretrained.npz", images=images, logits=model.infer(images).logits)
    return folder


_PRINTED = {}


def _results(test, backend):
    """The folder that the other backend wrote into, and what failed there."""
    if backend not in _PRINTED:
        other_backend.skip_without(test, backend)
        arguments = (test, backend, str(_left_behind()))
        _PRINTED[backend] = json.loads(other_backend.run(*arguments, module="tests.backend_checks"))
    return _left_behind(), _PRINTED[backend]


if __name__ == "__main__":
    tf.test.main()
