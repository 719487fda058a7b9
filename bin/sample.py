"""Draws what the generative model of a trained CNN-F has learnt: class templates, samples, latents.

Example:
  python bin/sample.py --model=runs/standard/best.keras --output=runs/samples
  python bin/sample.py --model=runs/standard/best.keras --output=/tmp/bags \\
      --label=8 --num_samples=12 --seed=1

Writes into --output
  templates.png   g(0 | y) of each class: all latents 1, latents at their means,
                  average over drawn latents, and for comparison g(0; y, z) with
                  z inferred from images of the class, and their mean image
  samples.png     for each class, g(0; y, z) of latents z drawn top down
  latents.png     for a few images, latents inferred from the image beside
                  latents drawn for the same label
  samples.json    model, seed and settings; for each layer, how far its latents
                  are from fair coins
Equal seeds give equal files. The model must reconstruct the image itself (encoder_blocks = 0).
"""

from typing import Any

import _app
from absl import flags

import cnnf_tf

_MODEL = _app.define_model()
_OUTPUT = _app.define_output("Folder for the files.")
_LABEL = flags.DEFINE_integer("label", -1, "Class id to draw; -1: all classes.", lower_bound=-1)
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 8, "Samples in the picture, for each class.", 1, 64)
_NUM_PICTURES = flags.DEFINE_integer("num_pictures", 5, "Images in latents.png.", 1, 64)
_NUM_AVERAGED = flags.DEFINE_integer(
    "num_averaged", 64, "Draws for each class that a template averages, and images that a mean averages.", lower_bound=1
)
_LAYER = flags.DEFINE_string("layer", "", "Latent layer to map in latents.png; default: the lowest AdaReLU.")
_SEED = _app.define_seed("the draws")
_DATASET, _SPLIT = _app.define_data("Split of the real images.", dataset_help="Real images: ")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 1000, "Real images to look at, at most.", lower_bound=1)

_TEMPLATES_CAPTION = (
    "Each picture is g(0), what the feedback weights render from a class. Rows 1 to 3 know nothing but the class. Row "
    "1: every latent is on. Row 2: every latent is at the mean of its Bernoulli, layer by layer. Row 3: average over "
    "{draws} draws of all latents. Row 4 looks at images: the class rendered through the latents inferred from real "
    "images of the class, averaged. Row 5: the average real image, for comparison. Where row 4 is sharp and row 3 is "
    "not, the picture is in the latents, not in the class."
)
_SAMPLES_CAPTION = (
    "Each row is a class y. Each picture is g(0; y, z), the mean of the image given the class and one draw of all "
    "latents z from p(z | y), top down (the pixel noise of the model is left out). Left: the average of {draws} such "
    "draws."
)
_LATENTS_CAPTION = (
    "First the image; then what is rendered from its inferred label through its own inferred latents; then from the "
    "same label through latents drawn from p(z | y). Blue to yellow: the latents of layer {layer}, as the share of its "
    "channels that are on at each place, from 0 to 1."
)


def main() -> None:
    _app.require(_MODEL, _OUTPUT)
    output = _app.Output("output", _OUTPUT.value)

    _app.start_tensorflow()
    import numpy as np
    import tensorflow as tf

    from cnnf_tf.evaluation import sampling
    from cnnf_tf.models.memory import check_memory

    # Equal seeds give equal files: sums split over threads differ in their last bits, and these can flip latents.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    model = cnnf_tf.load_model(_MODEL.value)
    if _LABEL.value >= model.num_classes:
        raise _app.UsageError(
            f"--label must be a class id of the model, 0 to {model.num_classes - 1}, or -1, got {_LABEL.value}."
        )
    dataset = _app.load_data_for(model, limit=_NUM_IMAGES.value, batch_size=_NUM_AVERAGED.value).unbatch()
    check_memory(model, _NUM_AVERAGED.value, iterations=0, gradients=False)
    generative, notes = sampling.generative_model(model)
    site = sampling.latent_site(generative, _LAYER.value or None)
    classes = list(range(model.num_classes)) if _LABEL.value < 0 else [_LABEL.value]
    templates = sampling.class_templates(model, generative, classes, num_samples=_NUM_AVERAGED.value, seed=_SEED.value)
    for reason in notes:
        print(f"Note: {reason}; the CNN is only approximately the inference of its generative model.")

    known = _app.data_info().class_names
    images, labels = (np.stack(part) for part in zip(*dataset.as_numpy_iterator(), strict=True))
    names = [known[y] if y < len(known) else f"class {y}" for y in range(model.num_classes)]

    drawn = {
        "templates.png": _templates(model, generative, templates, {y: images[labels == y] for y in classes}, names),
        "samples.png": _samples(model, generative, dict(zip(classes, templates["samples"], strict=True)), names),
        "latents.png": _latents(model, generative, site, images, labels, classes, names),
    }
    for name, grid in drawn.items():
        output.write(name, cnnf_tf.evaluation.picture_grid, **grid)
    report = _app.provenance(model) | {
        "seed": _SEED.value,
        "labels": classes,
        "num_samples": _NUM_SAMPLES.value,
        "num_averaged": _NUM_AVERAGED.value,
        "layer": site.name,
        "num_images": len(images),
        "pictures": "g(0), the mean of h given label and latents, in pixels; no Gaussian noise",
        "notes": notes,
        "latents_given_label": {str(y): sampling.bernoulli_means(generative, y) for y in classes},
    }
    output.json("samples.json", report)


def _picture(values: Any, caption: str = "", colours: str = "gray") -> Any:
    return cnnf_tf.evaluation.Picture(values, caption, colours)


def _templates(
    model: Any, generative: Any, templates: dict[str, Any], images: dict[int, Any], names: list[str]
) -> dict[str, Any]:
    """templates.png, as `picture_grid` takes it; `images` are the real ones of each class."""
    import numpy as np

    from cnnf_tf.evaluation import sampling

    rows: dict[str, Any] = dict(zip(sampling.TEMPLATES.values(), templates.values(), strict=True))
    blank: Any = np.full((1, *model.image_shape), 0.5, np.float32)
    own = {y: some[: _NUM_AVERAGED.value] if len(some) else None for y, some in images.items()}
    rows["latents inferred from images, average"] = [
        (blank if some is None else sampling.render_through(model, generative, some, y)).mean(0)
        for y, some in own.items()
    ]
    rows["average image"] = [(blank if some is None else some).mean(0) for some in own.values()]
    return {
        "rows": [[_picture(values) for values in row] for row in rows.values()],
        "title": "what each class looks like to the generative model",
        "caption": _TEMPLATES_CAPTION.format(draws=_NUM_AVERAGED.value),
        "row_titles": list(rows),
        "column_titles": [names[y] for y in images],
    }


def _samples(model: Any, generative: Any, averages: dict[int, Any], names: list[str]) -> dict[str, Any]:
    """samples.png: the average of each class, and some draws."""
    from cnnf_tf.evaluation.sampling import sample_pictures

    count, seed = _NUM_SAMPLES.value, _SEED.value
    rows = [
        [average, *sample_pictures(model, generative, y, num_samples=count, seed=seed)]
        for y, average in averages.items()
    ]
    return {
        "rows": [[_picture(values) for values in row] for row in rows],
        "title": f"samples of the generative model, seed {seed}",
        "caption": _SAMPLES_CAPTION.format(draws=_NUM_AVERAGED.value),
        "row_titles": [names[y] for y in averages],
        "column_titles": ["average", *(f"draw {index}" for index in range(1, count + 1))],
    }


def _latents(
    model: Any, generative: Any, site: Any, images: Any, labels: Any, classes: list[int], names: list[str]
) -> dict[str, Any]:
    """latents.png: a row for each of some images."""
    import numpy as np

    from cnnf_tf.evaluation.sampling import compare_latents

    chosen = np.flatnonzero(np.isin(labels, classes))
    if not len(chosen):
        raise ValueError(f"no image of class {classes[0]} among the first {len(images)} of the split {_SPLIT.value!r}.")
    # One image of each class first, then the others in their own order.
    _, first = np.unique(labels[chosen], return_index=True)
    chosen = np.concatenate([chosen[np.sort(first)], np.delete(chosen, first)])[: _NUM_PICTURES.value]
    found = compare_latents(model, generative, images[chosen], site=site, seed=_SEED.value)
    guesses = [f"label: {names[y]}" for y in found.labels]
    columns = {
        "image": [_picture(images[index], f"true: {names[labels[index]]}") for index in chosen],
        "g(0), inferred latents": list(map(_picture, found.inferred, guesses)),
        "g(0), drawn latents": list(map(_picture, found.drawn)),
        f"z inferred {site.name}": [_picture(values, colours="viridis") for values in found.inferred_map],
        f"z drawn {site.name}": [_picture(values, colours="viridis") for values in found.drawn_map],
    }
    return {
        "rows": list(zip(*columns.values(), strict=True)),
        "title": "latents inferred from an image, and latents drawn for its label",
        "caption": _LATENTS_CAPTION.format(layer=site.name),
        "column_titles": list(columns),
    }


if __name__ == "__main__":
    _app.run(main)
