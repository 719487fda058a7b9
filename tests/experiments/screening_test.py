"""The screening, in a process whose Keras runs on JAX."""

from absl.testing import absltest, parameterized

from tests import other_backend


class ScreeningTest(parameterized.TestCase):
    def test_loop_and_objective_are_those_of_the_models(self):
        other_backend.run(self, "jax", module="tests.experiments.screening_on_jax")


if __name__ == "__main__":
    absltest.main()
