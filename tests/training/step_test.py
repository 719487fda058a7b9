"""One training step: the authors' arithmetic, the same on any number of replicas and micro-batches, loss scaling."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from ml_collections import ConfigDict

from cnnf_tf.training import AdversarialObjective, Objective, TrainingStep, build_optimizer, split_over_replicas
from cnnf_tf.training.objectives import Prepared
from cnnf_tf.training.step import evaluation_step
from cnnf_tf.training.validator import averaged_weights
from cnnf_tf.utils.dtypes import dtype_policy
from tests.training import fixtures_training, numpy_reference


def options(**changes):
    return ConfigDict(
        {
            "name": "sgd",
            "learning_rate": 0.05,
            "schedule": "poly",
            "warmup_fraction": 0.0,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "clip_norm": 0.5,
        }
        | changes
    )


class Blended(Objective):
    """Adversarial training on images that need no attack."""

    clean_weight = 0.1

    def prepare(self, images, labels, *, seed, indices):
        return Prepared(images * 0.7 + 0.1, images)


class Spike(Objective):
    """The gradient of every weight is the mean of the first pixels."""

    def score(self, prepared, labels, *, step):
        scored = super().score(prepared, labels, step=step)
        size = tf.reduce_mean(prepared.images[:, 0, 0, 0])
        total = tf.add_n([tf.reduce_sum(tf.convert_to_tensor(w)) for w in self.model.trainable_variables]) * size
        return scored._replace(losses=scored.losses._replace(total=total))


def attack(model):
    return AdversarialObjective(model, epsilon=0.1, steps=2, step_size=0.05, clean_weight=0.1)


def train(
    batches,
    *,
    make=attack,
    strategy=None,
    accumulation=1,
    policy="float32",
    seed=5,
    average=None,
    trail=None,
    **changes,
):
    """Trains `small.model`; returns it, its optimiser and the reports, and adds the weights of each step to `trail`."""
    strategy = strategy or tf.distribute.get_strategy()
    config = options(**changes)
    average = {"use_ema": True, "ema_momentum": average} if average else {}
    with strategy.scope(), dtype_policy(policy):
        model = fixtures_training.model()
        optimizer = build_optimizer(config, len(batches), loss_scaling=policy == "mixed_float16", **average)
        optimizer.build(model.trainable_variables)
        step = TrainingStep(
            model,
            optimizer,
            make(model),
            clip_norm=config.clip_norm,
            weight_decay=config.weight_decay,
            accumulation=accumulation,
        )
        images, labels = zip(*batches, strict=True)
        dataset = tf.data.Dataset.from_tensor_slices((tf.stack(images), tf.stack(labels)))
        reports = []
        for number, batch in enumerate(split_over_replicas(strategy, dataset, int(labels[0].shape[0]))):
            report = step(*batch, step=number, seed=seed)
            reports.append({name: float(value) for name, value in report.items()})
            if trail is not None:
                trail.append(model.get_weights())
    return model, optimizer, reports


class TrainingStepTest(tf.test.TestCase, parameterized.TestCase):
    def assert_same_weights(self, first, second, tolerance=1e-5):
        for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
            self.assertAllClose(ours, theirs, rtol=0, atol=tolerance)

    @parameterized.parameters(1, 2)
    def test_two_steps_equal_the_authors_arithmetic(self, iterations):
        model = numpy_reference.model(iterations=iterations, reconstruction_weight=0.2)
        recipe = {"weight_decay": 0.03, "clip_norm": 0.05, "momentum": 0.9}
        optimizer = build_optimizer(options(learning_rate=0.3, **recipe), 4)
        optimizer.build(model.trainable_variables)
        step = TrainingStep(model, optimizer, Blended(model), clip_norm=0.05, weight_decay=0.03)
        wanted = numpy_reference.Training(numpy_reference.weights(model), rate=0.3, total_steps=4, **recipe)
        for number in range(2):
            clean, labels = numpy_reference.images(4, number), np.array([2, 0, 1, 1])
            batch = (clean, clean * 0.7 + 0.1, labels)
            terms = {"iterations": iterations, "clean_weight": 0.1, "reconstruction_weight": 0.2}
            loss = numpy_reference.loss(wanted.parameters, *batch, **terms)
            norm = wanted.step(numpy_reference.gradient(wanted.parameters, *batch, **terms))
            report = step(tf.constant(clean), tf.constant(labels), step=number, seed=0)
            self.assertAllClose(report["loss"], loss, rtol=1e-6)
            self.assertAllClose(report["gradient_norm"], norm, rtol=1e-6)
            self.assertGreater(norm, 0.05)
        for ours, theirs in zip(numpy_reference.weights(model), wanted.parameters, strict=True):
            self.assertAllClose(ours, theirs, rtol=1e-6, atol=1e-7)

    def test_two_replicas_and_micro_batches_equal_one(self):
        batches = fixtures_training.batches(20)
        alone, _, reports = train(batches)
        self.assertNotAllClose(alone.get_weights()[0], fixtures_training.model().get_weights()[0], atol=1e-3)
        for other in ({"accumulation": 4}, {"strategy": fixtures_training.mirrored(), "accumulation": 2}):
            model, _, other_reports = train(batches, **other)
            self.assert_same_weights(model, alone)
            for ours, theirs in zip(other_reports, reports, strict=True):
                for name in theirs:
                    self.assertAllClose(ours[name], theirs[name], rtol=1e-4, atol=1e-5, msg=name)

    def test_another_seed_is_another_attack(self):
        first, other = (train(fixtures_training.batches(1), seed=seed)[0].get_weights()[0] for seed in (5, 6))
        self.assertNotAllClose(first, other, rtol=0, atol=1e-7)

    def test_clips_the_gradient_of_the_whole_batch(self):
        # One half of the batch has a gradient of 4 in every weight, the other of -2: only the mean of 1 is clipped.
        images = np.zeros((4, *fixtures_training.IMAGE_SHAPE), np.float32)
        images[:2, 0, 0, 0] = 1.0
        batch = [(tf.constant(images), tf.constant([0, 1, 2, 0]))]
        before = fixtures_training.model()
        count = sum(weight.size for weight in before.get_weights())
        for strategy in (None, fixtures_training.mirrored()):
            plain = {"momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "learning_rate": 1.0}
            model, _, (report,) = train(batch, make=Spike, strategy=strategy, clip_norm=0.1, **plain)
            self.assertAllClose(report["gradient_norm"], 0.5 * np.sqrt(count), rtol=1e-5)
            for ours, theirs in zip(model.get_weights(), before.get_weights(), strict=True):
                self.assertAllClose(theirs - ours, np.full(ours.shape, 0.1 / np.sqrt(count)), rtol=1e-3)

    @parameterized.parameters(None, 2)
    def test_float16_leaves_out_a_step_that_overflows(self, replicas):
        strategy = replicas and fixtures_training.mirrored()
        # The scale of the loss is 2**15 at first; the gradient of the first batch is then beyond float32.
        huge = tf.fill((4, *fixtures_training.IMAGE_SHAPE), 1.0)
        batches = [(huge, tf.zeros(4, tf.int32)), (huge, tf.zeros(4, tf.int32))]

        class Once(Spike):
            def score(self, prepared, labels, *, step):
                scored = super().score(prepared, labels, step=step)
                factor = tf.where(tf.equal(tf.cast(step, tf.int32), 0), 1e36, 1e-3)
                return scored._replace(losses=scored.losses._replace(total=scored.losses.total * factor))

        plain = {"momentum": 0.9, "weight_decay": 0.0, "schedule": "constant", "clip_norm": 0.0}
        model, optimizer, reports = train(batches, make=Once, strategy=strategy, policy="mixed_float16", **plain)
        self.assertEqual([report["skipped"] for report in reports], [1.0, 0.0])
        self.assertEqual(reports[0]["gradient_norm"], 0.0)
        scales = (strategy or tf.distribute.get_strategy()).experimental_local_results(optimizer.dynamic_scale.value)
        self.assertEqual([float(scale) for scale in scales], [2.0**14] * len(scales))
        self.assertEqual(optimizer.iterations.numpy(), 1)
        with dtype_policy("mixed_float16"):
            before = fixtures_training.model().get_weights()
        for ours, theirs in zip(model.get_weights(), before, strict=True):
            self.assertAllClose(theirs - ours, np.full(ours.shape, 0.05 * 1e-3), rtol=0.02)

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    def test_half_precision_comes_close(self, policy):
        batches = fixtures_training.batches(2)
        model, _, reports = train(batches, policy=policy, make=Blended)
        exact, _, exact_reports = train(batches, make=Blended)
        self.assertEqual(model.network.layers[0].compute_dtype, policy.removeprefix("mixed_"))
        self.assert_same_weights(model, exact, 5e-3)
        self.assertAllClose(reports[-1]["loss"], exact_reports[-1]["loss"], rtol=0.02)
        self.assertAllClose(reports[-1]["gradient_norm"], exact_reports[-1]["gradient_norm"], rtol=0.1)

    @parameterized.parameters((None, "float32"), (2, "float32"), (None, "mixed_float16"))
    def test_average_of_the_weights(self, replicas, policy):
        strategy = fixtures_training.mirrored() if replicas else tf.distribute.get_strategy()
        trail = []
        model, optimizer, _ = train(
            fixtures_training.batches(3), make=Blended, policy=policy, strategy=strategy, average=0.7, trail=trail
        )
        averages = trail[0]
        for weights in trail[1:]:
            averages = [0.7 * old + 0.3 * new for old, new in zip(averages, weights, strict=True)]
        kept = model.get_weights()
        with strategy.scope():
            with averaged_weights(model, optimizer):
                for variable, wanted in zip(model.trainable_variables, averages, strict=True):
                    for copy in strategy.experimental_local_results(variable.value):
                        self.assertAllClose(copy, wanted, rtol=0, atol=1e-6)
                self.assertNotAllClose(model.get_weights()[0], kept[0], rtol=0, atol=1e-5)
            with self.assertRaises(KeyError), averaged_weights(model, optimizer):
                raise KeyError
        for ours, theirs in zip(model.get_weights(), kept, strict=True):
            self.assertAllEqual(ours, theirs)

    def test_evaluation_step_trains_nothing(self):
        model = fixtures_training.model(training_horizon=4)
        ((images, labels),) = fixtures_training.batches(1)
        before = model.get_weights()
        report = evaluation_step(model)(images, labels)
        logits = model(images)
        self.assertAllClose(report["accuracy"], np.mean(np.argmax(logits, -1) == labels.numpy()))
        self.assertAllClose(report["last_pass_loss"], numpy_reference.cross_entropy(np.float64(logits), labels.numpy()))
        for ours, theirs in zip(model.get_weights(), before, strict=True):
            self.assertAllEqual(ours, theirs)


class SplitTest(tf.test.TestCase):
    def test_each_replica_gets_its_part_in_order(self):
        dataset = tf.data.Dataset.range(24).map(lambda n: ({"images": n, "clean": -n}, n)).batch(8, drop_remainder=True)
        strategy = fixtures_training.mirrored()
        found = []
        for images, labels in split_over_replicas(strategy, dataset, 8):
            parts = [strategy.experimental_local_results(each) for each in (images["images"], images["clean"], labels)]
            found.append([part.numpy().tolist() for part in parts[0]])
            self.assertAllEqual(-tf.concat(parts[1], 0), tf.concat(parts[2], 0))
        self.assertEqual(found[0], [[0, 1, 2, 3], [4, 5, 6, 7]])
        self.assertEqual(found[2], [[16, 17, 18, 19], [20, 21, 22, 23]])

    def test_one_replica_gets_the_data_set_as_it_is(self):
        dataset = tf.data.Dataset.range(4).batch(2)
        self.assertIs(split_over_replicas(tf.distribute.get_strategy(), dataset, 2), dataset)


if __name__ == "__main__":
    tf.test.main()
