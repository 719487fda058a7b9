"""Step sizes: a constant mapping is the number, each place takes its own, and what is learned is saved and used."""

import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers
from cnnf_tf.models import NETWORKS, StepSizes, infer_adaptive
from cnnf_tf.models.presets.variables import named_variables
from cnnf_tf.models.step_sizes import eta_text, places
from cnnf_tf.training import Objective, TrainingStep
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_models

PAPER = {"fashion_cnn": ((28, 28, 1), {}), "wide_resnet": ((32, 32, 3), {"depth": 10, "widen_factor": 1})}
PLACES = ["h", "tap1/ada_relu1", "res/main/ada_relu2"]


def paper_model(name, **kwargs):
    shape, network = PAPER[name]
    keras.utils.set_random_seed(0)
    return CNNF.from_name(name, image_shape=shape, network=network, iterations=3, **kwargs)


def one_step(model, images, labels, **options):
    """Trains for one step of plain SGD; returns the report."""
    optimizer = keras.optimizers.SGD(options.pop("rate", 0.1))
    optimizer.build(model.trainable_variables)
    options = {"clip_norm": 0.0, "weight_decay": 0.0} | options
    return TrainingStep(model, optimizer, Objective(model), **options)(images, labels, step=0, seed=0)


def eta_gradient(**kwargs):
    model = fixtures_models.model(learn_eta=True, **kwargs)
    with tf.GradientTape() as tape:
        logits = model.infer(fixtures_models.images(3), training=True).logits
        loss = tf.reduce_sum(tf.square(logits))
    return tape.gradient(loss, model.eta_logits.value).numpy()


class MappingTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(name=sorted(NETWORKS), eta=({"*": 0.3}, {"h": 0.3, "*relu*": 0.3}))
    def test_a_constant_mapping_is_the_number(self, name, eta):
        images = tf.constant(np.random.default_rng(0).random((2, *PAPER[name][0])), tf.float32)
        ours, theirs = paper_model(name, eta=eta), paper_model(name, eta=0.3)
        self.assertEqual(places(ours.network)[0], "h")
        pair = [tf.nest.flatten(model.infer(images)) for model in (ours, theirs)]
        for first, second in zip(*pair, strict=True):
            self.assertAllEqual(first, second)
        reports = [one_step(model, images, tf.constant([1, 2])) for model in (ours, theirs)]
        self.assertAllClose(reports[0]["loss"], reports[1]["loss"], rtol=1e-6)
        # Not to the last bit: once in thousands of runs the threads of a kernel gradient sum in another order.
        for first, second in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            self.assertAllClose(first, second, rtol=1e-5, atol=1e-6)

    def test_the_first_pattern_that_matches_wins(self):
        model = fixtures_models.model(eta={"h": 0.5, "tap*": 0.2, "ada_relu[12]": 0.1})
        self.assertEqual(places(model.network), PLACES)
        wanted = StepSizes(0.5, [None, None, [0.2], None, None, [[None, 0.1]], None, None, None])
        self.assertEqual(model.step_sizes(), wanted)
        self.assertEqual(model.step_sizes({"res/main/*": 1, "*": 0}).network[5], [[None, 1.0]])
        self.assertEqual(model.step_sizes(0.25), 0.25)

    def test_each_place_makes_its_own_step(self):
        """h alone, then the second rectifier alone."""
        model, images = fixtures_models.model(eta={"h": 0.5, "*": 0.0}), fixtures_models.images(2)
        found = model.infer(images, iterations=1)
        h = found.features[0] + 0.5 * (found.reconstructions[0] - found.features[0])
        self.assertAllClose(found.features[1], h, rtol=1e-6, atol=1e-6)
        logits, _ = model.network(h, found.signals[0], eta=0.0)
        self.assertAllClose(found.logits[1], logits, rtol=1e-5, atol=1e-6)

        found = model.infer(images, iterations=1, eta={"ada_relu2": 0.7, "*": 0.0})
        self.assertAllEqual(found.features[1], found.features[0])
        f, inside = found.features[0], model.network.layers
        for layer, g in zip(inside, found.signals[0], strict=True):
            f, _ = layer(f, g, eta=0.7 if layer.name == "res" else 0.0)
        self.assertAllClose(found.logits[1], f, rtol=1e-5, atol=1e-6)

    def test_other_adaptive_layers(self):
        network = layers.FeedbackSequential(
            [
                layers.AdaActivation("gelu", name="gelu"),
                layers.FeedbackFlatten(),
                layers.FeedbackDense(3, name="fc"),
            ]
        )
        model = CNNF(network, image_shape=fixtures_models.IMAGE_SHAPE, eta={"gelu": 0.4, "h": 0.2})
        self.assertEqual(model.step_sizes(), StepSizes(0.2, [0.4, None, None]))

    def test_a_layer_at_two_places_is_one(self):
        relu = layers.AdaReLU(name="relu")
        inside = [relu, layers.FeedbackFlatten(name="flatten"), layers.FeedbackDense(3, name="fc")]
        network = layers.FeedbackGraph([relu, *inside], [(0,), (1,), (2,), (3,), (4,)])
        self.assertEqual(places(network), ["h", "relu"])

    @parameterized.parameters("file", "preset")
    def test_goes_into_files(self, way):
        eta = {"tap*": 0.2, "*": 0.1}
        model = fixtures_models.model(eta=eta)
        if way == "file":
            path = os.path.join(self.get_temp_dir(), "mapping.keras")
            model.save(path)
            again = keras.saving.load_model(path)
        else:
            preset = os.path.join(self.get_temp_dir(), "mapping")
            model.save_to_preset(preset)
            again = CNNF.from_preset(preset)
        self.assertEqual(list(again.eta.items()), list(eta.items()))
        self.assertAllEqual(model(fixtures_models.images(2)), again(fixtures_models.images(2)))

    @parameterized.parameters(
        ({"tap*": 0.1}, "eta has no pattern for h, res/main/ada_relu2; "),
        ({}, "eta has no pattern for h, tap1/ada_relu1, "),
        ({"conv*": 0.1, "*": 0.1}, "eta: 'conv.' decides nothing; .* there are h, tap1/ada_relu1, res/main/ada_relu2."),
        ({"*": 0.1, "h": 0.2}, "'h' decides nothing; the first pattern that matches wins"),
        ({"*": 1.1}, r"eta\['\*'\] must be a number in \[0, 1\], got 1.1"),
        ({"*": None}, r"eta\['\*'\] must be a number"),
        ("*", r"eta must be a number in \[0, 1\], got '\*'"),
    )
    def test_bad_mappings(self, eta, message):
        model, images = fixtures_models.model(), fixtures_models.images(1)
        for use in (
            lambda: fixtures_models.model(eta=eta),
            lambda: model.infer(images, eta=eta),
            lambda: infer_adaptive(model, images, max_iterations=1, tolerance=0.0, eta=eta),
        ):
            with self.assertRaisesRegex(ValueError, message):
                use()

    def test_text(self):
        self.assertEqual(eta_text(0.1), "0.1")
        self.assertEqual(eta_text({"h": 0.5, "*": 1 / 3}), "0.5 (h), 0.333 (*)")


class LearnedTest(tf.test.TestCase, parameterized.TestCase):
    def learned(self, **kwargs):
        """A model whose step sizes are of three kinds."""
        model = fixtures_models.model(learn_eta=True, **kwargs)
        model.eta_logits.assign([0.5, -3.0, 1.5])
        return model

    def test_starts_where_eta_is(self):
        found = fixtures_models.model(learn_eta=True, eta={"h": 0, "tap*": 1, "*": 0.3}).reported_eta()
        self.assertEqual(list(found), PLACES)
        self.assertAllClose(list(found.values()), [0.001, 0.999, 0.3], rtol=1e-5)
        images = fixtures_models.images(2)
        learned, number = (fixtures_models.model(learn_eta=learn).infer(images).logits for learn in (True, False))
        self.assertAllClose(learned, number, rtol=1e-5, atol=1e-5)

    def test_without_it_the_weights_are_as_ever(self):
        plain, learning = fixtures_models.model(), fixtures_models.model(learn_eta=True)
        self.assertIsNone(plain.eta_logits)
        self.assertLen(learning.weights, len(plain.weights) + 1)
        self.assertEqual(named_variables(learning).keys() - named_variables(plain).keys(), {"eta_logits"})

    @parameterized.parameters("fit", "step")
    def test_training_moves_them_all(self, way):
        model = fixtures_models.model(learn_eta=True)
        before = np.array(list(model.reported_eta().values()))
        if way == "fit":
            model.compile(optimizer=keras.optimizers.SGD(0.5), jit_compile=False)
            model.fit(fixtures_models.dataset(8), verbose=0)
        else:
            one_step(model, fixtures_models.images(8), tf.constant(fixtures_models.labels(8)), rate=0.5)
        after = np.array(list(model.reported_eta().values()))
        self.assertAllGreater(np.abs(after - before), 1e-6)

    def test_stay_between_0_and_1(self):
        model = fixtures_models.model(learn_eta=True)
        optimizer = keras.optimizers.SGD(10.0)
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_sum(model.infer(fixtures_models.images(4)).features[-1])
            optimizer.apply([tape.gradient(loss, model.eta_logits.value)], [model.eta_logits])
        found = list(model.reported_eta().values())
        self.assertNotAllClose(found, [0.1] * 3, atol=0.1)
        self.assertAllInRange(found, 0.0, 1.0, open_lower_bound=True, open_upper_bound=True)

    def test_weight_decay_leaves_them_alone(self):
        models = [fixtures_models.model(learn_eta=True) for _ in range(2)]
        for model, decay in zip(models, (0.0, 0.5), strict=True):
            one_step(model, fixtures_models.images(8), tf.constant(fixtures_models.labels(8)), weight_decay=decay)
        logits, kernels = ([model.weights[index].numpy() for model in models] for index in (0, 1))
        self.assertAllClose(*logits, rtol=1e-6, atol=1e-6)
        self.assertNotAllClose(*kernels)

    def test_gradients_are_those_of_differences(self):
        model, images = self.learned(), fixtures_models.images(3)

        def loss():
            return tf.reduce_sum(tf.square(model.infer(images, iterations=1).logits))

        with tf.GradientTape() as tape:
            value = loss()
        gradient = tape.gradient(value, model.eta_logits.value).numpy()
        start, differences = model.eta_logits.numpy(), []
        for unit in np.eye(3, dtype=np.float32) * 1e-2:
            model.eta_logits.assign(start + unit)
            above = loss()
            model.eta_logits.assign(start - unit)
            differences.append(float(above - loss()) / 2e-2)
        self.assertAllClose(gradient, differences, rtol=0.02, atol=0.02)

    def test_gradients_with_rematerialisation_and_a_horizon(self):
        self.assertAllClose(eta_gradient(), eta_gradient(rematerialize=True), rtol=1e-5)
        model = fixtures_models.model(learn_eta=True, rematerialize=True, training_horizon=5)
        before = model.eta_logits.numpy()
        one_step(model, fixtures_models.images(8), tf.constant(fixtures_models.labels(8)))
        self.assertAllGreater(np.abs(model.eta_logits.numpy() - before), 0.0)

    @parameterized.parameters(".keras", ".weights.h5")
    def test_goes_into_files(self, ending):
        model, path = self.learned(), os.path.join(self.get_temp_dir(), f"learned{ending}")
        if ending == ".keras":
            model.save(path)
            again = keras.saving.load_model(path)
        else:
            model.save_weights(path)
            again = fixtures_models.model(seed=1, learn_eta=True)
            again.load_weights(path)
        self.assertEqual(again.reported_eta(), model.reported_eta())
        self.assertAllEqual(
            model.infer(fixtures_models.images(2)).logits, again.infer(fixtures_models.images(2)).logits
        )

    def test_everything_uses_them(self):
        model, images = self.learned(), fixtures_models.images(3)
        wanted = model.infer(images, iterations=2, eta=model.reported_eta()).logits
        self.assertAllClose(model.infer(images, iterations=2).logits, wanted, rtol=1e-5, atol=1e-5)
        self.assertAllClose(model.predict(images, verbose=0), wanted[-1], rtol=1e-5, atol=1e-5)
        self.assertNotAllClose(model.infer(images, iterations=2, eta=0.1).logits[-1], wanted[-1])
        for infer in (infer_adaptive, tf.function(infer_adaptive)):
            found = infer(model, images, max_iterations=2, tolerance=0.0)
            self.assertAllClose(found.last_logits, wanted[-1], rtol=1e-4, atol=1e-5)

    def test_float32_in_half_precision(self):
        with dtype_policy("mixed_bfloat16"):
            model = fixtures_models.model(learn_eta=True)
        self.assertEqual(model.eta_logits.dtype, "float32")
        before = model.eta_logits.numpy()
        one_step(model, fixtures_models.images(8), tf.constant(fixtures_models.labels(8)))
        self.assertAllGreater(np.abs(model.eta_logits.numpy() - before), 0.0)
        logits = model(fixtures_models.images(2))
        self.assertEqual(logits.dtype, tf.float32)

    def test_the_plain_cnn_has_nothing_to_learn(self):
        with self.assertRaisesRegex(ValueError, "learn_eta wants iterations >= 1"):
            fixtures_models.model(learn_eta=True, iterations=0)


if __name__ == "__main__":
    tf.test.main()
