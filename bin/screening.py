"""Screens training recipes on Fashion-MNIST: many short runs in JAX on one accelerator, and one table.

Example:
  python bin/screening.py --data=/data/fashion_mnist_idx --output=runs/screening
  python bin/screening.py --data=... --output=... --recipes=cnn,k1 --epochs=4
  python bin/screening.py --output=... --table

--data is the folder of the four IDX files, packed by gzip as they come or by xz. Each recipe (see
cnnf_tf/experiments/screening/recipes.py) ends as --output/NAME.json, written at once; what is there already is skipped,
so the same command goes on after a kill. Start it several times to work on several recipes at once: each takes what no
other has begun. --table writes --output/README.md. Needs JAX and Keras, and no TensorFlow.
"""

import contextlib
import os
from typing import Any

import _app
from absl import flags

from cnnf_tf.utils.backend import choose_backend
from cnnf_tf.utils.files import atomic_path, locked

_DATA: flags.FlagHolder = flags.DEFINE_string("data", None, "Folder of the IDX files.")
_OUTPUT = _app.define_output("Folder of the results.")
_RECIPES = flags.DEFINE_list("recipes", [], "Names, by comma; all recipes by default.")
_TABLE = flags.DEFINE_bool("table", False, "Only write the table of the results that are there.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Passes over the training images.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Images in a step.", lower_bound=1)
_TRAIN_IMAGES = flags.DEFINE_integer("train_images", 40_000, "The first so many to train on.", lower_bound=1)
_TEST_IMAGES = flags.DEFINE_integer("test_images", 10_000, "The first so many to test on.", lower_bound=1)
_ATTACKED_IMAGES = flags.DEFINE_integer("attacked_images", 1000, "The first so many to attack.", lower_bound=1)
_ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 40, "Steps of PGD.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, order, noise and attacks.", lower_bound=0)
_WEIGHTS = _app.define_output("Folder for the weights in float16, NAME.npz; none by default.", name="weights")

TITLE = """# Screening of training recipes

Made by `bin/screening.py`. Every recipe is one run with one seed, of float32 with the matrix units' reduced products
(TF32) where the device has them. Accuracies in percent, at K' by the recipe's readout.

- e: what stands under every attack aimed at that K', and judged by it: PGD through the full unroll and through the
  first pass, on the margin and on cross-entropy, l-inf, pixels in [0, 1], one random start, steps that shrink from
  e / 4 to 0; an image falls with any iterate. `NAME.json` has what stands after each of them.
- unroll alone: the same without the attacks through the first pass. Where it is far above the column e = 0.03, the
  gradient through the loop is of no use, and the true robustness may be below that column as well.
- shot, Gaussian, line: accuracy under corruptions of severity 3, and the PSNR (dB) of h and g(0) at the best of the
  iterations 1 to 10; without repair it is 18.06, 16.81 and 18.87.
- minutes: of training, next to other recipes on the same device, compilation included.

[notes.md](notes.md) says what was learned, and what was cut off.

"""


def main() -> None:
    _app.require(_OUTPUT, *([] if _TABLE.value else [_DATA]))
    output = _app.Output("output", _OUTPUT.value)
    os.environ["KERAS_BACKEND"] = "jax"
    choose_backend()

    from cnnf_tf.experiments.screening import recipes, run

    if _TABLE.value:
        output.text("README.md", TITLE + run.table(output.folder))
        return
    output.folder.mkdir(parents=True, exist_ok=True)
    budget = run.Budget(
        epochs=_EPOCHS.value,
        batch_size=_BATCH_SIZE.value,
        train_images=_TRAIN_IMAGES.value,
        test_images=_TEST_IMAGES.value,
        attacked_images=_ATTACKED_IMAGES.value,
        attack_steps=_ATTACK_STEPS.value,
        seed=_SEED.value,
    )
    for recipe in recipes.by_name(_RECIPES.value):
        result = output.folder / f"{recipe.name}.json"
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(output.folder / f".{recipe.name}.lock"))
            except BlockingIOError:
                continue  # another process works on it
            if result.exists():
                continue
            try:
                record, weights = run.run(recipe, budget, _DATA.value, lambda line: print(line, flush=True))
            except FloatingPointError as error:
                record, weights = {"recipe": recipe.to_dict(), "failed": str(error)}, []
            if _WEIGHTS.value and weights:
                _app.Output("weights", _WEIGHTS.value).write(f"{recipe.name}.npz", _write_weights, weights)
            output.json(result.name, record)


def _write_weights(path: Any, weights: list[Any]) -> None:
    import numpy as np

    halves = [weight.astype(np.float16) for weight in weights]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{f"{place:02d}": half for place, half in enumerate(halves)})


if __name__ == "__main__":
    _app.run(main)
