"""Screens training recipes on Fashion-MNIST: many short runs in JAX on one accelerator, and one table.

Example:
  KERAS_BACKEND=jax python bin/screening.py --data=/data/fashion_mnist_idx --output=docs/results/screening
  KERAS_BACKEND=jax python bin/screening.py --data=... --output=... --recipes=cnn,k1 --epochs=4
  KERAS_BACKEND=jax python bin/screening.py --data=... --output=... --table

--data is the folder of the four IDX files, packed by gzip as they come or by xz. Each recipe (see
cnnf_tf/experiments/screening/recipes.py) ends as --output/NAME.json, written at once; what is there already is skipped,
so the same command goes on after a kill. Start it several times to work on several recipes at once: each takes what no
other has begun. --table writes --output/README.md. Needs JAX and Keras, and no TensorFlow.
"""

import fcntl
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from absl import app, flags  # noqa: E402

_DATA = flags.DEFINE_string("data", None, "Folder of the IDX files.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the results.", required=True)
_RECIPES = flags.DEFINE_list("recipes", [], "Names, by comma; all recipes by default.")
_TABLE = flags.DEFINE_bool("table", False, "Only write the table of the results that are there.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Passes over the training images.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Images in a step.", lower_bound=1)
_TRAIN_IMAGES = flags.DEFINE_integer("train_images", 40_000, "The first so many to train on.", lower_bound=1)
_TEST_IMAGES = flags.DEFINE_integer("test_images", 10_000, "The first so many to test on.", lower_bound=1)
_ATTACKED_IMAGES = flags.DEFINE_integer("attacked_images", 1000, "The first so many to attack.", lower_bound=1)
_ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 40, "Steps of PGD.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, order, noise and attacks.", lower_bound=0)
_WEIGHTS = flags.DEFINE_string("weights", "", "Folder for the weights in float16, NAME.npz; none by default.")

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


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    import json

    import numpy as np

    from cnnf_tf.experiments.screening import recipes, run

    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    if _TABLE.value:
        (output / "README.md").write_text(TITLE + run.table(output))
        return
    if not _DATA.value:
        raise app.UsageError("--data is needed, the folder of the IDX files")
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
        result = output / f"{recipe.name}.json"
        with open(output / f".{recipe.name}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # another process works on it
            if result.exists():
                continue
            try:
                record, weights = run.run(recipe, budget, _DATA.value, lambda line: print(line, flush=True))
            except FloatingPointError as error:
                record, weights = {"recipe": recipe.to_dict(), "failed": str(error)}, []
            partial = result.with_suffix(".partial")
            partial.write_text(json.dumps(record, indent=1) + "\n")
            if _WEIGHTS.value and weights:
                pathlib.Path(_WEIGHTS.value).mkdir(parents=True, exist_ok=True)
                halves = {f"{place:02d}": weight.astype(np.float16) for place, weight in enumerate(weights)}
                np.savez(pathlib.Path(_WEIGHTS.value) / f"{recipe.name}.npz", **halves)
            os.replace(partial, result)


if __name__ == "__main__":
    app.run(main)
