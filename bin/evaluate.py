"""Scores a trained model after every pass of its loop, and draws its reconstructions.

Example:
  python bin/evaluate.py --model=runs/standard/best.keras --output=runs/standard/evaluation
  python bin/evaluate.py --model=runs/standard/best.keras --iterations=10 --num_images=1000 --self_consistency

Prints a table (accuracy after pass 0, which is the plain CNN, 1, ..., K', for the readouts "last" and "average") and
writes it to accuracy.txt and accuracy.json and, unless K' is 0, reconstructions.png into --output. With
--self_consistency it adds a table of what each iteration still changed, self_consistency.json and self_consistency.png.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import _app
from absl import flags

_MODEL: flags.FlagHolder = flags.DEFINE_string(
    "model", None, "A .keras file, for example best.keras in the workdir of bin/train.py."
)
_DATASET = flags.DEFINE_string(
    "dataset", "fashion_mnist", "TFDS name, idx:PATH or image_folder:PATH; see cnnf_tf.data.load."
)
_SPLIT = flags.DEFINE_string("split", "test", "Split to score on; slices such as test[:1000] are allowed.")
_ITERATIONS = flags.DEFINE_integer(
    "iterations", -1, "K', feedback passes to run; may exceed the trained K. -1: the model's own.", lower_bound=-1
)
_NUM_IMAGES = flags.DEFINE_integer("num_images", 0, "Score only the first so many images; 0: all.", lower_bound=0)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images per batch.", lower_bound=1)
_NUM_PICTURES = flags.DEFINE_integer("num_pictures", 8, "Images in the picture; 0 for no picture.", lower_bound=0)
_SELF_CONSISTENCY = flags.DEFINE_bool(
    "self_consistency", False, "Also report what each iteration changes: label, latents, features. Needs K' >= 1."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the files; default: beside --model.")
_DATA_DIR = _app.define_data_dir()


def main() -> None:
    _app.require(_MODEL)

    _app.start_tensorflow()
    from tqdm import tqdm

    from cnnf_tf import __version__, data, evaluation
    from cnnf_tf.files import write_json, write_text
    from cnnf_tf.generative import summarize_self_consistency
    from cnnf_tf.models import load_model

    model = load_model(_MODEL.value)
    iterations = model.iterations if _ITERATIONS.value < 0 else _ITERATIONS.value
    if _SELF_CONSISTENCY.value and iterations == 0:
        raise _app.UsageError(
            f"--self_consistency wants at least 1 feedback pass, got 0 (the model was saved with K = "
            f"{model.iterations}); give --iterations=1 or more, or leave out --self_consistency."
        )
    dataset = data.load(
        _DATASET.value,
        _SPLIT.value,
        batch_size=_BATCH_SIZE.value,
        limit=_NUM_IMAGES.value or None,
        data_dir=_DATA_DIR.value,
    )
    with tqdm(desc="evaluating", unit=" images") as bar:
        result = evaluation.evaluate_passes(model, dataset, iterations=iterations, progress=bar.update)
    heading = f"{_MODEL.value} on {result.num_images} images of {_DATASET.value} {_SPLIT.value}, eta {model.step_size}"
    table = f"{heading}\n{result.table()}\n"
    if _SELF_CONSISTENCY.value:
        summary = summarize_self_consistency(model, dataset, iterations=iterations)
        table += f"\nself-consistency, means over the same images\n{evaluation.self_consistency_table(summary)}\n"
    output = pathlib.Path(_OUTPUT.value or pathlib.Path(_MODEL.value).with_suffix(""))
    report = {
        "model": _MODEL.value,
        "dataset": _DATASET.value,
        "split": _SPLIT.value,
        "iterations": iterations,
        "trained_iterations": model.iterations,
        "step_size": model.step_size,
        "cnnf_tf": __version__,
    }
    write_json(output / "accuracy.json", report | result.to_dict())
    write_text(output / "accuracy.txt", table)
    print(f"\n{table}\nwrote {output / 'accuracy.txt'}\nwrote {output / 'accuracy.json'}")
    if _SELF_CONSISTENCY.value:
        write_json(output / "self_consistency.json", report | summary.to_dict())
        title = f"what each iteration changes; means over {summary.num_images} images of {_DATASET.value}"
        evaluation.self_consistency_figure(output / "self_consistency.png", summary, title=title)
        print(f"wrote {output / 'self_consistency.json'}\nwrote {output / 'self_consistency.png'}")
    if iterations and _NUM_PICTURES.value:
        facts = data.info(_DATASET.value, data_dir=_DATA_DIR.value)
        images, labels = next(iter(dataset.unbatch().batch(_NUM_PICTURES.value)))
        _draw(model, images, labels, facts.class_names, iterations, output / "reconstructions.png")


def _draw(
    model: Any, images: Any, labels: Any, class_names: Sequence[str], iterations: int, path: pathlib.Path
) -> None:
    from cnnf_tf import evaluation

    pictures = model.reconstruct(images, iterations=iterations).numpy()
    guesses = model.infer(images, iterations=iterations).logits.numpy().argmax(-1)
    captions = [
        [f"true: {class_names[int(label)]}", *(class_names[guess] for guess in guesses[:-1, index])]
        for index, label in enumerate(labels)
    ]
    title = "g(0), what the feedback renders, from the label below it"
    if model.encoder is not None:
        title += " (sketch through the encoder)"
    evaluation.reconstruction_figure(path, images.numpy(), pictures, captions, title=title)
    print(f"wrote {path}")


if __name__ == "__main__":
    _app.run(main)
