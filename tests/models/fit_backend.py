"""What `fit` and its kin do, and attacks, to be the same on each backend of Keras, in a process of its own for each.

`KERAS_BACKEND=jax python -m tests.models.fit_backend EXPECTED.npz`; tests/models/fit_test.py starts it.
"""

import re
import sys
import unittest

import keras
import numpy as np

from cnnf_tf import CNNF, layers
from cnnf_tf.utils.dtypes import dtype_policy
from tests.attacks import attack_backend

BATCH, STEPS, CLASSES = 8, 50, 3
OPTIMIZERS = {"sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9), "adam": lambda: keras.optimizers.Adam(1e-3)}
RUNS = {
    ("sgd", "plain"): {},
    ("adam", "horizon"): {"training_horizon": 5},
}


def small(**options):
    """A network with the layers of the paper and batch norm; with the same weights on each backend."""
    stack = [layers.FeedbackConv2D(4), layers.FeedbackBatchNorm(keras.layers.BatchNormalization()), layers.AdaReLU()]
    stack += [layers.AdaPool2D(), layers.FeedbackFlatten(), layers.FeedbackDense(CLASSES, use_bias=True)]
    model = CNNF(layers.FeedbackSequential(stack), image_shape=(6, 6, 1), **options)
    rng = np.random.default_rng(1)
    for layer in (stack[0], stack[-1]):
        layer.kernel.assign(rng.normal(size=layer.kernel.shape) / np.sqrt(np.prod(layer.kernel.shape[:-1])))
    return model


def data(count=BATCH * STEPS):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    images = rng.uniform(0, 0.5, (count, 6, 6, 1)) + 0.5 * rng.random((CLASSES, 6, 6, 1))[labels]
    return images.astype("float32"), labels


def flat_weights(model):
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(weight)) for weight in model.weights])


class Losses(keras.callbacks.Callback):
    """The mean loss up to each step of an epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["loss"])


def trained(optimizer, **options):
    """All weights after 50 steps of `fit`, and the mean loss up to each."""
    model, losses = small(**options), Losses()
    model.compile(OPTIMIZERS[optimizer]())
    model.fit(*data(), batch_size=BATCH, shuffle=False, verbose=0, callbacks=[losses])
    return flat_weights(model), np.array(losses.seen)


def observed():
    """What a user sees of training, by name: numbers that must not depend on the backend."""
    found = {}
    for (optimizer, name), options in RUNS.items():
        found[f"{optimizer}_{name}"], found[f"{optimizer}_{name}_losses"] = trained(optimizer, **options)
    images, labels = data(2 * BATCH)
    found |= attack_backend.observed(small(), images[:BATCH])
    model = small(training_horizon=30)
    found["burn_in"] = np.array([int(model.burn_in_iterations(keras.ops.convert_to_tensor(n))) for n in range(40)])

    model, first = small(learn_eta=True, rematerialize=True), slice(BATCH)
    model.compile("sgd", metrics=["accuracy"], weighted_metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)])
    weights = np.linspace(0, 2, len(images))
    options = {"sample_weight": weights, "validation_split": 0.5, "shuffle": False, "verbose": 0}
    history = model.fit(images, labels, BATCH, epochs=2, **options).history
    found |= {f"history_{key}": np.array(values) for key, values in history.items()}
    found["learned"] = np.array(list(model.reported_eta().values()))
    found["predicted"] = model.predict(images, BATCH, verbose=0)
    found["predicted_on_batch"] = model.predict_on_batch(images[first])
    found["tested_on_batch"] = np.array(model.test_on_batch(images[first], labels[first], weights[first]))
    pairs = {"images": images, "clean": images[::-1].copy()}
    found["evaluated_pairs"] = np.array(model.evaluate(pairs, labels, BATCH, verbose=0))
    model = small(iterations=0)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(label_smoothing=0.1, from_logits=True))
    one_hot = np.eye(CLASSES, dtype="float32")[labels]
    found["trained_on_one_hot"] = np.array(model.train_on_batch(pairs, one_hot, class_weight={0: 1, 1: 2, 2: 0}))
    return found


def check_half_precision():
    """It trains, within what bfloat16 rounds."""
    with dtype_policy("mixed_bfloat16"):
        model = small()
    model.compile(keras.optimizers.SGD(0.05))
    losses = model.fit(*data(64), batch_size=BATCH, epochs=3, verbose=0, shuffle=False).history["loss"]
    assert losses[2] < losses[0] < 2, losses


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.data = images, labels

    def __len__(self):
        return len(self.data[0]) // BATCH

    def __getitem__(self, index):
        return tuple(part[BATCH * index : BATCH * (index + 1)] for part in self.data)


def check_converted():
    """A converted model trains, and shares no memory with the original: Keras on JAX gives up that of old weights."""
    keras.utils.set_random_seed(0)
    stack = [keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"), keras.layers.Flatten()]
    original = keras.Sequential([keras.Input((6, 6, 1)), *stack, keras.layers.Dense(CLASSES)])
    images, labels = data(BATCH)
    expected = original.predict(images, verbose=0)
    model = CNNF.from_keras(original, rematerialize=True)
    model.compile("sgd")
    model.fit(images, labels, verbose=0)
    np.testing.assert_array_equal(original.predict(images, verbose=0), expected)
    found = model.predict(images, verbose=0)
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() > 0


def check_errors():
    """Faults raise before they change a weight, also those of a later batch, and leave a model that works."""
    images, labels = data(4 * BATCH)
    model = small()
    model.compile("sgd")
    start = flat_weights(model)
    pixels, ids, first = "wants pixels in [0, 1]", "wants class ids as labels", slice(BATCH)
    for use, message in (
        (lambda: model.fit(images * 255, labels, verbose=0), pixels),
        (lambda: model.fit(images, labels + 1, verbose=0), ids),
        (lambda: model.fit(images, labels, validation_data=(images * np.nan, labels), verbose=0), pixels),
        (lambda: model.fit(images, np.eye(3)[labels], verbose=0), "for one-hot labels"),
        (lambda: model.fit(images[:0], labels[:0], verbose=0), "at least one image"),
        (lambda: model.fit(images, verbose=0), "wants labels"),
        (lambda: model.fit((images * 255).astype("uint8"), labels, verbose=0), "divide uint8 by 255"),
        (lambda: model.fit(images, labels, sample_weight=labels * np.nan, verbose=0), "finite sample_weight"),
        (lambda: model.fit(Batches(images - 1, labels), verbose=0), pixels),
        (lambda: model.evaluate(Batches(images, labels + 3), verbose=0), ids),
        (lambda: model.predict(Batches(images * np.nan, labels), verbose=0), pixels),
        (lambda: model.train_on_batch(images[first] * 2, labels[first]), pixels),
        (lambda: model.test_on_batch(images[first], labels[first] - 3), ids),
        (lambda: model.predict_on_batch(images[first] + 1), pixels),
    ):
        _raises(use, message)
    np.testing.assert_array_equal(flat_weights(model), start)
    images[2 * BATCH] = np.nan
    _raises(lambda: model.fit(Batches(images, labels), shuffle=False, verbose=0), pixels)
    assert int(model.optimizer.iterations) == 2, model.optimizer.iterations
    assert np.isfinite(flat_weights(model)).all()
    assert np.isfinite(model.evaluate(*data(BATCH), verbose=0)).all()


def _raises(use, message):
    with unittest.TestCase().assertRaisesRegex(ValueError, re.escape(message)):
        use()


def check_data_parallel(expected):
    """Two devices do what one does, by Keras' own distribution."""
    import jax

    assert len(jax.devices()) == 2, jax.devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    try:
        for found, name in zip(trained("adam", **RUNS["adam", "horizon"]), ("", "_losses"), strict=True):
            np.testing.assert_allclose(found, expected[f"adam_horizon{name}"], rtol=0, atol=1e-5)
        model, (images, labels) = small(), data(13)
        model.compile("sgd")
        for use in (
            lambda: model.fit(images, labels, 4, verbose=0),
            lambda: model.fit(images[:10], labels[:10], 5, verbose=0),
            lambda: model.fit(images[:12], labels[:12], 4, validation_split=0.25, verbose=0),
            lambda: model.fit(images[:8], labels[:8], 4, validation_data=(images, labels), verbose=0),
            lambda: model.evaluate(images, labels, 4, verbose=0),
            lambda: model.predict({"images": images, "clean": images}, 4, verbose=0),
        ):
            _raises(use, "wants batches that its 2 devices can share equally, got ")
        assert model.predict(images[:12], 8, verbose=0).shape == (12, CLASSES)
    finally:
        keras.distribution.set_distribution(None)


def main(path):
    found = observed()
    with np.load(path) as expected:
        assert found.keys() == set(expected.files), found.keys() ^ set(expected.files)
        for name, values in found.items():
            tolerance = 1e-4 if "loss" in name else 1e-5
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=tolerance, err_msg=name)
    check_half_precision()
    check_converted()
    check_errors()
    attack_backend.check_edges()
    attack_backend.check_what_is_absent()
    if keras.backend.backend() == "jax":
        check_data_parallel(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.write("passed\n")
