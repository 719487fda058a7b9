"""A small demo: six random images, small untrained networks."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import AttackReport
from cnnf_tf.evaluation import evaluate_passes
from cnnf_tf.experiments.demo import measures as demo
from tests.models import fixtures_models

SHAPE = (12, 12, 1)
LABELS = np.array([2, 2, 0, 1, 0, 1], np.int32)
NAMES = ("a <b>", "coat", "boot")


def model(**kwargs):
    return fixtures_models.smaller_model(image_shape=SHAPE, **({"iterations": 1} | kwargs))


def images() -> np.ndarray:
    return np.random.default_rng(0).random((6, *SHAPE)).astype(np.float32)


def dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images(), LABELS)).batch(4)


@functools.cache
def repair(**kwargs) -> demo.RestorationDemo:
    options = {"corruption": "dotted_line", "severity": 3, "seed": 1, "iterations": (1, 2), "num_shown": 2} | kwargs
    return demo.repair(model(), dataset(), **options)


def attack(attacked, **kwargs) -> demo.Attacked:
    return demo.attack(attacked, dataset(), **({"epsilon": 0.1, "steps": 2, "seed": 3} | kwargs))


def attacked(robust: list[bool]) -> demo.Attacked:
    """A result with given survivors, along one path."""
    labels = np.zeros(len(robust), np.int32)
    predictions = np.where(robust, 0, 1).astype(np.int32)
    flags, zeros = np.ones(len(robust), bool), np.zeros(len(robust))
    report = AttackReport(zeros, labels, ~flags, zeros, predictions, flags, zeros, labels, labels)
    return demo.Attacked(1, "last", zeros, {"full_unroll": report})


@functools.cache
def measured_demo() -> demo.Demo:
    return demo.Demo(
        models={"standard": "m.keras"},
        dataset="idx:x",
        split="test",
        class_names=NAMES,
        seed=3,
        attack_steps=2,
        repairs=[repair(), repair(corruption="gaussian_noise")],
        comparisons=[demo.AttackComparison("trained clean", 0.1, attack(model()), attack(model(iterations=0)))],
        passes={"trained clean": evaluate_passes(model(), dataset(), iterations=2)},
        tuning=demo.fine_tune(model(), dataset().repeat(), dataset(), steps=2, seed=0),
    )


def small_demo(**kwargs) -> demo.Demo:
    return dataclasses.replace(measured_demo(), **kwargs)
