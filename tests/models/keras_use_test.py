"""A CNNF where a Keras user leads it: batches that cannot be, under XLA too, and the conventions of Keras."""

import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_models

IMAGES, LABELS = fixtures_models.images(8).numpy(), np.array([0, 1, 2, 0, 1, 2, 0, 1], "int32")
ONE_HOT = keras.utils.to_categorical(LABELS, 3)
PIXELS = r"^CNNF wants pixels in \[0, 1\] and no NaN .* got minimum and maximum: [\d.naif-]+, [\d.naif-]+$"
CLASS_IDS = r"^CNNF wants class ids as labels, whole numbers from 0 to 2; got minimum and maximum: \S+, \S+$"
VALUE, INPUT = ValueError, tf.errors.InvalidArgumentError


def small():
    """A model that is traced and compiled in no time."""
    keras.utils.set_random_seed(0)
    stack = [layers.FeedbackFlatten(), layers.FeedbackDense(8), layers.AdaReLU()]
    return CNNF(layers.FeedbackSequential([*stack, layers.FeedbackDense(3, use_bias=True)]), image_shape=(8, 8, 1))


def compiled(optimizer=None, dtype="float32", loss=None, metrics=None, **options):
    with dtype_policy(dtype):
        model = small()
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=metrics, **options)
    return model


def batches(images=IMAGES, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images=IMAGES, labels=LABELS):
        super().__init__()
        self.data = images, labels

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return tuple(part[4 * index : 4 * index + 4] for part in self.data)


def generator(images, labels):
    yield from iter(batches(images, labels))


def spoiled(what):
    """Images and labels whose second half cannot be."""
    images, labels = IMAGES.copy(), LABELS.copy()
    if what == "labels":
        labels[5] = 3
    else:
        images[5] = np.nan if what == "nan" else 255 * images[5]
    return images, labels


class BadBatchesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (IMAGES * 255, LABELS, INPUT, PIXELS),
        (IMAGES - 1, LABELS, INPUT, PIXELS),
        (IMAGES * np.nan, LABELS, INPUT, PIXELS),
        (IMAGES * np.inf, LABELS, INPUT, PIXELS),
        (IMAGES, LABELS + 1, INPUT, CLASS_IDS),
        (IMAGES, LABELS - 1, INPUT, CLASS_IDS),
        (IMAGES, LABELS.astype("uint8") + 250, INPUT, CLASS_IDS),
        (IMAGES, LABELS / 2, INPUT, CLASS_IDS),
        (IMAGES, LABELS * np.nan, INPUT, CLASS_IDS),
        ((IMAGES * 255).astype("uint8"), LABELS, VALUE, "wants float images .* got uint8; divide uint8 by 255 first"),
        (np.repeat(IMAGES, 3, -1), LABELS, VALUE, r"wants images \[batch, 8, 8, 1\] .* got shape \(8, 8, 8, 3\)"),
        (IMAGES[..., 0], LABELS, VALUE, r"got shape \(8, 8, 8\); .* a grey one a trailing channel dimension"),
        (IMAGES[:0], LABELS[:0], VALUE, "at least one image; got no data"),
        (IMAGES, ONE_HOT, VALUE, r"wants class ids as labels, \[batch\], got shape \(8, 3\); for one-hot"),
        (IMAGES, np.array([*"abcabcab"]), VALUE, "class ids from 0 to 2, got the dtype <U1"),
        (IMAGES, LABELS.astype(object), VALUE, r"got the dtype object; .* labels.astype\(int\)"),
        (IMAGES, None, VALUE, r"wants labels in fit and evaluate: fit\(images, labels\)"),
    )
    def test_arrays(self, images, labels, error, message):
        """Before any work, so that nothing is traced here."""
        model = compiled(jit_compile=True)
        uses = [lambda: model.fit(images, labels, verbose=0), lambda: model.evaluate(images, labels, verbose=0)]
        uses.append(lambda: model.fit(IMAGES, LABELS, validation_data=(images, labels), verbose=0))
        if labels is LABELS:
            uses.append(lambda: model.predict(images, verbose=0))
        for use in uses:
            with self.assertRaisesRegex(error, message):
                use()

    @parameterized.parameters(False, True)
    def test_later_batches(self, jit):
        """The batch that is bad raises, before it changes a weight."""
        model = compiled(jit_compile=jit)
        kinds = (batches, Sequence, generator) if jit else (batches,)
        for steps, (kind, what) in enumerate([(kind, what) for kind in kinds for what in ("pixels", "nan", "labels")]):
            with self.assertRaisesRegex(INPUT, CLASS_IDS if what == "labels" else PIXELS):
                model.fit(kind(*spoiled(what)), shuffle=False, verbose=0)
            self.assertEqual(int(model.optimizer.iterations), steps + 1)
        for use in (model.evaluate, model.predict):
            with self.assertRaisesRegex(INPUT, PIXELS):
                use(batches(*spoiled("nan")), verbose=0)
        self.assertTrue(np.isfinite(model.predict(batches(IMAGES, LABELS - 9), verbose=0)).all())

    @parameterized.parameters(False, True)
    def test_single_batches(self, jit):
        model = compiled(jit_compile=jit)
        for method in (model.train_on_batch, model.test_on_batch):
            with self.assertRaisesRegex(INPUT, PIXELS):
                method(IMAGES * 255, LABELS)
            with self.assertRaisesRegex(INPUT, CLASS_IDS):
                method(IMAGES, LABELS + 1)
        with self.assertRaisesRegex(INPUT, PIXELS):
            model.predict_on_batch(IMAGES * np.nan)
        with self.assertRaisesRegex(INPUT, "at least one image"):
            model.predict_on_batch(IMAGES[:0])

    @parameterized.named_parameters(
        ("sequence", lambda: Sequence(IMAGES * 255), INPUT, PIXELS),
        ("bytes", lambda: batches((IMAGES * 255).astype("uint8")), VALUE, "got uint8"),
        ("one_hot", lambda: batches(IMAGES, ONE_HOT), VALUE, "for one-hot labels"),
        ("unlabelled", lambda: tf.data.Dataset.from_tensors(IMAGES), VALUE, "wants labels"),
        ("empty", lambda: batches().take(0), VALUE, "got no data"),
    )
    def test_validation_data_before_training(self, data, error, message):
        model = compiled()
        with self.assertRaisesRegex(error, message):
            model.fit(IMAGES, LABELS, validation_data=data(), verbose=0)
        self.assertEqual(int(model.optimizer.iterations), 0)

    @parameterized.parameters(False, True)
    def test_where_nothing_can_raise_all_is_nan(self, with_encoder):
        model = fixtures_models.model(with_encoder=True, iterations=1) if with_encoder else small()
        infer = tf.function(lambda images: (model(images), model.reconstruct(images)), jit_compile=True)
        for images in (IMAGES * 255, IMAGES * np.nan):
            for found in infer(images):
                self.assertTrue(np.isnan(found).all())
        for found in infer(IMAGES):
            self.assertTrue(np.isfinite(found).all())

    def test_pixels_that_rounding_puts_outside(self):
        model = compiled()
        self.assertTrue(np.isfinite(model.predict(np.clip(IMAGES * 1.5 - 0.25, -0.0009, 1.0009), verbose=0)).all())
        with self.assertRaisesRegex(INPUT, "clip what resizing or augmentation overshoots"):
            model.predict(IMAGES + 0.01, verbose=0)

    def test_shapes_that_no_graph_knows(self):
        model = compiled()
        batch = (IMAGES, LABELS)
        unknown = tf.data.Dataset.from_generator(lambda: iter([batch]), output_types=(tf.float32, tf.int32))
        self.assertTrue(np.isfinite(model.fit(unknown, verbose=0).history["loss"][0]))
        batch = (IMAGES[:, :7], LABELS)
        with self.assertRaisesRegex(INPUT, r"wants a batch of shape \[\?,8,8,1\], got \[8,7,8,1\]"):
            model.evaluate(unknown, verbose=0)


class ConventionsTest(tf.test.TestCase, parameterized.TestCase):
    def test_callbacks_know_which_way_is_better(self):
        model = compiled()
        up = [f"{which}accuracy" for which in ("", "first_pass_", "last_pass_")]
        down = ["loss", "first_pass_loss", "last_pass_loss", "reconstruction_loss"]
        wanted = {"accuracy": "max"} | {f"val_{name}": "max" if name in up else "min" for name in up + down}
        stops = {name: keras.callbacks.EarlyStopping(monitor=name) for name in wanted}
        path = os.path.join(self.get_temp_dir(), "best.keras")
        others = [
            keras.callbacks.ModelCheckpoint(path, monitor="val_last_pass_accuracy", save_best_only=True),
            keras.callbacks.ReduceLROnPlateau(monitor="val_accuracy"),
        ]
        data = (IMAGES, LABELS, np.zeros(8))
        history = model.fit(IMAGES, LABELS, validation_data=data, callbacks=[*stops.values(), *others], verbose=0)
        for name, stop in stops.items():
            self.assertIs(stop.monitor_op, keras.ops.greater if wanted[name] == "max" else keras.ops.less, name)
        self.assertTrue(all(callback.monitor_op is keras.ops.greater for callback in others))
        self.assertEqual({history.history[f"val_{name}"][0] for name in up + down}, {0.0})  # weights are zero
        self.assertEqual(keras.saving.load_model(path).predict([IMAGES], verbose=0).shape, (8, 3))

    @parameterized.parameters("sum_over_batch_size", "sum", "mean_with_sample_weight", None)
    def test_weights_of_zero_change_nothing(self, reduction):
        model = compiled(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction))
        before = model.get_weights()
        model.train_on_batch({"images": IMAGES, "clean": IMAGES[::-1]}, LABELS, sample_weight=np.zeros(8))
        self.assertAllEqual(np.concatenate(before, axis=None), np.concatenate(model.get_weights(), axis=None))

    @parameterized.parameters("sample_weight", "class_weight")
    def test_a_weight_is_a_repetition(self, kind):
        """Keras divides by the number of images, so the steps are made as long as each other."""
        weights = {"sample_weight": np.array([3] + [1] * 7)} if kind == "sample_weight" else {"class_weight": {2: 2.0}}
        rows = np.r_[0, 0, :8] if kind == "sample_weight" else np.r_[:8, 2, 5]
        weighted, repeated = (compiled(optimizer=keras.optimizers.SGD(rate)) for rate in (0.8, 1.0))
        before = weighted.get_weights()
        weighted.train_on_batch(IMAGES, LABELS, **weights)
        repeated.train_on_batch(IMAGES[rows], LABELS[rows])
        for old, ours, theirs in zip(before, weighted.get_weights(), repeated.get_weights(), strict=True):
            self.assertGreater(np.abs(ours - old).max(), 1e-3)
            self.assertAllClose(ours, theirs, rtol=1e-5, atol=1e-6)

    @parameterized.parameters(("float32", "model"), ("mixed_float16", "model"), ("float32", "encoder"))
    def test_frozen(self, dtype, what):
        with dtype_policy(dtype):
            model = fixtures_models.model(iterations=1, with_encoder=True, learn_eta=what == "encoder")
        frozen = {"model": model, "encoder": model.encoder}[what]
        frozen.trainable = False
        model.compile(keras.optimizers.SGD(1.0))
        model.train_on_batch(IMAGES, LABELS)  # makes the state of the optimiser
        before, others = [w.numpy() for w in frozen.weights], len(model.trainable_variables)
        model.train_on_batch(IMAGES, LABELS)
        self.assertEqual(others, 0 if what == "model" else len(model.weights) - len(before))
        for old, weight in zip(before, frozen.weights, strict=True):
            self.assertAllEqual(old, weight)

    def test_float64(self):
        model, single = compiled(dtype="float64"), compiled()
        model.set_weights(single.get_weights())
        for _ in range(2):
            losses = [each.train_on_batch(IMAGES, LABELS, return_dict=True)["loss"] for each in (model, single)]
            self.assertAllClose(*losses, rtol=1e-5)
        self.assertEqual(model.predict(IMAGES, verbose=0).dtype, "float64")
        self.assertEqual(model(keras.Input((8, 8, 1))).dtype, "float64")

    def test_channels_first_in_keras_json(self):
        model, expected = fixtures_models.model(), fixtures_models.model()(IMAGES)
        keras.config.set_image_data_format("channels_first")
        self.addCleanup(keras.config.set_image_data_format, "channels_last")
        self.assertAllEqual(model(IMAGES), expected)

    def test_shapes(self):
        model = fixtures_models.model(with_encoder=True)
        lines = []
        model.summary(print_fn=lines.append, expand_nested=True, line_length=120)
        for line in ("network", "(None, 8, 8, 2)", "ada_pool", "(None, 4, 4, 4)", "average_pool", "(None, 2, 2, 4)"):
            self.assertIn(line, "\n".join(lines))
        self.assertNotIn("?", "\n".join(lines))
        self.assertEqual((model.input_shape, model.output_shape), ((None, 8, 8, 1), (None, 3)))
        self.assertEqual(model.compute_output_shape((5, 8, 8, 1)), (5, 3))

    def test_what_may_be_called_images(self):
        model = small()
        expected = model(IMAGES)
        pair = {"images": IMAGES, "clean": IMAGES}
        for images in ([IMAGES], list(IMAGES), pair, tf.constant(IMAGES)):
            self.assertAllEqual(model(images), expected)
        for images in ([IMAGES], pair, tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(3)):
            self.assertAllClose(model.predict(images, verbose=0), expected, atol=1e-6)
        self.assertAllEqual(model(IMAGES, mask=None), expected)
        inputs = keras.Input((8, 8, 1))
        outer = keras.Model(inputs, keras.layers.Softmax()(model(inputs)))
        self.assertEqual(outer.output_shape, (None, 3))
        self.assertAllClose(outer.predict(IMAGES, verbose=0), tf.nn.softmax(expected), atol=1e-6)

    @parameterized.named_parameters(
        ("quantized", lambda model: model.quantize("int8"), NotImplementedError, "CNNF is not quantized"),
        ("mask", lambda model: model(IMAGES, mask=IMAGES[..., 0] > 0), VALUE, "takes no mask"),
        ("none", lambda model: model(None), VALUE, "wants images, got None"),
        ("no_pair", lambda model: model.predict({"a": IMAGES}, verbose=0), VALUE, 'want the keys "images" and "clean"'),
        ("bytes", lambda model: model(keras.Input((8, 8, 1), dtype="uint8")), VALUE, "got uint8"),
        ("size", lambda model: model(keras.Input((8, 9, 1))), VALUE, r"got shape \(None, 8, 9, 1\)"),
        ("shape", lambda model: model.compute_output_shape((None, 8, 9, 1)), VALUE, r"got shape \(None, 8, 9, 1\)"),
        ("loss", lambda model: model.compile(loss=keras.losses.CategoricalCrossentropy()), VALUE, "gives logits"),
        ("metric", lambda _: compiled(metrics=["categorical_crossentropy"]), VALUE, "with from_logits=True"),
        (
            "images",
            lambda model: model.predict(list(IMAGES)),
            VALUE,
            r"images as one array, got a list; np.stack\(images\)",
        ),
        ("labels", lambda _: compiled().fit(IMAGES, LABELS.tolist()), VALUE, "labels as one array, got a list"),
        ("weights", lambda _: compiled().fit(IMAGES, LABELS, sample_weight=[1.0] * 8), VALUE, "sample_weight as one"),
        ("nan", lambda _: compiled().train_on_batch(IMAGES, LABELS, np.nan * LABELS), INPUT, "finite sample_weight"),
        ("hot", lambda _: compiled(loss="mse").fit(IMAGES, 255 * ONE_HOT), INPUT, "from 0 to 1 and no NaN"),
        ("ids", lambda _: compiled(loss="mse").fit(IMAGES, LABELS), VALUE, r"wants one-hot labels \[batch, 3\]"),
    )
    def test_refuses(self, use, error, message):
        with self.assertRaisesRegex(error, message):
            use(small())

    def test_losses(self):
        """Of logits, whichever way they are named; each of these is the default one."""
        expected = compiled().test_on_batch(IMAGES, LABELS)[0]
        ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        for loss, labels in (
            ("sparse_categorical_crossentropy", LABELS),
            (["ce"], LABELS[:, None].astype("float32")),
            (keras.losses.categorical_crossentropy, ONE_HOT),
            (ignoring, LABELS),
        ):
            found = compiled(loss=loss, metrics=["accuracy"]).test_on_batch(IMAGES, labels, return_dict=True)
            self.assertAllClose(found["loss"], expected, rtol=1e-5)

    @parameterized.parameters(
        ({"steps_per_execution": 2}, {}),
        ({"run_eagerly": True}, {}),
        ({}, {"gradient_accumulation_steps": 2}),
        ({}, {"use_ema": True, "ema_overwrite_frequency": None}),
    )
    def test_options(self, of_compile, of_optimizer):
        model = compiled(keras.optimizers.SGD(0.1, **of_optimizer), **of_compile)
        losses = model.fit(batches(), epochs=2, verbose=0).history["loss"]
        self.assertLess(losses[1], losses[0])
        self.assertEqual(model.predict(IMAGES, batch_size=3, verbose=0).shape, (8, 3))


if __name__ == "__main__":
    tf.test.main()
