"""What FGSM and PGD find, to be the same on each backend of Keras; tests/models/fit_backend.py runs it."""

import unittest

import keras
import numpy as np

from cnnf_tf import attacks


def observed(model, images):
    """Images, scores and losses of attacks through both gradient paths, by name."""
    labels = model.predict(images, verbose=0).argmax(-1)
    labels[:2] = (labels[:2] + 1) % model.num_classes
    found = {}
    for path, attack in (
        ("first_pass", attacks.FGSM(epsilon=0.03)),
        ("full_unroll", attacks.PGD(epsilon=0.03, steps=3, random_start=False)),
        ("full_unroll", attacks.PGD(epsilon=0.1, norm="l2", steps=3, restarts=2, loss="dlr")),
    ):
        surrogate = attacks.gradient_source(model, path)
        result = attack(attacks.predictor(model), images, labels, seed=3, surrogate=surrogate)
        for name, values in result._asdict().items():
            found[f"{path}_{attack.norm.name}_{name}"] = keras.ops.convert_to_numpy(values)
    training = attacks.PGD(epsilon=0.05, steps=2, early_stop=False).bind(attacks.predictor(model))
    found["perturbed"] = keras.ops.convert_to_numpy(training.perturb(images, labels, seed=3))
    return found


def check_edges():
    """No gradient is an error, one that is zero is none; a batch of no images is attacked at once."""
    case, ops = unittest.TestCase(), keras.ops
    images = np.random.default_rng(0).random((4, 2, 2, 1)).astype("float32")

    def logits(images):
        first = ops.sum(images, (1, 2, 3)) - 2
        return ops.stack([first, -first], -1)

    labels = ops.convert_to_numpy(logits(ops.convert_to_tensor(images))).argmax(-1)
    for attack in (attacks.FGSM(epsilon=0.1), attacks.PGD(epsilon=0.1, steps=2, restarts=2, norm="l2")):
        with case.assertRaisesRegex(ValueError, "no gradient reaches the images.*use SPSA"):
            attack(lambda images: ops.stop_gradient(logits(images)), images, labels, seed=0)
        flat = attack(lambda images: ops.relu(logits(images) - 9) + ops.one_hot(labels, 2), images, labels, seed=0)
        assert not ops.convert_to_numpy(flat.success).any()
        empty = attack(logits, images[:0], labels[:0], seed=0)
        assert tuple(empty.images.shape) == (0, 2, 2, 1), empty
        assert tuple(empty.success.shape) == (0,), empty


def check_what_is_absent():
    """Attacks that are made of TensorFlow's operations say so; and errors that name the argument."""
    case = unittest.TestCase()
    for use, error, message in (
        (lambda: attacks.APGD(epsilon=0.1, steps=3), ImportError, "needs Keras on TensorFlow"),
        (lambda: attacks.run_attack(None), ImportError, "cnnf_tf.attacks.run_attack needs Keras on TensorFlow"),
        (lambda: type("Mine", (attacks.Square,), {}), ImportError, "cnnf_tf.attacks.Square needs"),
        (lambda: attacks.ATTACKS["autoattack"](epsilon=0.1), ImportError, "cnnf_tf.attacks.AutoAttack needs"),
        (lambda: attacks.PGD(epsilon=-1, steps=3), ValueError, "epsilon must be"),
    ):
        with case.assertRaisesRegex(error, message):
            use()
    assert not isinstance(attacks.PGD(epsilon=0.1, steps=1), attacks.APGD | attacks.AttackReport)
