"""What accelerator_test.py runs with Keras on JAX and no TensorFlow: `python -m tests.experiments.accelerator_backend`.

A network of two layers keeps it short.
"""

import dataclasses
import json
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import keras
import numpy as np

from cnnf_tf.experiments.accelerator import arithmetic, cifar, data, lower_bound, plan, programs, speed
from cnnf_tf.experiments.accelerator.record import Record
from cnnf_tf.experiments.benchmark import linear_ops, setups
from cnnf_tf.experiments.benchmark.linear_ops import Kind, LinearOp
from cnnf_tf.layers import (
    AdaReLU,
    FeedbackBatchNorm,
    FeedbackConv2D,
    FeedbackDense,
    FeedbackFlatten,
    FeedbackSequential,
    Tap,
)
from cnnf_tf.models import networks

MANY = 600
"""Seconds; nothing here is cut short by the clock."""


def small(encoder_blocks=0, rule="map", batch_norm=False):
    """Convolution, rectifier, logits; all of it in the loop."""
    assert not encoder_blocks
    norm = [FeedbackBatchNorm(keras.layers.BatchNormalization(), frozen=False)] if batch_norm else []
    top = [Tap(AdaReLU(rule=rule)), FeedbackFlatten(), FeedbackDense(10, use_bias=True, dtype="float32")]
    return networks.Network(None, FeedbackSequential([FeedbackConv2D(3, strides=2), *norm, *top]))


networks.NETWORKS["small"] = small
cifar.NETWORK_OPTIONS["small"] = {"batch_norm": True}
SETUP = setups.BenchmarkNetwork("small", (8, 8, 3), 4, 0, 1, 0.1, 0.05, 0.1)
SCALE = dataclasses.replace(plan.tiny("fashion_cnn"), networks={"small": SETUP}, trained=SETUP, repeats=2)


def floor():
    """The three maps are those of one bilinear form, and a program runs each so many times."""
    for op in (
        LinearOp(Kind.FORWARD, (2, 9, 9, 3), (3, 3, 3, 4), (2, 4, 4, 4), 2, False, "float32"),
        LinearOp(Kind.FORWARD, (2, 6, 6, 3), (3, 3, 3, 4), (2, 6, 6, 4), 1, True, "float32"),
        LinearOp(Kind.FORWARD, (2, 5), (5, 3), (2, 3), 0, False, "float32"),
    ):
        rng = np.random.default_rng(0)
        shapes = (op.features, op.kernel, op.output)
        features, kernel, signal = (jnp.array(rng.normal(size=shape), jnp.float32) for shape in shapes)
        forward = lower_bound.bare(op, features, kernel)
        assert forward.shape == op.output
        wanted = np.sum(forward * signal)
        np.testing.assert_allclose(
            np.sum(lower_bound.bare(op._replace(kind=Kind.DATA), signal, kernel) * features), wanted, rtol=1e-3
        )
        np.testing.assert_allclose(
            np.sum(lower_bound.bare(op._replace(kind=Kind.WEIGHTS), features, signal) * kernel), wanted, rtol=1e-3
        )
    function, inputs = lower_bound.program(op, 3)
    assert [result.shape for result in function(*inputs())] == 3 * [op.output]


def timing(folder):
    """Every case has its row; those that are there are not timed again, and a failure is a row."""
    record = Record(folder / "speed.json", time.time() + MANY, lambda line: None)
    speed.run(SCALE, record)
    rows = json.loads(record.path.read_text(encoding="utf-8"))["rows"]
    assert len(rows) == 4, list(rows)
    for row in rows.values():
        assert row["ratio"] > 0, row
        np.testing.assert_allclose(row["images_per_second"] * row["milliseconds"], 4000, rtol=1e-6)
        assert row["memory_MiB"]["all"] > row["memory_MiB"]["arguments"] > 0, row
    assert [row["rematerialize"] for row in rows.values()] == [False, False, False, True]
    again = Record(record.path, time.time() + MANY, lambda line: None)
    programs.program = lambda timed: 1 / 0
    speed.run(SCALE, again)
    assert again.rows == rows
    again.rows = {name: row for name, row in rows.items() if "remat" not in name}
    again.until = time.time() - 1
    speed.run(SCALE, again)
    assert len(again.rows) == 3
    again.until = time.time() + MANY
    speed.run(SCALE, again)
    assert [row.get("error") for row in again.rows.values()] == [
        None,
        None,
        None,
        "ZeroDivisionError: division by zero",
    ]


def training(folder):
    """Both networks are trained and attacked; the same call goes on from the checkpoint, and then has nothing to do."""
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8), "labels": np.arange(20) % 10}
    path = folder / "images.npz"
    np.savez(path, **{f"{split}_{name}": array for split in ("train", "test") for name, array in arrays.items()})
    record = Record(folder / "cifar.json", time.time() + MANY, lambda line: None)
    cifar.run(SCALE, record, path)
    assert sorted(record.rows) == ["cnn", "cnnf"]
    for row in record.rows.values():
        assert row["seconds"] >= row["planned_seconds"] > 0
        assert row["steps"] == row["curve"][-1]["step"] == 2 * len(row["curve"])
        assert list(row["accuracy"]) == ["clean", "pgd_1", "pgd_2"]
    assert len(record.rows["cnnf"]["accuracy"]["pgd_1"]["0.1"]) == 2
    assert len(record.rows["cnn"]["accuracy"]["pgd_1"]["0.1"]) == 1  # one pass has one gradient
    with np.load(folder / "cnnf.npz") as arrays:  # weights, two moments, averaged weights, the step and the seconds
        mean, variance = (arrays[f"{place:03d}"] for place in (6, 7))
    assert mean.shape == variance.shape == (3,)
    assert np.abs(mean).max() > 0
    assert np.abs(variance - 1).max() > 0
    before = {name: row["steps"] for name, row in record.rows.items()}
    record.rows["cnn"]["planned_seconds"] += 0.5
    record.rows["cnn"].pop("accuracy")
    record.write()
    again = Record(record.path, time.time() + MANY, lambda line: None)
    kept = dict(again.rows)
    cifar.run(SCALE, again, path)
    assert again.rows["cnn"]["steps"] > before["cnn"]
    assert again.rows["cnnf"] == kept["cnnf"]
    assert "clean" in again.rows["cnn"]["accuracy"]
    assert cifar.run(SCALE, again, None) is None
    assert again.facts["reason"] == "no images were given"
    again.measured_on(device="another")
    assert cifar._Run("cnn", cifar.recipes(SETUP)["cnn"], data.load(path), SCALE, again).seconds == 0
    assert not (folder / "cnn.npz").exists()


def counts():
    """Operations and bytes of a layer by hand."""
    parts = programs.model_of(SETUP, "float32").parts
    case = setups.Case(setups.INFERENCE, SETUP, 0, 0, 4)
    found = {op.kernel: arithmetic.operations(op) for op in linear_ops.of_case(parts, case)}
    assert found == {(3, 3, 3, 3): 2 * 4 * 16 * 27 * 3, (48, 10): 2 * 4 * 48 * 10}, found
    dense = LinearOp(Kind.FORWARD, (4, 48), (48, 10), (4, 10), 0, False, "float32")
    assert arithmetic.traffic(dense) == 4 * (4 * 48 + 480 + 40)
    assert arithmetic.traffic_between(parts, case) == 2 * 4 * (2 * 4 * 48)  # rectifier and flatten
    np.testing.assert_allclose(arithmetic.seconds({dense: 2}, 1e3), 2 * 2 * 4 * 480 / 1e3)


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    floor()
    counts()
    training(pathlib.Path(sys.argv[1]))
    timing(pathlib.Path(sys.argv[1]))
    assert "tensorflow" not in sys.modules
    sys.stdout.write("passed\n")
