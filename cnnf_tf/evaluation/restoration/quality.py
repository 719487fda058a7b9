"""How well the feedback restores corrupted images: PSNR and SSIM of every iteration, and a figure like the talk's.

The loop renders, in each iteration t, what the generative model believes the image to be, g(0), and moves h, its own
view of the image, towards it. Either may be read as the restored image, see `RESTORED`. Both need a model whose h is
the image (`encoder_blocks = 0`). A model restores what it was trained to see: nothing is fitted to the corruption.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.data import corrupted
from cnnf_tf.evaluation.figures import Picture, picture_grid
from cnnf_tf.models import CNNF, Trajectory
from cnnf_tf.utils.batches import BatchRunner, Facts, Job, counting
from cnnf_tf.utils.tables import aligned
from cnnf_tf.utils.traces import by_shape, traced
from cnnf_tf.utils.validation import one_of, positive_int

MOST_DECIBELS = 100.0
"""PSNR of a perfect picture, which would be infinite; lower values are as they are."""

Restorer = Callable[[tf.Tensor], tf.Tensor]
"""From corrupted images to restored ones, both `[batch, height, width, channels]` in [0, 1]."""

_SSIM_WINDOW = 11

RESTORED: dict[str, Callable[[Trajectory, int], tf.Tensor]] = {
    "reconstruction": lambda trajectory, iteration: trajectory.reconstructions[iteration - 1],
    "features": lambda trajectory, iteration: trajectory.features[iteration],
}
"""What counts as the image restored by iteration t = 1, 2, ...: g(0) of that iteration, or h after it."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """How alike two sets of images are, means over the images.

    Attributes:
      psnr: peak signal-to-noise ratio in dB for pixels in [0, 1], that is -10 log10 of the mean squared error; at most
        `MOST_DECIBELS` for an image.
      ssim: structural similarity (Wang et al. 2004) as tf.image.ssim has it; 1 for equal images.
    """

    psnr: float
    ssim: float

    def __str__(self) -> str:
        return f"{self.psnr:.1f} dB, {self.ssim:.2f}"


@dataclasses.dataclass(frozen=True)
class RestorationQuality:
    """Quality of corrupted and of restored images against the clean ones.

    Attributes:
      num_images: images scored.
      corruption: name of the corruption.
      severity: 1 to 5.
      seed: of the corruption.
      iterations: the iterations that were looked at.
      corrupted: quality before any restoration.
      restored: for each entry of `RESTORED`, the quality after each of `iterations`.
      baselines: quality of each baseline by its name.
    """

    num_images: int
    corruption: str
    severity: int
    seed: int
    iterations: tuple[int, ...]
    corrupted: Quality
    restored: dict[str, list[Quality]]
    baselines: dict[str, Quality]

    @classmethod
    def from_facts(
        cls,
        facts: Facts,
        *,
        corruption: str,
        severity: int,
        seed: int,
        iterations: Sequence[int],
        baselines: Sequence[str] = (),
    ) -> "RestorationQuality":
        """What the facts of a `restoration_job` with these arguments come to."""
        steps = check_steps(iterations)
        means = facts["quality"].mean(axis=0, dtype=np.float64)
        found = iter([Quality(*map(float, row)) for row in means])
        return cls(
            num_images=len(facts["quality"]),
            corruption=corruption,
            severity=int(severity),
            seed=int(seed),
            iterations=steps,
            corrupted=next(found),
            baselines={name: next(found) for name in baselines},
            restored={name: [next(found) for _ in steps] for name in RESTORED},
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def rows(self) -> dict[str, Quality]:
        """By kind of image: the corrupted ones, those of each baseline, and those of each iteration."""
        rows = {"corrupted": self.corrupted, **self.baselines}
        for name, qualities in self.restored.items():
            pairs = zip(self.iterations, qualities, strict=True)
            rows |= {f"{name}, iteration {iteration}": quality for iteration, quality in pairs}
        return rows

    def table(self) -> str:
        """A table of the `rows`."""
        rows = [(name, f"{quality.psnr:.2f}", f"{quality.ssim:.4f}") for name, quality in self.rows().items()]
        return aligned([("image", "PSNR (dB)", "SSIM"), *rows])


def restore(model: CNNF, images: tf.Tensor, *, iterations: Sequence[int], restored: str = "features") -> tf.Tensor:
    """The images after some iterations of the loop.

    Args:
      model: a model whose h is the image.
      images: floats in [0, 1], `[batch, *model.image_shape]`.
      iterations: iterations to look at, each at least 1, ascending; the loop runs as far as the last.
      restored: an entry of `RESTORED`.

    Returns:
      `[len(iterations), batch, *model.image_shape]`, float32 in [0, 1].

    Raises:
      ValueError: a model with an encoder, bad iterations, an unknown `restored`, or images that do not fit.
    """
    check_model(model)
    picture, steps = RESTORED[one_of("restored", restored, RESTORED)], check_steps(iterations)
    trajectory = model.infer(images, iterations=steps[-1])
    return tf.stack([model.to_pixels(picture(trajectory, step)) for step in steps])


def restoration_job(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    corruption: str,
    severity: int,
    seed: int = 0,
    iterations: Sequence[int] = (1, 2, 5, 10),
    baselines: Mapping[str, Restorer] | None = None,
    name: str = "restoration",
) -> Job:
    """`evaluate_restoration`, see there, as a job: to be done on several devices, in parts, or with other jobs.

    Its facts are `quality`, float32 `[images, kinds, 2]`: PSNR and SSIM of each kind of image, in the order of
    `RestorationQuality.rows`.
    """
    check_model(model)
    steps = check_steps(iterations)
    restorers = [by_shape(restorer) for restorer in (baselines or {}).values()]
    pairs = corrupted(dataset, corruption, severity, seed=seed, keep_clean=True)
    shape = tuple(pairs.element_spec[0].shape[1:])
    if not model.accepts(shape):
        raise ValueError(f"evaluate_restoration wants images {model.image_shape}, those of the model, got {shape}.")
    check_size(shape)
    score = traced(_score, model, steps)

    def work(noisy: tf.Tensor, clean: tf.Tensor, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        del indices
        return {"quality": score(noisy, clean, *(restorer(noisy) for restorer in restorers))}

    return Job(name, pairs, work, if_empty="the data set to restore is empty; wanted at least one image.")


def evaluate_restoration(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    corruption: str,
    severity: int,
    seed: int = 0,
    iterations: Sequence[int] = (1, 2, 5, 10),
    baselines: Mapping[str, Restorer] | None = None,
    progress: Callable[[int], None] | None = None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> RestorationQuality:
    """Corrupts images, restores them, and scores both against the clean ones.

    Args:
      model: a model whose h is the image; its own `iterations` does not matter here.
      dataset: batches of (clean images in [0, 1], labels).
      corruption: a name of `data.CORRUPTIONS`.
      severity: 1 to 5.
      seed: seed of the corruption; equal seeds give equal corrupted images, see `data.corrupted`.
      iterations: iterations to look at, each at least 1, ascending; may be more than the model was trained with.
      baselines: other restorers by name, for example `{"median 3x3": median_filter}`.
      progress: called with the number of images after each batch.
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.

    Raises:
      ValueError: a model with an encoder, images of less than 11 pixels (SSIM looks at windows of 11x11), bad
        iterations, an unknown corruption or severity, an empty data set, or images that do not fit the model.
    """
    way: dict[str, Any] = {"corruption": corruption, "severity": severity, "seed": seed, "iterations": iterations}
    job = restoration_job(model, dataset, baselines=baselines, **way)
    return RestorationQuality.from_facts(runner.run(job, counting(progress)), baselines=tuple(baselines or ()), **way)


def _score(model: CNNF, steps: tuple[int, ...], noisy: tf.Tensor, clean: tf.Tensor, *baselines: tf.Tensor) -> tf.Tensor:
    trajectory = model.infer(noisy, iterations=steps[-1])
    restored = [model.to_pixels(picture(trajectory, step)) for picture in RESTORED.values() for step in steps]
    return tf.stack([image_qualities(pictures, clean) for pictures in (noisy, *baselines, *restored)], axis=1)


def image_qualities(pictures: tf.Tensor, clean: tf.Tensor) -> tf.Tensor:
    """PSNR in dB (at most `MOST_DECIBELS`) and SSIM of each of two batches of images in [0, 1]; `[batch, 2]`.

    Raises:
      ValueError: images of less than 11 pixels, of integers, of different shapes, or not in batches.
    """
    pictures, clean = tf.convert_to_tensor(pictures), tf.convert_to_tensor(clean)
    if clean.shape.rank != 4 or not pictures.shape.is_compatible_with(clean.shape):
        raise ValueError(
            f"PSNR and SSIM want two batches [batch, height, width, channels] of one shape, got {pictures.shape} and "
            f"{clean.shape}."
        )
    if not (pictures.dtype.is_floating and clean.dtype.is_floating):
        raise ValueError(
            f"PSNR and SSIM want floats in [0, 1], got {pictures.dtype.name} and {clean.dtype.name}; divide uint8 by "
            "255 first."
        )
    check_size(tuple(clean.shape[1:]))
    pictures, clean = tf.cast(pictures, tf.float32), tf.cast(clean, tf.float32)
    psnr = tf.minimum(tf.image.psnr(pictures, clean, max_val=1.0), MOST_DECIBELS)
    return tf.stack([psnr, tf.image.ssim(pictures, clean, max_val=1.0)], axis=-1)


def restoration_figure(
    path: str | os.PathLike[str],
    noisy: np.ndarray,
    restored: np.ndarray,
    clean: np.ndarray | None,
    *,
    iterations: Sequence[int],
    title: str,
    column_titles: Sequence[str] = (),
    baselines: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes a PNG: corrupted images on top, then the restored ones, then the truth; PSNR and SSIM under each.

    Args:
      path: file to write.
      noisy: corrupted images, `[n, height, width, channels]` in [0, 1].
      restored: `[len(iterations), n, height, width, channels]`, from `restore`.
      clean: the truth, shaped like `noisy`; None where nobody knows it, then nothing is scored.
      iterations: what `restored` was made with.
      title: heading of the figure.
      column_titles: a text above each image, for example its corruption.
      baselines: images restored by other means, shaped like `noisy`, by name; rows of their own.

    Raises:
      ValueError: no images, restored rows other than one for each of `iterations`, or a row, the truth or the column
        titles of another length.
    """
    if not len(noisy) or len(restored) != len(iterations):
        raise ValueError(
            f"restoration_figure wants at least one image and a restored batch for each of {tuple(iterations)}, got "
            f"{len(noisy)} images and {len(restored)} batches."
        )
    rows = {"corrupted" if clean is not None else "image": noisy} | dict(baselines or {})
    rows |= {f"iteration {step}": pictures for step, pictures in zip(iterations, restored, strict=True)}
    rows |= {} if clean is None else {"ground truth": clean}
    lengths = {name: len(pictures) for name, pictures in rows.items()}
    lengths |= {"column_titles": len(column_titles)} if column_titles else {}
    if set(lengths.values()) != {len(noisy)}:
        raise ValueError(f"restoration_figure wants equally many images in each row, got {lengths}.")

    def captions(pictures: np.ndarray) -> list[str]:
        if clean is None or pictures is clean:
            return [""] * len(pictures)
        return [str(Quality(*map(float, row))) for row in image_qualities(pictures, clean)]

    scores = "Under each picture: PSNR in dB, and SSIM (1 for equal pictures), both against the ground truth."
    picture_grid(
        path,
        [[Picture(*pair) for pair in zip(np.asarray(row), captions(row), strict=True)] for row in rows.values()],
        title=title,
        caption="" if clean is None else scores,
        row_titles=list(rows),
        column_titles=column_titles,
    )


def check_model(model: CNNF) -> None:
    """Raises ValueError for what is not a CNN-F, or one whose h is not the image."""
    if not isinstance(model, CNNF):
        raise ValueError(f"restoration wants a CNNF, got a {type(model).__name__}.")
    if model.encoder is not None:
        raise ValueError(
            "restoration wants a model whose h is the image (encoder_blocks = 0), but this one has an encoder in front "
            "of the loop: its g(0) and h are features of the encoder, not pictures."
        )


def check_size(image_shape: Sequence[int]) -> None:
    """Raises ValueError for images that SSIM cannot score."""
    if min(size or _SSIM_WINDOW for size in image_shape[:2]) < _SSIM_WINDOW:
        raise ValueError(
            f"PSNR and SSIM want images of at least {_SSIM_WINDOW}x{_SSIM_WINDOW} pixels, the window of SSIM; got "
            f"{image_shape[0]}x{image_shape[1]}."
        )


def check_steps(iterations: Sequence[int]) -> tuple[int, ...]:
    """The iterations as a tuple if they are at least one integer >= 1, in ascending order, else ValueError."""
    if not isinstance(iterations, Sequence) or isinstance(iterations, str):
        raise ValueError(f"iterations wants a sequence of integers such as (1, 2, 5), got {iterations!r}.")
    steps = tuple(positive_int("each of iterations", step) for step in iterations)
    if not steps or list(steps) != sorted(set(steps)):
        raise ValueError(f"iterations wants ascending integers, each at least 1, got {steps}.")
    return steps
