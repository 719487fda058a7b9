"""Compares generative and discriminative classifiers on m = 10 ... 10,000 training images (Ng & Jordan 2002).

Example:
  python bin/generative_vs_discriminative.py --output=runs/gvd \\
      --config=configs/generative_vs_discriminative.py
  python bin/generative_vs_discriminative.py --output=/tmp/gvd \\
      --config=configs/generative_vs_discriminative.py:smoke

Trains Gaussian naive Bayes (variances shared by the classes, and one for each class), logistic regression, the CNN and
CNN-F on the same nested subsets, scores all on the same test images, prints a table of test errors (mean +- standard
deviation over seeds) and writes results.json, learning_curves.csv, .png and .svg into --output. A killed study goes on
after its last finished cell when the same command is given again. Any value of the configuration can be changed on the
command line as --config.NAME=VALUE.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import _app
from ml_collections import ConfigDict

import cnnf_tf

_CONFIG = _app.define_config("configs/generative_vs_discriminative.py", "study.methods", "model", "data", "train")
_OUTPUT = _app.define_output("Folder of the study: its record, table and figure.")
_DATA_DIR = _app.define_data_dir()

NAMES = {
    "gaussian_naive_bayes": "naive Bayes, shared variances",
    "gaussian_naive_bayes_per_class": "naive Bayes, variances per class",
    "logistic_regression": "logistic regression",
    "cnn": "CNN",
    "cnnf": "CNN-F",
}


def main() -> None:
    _app.require(_CONFIG, _OUTPUT)
    config = _CONFIG.value
    _check(config)

    _app.start_tensorflow()
    import sklearn

    from cnnf_tf.experiments.learning_curves.curves import LearningCurves, nested_subsets, place

    about = {
        "study": "test error against the number of training images, generative versus discriminative",
        "errors": "shares of the test images in [0, 1]; mean and sample standard deviation over seeds",
        **_app.provenance(),
    }
    about["versions"]["scikit-learn"] = sklearn.__version__
    curves = LearningCurves(_OUTPUT.value, config.to_dict(), about)
    study, facts = config.study, cnnf_tf.data.info(config.data.name, data_dir=_DATA_DIR.value)
    pool = cnnf_tf.data.load_arrays(config.data.name, config.data.train_split, data_dir=_DATA_DIR.value)
    test = cnnf_tf.data.load_arrays(config.data.name, study.test_split, data_dir=_DATA_DIR.value)
    subsets = {seed: nested_subsets(len(pool[1]), study.num_images, seed) for seed in study.seeds}

    def cells_of(method: str, m: int, seed: int) -> list[dict[str, Any]]:
        images, labels = (part[subsets[seed][m]] for part in pool)
        start = time.perf_counter()
        fit = _network if method in ("cnn", "cnnf") else _baseline
        predict, details = fit(config, method, images, labels, facts, seed)
        cell = {
            "method": method,
            "num_images": m,
            "seed": seed,
            "num_correct": int((predict(test[0]) == test[1]).sum()),
        }
        cell |= {"num_test_images": len(test[1]), "num_classes_seen": len(set(labels.tolist()))}
        return [cell | {"seconds": round(time.perf_counter() - start, 2), "details": details}]

    # Seed by seed, so that a study cut short has whole curves; cheap methods and small m first.
    grid = [(method, m, seed) for seed in study.seeds for method in study.methods for m in study.num_images]
    jobs = {where: functools.partial(cells_of, *where) for where in grid}
    curves.complete(jobs, name_of=place, verb="studying")

    seeds = "1 seed" if len(study.seeds) == 1 else f"{len(study.seeds)} seeds"
    title = f"{config.data.name}: {len(test[1])} test images, {seeds} (bars: one standard deviation)"
    if config.data.name.startswith("idx:"):
        title = title.partition(": ")[2]
    print(f"\ntest error in %, {title}\n{curves.table(NAMES)}\n")
    for path in (curves.path, curves.write_csv(), *curves.draw(NAMES, title=title)):
        print(f"wrote {path}")


def _baseline(
    config: ConfigDict, method: str, images: Any, labels: Any, facts: Any, seed: int
) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """Fits one of the closed-form or convex models, which need no seed."""
    del facts, seed
    from cnnf_tf.experiments.learning_curves import baselines

    def flat(pictures: Any) -> Any:
        return pictures.reshape(len(pictures), -1)

    if method == "logistic_regression":
        model = baselines.logistic_regression(flat(images), labels, l2=config.study.l2)
        details = {"iterations": int(model.n_iter_.max())}
    else:
        shared = method == "gaussian_naive_bayes"
        smoothing = config.study.var_smoothing
        model = baselines.gaussian_naive_bayes(flat(images), labels, var_smoothing=smoothing, shared_variance=shared)
        details = {}
    return lambda pictures: model.predict(flat(pictures)), details


def _network(
    config: ConfigDict, method: str, images: Any, labels: Any, facts: Any, seed: int
) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """Trains the CNN or CNN-F; for one seed both start from the same weights and see the same batches."""
    import keras
    import tensorflow as tf

    from cnnf_tf.models.memory import check_memory

    training = cnnf_tf.training
    options = ConfigDict(config.to_dict())
    if method == "cnn":
        options.model.iterations = 0
    batch_size = min(len(labels), config.data.batch_size)
    steps = max(config.study.min_steps, math.ceil(config.study.epochs * len(labels) / config.data.batch_size))
    keras.utils.clear_session()  # or else the models of all cells stay in memory
    keras.utils.set_random_seed(seed)
    model = training.build_model(options, facts.image_shape, facts.num_classes)
    check_memory(model, batch_size, iterations=model.iterations, gradients=True)
    clip_norm = config.train.optimizer.clip_norm or None
    model.compile(optimizer=training.build_optimizer(config.train.optimizer, steps, global_clipnorm=clip_norm))
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), seed=seed).repeat()
    history = model.fit(batches.batch(batch_size), steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    loss = history.history["loss"][-1]
    if not math.isfinite(loss):
        raise ValueError(f"the loss of {method} on {len(labels)} images became {loss}; a lower learning rate helps.")

    def predict(pictures: Any) -> Any:
        return model.predict(pictures, batch_size=250, verbose=0).argmax(-1)

    return predict, {"steps": steps, "batch_size": batch_size, "mean_training_loss": round(loss, 6)}


def _check(config: ConfigDict) -> None:
    unknown = [method for method in config.study.methods if method not in NAMES]
    if unknown:
        raise _app.UsageError(f"config.study.methods: wanted some of {list(NAMES)}, got {unknown}.")
    if not config.study.seeds or not config.study.methods:
        raise _app.UsageError("config.study.methods and config.study.seeds must not be empty.")
    for name, count in {"data.batch_size": config.data.batch_size, "study.min_steps": config.study.min_steps}.items():
        if count < 1:
            raise _app.UsageError(f"config.{name} must be at least 1, got {count}.")


if __name__ == "__main__":
    _app.run(main)
