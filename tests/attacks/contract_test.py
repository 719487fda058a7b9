"""What every attack promises, whichever it is."""

import functools
import json

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.attacks import FAB, FGSM, PGD, SPSA, Square
from tests.attacks import linear
from tests.models import fixtures_models

EPSILONS = {"linf": 0.1, "l2": 0.4}


@functools.cache  # the same object, traced once
def make(name, epsilon=None, **kwargs):
    """One of the attacks by name; an epsilon of None is one that breaks some images and not others."""
    norm = "l2" if name.endswith("l2") else "linf"
    epsilon = EPSILONS[norm] if epsilon is None else epsilon
    if name.startswith("fgsm"):
        return FGSM(epsilon=epsilon, norm=norm, **kwargs)
    if name == "spsa":
        return SPSA(epsilon=epsilon, steps=5, samples=12, **kwargs)
    if name.startswith("fab"):
        return FAB(epsilon=epsilon, norm=norm, steps=5, **kwargs)
    if name.startswith("square"):
        return Square(epsilon=epsilon, norm=norm, queries=60, **kwargs)
    return PGD(epsilon=epsilon, steps=5, norm=norm, **({"restarts": 2} if "restarts" in name else {}), **kwargs)


NAMES = ("fgsm", "fgsm_l2", "pgd", "pgd_l2", "pgd_restarts", "spsa", "fab", "square_l2")


class ContractTest(tf.test.TestCase, parameterized.TestCase):
    def assert_in_ball(self, result, images, attack):
        delta = np.asarray(result.images, np.float64) - images.astype(np.float64)
        flat = delta.reshape(len(images), -1)
        distance = np.abs(flat).max(-1) if attack.norm.name == "linf" else np.linalg.norm(flat, axis=-1)
        self.assertLessEqual(distance.max(), attack.epsilon + 1e-6)
        self.assertGreaterEqual(np.min(result.images), 0)
        self.assertLessEqual(np.max(result.images), 1)
        self.assertAllClose(result.distance, distance, atol=1e-6)

    @parameterized.product(name=NAMES, stop=(True, False), epsilon=(None, 0.01, 3.0))
    def test_ball_range_and_scores(self, name, stop, epsilon):
        predict, images, labels = linear.predictor(), linear.images(32), linear.labels(32, wrong=4)
        attack = make(name, epsilon, early_stop=stop)
        result = attack(predict, images, labels, seed=3)
        self.assert_in_ball(result, images, attack)
        self.assertEqual(result.images.dtype, tf.float32)
        found = predict(result.images).numpy().argmax(-1)
        self.assertAllEqual(result.predictions, found)
        self.assertAllEqual(result.success, found != labels)
        self.assertAllEqual(result.clean_correct, np.arange(32) >= 4)
        if stop:
            self.assertAllEqual(result.images[:4], images[:4])
            self.assertAllEqual(result.distance[:4], np.zeros(4))
            self.assertAllEqual(result.queries[:4], np.zeros(4))
            self.assertAllEqual(result.success[:4], [True] * 4)
        self.assertAllInRange(result.queries[4:], 1, 1000)

    @parameterized.parameters(*NAMES)
    def test_breaks_some_and_not_all(self, name):
        result = make(name)(linear.predictor(), linear.images(64), linear.labels(64), seed=0)
        self.assertBetween(np.mean(result.success), 0.05, 0.95)

    @parameterized.product(name=NAMES, stop=(True, False))
    def test_epsilon_zero_is_the_identity(self, name, stop):
        images = linear.images(9)
        attack = make(name, 0.0, early_stop=stop)
        result = attack(linear.predictor(), images, linear.labels(9, wrong=2), seed=0)
        self.assertAllEqual(result.images, images)
        self.assertAllEqual(result.distance, np.zeros(9))
        self.assertAllEqual(result.success, np.arange(9) < 2)

    @parameterized.parameters(*NAMES)
    def test_same_seed_same_bytes(self, name):
        images, labels = linear.images(16), linear.labels(16)
        attack, predict = make(name), linear.predictor()
        runs = ((attack, 5), (attack, 5), (make.__wrapped__(name), tf.constant(5)), (attack, 6))
        first, again, fresh, other = (run(predict, images, labels, seed=seed).images.numpy() for run, seed in runs)
        self.assertAllEqual(first, again)
        self.assertAllEqual(first, fresh)
        if not name.startswith(("fgsm", "fab")):
            self.assertNotAllEqual(first, other)

    @parameterized.parameters(*NAMES)
    def test_an_image_does_not_depend_on_its_batch(self, name):
        predict, images, labels = linear.predictor(), linear.images(12), linear.labels(12)
        bound = make(name).bind(predict)
        whole = bound(images, labels, seed=2)
        order = np.array([7, 2, 11])
        part = bound(images[order], labels[order], seed=2, indices=order)
        single = bound(images[7:8], labels[7:8], seed=2, indices=[7])
        # The random numbers are the same bytes; the matrix product of another batch may round otherwise.
        self.assertAllClose(part.images, whole.images.numpy()[order], atol=1e-5)
        self.assertAllClose(single.images, whole.images[7:8], atol=1e-5)
        self.assertAllEqual(part.success, whole.success.numpy()[order])
        self.assertAllEqual(part.queries, whole.queries.numpy()[order])

    @parameterized.parameters(*NAMES)
    def test_dropping_broken_images_changes_no_success(self, name):
        predict, images, labels = linear.predictor(), linear.images(64), linear.labels(64)
        dropped = make(name)(predict, images, labels, seed=4)
        kept = make(name, early_stop=False)(predict, images, labels, seed=4)
        # A linear model that is broken once stays broken on the way up; the stopping attack can only be ahead.
        self.assertGreaterEqual(np.sum(dropped.success), np.sum(kept.success))
        robust = ~dropped.success.numpy()
        self.assertAllClose(dropped.images[robust], kept.images[robust], atol=1e-5)
        self.assertLessEqual(np.mean(dropped.queries), np.mean(kept.queries))

    @parameterized.product(name=NAMES, loss=("cross_entropy", "margin", "dlr"))
    def test_targeted(self, name, loss):
        predict, images, labels = linear.predictor(), linear.images(32), linear.labels(32)
        targets = (labels + 1) % linear.CLASSES
        options = {} if name.startswith("fab") else {"loss": loss}
        result = make(name, 0.5, **options)(predict, images, labels, targets=targets, seed=0)
        found = predict(result.images).numpy().argmax(-1)
        self.assertAllEqual(result.success, found == targets)
        self.assertGreater(np.mean(result.success), 0.2)
        there = make(name)(predict, images, labels, targets=labels, seed=0)
        self.assertAllEqual(there.images, images)
        self.assertAllEqual(there.success, [True] * 32)
        self.assertAllEqual(there.losses, np.full(there.losses.shape, np.nan))

    @parameterized.parameters(*NAMES)
    def test_surrogate_decides_gradients_and_predict_success(self, name):
        predict, surrogate = linear.predictor(), linear.predictor(seed=9)
        images, labels = linear.images(32), linear.labels(32)
        transfer = make(name)(predict, images, labels, surrogate=surrogate, seed=0)
        white_box = make(name)(predict, images, labels, seed=0)
        self.assertAllEqual(transfer.success, predict(transfer.images).numpy().argmax(-1) != labels)
        self.assertLess(np.sum(transfer.success), np.sum(white_box.success))
        attack = make(name)
        self.assert_in_ball(transfer, images, attack)

    @parameterized.parameters(*NAMES)
    def test_inside_a_tf_function(self, name):
        predict, images, labels = linear.predictor(), linear.images(8), linear.labels(8, wrong=1)
        attack = make(name)
        traced = tf.function(lambda images, labels, seed: attack(predict, images, labels, seed=seed))
        eager, inside = attack(predict, images, labels, seed=1), traced(images, labels, tf.constant(1))
        for name, value in eager._asdict().items():
            self.assertAllClose(value, getattr(inside, name), msg=name)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r"pixels in \[0, 1\]"):
            traced(images + 1, labels, tf.constant(1))
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r"labels must be in \[0, 5\)"):
            traced(images, labels + 5, tf.constant(1))

    @parameterized.parameters("pgd", "spsa")
    def test_on_two_replicas(self, name):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            model = fixtures_models.smaller_model(iterations=1)
        images, labels = fixtures_models.images(6), model(fixtures_models.images(6)).numpy().argmax(-1)
        bound = make(name, 0.05).bind(attacks.predictor(model))
        dataset = tf.data.Dataset.from_tensor_slices((images, labels, np.arange(6))).batch(4)
        dataset = strategy.experimental_distribute_dataset(dataset)

        @tf.function(input_signature=[dataset.element_spec])
        def attack(batch):
            return strategy.run(lambda images, labels, rows: bound(images, labels, seed=0, indices=rows), batch)

        found = [attack(batch) for batch in dataset]
        values = [strategy.experimental_local_results(result.images) for result in found]
        replicated = np.concatenate([part.numpy() for parts in values for part in parts])
        single = bound(images, labels, seed=0)
        self.assertEqual(replicated.shape, single.images.shape)
        self.assertLess(np.abs(replicated - single.images.numpy()).max(), 0.1 + 1e-6)
        self.assertLess(np.mean(np.abs(replicated - single.images.numpy()) > 1e-4), 0.02)

    @parameterized.parameters("pgd", "pgd_restarts", "spsa", "fab", "square_l2")
    def test_traced_once_for_all_batch_sizes(self, name):
        count, linear_predict = [], linear.predictor()

        def predict(images):
            count.append(1)
            return linear_predict(images)

        attack = make.__wrapped__(name)
        for size in (8, 8, 3, 1, 5):
            attack(predict, linear.images(size), linear.labels(size), seed=size)
            if size == 8:
                traces = len(count)
        self.assertLen(count, traces)
        attack(predict, linear.images(4).astype("float64"), linear.labels(4), seed=0)
        self.assertGreater(len(count), traces)

    @parameterized.parameters(*NAMES)
    def test_empty_batch(self, name):
        images, labels = linear.images(0), np.zeros([0], "int32")
        result = make(name)(linear.predictor(), images, labels, seed=0)
        self.assertEqual(result.images.shape, images.shape)
        self.assertEqual(result.success.shape, (0,))

    @parameterized.parameters("pgd", "pgd_restarts")
    def test_a_model_never_sees_an_empty_batch(self, name):
        """TensorFlow's CPU convolutions abort the process on one."""
        model, images = fixtures_models.smaller_model(), fixtures_models.images(2)
        wrong = (model(images).numpy().argmax(-1) + 1) % 3
        bound = make(name).bind(attacks.predictor(model))
        self.assertAllEqual(bound(images, wrong, seed=0).queries, [0, 0])
        self.assertEqual(bound(images[:0], wrong[:0], seed=0).images.shape, (0, 8, 8, 1))
        self.assertEqual(bound.perturb(images[:0], wrong[:0], seed=0).shape, (0, 8, 8, 1))

    @parameterized.parameters(*NAMES)
    def test_perturb_gives_the_same_images(self, name):
        images, labels = linear.images(16), linear.labels(16, wrong=3)
        for stop in (True, False):
            bound = make(name, early_stop=stop).bind(linear.predictor())
            self.assertAllEqual(bound.perturb(images, labels, seed=1), bound(images, labels, seed=1).images)

    @parameterized.parameters(*NAMES)
    def test_gradients_that_are_not_finite_or_zero(self, name):
        images, labels = linear.images(6), linear.labels(6)
        predict = linear.predictor()

        @tf.custom_gradient
        def poisoned(values):
            return tf.identity(values), lambda upstream: upstream * np.nan

        attack = make(name)
        for surrogate in (lambda x: predict(poisoned(x)), lambda x: 0 * predict(x), lambda x: predict(x) * np.inf):
            result = attack(predict, images, labels, surrogate=surrogate, seed=0)
            self.assert_in_ball(result, images, attack)

    def test_settings_are_json(self):
        for name in NAMES:
            settings = json.loads(json.dumps(make(name).settings()))
            self.assertEqual(settings["epsilon_unit"], "pixels in [0, 1]")
            self.assertContainsSubset({"attack", "norm", "epsilon", "early_stop"}, settings)
            self.assertContainsSubset({"queries"} if "square" in name else {"steps", "restarts"}, settings)


if __name__ == "__main__":
    tf.test.main()
