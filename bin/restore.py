"""Restores corrupted images by feedback and scores the result: PSNR and SSIM after some iterations, with pictures.

Example:
  python bin/restore.py --model=runs/restore/last.keras --corruption=shot_noise
  python bin/restore.py --model=runs/restore/last.keras --severity=5 \\
      --corruption=dotted_line --denoiser_epochs=5
  python bin/restore.py --model=pretrained:fashion_mnist_restore \\
      --images=photo.png,scans/ --fit --corruption=none

The first two corrupt the images of --dataset, the third restores images of your own as they are (give a corruption
and they are corrupted first). Corruptions: brightness, contrast, dotted_line, gaussian_blur, gaussian_noise,
impulse_noise, occlusion, shot_noise. Writes into --output
  NAME.png           for each corruption, from top to bottom: corrupted, median
                     filter, restored, ground truth
  all.png            all corruptions side by side, where there are several
  restoration.txt    PSNR and SSIM before and after, and of the other restorers;
                     the same in restoration.json
  restored/*.png     your own images, restored, for each of --iterations
The model must reconstruct the image itself (encoder_blocks = 0). A killed run goes on after its last finished batch
when the same command is given again; --strategy=mirrored uses all GPUs of this machine, --shard and --merge several
machines (docs/scaling.md).
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import _app
import _batches
import _images
from absl import flags

import cnnf_tf
from cnnf_tf.utils.files import write_bytes

_MODEL = _app.define_model()
_CORRUPTION = flags.DEFINE_list(
    "corruption",
    ["shot_noise", "gaussian_noise", "dotted_line"],
    "Corruptions, separated by commas; `none` restores --images as they are.",
)
_SEVERITY = flags.DEFINE_integer("severity", 3, "Severity of the corruptions.", lower_bound=1, upper_bound=5)
_ITERATIONS = flags.DEFINE_list("iterations", ["1", "2", "5", "10"], "Iterations to look at, ascending.")
_RESTORED = flags.DEFINE_enum(
    "restored",
    "features",
    ["features", "reconstruction"],
    "What counts as restored in pictures and files: h after an iteration, or g(0) of it. The table has both.",
)
_IMAGES = _images.define_images(", of your own, instead of --dataset")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 8, "Images in a picture.", lower_bound=1, upper_bound=64)
_SCORE_IMAGES = flags.DEFINE_integer(
    "score_images", 10_000, "Score the first so many images of --dataset; 0: all.", lower_bound=0
)
_DENOISER_EPOCHS = flags.DEFINE_integer(
    "denoiser_epochs",
    0,
    "Epochs to train a denoising autoencoder for each corruption, to compare with; 0: none.",
    lower_bound=0,
)
_DENOISER_SPLIT = flags.DEFINE_string("denoiser_split", "train", "Split of --dataset that it is trained on.")
_DATASET, _SPLIT = _app.define_data("Split to corrupt and restore.", batch_size=256)
_SEED = _app.define_seed("the corruptions")
_batches.define_batches()
_OUTPUT = _app.define_output("Folder for the files; default: `restoration` beside --model, or in runs/NAME.")
_app.limit_iterations("iterations")

_SHOWN = {"reconstruction": "g(0) of an iteration", "features": "h after an iteration"}
_SHOWN_TOGETHER = 3  # images of each corruption in all.png


def main() -> None:
    _app.require(_MODEL)
    iterations = _iterations()
    output = _app.Output("output", _OUTPUT.value or _app.folder_beside(_MODEL.value) / "restoration")
    if not _CORRUPTION.value:
        raise _app.UsageError("--corruption wants at least one name, or `none` for --images as they are; got nothing.")
    if "none" in _CORRUPTION.value and not _IMAGES.value:
        raise _app.UsageError("--corruption=none wants images of your own to restore as they are; give --images.")

    _app.start_tensorflow()
    import numpy as np
    import tensorflow as tf

    from cnnf_tf.evaluation.restoration import quality

    known = [*cnnf_tf.data.CORRUPTIONS, "none"]
    for name in _CORRUPTION.value:
        if name not in known or _CORRUPTION.value.count(name) > 1:
            raise _app.UsageError(f"--corruption wants some of {', '.join(sorted(known))}, each once; got {name!r}.")
    files = _images.find()
    strategy = _batches.strategy()
    alone = bool(files) or _DENOISER_EPOCHS.value > 0
    if alone and (_batches.is_part() or flags.FLAGS.merge or strategy.num_replicas_in_sync > 1):
        raise _app.UsageError(
            "--images and --denoiser_epochs are for one device of one machine: no --strategy, --shard or --merge."
        )
    with strategy.scope():
        model = cnnf_tf.load_model(_MODEL.value)
    quality.check_model(model)
    if _CORRUPTION.value != ["none"]:
        quality.check_size(model.image_shape)
    if files:
        files, pixels = map(list, zip(*_images.read(files, model.image_shape), strict=True))
        images = np.stack(pixels).astype(np.float32) / 255
        dataset = tf.data.Dataset.from_tensor_slices((images, tf.zeros(len(files), tf.int32)))
        dataset = dataset.batch(flags.FLAGS.batch_size)
    else:
        dataset = _app.load_data_for(model, labelled=False, limit=_SCORE_IMAGES.value or None)
    shown = next(iter(dataset.unbatch().batch(_NUM_IMAGES.value)))[0]
    quality.restore(model, shown, iterations=iterations)  # images that do not fit are found before any training
    if _DENOISER_EPOCHS.value:
        if files:
            _app.check_data(model, "dataset", _DATASET.value, _app.data_info(), labelled=False)
        _app.load_data(_DENOISER_SPLIT.value, limit=1)

    with _batches.opened(strategy, None if alone else output.folder, model, dataset) as batches:
        if _batches.is_part():
            batches.run([_job(model, dataset, name, iterations, _baselines(model, name)) for name in _CORRUPTION.value])
            return
        tables: list[str] = []
        scores: dict[str, Any] = {}
        panels: dict[str, Any] = {}
        for name in _CORRUPTION.value:
            baselines = {} if name == "none" else _baselines(model, name)
            if name != "none":
                job = _job(model, dataset, name, iterations, baselines)
                tables.append(_score(batches.run([job])[job.name], name, iterations, baselines, scores))
                print(f"\n{tables[-1]}")
            noisy = _corrupted(shown, name)
            panels[name] = {
                "noisy": noisy.numpy(),
                "restored": quality.restore(model, noisy, iterations=iterations, restored=_RESTORED.value).numpy(),
                "clean": None if name == "none" else shown.numpy(),
                "baselines": {baseline: restorer(noisy).numpy() for baseline, restorer in baselines.items()},
            }
            if files:
                _write_restored(model, images, files, name, iterations, output)
        _report(model, files, tables, scores, panels, iterations, output)


def _report(
    model: Any,
    files: Sequence[pathlib.Path],
    tables: Sequence[str],
    scores: dict[str, Any],
    panels: dict[str, Any],
    iterations: Sequence[int],
    output: _app.Output,
) -> None:
    """Writes what was found."""
    from cnnf_tf.evaluation.restoration import quality

    for name, panel in panels.items():
        options = {"iterations": iterations, "title": _title(name)}
        output.write(f"{name}.png", quality.restoration_figure, **panel, **options)
    panels.pop("none", None)
    if len(panels) > 1:
        options = {"iterations": iterations, "title": _title("corrupted images")}
        output.write("all.png", quality.restoration_figure, **_together(panels), **options)
    made = _app.provenance(model)
    report = made | {
        "images": [str(path) for path in files] or None,
        "dataset": None if files else made["dataset"],
        "split": None if files else made["split"],
        "iterations": iterations,
        "severity": _SEVERITY.value,
        "seed": _SEED.value,
        "pictures": _SHOWN[_RESTORED.value],
        "denoiser_epochs": _DENOISER_EPOCHS.value,
        "scores": scores,
    }
    output.json("restoration.json", report)
    if tables:
        output.text("restoration.txt", "\n\n".join(tables) + "\n")


def _iterations() -> tuple[int, ...]:
    wanted = "ascending integers, each at least 1, such as 1,2,5,10"
    steps = _app.integers("iterations", wanted)
    if not steps or steps[0] < 1 or list(steps) != sorted(set(steps)):
        raise _app.UsageError(f"--iterations wants {wanted}; got {','.join(_ITERATIONS.value)!r}.")
    return steps


def _baselines(model: Any, corruption: str) -> dict[str, Any]:
    """The other restorers, by name; trains one if --denoiser_epochs says so."""
    import keras

    found: dict[str, Any] = {"median 3x3": cnnf_tf.evaluation.median_filter}
    if _DENOISER_EPOCHS.value:
        keras.utils.set_random_seed(_SEED.value)  # for each anew: a denoiser does not depend on those before it
        denoiser = cnnf_tf.evaluation.denoising_autoencoder(model.image_shape)
        print(f"training a denoising autoencoder with {denoiser.count_params()} parameters for {corruption}")
        # Another seed than that of the scored images: the noise it learns from is not the noise it is tested on.
        # A new order in every epoch is new noise for every image, which draws by its place.
        clean = _app.load_data(_DENOISER_SPLIT.value, shuffle_seed=_SEED.value)
        pairs = cnnf_tf.data.corrupted(clean, corruption, _SEVERITY.value, seed=_SEED.value + 1, keep_clean=True)
        denoiser.fit(pairs, epochs=_DENOISER_EPOCHS.value, shuffle=False, verbose=2)  # `pairs` are shuffled
        found["denoising autoencoder"] = denoiser
    return found


def _way(corruption: str, iterations: Sequence[int]) -> dict[str, Any]:
    return {
        "corruption": corruption,
        "severity": _SEVERITY.value,
        "seed": _SEED.value,
        "iterations": iterations,
    }


def _job(model: Any, dataset: Any, corruption: str, iterations: Sequence[int], baselines: dict[str, Any]) -> Any:
    way = _way(corruption, iterations)
    return cnnf_tf.evaluation.restoration_job(model, dataset, baselines=baselines, name=corruption, **way)


def _score(
    facts: Any, corruption: str, iterations: Sequence[int], baselines: dict[str, Any], scores: dict[str, Any]
) -> str:
    """Puts the values for JSON into `scores`; returns a table with its heading."""
    way = _way(corruption, iterations)
    result = cnnf_tf.evaluation.RestorationQuality.from_facts(facts, baselines=tuple(baselines), **way)
    scores[corruption] = result.to_dict()
    where = "own images" if _IMAGES.value else f"images of {_DATASET.value} {_SPLIT.value}"
    heading = f"{corruption}, severity {_SEVERITY.value}: {_MODEL.value} on {result.num_images} {where}"
    return f"{heading}\n{result.table()}"


def _corrupted(images: Any, corruption: str) -> Any:
    if corruption == "none":
        return images
    return cnnf_tf.data.corrupt(images, corruption, _SEVERITY.value, seed=_SEED.value)


def _title(corruption: str) -> str:
    severity = f"{corruption.replace('_', ' ')}, severity {_SEVERITY.value}"
    return f"{'images as they are' if corruption == 'none' else severity}; restored: {_SHOWN[_RESTORED.value]}"


def _together(panels: dict[str, Any]) -> dict[str, Any]:
    """The first images of every corruption side by side."""
    import numpy as np

    count = min(_SHOWN_TOGETHER, *(len(panel["noisy"]) for panel in panels.values()))
    return {
        "noisy": np.concatenate([panel["noisy"][:count] for panel in panels.values()]),
        "restored": np.concatenate([panel["restored"][:, :count] for panel in panels.values()], axis=1),
        "clean": np.concatenate([panel["clean"][:count] for panel in panels.values()]),
        "column_titles": [name.replace("_", " ") for name in panels for _ in range(count)],
    }


def _write_restored(
    model: Any,
    images: Any,
    files: Sequence[pathlib.Path],
    corruption: str,
    iterations: Sequence[int],
    output: _app.Output,
) -> None:
    """Writes each restored image at the model's size: FILE_CORRUPTION_ITERATION.png."""
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(_corrupted(tf.constant(images), corruption))
    batches = batches.batch(flags.FLAGS.batch_size)
    restored = tf.concat(
        [
            cnnf_tf.evaluation.restore(model, batch, iterations=iterations, restored=_RESTORED.value)
            for batch in batches
        ],
        axis=1,
    )
    stems = [_short(file.stem) for file in files]
    if len(set(stems)) < len(stems):  # x.png of two folders
        stems = [f"{number:03d}_{stem}" for number, stem in enumerate(stems, start=1)]
    middle = "" if corruption == "none" else f"_{corruption}"
    for stem, pictures in zip(stems, tf.unstack(restored, axis=1), strict=True):
        for step, picture in zip(iterations, pictures, strict=True):
            png = tf.io.encode_png(tf.cast(tf.round(255 * picture), tf.uint8)).numpy()
            output.write(f"restored/{stem}{middle}_iteration{step}.png", write_bytes, png)


def _short(stem: str) -> str:
    """The first 150 bytes, so that what is added makes no name that file systems refuse."""
    return os.fsdecode(os.fsencode(stem)[:150].decode("utf-8", "ignore").encode())


if __name__ == "__main__":
    _app.run(main)
