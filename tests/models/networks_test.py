"""The WideResNet with batch norm; the authors' networks are in golden_test.py."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers, load_model
from cnnf_tf.models.networks import leaves, wide_resnet
from cnnf_tf.training.objectives import AdversarialObjective
from cnnf_tf.utils.dtypes import dtype_policy


class BatchNormTest(tf.test.TestCase, parameterized.TestCase):
    def test_it_takes_the_place_of_one_norm(self):
        authors, ours = (
            [(layer.name, type(layer)) for layer in leaves(wide_resnet(depth=16, head_batch_norm=normed).network)]
            for normed in (False, True)
        )
        changed = [pair for pair in zip(authors, ours, strict=True) if pair[0][1] != pair[1][1]]
        name = "head_norm_up"
        self.assertEqual(changed, [((name, layers.InstanceNorm), (name, layers.FeedbackBatchNorm))])

    def test_later_passes_stay_in_range(self):
        """With batch norm everywhere the third pass had features of 50 times the size."""
        keras.utils.set_random_seed(0)
        network = {"depth": 16, "encoder_blocks": 2, "head_batch_norm": True, "rule": "reference"}
        model = CNNF.from_name("wide_resnet", image_shape=(32, 32, 3), network=network, iterations=2)
        images = np.random.default_rng(0).uniform(size=(8, 32, 32, 3)).astype("float32")
        first, _, last = (np.std(taps[-1]) for taps in model.infer(images, training=True).taps)
        self.assertLess(last, 5 * first)

    def test_training_moves_its_statistics_and_a_file_keeps_them(self):
        keras.utils.set_random_seed(0)
        network = {"depth": 10, "widen_factor": 1, "encoder_blocks": 1, "head_batch_norm": True}
        model = CNNF.from_name("wide_resnet", image_shape=(32, 32, 3), network=network, iterations=1)
        images = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype("float32")
        before = [np.array(weight) for weight in model.non_trainable_weights if "moving" in weight.name]
        model.compile(optimizer="sgd")
        model.fit(images, np.arange(4), epochs=1, verbose=0)
        after = [np.array(weight) for weight in model.non_trainable_weights if "moving" in weight.name]
        self.assertLen(after, 2)  # mean and variance
        for old, new in zip(before, after, strict=True):
            self.assertNotAllClose(old, new)
        path = f"{self.get_temp_dir()}/model.keras"
        model.save(path)
        self.assertAllEqual(load_model(path)(images), model(images))

    def test_half_precision_keeps_statistics_in_float32(self):
        """The mean of 100 has an error of 0.25 in bfloat16: as much as the features deviate from it."""
        norm = layers.FeedbackBatchNorm(keras.layers.BatchNormalization(), frozen=False, dtype="mixed_bfloat16")
        features = 100.3 + 0.5 * np.random.default_rng(0).normal(size=(8, 16, 16, 4)).astype("float32")
        norm.build(features.shape)
        first, statistics = norm(features, training=True)
        again, _ = norm(features, statistics, eta=0.1, training=True)
        self.assertEqual((first.dtype, again.dtype), (tf.bfloat16, tf.bfloat16))
        self.assertEqual([part.dtype for part in statistics], [tf.float32, tf.float32])
        self.assertAllClose(tf.cast(again, tf.float32), tf.cast(first, tf.float32), atol=0.02)

    @parameterized.parameters("float32", "mixed_bfloat16")
    def test_trains_under_attack_before_and_after_feedback_joins(self, policy):
        network = {"depth": 10, "widen_factor": 1, "encoder_blocks": 1, "head_batch_norm": True}
        images = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype("float32")
        with dtype_policy(policy):
            model = CNNF.from_name("wide_resnet", image_shape=(32, 32, 3), network=network, iterations=1)
        for plain in (True, False):
            attack = {"epsilon": 0.03, "steps": 1, "step_size": 0.03, "clean_weight": 0.0}
            objective = AdversarialObjective(model, **attack, plain=plain)
            prepared = objective.prepare(images, tf.range(4), seed=tf.constant(0), indices=tf.range(4))
            losses = objective.score(prepared, tf.range(4), step=tf.constant(0)).losses
            self.assertAllClose(losses.total, np.mean(losses.passes) + 0.1 * losses.reconstruction, rtol=1e-5)
            self.assertEqual((len(losses.passes), float(losses.reconstruction) > 0), (2 - plain, not plain))


class DtypeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("fashion_cnn", "float64", "float64", "float64"),
        ("fashion_cnn", keras.DTypePolicy("mixed_bfloat16"), "bfloat16", "float32"),
        ("wide_resnet", "mixed_bfloat16", "bfloat16", "float32"),
    )
    def test_that_of_the_model_is_that_of_its_layers(self, name, dtype, inside, last):
        keras.utils.set_random_seed(0)
        wide = name == "wide_resnet"
        network = {"encoder_blocks": 1} | ({"depth": 10, "widen_factor": 1, "head_batch_norm": True} if wide else {})
        shape = (32, 32, 3) if wide else (8, 8, 1)
        model = CNNF.from_name(name, image_shape=shape, network=network, dtype=dtype)
        self.assertEqual(keras.config.dtype_policy().name, "float32")
        *below, top = [*leaves(model.encoder), *leaves(model.network)]
        self.assertEqual({layer.compute_dtype for layer in below}, {inside})
        self.assertEqual((model.compute_dtype, top.compute_dtype), (inside, last))
        images, labels = np.random.default_rng(0).uniform(size=(4, *shape)).astype("float32"), np.arange(4)
        model.compile("sgd")
        history = model.fit(images, labels, verbose=0).history
        self.assertTrue(np.isfinite(history["loss"]).all())
        self.assertEqual(model.infer(images).logits.dtype, last)
        path = f"{self.get_temp_dir()}/model.keras"
        model.save(path)
        self.assertAllEqual(load_model(path).infer(images).logits, model.infer(images).logits)


if __name__ == "__main__":
    tf.test.main()
