"""A model as one file of another format: written beside, verified in a process without TensorFlow, then renamed."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, infer_adaptive
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.serving.export import check_images_and_names
from cnnf_tf.serving.portable import OUTPUTS, Portable, UnknownOpsError, layers_with, portable
from cnnf_tf.serving.verification import Case, VerificationError, compare, run_cases
from cnnf_tf.utils.files import atomic_path
from cnnf_tf.utils.validation import one_of, positive_int
from cnnf_tf.version import __version__

TOLERANCE = 1e-4
"""Largest difference from the original, as `verification.TOLERANCE` measures it."""
FLIPPED = 0.25
"""The largest share of images that may differ by more where there is feedback: where a signal is nearly zero, rounding
decides its sign, and with it a latent; the original itself, with another batch size, differs so on some images."""
LEAST_AGREEMENT = 0.9
"""The least share of images with the original's label, for each K; all that is asked of rounded weights."""
_BATCH = 128
WEIGHTS = ("float32", "float16", "int8")
"""What weights are kept as; formats have some of these."""


@dataclasses.dataclass(frozen=True)
class FileOptions:
    """What is fixed when a file is written; `FileOptions.for_model` fills in the model's own iterations.

    Attributes:
      iterations: K; the default where it is an input.
      iterations_input: whether K is an input of the file, an int32 scalar, with a loop in the graph.
      fixed_batch: images in a batch, as some accelerators want it; None for any number.
      weights: "float32"; "float16", computed with in float32; or "int8", each channel with a scale of its own, and
        activations rounded as they come.

    Raises:
      ValueError: a value out of its range.
    """

    iterations: int
    iterations_input: bool = False
    fixed_batch: int | None = None
    weights: str = "float32"

    def __post_init__(self) -> None:
        check_iterations(self.iterations)
        one_of("weights", self.weights, WEIGHTS)
        if self.fixed_batch is not None:
            positive_int("fixed_batch", self.fixed_batch)

    @classmethod
    def for_model(cls, model: CNNF, *, iterations: int | None = None, **others: Any) -> "FileOptions":
        """Fills in what is None: the model's own iterations."""
        return cls(model.iterations if iterations is None else iterations, **others)


class Answers(NamedTuple):
    """How a file answers with one K, beside the original."""

    iterations: int
    images: int
    """Number of images."""
    differing: int
    """How many of them differ from the original by more than `TOLERANCE`."""
    difference: float
    """The largest difference on any image."""
    agreement: float
    """Share of the images with the original's label."""
    accuracy: tuple[float, float] | None
    """Share of right labels of the file, and of the original; None without labels."""


class ExportedFile(NamedTuple):
    """What was written, and how it answers, in a process of its own."""

    path: pathlib.Path
    loader: str
    """The runtime that it was tried with."""
    answers: Sequence[Answers]
    """For each K that was tried."""


class FileFormat(NamedTuple):
    """A way to write a graph of plain ops into a file."""

    suffix: str
    loader: str
    """The key of `reload.LOADERS`."""
    weights: Sequence[str]
    convert: Callable[[Portable, dict[str, Any], str], bytes]
    """From the graph, what to write beside it, and how to keep weights, to the content of the file; or an
    `UnknownOpsError`.
    """


def write_file(
    model: CNNF,
    path: str | os.PathLike[str],
    file_format: FileFormat,
    *,
    options: FileOptions,
    class_names: Sequence[str],
    images: np.ndarray,
    labels: np.ndarray | None = None,
    overwrite: bool = False,
) -> ExportedFile:
    """Writes a file and verifies it before anyone sees it; for the arguments see `export_onnx`."""
    path, images = pathlib.Path(path).absolute(), np.asarray(images)
    if path.suffix != file_format.suffix:
        raise ValueError(f"the file must end in {file_format.suffix}, got {str(path)!r}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; give another name, or ask for it to be overwritten.")
    one_of(f"weights of a {file_format.suffix} file", options.weights, file_format.weights)
    check_images_and_names(model, images, class_names)
    if options.fixed_batch is not None and len(images) < options.fixed_batch:
        raise ValueError(f"wanted at least {options.fixed_batch} images to verify with, one batch; got {len(images)}.")
    graph = portable(model, None if options.iterations_input else options.iterations, batch_size=options.fixed_batch)
    facts = {
        "cnnf_tf": __version__,
        "tensorflow": tf.__version__,
        "model": path.stem,
        "class_names": list(class_names),
        "image_shape": list(model.image_shape),
        "readout": model.readout,
        "eta": model.reported_eta(),
        "trained_iterations": model.iterations,
        **dataclasses.asdict(options),
    }
    try:
        content = file_format.convert(graph, facts, options.weights)
    except UnknownOpsError as error:
        where = layers_with(model, re.compile(f"^({'|'.join(error.kinds)})$"))
        raise ValueError(f"{where} cannot leave TensorFlow: {file_format.suffix} files have {error}.") from error
    with tf.device("/CPU:0"):
        cases = file_cases(model, options, images)
        alone = file_cases(model, options, images[:1]) if options.fixed_batch is None else {}
    every = [case for of_these in (*cases.values(), *alone.values()) for case in of_these]
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        found = run_cases(file_format.loader, temporary, every)
        compare(file_format.loader, every, found, float("inf"))  # shapes, errors and NaN
        left = iter(found)
        truth = None if labels is None else np.concatenate([labels[rows] for rows in _rows(options, len(images))])
        answers = [
            _answers(iterations, [(case.expected, next(left)) for case in of_these], truth)
            for iterations, of_these in cases.items()
        ]
        for each in answers:
            _check(each, file_format.loader, options.weights)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{str(path)!r} was written by something else meanwhile, and is kept.")
    return ExportedFile(path, file_format.loader, answers)


def file_cases(model: CNNF, options: FileOptions, images: np.ndarray) -> dict[int, list[Case]]:
    """For every K that the file offers of 0, 1, 5 and its own: all images at once, or in batches of its size.

    Args:
      model: the original, whose answers are expected.
      options: as exported.
      images: float32 in [0, 1], `[batch, *image_shape]`.
    """
    cases: dict[int, list[Case]] = {iterations: [] for iterations in _passes(options)}
    for iterations, of_these in cases.items():
        for rows in _rows(options, len(images)):
            result = infer_adaptive(model, tf.constant(images[rows]), max_iterations=iterations, tolerance=0.0)
            logits = result.logits(model.readout)
            measured = (result.label_changed, result.latent_flip_rate, result.feature_residual)
            expected = (logits, tf.nn.softmax(logits), tf.stack(measured, axis=-1))
            inputs = {"images": images[rows]}
            if options.iterations_input:
                inputs["iterations"] = np.array(iterations, np.int32)
            of_these.append(
                Case(f"K = {iterations}", inputs, dict(zip(OUTPUTS, map(np.asarray, expected), strict=True)))
            )
    return cases


Pair = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""What was expected of a batch, and what came."""


def _answers(iterations: int, pairs: Sequence[Pair], truth: np.ndarray | None) -> Answers:
    """Sums up the batches of one K."""
    differences = []
    for expected, found in pairs:
        scales = {name: max(1.0, np.abs(values).max()) for name, values in expected.items()}
        each = [np.abs(found[name] - values).max(-1) / scales[name] for name, values in expected.items()]
        differences.append(np.max(each, axis=0))
    off = np.concatenate(differences)
    originals, ours = (np.concatenate([pair[side]["logits"].argmax(-1) for pair in pairs]) for side in (0, 1))
    accuracy = None if truth is None else (float((ours == truth).mean()), float((originals == truth).mean()))
    agreement = float((ours == originals).mean())
    return Answers(iterations, len(off), int((off > TOLERANCE).sum()), float(off.max()), agreement, accuracy)


def _check(answers: Answers, loader: str, weights: str) -> None:
    """Raises VerificationError for more, or more important, differences than there may be."""
    where = f"the written file, run with {loader} at K = {answers.iterations},"
    allowed = FLIPPED if answers.iterations else 0.0
    if weights == "float32" and answers.differing > allowed * answers.images:
        raise VerificationError(
            f"{where} differs from the original by more than {TOLERANCE} on {answers.differing} of {answers.images} "
            f"images, by up to {answers.difference:.2g}; allowed are {allowed:.0%}"
            f"{', since rounding may flip latents; more --num_images tell better' if allowed else ''}."
        )
    if answers.agreement < LEAST_AGREEMENT:
        raise VerificationError(
            f"{where} with weights of {weights}, gives {answers.agreement:.1%} of {answers.images} images the label of "
            f"the original; wanted are {LEAST_AGREEMENT:.0%}."
        )


def _passes(options: FileOptions) -> list[int]:
    """Each K to verify."""
    return sorted({0, 1, 5, options.iterations}) if options.iterations_input else [options.iterations]


def _rows(options: FileOptions, count: int) -> list[slice]:
    """The batches to verify with; what is left over of batches of one size stays out."""
    size = options.fixed_batch or _BATCH
    last = count if options.fixed_batch is None else count - size + 1
    return [slice(start, min(start + size, count)) for start in range(0, last, size)]
