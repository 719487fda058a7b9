"""Analyses activations over time: RSA, CKA, decoding, arrival of information, dimensionality.

Example:
  python bin/activations.py --model=pretrained:fashion_mnist_restore \\
      --num_images=500 --iterations=5 --layers='*relu*,fc*' --output=runs/a.nc
  python bin/representations.py --activations=runs/a.nc --output=runs/a
  python bin/representations.py --activations=runs/a.nc,runs/b.nc \\
      --layers='*relu*.f' --analyses=rsa,cka --output=runs/a_and_b
  python bin/representations.py --activations=runs/a.nc --logits=fc3.f \\
      --analyses=decoding,arrival --output=runs/when

Prints a table for each analysis and writes representations.json, with all numbers and their 95 % intervals, and a PNG
for each analysis into --output. Two files are two models on the same images, and are also compared with each other.

  rsa             do passes, layers and models find the same images alike?
  cka             are their features the same up to a rotation and a scale?
  decoding        what can a linear decoder read, pass by pass? cross-validated
  arrival         from which pass on is each image read correctly?
  dimensionality  how many dimensions do they fill? participation ratio

docs/representations.md has the formulas, their sources, and how to read the figures.
"""

import contextlib
import pathlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import _app
from absl import flags

import cnnf_tf

_NAMES = ("rsa", "cka", "decoding", "arrival", "dimensionality")
_ACTIVATIONS = flags.DEFINE_list("activations", None, "One or two files of bin/activations.py.")
_LAYERS = flags.DEFINE_list(
    "layers", ["*.f"], "What to read of them: names with patterns, as bin/activations.py has them."
)
_ANALYSES = flags.DEFINE_list("analyses", list(_NAMES), f"Which to make, of {', '.join(_NAMES)}.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 0, "Only the first so many images; 0: all.", lower_bound=0)
_METRIC = flags.DEFINE_enum("metric", "correlation", ["correlation", "cosine", "euclidean"], "Distance in the RDMs.")
_COMPARISON = flags.DEFINE_enum("comparison", "spearman", ["spearman", "pearson"], "Correlation between RDMs.")
_DEBIASED = flags.DEFINE_bool("debiased", True, "CKA by the debiased estimator; else the plain one.")
_FOLDS = flags.DEFINE_integer("folds", 5, "Folds of the cross-validation of decoders.", lower_bound=2)
_LOGITS = flags.DEFINE_string(
    "logits", None, "The name of the network's own scores of the classes, such as fc3.f: read as they are, undecoded."
)
_RESAMPLES = flags.DEFINE_integer("resamples", 200, "Resamples of the bootstrap over images.", lower_bound=20)
_SEED = _app.define_seed("folds and bootstrap")
_OUTPUT = _app.define_output("Folder for the files.")


def main() -> None:
    _app.require(_ACTIVATIONS, _OUTPUT)
    paths, analyses = list(_ACTIVATIONS.value or []), list(_ANALYSES.value or [])
    if not 1 <= len(paths) <= 2:
        raise _app.UsageError(f"--activations wants one file, or two to compare, got {len(paths)}.")
    if len({pathlib.Path(path).resolve() for path in paths}) < len(paths):
        raise _app.UsageError(
            f"--activations wants two different files to compare, got {' and '.join(paths)}: one file."
        )
    if not analyses or not set(analyses) <= set(_NAMES):
        raise _app.UsageError(f"--analyses wants some of {', '.join(_NAMES)}, got {','.join(analyses)!r}.")
    output = _app.Output("output", str(_OUTPUT.value))

    _app.start_tensorflow()
    representations = cnnf_tf.evaluation.representations
    with contextlib.ExitStack() as stack:
        names = _names(paths)
        files = {
            name: stack.enter_context(cnnf_tf.evaluation.open_activations(path))
            for name, path in zip(names, paths, strict=True)
        }
        representations.check_same_images(files, num_images=_NUM_IMAGES.value)
        study = _study(files)
        report = _report(files)
        for name, finding in representations.analyse(study, analyses):
            print(f"\n{name}\n{finding.table}", flush=True)
            report[name] = finding.numbers
            output.write(f"{name}.png", finding.draw, title=" and ".join(names))
            output.json("representations.json", report)  # of all so far: a later one may fail


def _names(paths: Sequence[str]) -> list[str]:
    """What to call the models: the paths without .nc, as little of their ends as tells them apart."""
    parts = [pathlib.Path(path.removesuffix(".nc")).parts for path in paths]
    for length in range(1, 1 + max(map(len, parts))):
        names = [str(pathlib.PurePath(*each[-length:])) for each in parts]
        if len({*names}) == len(paths):
            return names
    return list(paths)


def _study(files: Mapping[str, Any]) -> Any:
    representations = cnnf_tf.evaluation.representations
    chosen = {
        name: representations.file_activations(file, _LAYERS.value, num_images=_NUM_IMAGES.value)
        for name, file in files.items()
    }
    logits = _LOGITS.value
    if logits and not any(logits in each for each in chosen.values()):
        there = ", ".join(dict.fromkeys(name for each in chosen.values() for name in each))
        raise _app.UsageError(f"--logits wants one of what --layers chooses, {there}; got {logits!r}.")
    labels, class_names = (getattr(next(iter(files.values())), name) for name in ("labels", "class_names"))
    return representations.Study(
        activations=chosen,
        labels=labels if labels is None else labels[: _NUM_IMAGES.value or None],
        logits=logits,
        num_classes=len(class_names) if class_names else None,
        **_settings(),
    )


def _settings() -> dict[str, Any]:
    holders = (_METRIC, _COMPARISON, _DEBIASED, _FOLDS, _RESAMPLES, _SEED)
    return {holder.name: holder.value for holder in holders}


def _report(files: Mapping[str, Any]) -> dict[str, Any]:
    """What was analysed, and how."""
    facts = _app.provenance()
    facts["versions"] |= {name: metadata.version(name) for name in ("scikit-learn", "scipy")}
    sources = {name: {"path": str(file.path), **file.attributes} for name, file in files.items()}
    first = next(iter(files.values()))
    images = {"num_images": _NUM_IMAGES.value or len(first), "class_names": first.class_names}
    return facts | {"activations": sources, **images, "layers": _LAYERS.value, "logits": _LOGITS.value} | _settings()


if __name__ == "__main__":
    _app.run(main)
