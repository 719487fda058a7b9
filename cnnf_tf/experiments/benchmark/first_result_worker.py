"""Times the first results of one process: what is imported, built, run for the first time and run again.

    python first_result_worker.py REQUEST

takes JSON, `{"by": "cnnf_tf", "case": {...}, "pretrained": null, "optimizer": {...}, "checkout": null}`, and prints

    {"import": s, "load": s, "first": s, "later": s, "nodes": n}

`by` is "cnnf_tf", "keras" (`plain_keras`) or "authors" (`reference_steps`, in eager PyTorch). `later` is the median of
three runs after the first. `nodes` are those of all graphs that the first run left in TensorFlow's library of
functions, each graph once however often it is called; 0 without graphs. What a user writes is what is timed: `predict`,
PGD of three steps through the full unroll, `train_on_batch`. Nothing is imported before the clock starts.
"""

import json
import os
import pathlib
import runpy
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_FOLDER = pathlib.Path(__file__).resolve().parent
_LATER = 3
_STEPS = 3  # of PGD; as in reference_steps.py
_CLASSES = 10
Stages = Iterator[Callable[[], Any] | None]
"""The imports, then the model, then the function that does the work once."""


def main() -> None:
    print(json.dumps(measure(json.loads(sys.argv[1]))))


def measure(request: dict[str, Any]) -> dict[str, float]:
    """The answer to a request."""
    stages: Stages = {"cnnf_tf": _cnnf_tf, "keras": _keras, "authors": _authors}[request["by"]](request)
    found: dict[str, float] = {}
    for name in ("import", "load"):
        _, found[name] = _timed(lambda: next(stages))
    before = _graphs()
    run, made = _timed(lambda: next(stages))
    assert run is not None
    found["first"] = made + _timed(run)[1]
    found["nodes"] = sum(nodes for name, nodes in _graphs().items() if name not in before)
    found["later"] = statistics.median(_timed(run)[1] for _ in range(_LATER))
    return found


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _graphs() -> dict[str, int]:
    """The nodes of each graph in TensorFlow's library of functions, by its name.

    Not their sum: graphs that nobody holds any more leave the library whenever Python collects garbage.
    """
    if "tensorflow" not in sys.modules:
        return {}
    from tensorflow.python.eager.context import context  # the library of functions has no public name

    return {name: len(context().get_function_def(name).node_def) for name in context().list_function_names()}


def _cnnf_tf(request: dict[str, Any]) -> Stages:
    import cnnf_tf

    model_class, load = cnnf_tf.CNNF, cnnf_tf.load_pretrained
    yield None
    case = request["case"]
    setup = case["setup"]
    if request["pretrained"]:
        model = load(request["pretrained"])
        model.iterations = case["iterations"]
    else:
        network = {"encoder_blocks": case["encoder_blocks"], **dict(setup["options"])}
        shape = tuple(setup["image_shape"])
        model = model_class.from_name(
            setup["network"], image_shape=shape, network=network, iterations=case["iterations"]
        )
    yield None
    images, labels = _batch(case)
    if case["kind"] != "first attack":
        yield from _keras_work(model, request, images, labels)
        return
    from cnnf_tf import attacks

    options = {"epsilon": setup["epsilon"], "step_size": setup["step_size"], "steps": _STEPS, "early_stop": False}
    bound = attacks.PGD(**options, random_start=False).bind(attacks.predictor(model))
    yield lambda: bound.perturb(images, labels, seed=0).numpy()


def _keras(request: dict[str, Any]) -> Stages:
    import keras
    import tensorflow as tf

    plain_cnn = runpy.run_path(str(_FOLDER / "plain_keras.py"))["plain_cnn"]
    yield None
    case = request["case"]
    setup = case["setup"]
    model = plain_cnn(setup["network"], tuple(setup["image_shape"]), **dict(setup["options"]))
    yield None
    images, labels = _batch(case)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if case["kind"] != "first attack":
        yield from _keras_work(model, request, images, labels, loss=loss, metrics=["accuracy"])
        return

    @tf.function
    def attack(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        attacked = images
        for _ in range(_STEPS):
            with tf.GradientTape() as tape:
                tape.watch(attacked)
                total = loss(labels, model(attacked))
            moved = attacked + setup["step_size"] * tf.sign(tape.gradient(total, attacked))
            attacked = tf.clip_by_value(
                tf.clip_by_value(moved, images - setup["epsilon"], images + setup["epsilon"]), 0, 1
            )
        return attacked

    yield lambda: attack(images, labels).numpy()


def _keras_work(model: Any, request: dict[str, Any], images: Any, labels: Any, **options: Any) -> Stages:
    """Prediction, or a training step, by the methods that any Keras model has."""
    import keras

    if request["case"]["kind"] == "first prediction":
        yield lambda: model.predict(images, batch_size=len(images), verbose=0)
    else:
        model.compile(keras.optimizers.SGD(**request["optimizer"]), **options)
        yield lambda: model.train_on_batch(images, labels)


def _authors(request: dict[str, Any]) -> Stages:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see `torch_process`
    import torch

    del torch
    reference = runpy.run_path(str(_FOLDER / "reference_steps.py"))["Reference"]
    yield None
    made = reference(request["case"], request["checkout"])
    yield None
    yield made.step()


def _batch(case: dict[str, Any]) -> tuple[Any, Any]:
    """Random images and labels."""
    import numpy as np

    random = np.random.default_rng(0)
    shape = (case["batch_size"], *case["setup"]["image_shape"])
    return random.random(shape, np.float32), random.integers(_CLASSES, size=shape[:1]).astype(np.int32)


if __name__ == "__main__":
    main()
