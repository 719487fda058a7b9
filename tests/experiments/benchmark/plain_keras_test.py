from collections import Counter

import keras
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import cases, linear_ops, setups
from cnnf_tf.experiments.benchmark.plain_keras import plain_cnn


class PlainCnnTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*setups.SMOKE_SETUPS)
    def test_has_the_layers_of_the_network(self, name):
        setup = setups.SMOKE_SETUPS[name]
        case = setups.Case(setups.INFERENCE, setup, 0, 0, 2)
        ours = cases.CaseBuilder({}).model(case)
        plain = plain_cnn(name, setup.image_shape, **dict(setup.options))
        work = linear_ops.work(ours, 2, iterations=0)
        found = Counter(
            (tuple(layer.kernel.shape), (2, *layer.output.shape[1:]))
            for layer in plain.layers
            if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
        )
        wanted = Counter()
        for op, count in work.items():
            wanted[op.kernel, op.output] += count
        self.assertEqual(found, wanted)
        shapes = lambda model: sorted(tuple(weight.shape) for weight in model.trainable_weights)  # noqa: E731
        self.assertEqual(shapes(plain), shapes(ours))


if __name__ == "__main__":
    tf.test.main()
