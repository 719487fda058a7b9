"""The kernels on JAX, against brute force and finite differences, in processes that never load TensorFlow."""

from absl.testing import absltest, parameterized

from tests import other_backend


class JaxKernelsTest(parameterized.TestCase):
    @parameterized.parameters("signs", "convolutions", "dense", "pools", "gradients")
    def test_on_jax(self, check):
        other_backend.run(self, "jax", check)


if __name__ == "__main__":
    absltest.main()
