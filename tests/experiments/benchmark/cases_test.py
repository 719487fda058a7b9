import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.experiments.benchmark import cases, setups

FASHION = setups.SMOKE_SETUPS["fashion_cnn"]
KINDS = (
    setups.INFERENCE,
    setups.ATTACK_FIRST_PASS,
    setups.ATTACK_FULL_UNROLL,
    setups.TRAINING,
    setups.ADVERSARIAL_TRAINING,
)


def fashion(kind, **options):
    return setups.Case(kind, FASHION, **({"encoder_blocks": 2, "iterations": 1, "batch_size": 2} | options))


class CaseTest(tf.test.TestCase, parameterized.TestCase):
    def test_comes_back_from_json(self):
        case = setups.Case(setups.TRAINING, setups.SMOKE_SETUPS["wide_resnet"], 1, 2, 3, "bfloat16", "xla")
        self.assertEqual(setups.Case.from_dict(json.loads(json.dumps(case.to_dict()))), case)

    @parameterized.product(kind=KINDS, mode=("function", "eager"))
    def test_every_kind_runs_and_is_finite(self, kind, mode):
        result = cases.CaseBuilder({}).build(fashion(kind, mode=mode))()
        shapes = {setups.INFERENCE: (2, 10), setups.TRAINING: (), setups.ADVERSARIAL_TRAINING: ()}
        self.assertEqual(result.shape, shapes.get(kind, (2, 28, 28, 1)))
        self.assertTrue(np.isfinite(result).all())
        self.assertFalse(tf.config.functions_run_eagerly())

    def test_xla(self):
        results = [cases.CaseBuilder({}).build(fashion(setups.INFERENCE, mode=mode))() for mode in ("function", "xla")]
        self.assertAllClose(*results, atol=1e-5)

    def test_half_precision(self):
        bench, policy = cases.CaseBuilder({}), keras.config.dtype_policy()
        case = fashion(setups.INFERENCE, iterations=0, dtype="bfloat16")
        self.assertEqual(bench.model(case).compute_dtype, "bfloat16")
        self.assertEqual(keras.config.dtype_policy(), policy)
        single = bench.build(fashion(setups.INFERENCE, iterations=0))()
        self.assertAllClose(bench.build(case)(), single, atol=0.05 * np.abs(single).max())
        self.assertGreater(np.abs(bench.build(case)() - single).max(), 0)

    def test_models_are_shared(self):
        bench = cases.CaseBuilder({})
        self.assertIs(
            bench.model(fashion(setups.INFERENCE)), bench.model(fashion(setups.ATTACK_FULL_UNROLL, iterations=5))
        )
        self.assertIsNot(
            bench.model(fashion(setups.INFERENCE)), bench.model(fashion(setups.INFERENCE, encoder_blocks=0))
        )
        training = bench.model(fashion(setups.TRAINING, iterations=5))
        self.assertEqual(training.iterations, 5)

    @parameterized.parameters(setups.TRAINING, setups.ADVERSARIAL_TRAINING)
    def test_training_updates_the_weights(self, kind):
        bench = cases.CaseBuilder({})
        model = bench.model(fashion(kind))
        before = [weight.numpy() for weight in model.trainable_variables]
        run = bench.build(fashion(kind))
        run()
        run()
        self.assertEqual(int(model.optimizer.iterations), 2)
        for weight, old in zip(model.trainable_variables, before, strict=True):
            self.assertGreater(np.abs(weight.numpy() - old).max(), 0, weight.path)

    @parameterized.parameters(setups.ATTACK_FIRST_PASS, setups.ATTACK_FULL_UNROLL)
    def test_attack_takes_one_step_along_its_path(self, kind):
        bench, case = cases.CaseBuilder({}), fashion(kind)
        images, labels = bench.batch(case)
        path = "first_pass" if kind == setups.ATTACK_FIRST_PASS else "full_unroll"
        source = attacks.gradient_source(bench.model(case), path, iterations=1)
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, source(images))
        sign = tf.sign(tape.gradient(loss, images))
        self.assertAllClose(bench.build(case)(), tf.clip_by_value(images + FASHION.step_size * sign, 0, 1), atol=1e-6)

    def test_exported_model_gives_the_same_logits(self):
        bench = cases.CaseBuilder({"saved_model": cases.saved_model})
        logits = bench.build(fashion("export saved_model"))()
        self.assertAllClose(logits, bench.build(fashion(setups.INFERENCE))(), atol=1e-5)

    def test_exporters_are_told_what_to_write(self):
        told = []

        def exporter(model, directory, iterations, batch_size):
            told.append((iterations, batch_size))
            cases.saved_model(model, pathlib.Path(directory), iterations, batch_size)

        cases.CaseBuilder({"own": exporter}).build(fashion("export own", iterations=3))
        self.assertEqual(told, [(3, 2)])

    def test_unknown_kind(self):
        with self.assertRaisesRegex(ValueError, "there is no case of the kind 'sleep'"):
            cases.CaseBuilder({}).build(fashion("sleep"))


if __name__ == "__main__":
    tf.test.main()
