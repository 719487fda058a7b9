"""Robust accuracy of a trained model under our PGD and under foolbox's, with the same settings.

    python tools/compare_with_foolbox.py --model=runs/standard/best.keras --epsilon=0.05 --num_images=1000

Both take sign steps of 2.5 * epsilon / steps from a uniform start, through the full unroll, and are judged by their
last iterate; ours also by the first that broke an image. The random starts differ. Needs the extra `toolboxes`.
"""

import pathlib
import sys
import time

from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

_MODEL = flags.DEFINE_string("model", None, "A .keras file.", required=True)
_EPSILON = flags.DEFINE_float("epsilon", 0.05, "l-inf epsilon on the [0, 1] scale.", lower_bound=0.0)
_STEPS = flags.DEFINE_integer("steps", 40, "Steps.", lower_bound=1)
_NUM_IMAGES = flags.DEFINE_integer("num_images", 1000, "The first so many test images.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 250, "Images per batch.", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    import foolbox
    import tensorflow as tf

    from cnnf_tf import attacks, data
    from cnnf_tf.zoo import load_model

    model = load_model(_MODEL.value)
    predict = attacks.predictor(model)
    dataset = data.load("fashion_mnist", "test", batch_size=_BATCH_SIZE.value, limit=_NUM_IMAGES.value)

    for stop in (True, False):
        attack = attacks.PGD(epsilon=_EPSILON.value, steps=_STEPS.value, early_stop=stop)
        start = time.perf_counter()
        accuracy = attacks.run_attack(attack, predict, dataset, seed=0).robust_accuracy
        name = "first broken iterate" if stop else "last iterate"
        print(f"ours, {name}: {100 * accuracy:.1f} % in {time.perf_counter() - start:.0f} s", flush=True)

    wrapped = foolbox.TensorFlowModel(tf.function(predict, reduce_retracing=True), bounds=(0, 1))
    theirs = foolbox.attacks.LinfPGD(abs_stepsize=2.5 * _EPSILON.value / _STEPS.value, steps=_STEPS.value)
    start, robust = time.perf_counter(), 0
    tf.random.set_seed(0)
    for images, labels in dataset:
        _, _, success = theirs(wrapped, images, tf.cast(labels, tf.int64), epsilons=_EPSILON.value)
        robust += int(tf.reduce_sum(1 - tf.cast(success, tf.int32)))
    print(f"foolbox: {100 * robust / _NUM_IMAGES.value:.1f} % in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    app.run(main)
