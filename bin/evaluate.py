"""Scores a trained model after every pass of its loop, and draws its reconstructions.

Example:
  python bin/evaluate.py --model=runs/standard/best.keras --output=runs/standard/evaluation
  python bin/evaluate.py --model=runs/standard/best.keras --iterations=10 --num_images=1000 --self_consistency
  python bin/evaluate.py --model=runs/standard/best.keras --robustness=0.05 --surrogate=runs/standard_cnn/best.keras

Prints a table (accuracy after pass 0, which is the plain CNN, 1, ..., K', for the readouts "last" and "average") and
writes it to accuracy.txt and accuracy.json and, unless K' is 0, reconstructions.png into --output. With
--self_consistency it adds a table of what each iteration still changed, self_consistency.json and self_consistency.png.

With --robustness=RADIUS it adds robustness.txt and robustness.json: accuracy under PGD and SPSA through the first pass
and through the whole loop, under attacks aimed at the feedback, and under images made on --surrogate, for both
readouts, with the images that stand every attack as the headline, and checks of the evaluation itself with cause and
remedy.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import _app
from absl import flags

_MODEL = _app.define_model()
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
_ROBUSTNESS = flags.DEFINE_string(
    "robustness", None, "Also attack: the l-inf radius on the [0, 1] pixel scale, for example 0.05 or 8/255."
)
_ATTACKED_IMAGES = flags.DEFINE_integer(
    "attacked_images", 1000, "--robustness attacks the first so many images.", lower_bound=1
)
_ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 40, "Steps of PGD, each of 2.5 * radius / steps.", lower_bound=1)
_SPSA_IMAGES = flags.DEFINE_integer(
    "spsa_images", 100, "SPSA attacks the first so many images (each step costs 257 passes); 0: no SPSA.", lower_bound=0
)
_SURROGATE = _app.define_model(
    "surrogate", "With --robustness: another model, such as the plain CNN, to attack through"
)
_ADAPTIVE = flags.DEFINE_bool("adaptive", True, "With --robustness: also run the attacks aimed at the feedback.")
_AUTOATTACK = flags.DEFINE_bool(
    "autoattack",
    False,
    "With --robustness: also run AutoAttack on the first --spsa_images; pip install '.[autoattack]'.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the attacks.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the files; default: beside --model, or runs/NAME.")
_app.define_data_dir()


def main() -> None:
    _app.require(_MODEL)

    _app.start_tensorflow()
    from tqdm import tqdm

    from cnnf_tf import __version__, evaluation
    from cnnf_tf.generative import summarize_self_consistency
    from cnnf_tf.utils.files import write_json, write_text
    from cnnf_tf.zoo import load_model

    radius = None if _ROBUSTNESS.value is None else _app.pixel_length("robustness", _ROBUSTNESS.value)
    model = load_model(_MODEL.value)
    surrogate = load_model(_SURROGATE.value) if _SURROGATE.value else None
    iterations = model.iterations if _ITERATIONS.value < 0 else _ITERATIONS.value
    if _SELF_CONSISTENCY.value and iterations == 0:
        raise _app.UsageError(
            f"--self_consistency wants at least 1 feedback pass, got 0 (the model was saved with K = "
            f"{model.iterations}); give --iterations=1 or more, or leave out --self_consistency."
        )
    dataset = _app.load_data(batch_size=_BATCH_SIZE.value, limit=_NUM_IMAGES.value or None)
    with tqdm(desc="evaluating", unit=" images") as bar:
        result = evaluation.evaluate_passes(model, dataset, iterations=iterations, progress=bar.update)
    heading = f"{_MODEL.value} on {result.num_images} images of {_DATASET.value} {_SPLIT.value}, eta {model.step_size}"
    table = f"{heading}\n{result.table()}\n"
    if _SELF_CONSISTENCY.value:
        summary = summarize_self_consistency(model, dataset, iterations=iterations)
        table += f"\nself-consistency, means over the same images\n{evaluation.self_consistency_table(summary)}\n"
    output = pathlib.Path(_OUTPUT.value or _app.folder_beside(_MODEL.value))
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
    if radius is not None:
        _robustness(model, surrogate, dataset, iterations, radius, report, heading, output)
    if iterations and _NUM_PICTURES.value:
        images, labels = next(iter(dataset.unbatch().batch(_NUM_PICTURES.value)))
        _draw(model, images, labels, _app.data_info().class_names, iterations, output / "reconstructions.png")


def _robustness(
    model: Any,
    surrogate: Any,
    dataset: Any,
    iterations: int,
    radius: float,
    report: dict[str, Any],
    heading: str,
    output: pathlib.Path,
) -> None:
    import numpy as np

    from cnnf_tf import evaluation
    from cnnf_tf.utils.files import write_json, write_text

    count, steps = _ATTACKED_IMAGES.value, _ATTACK_STEPS.value
    batches = list(dataset.unbatch().take(count).batch(count).as_numpy_iterator())
    images, labels = batches[0]
    threats = evaluation.authors_threats(
        radius=radius, steps=steps, spsa_images=_SPSA_IMAGES.value, transfer_from=surrogate
    )
    if _ADAPTIVE.value:
        threats += evaluation.adaptive_threats(radius=radius, steps=steps)
    if _AUTOATTACK.value:
        threats.append(evaluation.autoattack_threat(radius=radius, num_images=_SPSA_IMAGES.value or None))
    result = evaluation.evaluate_robustness(
        model,
        images,
        np.asarray(labels),
        threats=threats,
        radius=radius,
        seed=_SEED.value,
        iterations=iterations,
        check_steps=steps,
        batch_size=_BATCH_SIZE.value,
        progress=lambda line: print(f"attacking: {line}", flush=True),
    )
    table = f"{heading}\nl-inf radius {radius:g} on the [0, 1] scale, seed {_SEED.value}\n{result.table()}\n"
    write_json(output / "robustness.json", report | {"surrogate": _SURROGATE.value} | result.to_dict())
    write_text(output / "robustness.txt", table)
    print(f"\n{table}\nwrote {output / 'robustness.txt'}\nwrote {output / 'robustness.json'}")


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
