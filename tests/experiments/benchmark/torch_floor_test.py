"""The floor by PyTorch is the floor by TensorFlow: the same maps on the same inputs, as often."""

import importlib
import importlib.util
import unittest
from collections import Counter
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import linear_ops, lower_bound
from cnnf_tf.experiments.benchmark.lower_bound import Kind
from cnnf_tf.experiments.benchmark.torch_process import TorchError, TorchProcess
from tests.experiments.benchmark import fixtures_ops
from tests.models import fixtures_models


@unittest.skipIf(importlib.util.find_spec("torch") is None, "PyTorch is not installed")
class TorchFloorTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.torch = importlib.import_module("torch")
        self.floor = importlib.import_module("cnnf_tf.experiments.benchmark.torch_floor")

    @parameterized.product(forward=fixtures_ops.FORWARD, kind=tuple(Kind))
    def test_same_maps_as_tensorflow(self, forward, kind):
        op = forward._replace(kind=kind)
        inputs = lower_bound.random_inputs()
        expected = lower_bound.bare(op, inputs)().numpy()
        (plain,) = linear_ops.as_json({op: 1})
        found = self.floor.bare(plain, lambda *which: self.torch.tensor(inputs(*which).numpy()))().numpy()
        if op.strides:
            order = (2, 3, 1, 0) if kind is Kind.WEIGHTS else (0, 2, 3, 1)
            found = np.transpose(found, order)
        self.assertAllClose(found, expected, rtol=1e-4, atol=1e-4)

    def test_calls_each_op_as_often_as_it_says(self):
        work = linear_ops.work(fixtures_models.model(), 2, iterations=2, gradient="weights")
        calls = Counter()
        counting = lambda op, _: lambda: calls.update([(op["kind"], op["features"], op["kernel"])])  # noqa: E731
        with mock.patch.object(self.floor, "bare", side_effect=counting):
            self.floor.floor(linear_ops.as_json(work))()
        self.assertEqual(calls, {(op.kind, op.features, op.kernel): count for op, count in work.items()})

    def test_half_precision_and_channels_last(self):
        for forward in fixtures_ops.FORWARD:
            (op,) = linear_ops.as_json({forward._replace(dtype="bfloat16"): 1})
            result = self.floor.bare(op, self.floor.random_inputs())()
            self.assertEqual(result.dtype, self.torch.bfloat16)
            if forward.strides:
                self.assertTrue(result.is_contiguous(memory_format=self.torch.channels_last))

    def test_in_its_process(self):
        work = linear_ops.work(fixtures_models.model(), 2, iterations=1)
        with TorchProcess(threads=1) as process:
            run = process.run(ops=linear_ops.as_json(work))
            for _ in range(2):
                self.assertGreater(run(), 0)
            self.assertEqual(process.about["torch"], self.torch.__version__)
            process.forget()
            with self.assertRaisesRegex(TorchError, "KeyError"):
                run()


if __name__ == "__main__":
    tf.test.main()
