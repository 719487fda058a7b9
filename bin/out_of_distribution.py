"""Can a trained CNN-F tell images of its own kind from others? AUROC of log p(h, y, z) and of the usual baseline.

Example:
  python bin/out_of_distribution.py --model=runs/standard/best.keras \\
      --ood_dataset=digits
  python bin/out_of_distribution.py --model=runs/standard/best.keras \\
      --ood_dataset=uniform_noise --num_images=500

The other images are one of
  digits           scikit-learn's handwritten digits (8x8, enlarged to the size
                   of the model's images)
  uniform_noise    independent uniform pixels
  any name that cnnf_tf.data.load takes, resized, and turned grey (mean of the
  channels) where the model is grey
sigma of the generative model is fitted to --fit_split by maximum likelihood, in closed form. Prints a table; with
--output it writes NAME.json, NAME.png (histogram and ROC curves) and NAME.txt there, NAME being --name, and a killed
run goes on after its last finished batch when the same command is given again. --strategy=mirrored uses all GPUs of
this machine, --shard and --merge several machines (docs/scaling.md).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import _app
import _batches
from absl import flags

import cnnf_tf

_MODEL = _app.define_model()
_DATASET, _SPLIT = _app.define_data(
    "Split of --dataset to score; images the model was not trained on.",
    dataset_help="The model's own kind: ",
    batch_size=256,
)
_FIT_SPLIT = flags.DEFINE_string("fit_split", "train[:512]", "Split of --dataset that sigma is fitted to.")
_OOD_DATASET: flags.FlagHolder = flags.DEFINE_string(
    "ood_dataset", None, "The other images: digits, uniform_noise, or a data set name as for --dataset."
)
_OOD_SPLIT = flags.DEFINE_string("ood_split", "test", "Split of --ood_dataset; not for digits and uniform_noise.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 2000, "The first so many images of each kind.", lower_bound=1)
_app.define_iterations()
_SEED = _app.define_seed("uniform_noise")
_batches.define_batches()
_OUTPUT = _app.define_output("Folder for the files; default: none are written.")
_NAME = flags.DEFINE_string("name", "", "Stem of the files; default: --ood_dataset.")
_NOTE = flags.DEFINE_string("note", "", "Free text for the JSON, for example the command that trained the model.")
_OOD_DATA_DIR = flags.DEFINE_string("ood_data_dir", None, "The same for --ood_dataset; default: --data_dir.")


def main() -> None:
    _app.require(_MODEL, _OOD_DATASET)
    if _NAME.value in (".", "..") or not re.fullmatch(r"[^/\\:]{0,200}", _NAME.value):
        raise _app.UsageError(f"--name wants the name of a file, without folder and ending, got {_NAME.value!r}.")

    _app.start_tensorflow()
    import tensorflow as tf

    from cnnf_tf.evaluation import out_of_distribution as ood
    from cnnf_tf.evaluation import sampling

    strategy = _batches.strategy()
    with strategy.scope():
        model = cnnf_tf.load_model(_MODEL.value)
    iterations = _app.iterations_of(model)
    output = _app.Output("output", _OUTPUT.value) if _OUTPUT.value else None
    own_images = _app.load_data_for(model, limit=_NUM_IMAGES.value)
    others = tf.data.Dataset.from_tensor_slices(_other_images(model.image_shape)).batch(flags.FLAGS.batch_size)
    scale = ood.fit_scale(model, _app.load_data(_FIT_SPLIT.value), iterations=iterations)
    generative, notes = sampling.generative_model(model, scale=scale)
    for reason in notes:
        print(f"Note: {reason}; the CNN is only approximately the inference of its generative model.")
    sets = {"own": own_images, "other": others}
    jobs = [ood.score_job(model, generative, images, iterations=iterations, name=name) for name, images in sets.items()]
    more = {"sigma": scale, "other": _batches.fingerprint(others)}
    with _batches.opened(strategy, output and output.folder, model, own_images, **more) as batches:
        facts = batches.run(jobs)
        if not _batches.is_part():
            own, other = (ood.scores_of(facts[name]) for name in sets)
            _report(model, own, other, scale, notes, output)


def _report(
    model: Any, own: Mapping[str, Any], other: Mapping[str, Any], scale: float, notes: Sequence[str], output: Any
) -> None:
    """Prints the table and, with --output, writes the files."""
    from cnnf_tf.evaluation import out_of_distribution as ood

    iterations = _app.iterations_of(model)
    found = {name: ood.separation(own[name], other[name]) for name in own}
    counts = {"num_images": len(own["max softmax"]), "num_ood_images": len(other["max softmax"])}
    heading = (
        f"{_MODEL.value}, K = {iterations}, sigma {scale:.4f}: {counts['num_images']} images of {_DATASET.value} "
        f"{_SPLIT.value} against {counts['num_ood_images']} of {_OOD_DATASET.value}"
    )
    table = f"{heading}\n{ood.separation_table(found)}\n"
    print(f"\n{table}")
    if output is None:
        return
    synthetic = _OOD_DATASET.value in ("digits", "uniform_noise")
    report = _app.provenance(model) | {
        "note": _NOTE.value,
        "ood_dataset": _OOD_DATASET.value,
        "ood_split": None if synthetic else _OOD_SPLIT.value,
        **counts,
        "state": "h: the network's input; y, z: of the last iteration",
        "sigma": scale,
        "sigma_is": f"maximum likelihood over {_DATASET.value} {_FIT_SPLIT.value}: sqrt(mean (h - g(0))^2), units of h",
        "seed": _SEED.value,
        "notes": notes,
        "scores": {name: value.to_dict() for name, value in found.items()},
    }
    stem = _NAME.value or re.sub(r"\W+", "_", _OOD_DATASET.value)
    title = f"{_DATASET.value} against {_OOD_DATASET.value}"
    names = (_DATASET.value, _OOD_DATASET.value)
    output.text(f"{stem}.txt", table)
    output.json(f"{stem}.json", report)
    output.write(f"{stem}.png", ood.separation_figure, own, other, title=title, names=names)


def _other_images(image_shape: tuple[int, int, int]) -> Any:
    """At most --num_images images of --ood_dataset as the model wants them."""
    import numpy as np

    from cnnf_tf.evaluation import out_of_distribution as ood

    name, count = _OOD_DATASET.value, _NUM_IMAGES.value
    if name == "uniform_noise":
        return ood.uniform_noise(count, image_shape, seed=_SEED.value)
    if name == "digits":
        return ood.handwritten_digits(count, image_shape)
    try:
        dataset = cnnf_tf.data.load(
            name,
            _OOD_SPLIT.value,
            limit=count,
            image_size=image_shape[:2],
            data_dir=_OOD_DATA_DIR.value or flags.FLAGS.data_dir,
        )
    except ValueError as error:
        raise ValueError(f"--ood_dataset wants digits, uniform_noise or a data set: {error}") from error
    return ood.match_channels(np.stack([image for image, _ in dataset.as_numpy_iterator()]), image_shape[-1])


if __name__ == "__main__":
    _app.run(main)
