"""Shows what CNN-F does, from pretrained models, in a minute or two on a CPU: one page that opens offline.

Example:
  python bin/demo.py
  python bin/demo.py --output=/tmp/demo --attacked_images=500 --attack_steps=40
  python bin/demo.py --models=standard=my.keras,standard_cnn=my_cnn.keras

Repairs images with shot noise, Gaussian noise and a dotted line; attacks CNN-F and the plain CNN, both trained clean
and both trained adversarially, by PGD-20 through the first pass and through the whole loop; scores every pass; and
fine-tunes a network for some steps, so that training is seen to work. Writes into --output
  index.html      all of it on one page, pictures included: a browser opens it,
                  also on a phone, without a network
  demo.json       the numbers
  *.png           pictures and charts
Models have five roles: restore (its h is the image), standard, standard_cnn, adversarial, adversarial_cnn. Without
--models they are the pretrained ones of the package.
"""

import os
import pathlib
import shlex
import sys
import time
from typing import Any

import _app
from absl import flags

from cnnf_tf.utils.progress import Progress

_ROLES = ("restore", "standard", "standard_cnn", "adversarial", "adversarial_cnn")
_EPSILONS = {"standard": 0.03, "adversarial": 0.1}  # of the attack on each way to train, on the [0, 1] pixel scale
_TRAINED = {"standard": "trained clean", "adversarial": "adversarially trained"}
_REPAIR_ITERATIONS = (1, 2, 5, 10)
_SEVERITY = 3
_MOST_ITERATIONS = 5  # passes to score
_TRAINING_BATCH = 64

_OUTPUT = _app.define_output("Folder for the page, its pictures and the numbers.", default="runs/demo")
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 250, "Repair, and score every pass, on the first so many images.", lower_bound=2
)
_ATTACKED_IMAGES = flags.DEFINE_integer("attacked_images", 100, "Attack the first so many images.", lower_bound=1)
_ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 20, "Steps of PGD, each of 2.5 * epsilon / steps.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 30, "Steps of fine-tuning.", lower_bound=1)
_MODELS = flags.DEFINE_list(
    "models", [], f"ROLE=MODEL pairs; roles {', '.join(_ROLES)}; a .keras file or pretrained:NAME."
)
_DATASET = flags.DEFINE_string(
    "dataset", "fashion_mnist", "TFDS name, idx:PATH or image_folder:PATH; see cnnf_tf.data.load."
)
_SPLIT = flags.DEFINE_string("split", "test", "Split to repair, attack and score.")
_TRAIN_SPLIT = flags.DEFINE_string("train_split", "train", "Split to fine-tune on.")
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of corruptions, attacks and training.", lower_bound=0, upper_bound=2**31 - 2
)
_app.define_data_dir()


def main() -> None:
    start = time.perf_counter()
    names = _model_names()
    output = pathlib.Path(_OUTPUT.value)

    _app.start_tensorflow()
    import keras
    import tensorflow as tf

    from cnnf_tf import __version__
    from cnnf_tf.experiments.demo import measures as demo
    from cnnf_tf.experiments.demo import page as demo_page

    keras.utils.set_random_seed(_SEED.value)
    models = _load_models(names)
    images = _app.load_data(batch_size=50, limit=_NUM_IMAGES.value)
    _app.load_data(_TRAIN_SPLIT.value, limit=1)  # found now, not after minutes
    found = demo.Demo(
        models=names,
        dataset=_DATASET.value,
        split=_SPLIT.value,
        class_names=_app.data_info().class_names,
        seed=_SEED.value,
        attack_steps=_ATTACK_STEPS.value,
        repairs=_repair(models["restore"], images),
        comparisons=_attack(models),
        passes=_score(models, images),
        tuning=_train(models["standard"], images),
    )
    seconds = time.perf_counter() - start
    facts = {
        "Made in": f"{seconds:.0f} s on {os.cpu_count()} CPU cores",
        "Versions": f"cnnf_tf {__version__}, TensorFlow {tf.__version__}, Keras {keras.__version__}",
        "Command": shlex.join(["python", *sys.argv]),
    }
    page = demo_page.write_demo(found, output, facts=facts)
    others = ", ".join(sorted(path.name for path in output.iterdir() if path.suffix in (".png", ".json")))
    print(f"\nMade in {seconds:.0f} s. Beside the page: {others}")
    print(f"\nOpen this page in a browser: {page.resolve().as_uri()}")


def _model_names() -> dict[str, str]:
    """The model of each role: the pretrained one, or what --models says."""
    names = {role: f"pretrained:fashion_mnist_{role}" for role in _ROLES}
    for entry in _MODELS.value:
        role, separator, model = entry.partition("=")
        if role not in _ROLES or not separator or not model:
            raise _app.UsageError(
                f"--models wants ROLE=MODEL pairs separated by commas, roles {', '.join(_ROLES)}; got {entry!r}."
            )
        names[role] = model
    return names


def _load_models(names: dict[str, str]) -> dict[str, Any]:
    """All five, checked against each other and the data before any work."""
    from cnnf_tf.evaluation.restoration import quality as restoration
    from cnnf_tf.zoo import load_model

    facts = _app.data_info()
    models = {}
    with Progress("loading models", len(names), "models") as progress:
        for role, name in names.items():
            try:
                models[role] = load_model(name)
            except (OSError, ValueError) as error:
                raise ValueError(f"no model for {role}: {error} Give another with --models={role}=...") from error
            _app.check_data(models[role], "dataset", _DATASET.value, facts, flag_of_model=f"models={role}")
            progress.update()
    restoration.check_model(models["restore"])
    restoration.check_size(models["restore"].image_shape)
    return models


def _repair(model: Any, images: Any) -> list[Any]:
    from cnnf_tf.experiments.demo import measures as demo

    found = []
    for corruption in demo.CORRUPTIONS:
        with Progress(f"repairing {corruption.replace('_', ' ')}", _count(images), "images") as progress:
            found.append(
                demo.repair(
                    model,
                    images,
                    corruption=corruption,
                    severity=_SEVERITY,
                    seed=_SEED.value,
                    iterations=sorted({*_REPAIR_ITERATIONS, max(1, model.iterations)}),
                    num_shown=2,
                    progress=progress.update,
                )
            )
    return found


def _attack(models: dict[str, Any]) -> list[Any]:
    from cnnf_tf.experiments.demo import measures as demo

    images = _app.load_data(batch_size=50, limit=_ATTACKED_IMAGES.value)
    comparisons = []
    for name in ("adversarial", "standard"):
        settings: dict[str, Any] = {"epsilon": _EPSILONS[name], "steps": _ATTACK_STEPS.value}
        found = []
        for role, shown in ((name, "CNN-F"), (f"{name}_cnn", "CNN")):
            total = _count(images) * len(demo.paths(models[role], **settings))
            with Progress(f"attacking {shown}, {_TRAINED[name]}", total, "images") as progress:
                found.append(demo.attack(models[role], images, **settings, seed=_SEED.value, progress=progress.update))
        comparisons.append(demo.AttackComparison(_TRAINED[name], _EPSILONS[name], *found))
    return comparisons


def _score(models: dict[str, Any], images: Any) -> dict[str, Any]:
    from cnnf_tf.evaluation import evaluate_passes

    found = {}
    for name in ("standard", "adversarial"):
        with Progress(f"every pass, {_TRAINED[name]}", _count(images), "images") as progress:
            found[_TRAINED[name]] = evaluate_passes(
                models[name], images, iterations=_MOST_ITERATIONS, progress=progress.update
            )
    return found


def _train(model: Any, held_out: Any) -> Any:
    from cnnf_tf.experiments.demo import measures as demo

    train = _app.load_data(
        _TRAIN_SPLIT.value,
        batch_size=_TRAINING_BATCH,
        shuffle_seed=_SEED.value,
        repeat=True,
        limit=_STEPS.value * _TRAINING_BATCH,
    )
    with Progress("fine-tuning on noisy images", _STEPS.value, "steps") as progress:
        return demo.fine_tune(model, train, held_out, steps=_STEPS.value, seed=_SEED.value, progress=progress.update)


def _count(images: Any) -> int:
    return sum(int(labels.shape[0]) for _, labels in images)


if __name__ == "__main__":
    _app.run(main)
