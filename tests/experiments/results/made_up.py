"""Made-up result files, of the shape that the binaries write, with numbers that a test chooses."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.experiments.results import Results
from cnnf_tf.experiments.results.section import Section


class ReportingTestCase(tf.test.TestCase):
    """An empty folder of results, and how to fill and read it."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    @property
    def results(self) -> Results:
        """As the page reads them."""
        return Results(self.folder)

    def put(self, path: str, value: Any) -> None:
        """Writes JSON, or JSON lines where the path says so."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(entry) for entry in value] if path.endswith(".jsonl") else [json.dumps(value)]
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def assert_row(self, section: Section, *cells: str) -> None:
        """A table of the section has this row."""
        self.assertIn("| " + " | ".join(cells) + " |", section.markdown().splitlines())

    def assert_says(self, section: Section, *phrases: str) -> None:
        """The section has these phrases, wherever its lines break."""
        text = " ".join(section.markdown().split())
        for phrase in phrases:
            self.assertIn(phrase, text)


def accuracy(correct: Mapping[str, Sequence[int]], *, num_images: int = 1000, trained: int = 1) -> dict[str, Any]:
    """`accuracy.json`."""
    return {
        "dataset": "fashion_mnist",
        "split": "test",
        "iterations": len(correct["last"]) - 1,
        "trained_iterations": trained,
        "num_images": num_images,
        "reconstruction_error": [0.1 * (step + 1) for step in range(len(correct["last"]) - 1)],
        "accuracy": {readout: [count / num_images for count in counts] for readout, counts in correct.items()},
    }


def score(
    threat: str, path: str, readout: str, share: float, *, num_images: int = 100, **changes: Any
) -> dict[str, Any]:
    """A row of `robustness.json`."""
    settings = {"radius": 0.1, "steps": 40, "step_size": 0.00625, "random_start": True, "restarts": 1}
    row = {"threat": threat, "gradient_path": path, "black_box": False, "readout": readout, "num_images": num_images}
    return row | {"robust_accuracy": share, "seconds": 30.0, "settings": settings} | changes


def robustness(
    minimum: Mapping[str, float | None],
    scores: Sequence[Mapping[str, Any]],
    *,
    num_images: int = 100,
    failed: Sequence[str] = (),
) -> dict[str, Any]:
    """`robustness.json`; of two checks for each readout, those in `failed` did not pass."""
    checks = [
        {"check": name, "passed": name not in failed, "evidence": f"{name} seen"}
        for name in ("loss rises", "outputs repeat")
    ]
    return {
        "dataset": "fashion_mnist",
        "split": "test",
        "radius": 0.1,
        "seed": 0,
        "surrogate": None,
        "num_images": num_images,
        "clean_accuracy": dict.fromkeys(minimum, 0.9),
        "minimum": dict(minimum),
        "scores": list(scores),
        "checks": dict.fromkeys(minimum, checks),
    }


def training(*, epochs: int = 2, **adversarial: Any) -> dict[str, Any]:
    """`config.json`."""
    attack = {"steps": 7, "radius": 0.1, "robust_steps": 7, "robust_images": 512, "guard_steps": 3, "guard_drop": 0.04}
    return {
        "model": {"iterations": 1, "step_size": 0.1, "network": {"ind": 2, "rule": "reference"}},
        "train": {"epochs": epochs, "dtype_policy": "float32"},
        "adversarial": attack | adversarial,
    }


def restoration(scores: Mapping[str, Mapping[str, Any]], *, severity: int = 3) -> dict[str, Any]:
    """`restoration.json`."""
    return {
        "dataset": "fashion_mnist",
        "split": "test",
        "severity": severity,
        "seed": 0,
        "step_size": 0.5,
        "trained_iterations": 1,
        "denoiser_epochs": 1,
        "scores": dict(scores),
    }


def restored(
    corrupted: tuple[float, float],
    reconstruction: Sequence[tuple[float, float]],
    features: Sequence[tuple[float, float]],
    **baselines: tuple[float, float],
) -> dict[str, Any]:
    """One corruption of `restoration.json`: PSNR and SSIM; the readings after 1, 2, ... iterations."""

    def quality(pair: tuple[float, float]) -> dict[str, float]:
        return {"psnr": pair[0], "ssim": pair[1]}

    return {
        "num_images": 10,
        "iterations": list(range(1, len(features) + 1)),
        "corrupted": quality(corrupted),
        "restored": {"reconstruction": [*map(quality, reconstruction)], "features": [*map(quality, features)]},
        "baselines": {name: quality(pair) for name, pair in baselines.items()},
    }


def study(cells: Sequence[Mapping[str, Any]], *, seeds: Sequence[int] = (0,), num_images: int = 100) -> dict[str, Any]:
    """`results.json` of bin/study.py: a CNN, a CNN-F with K = 1 and one with K = 2."""
    models = {
        name: {"epochs": 1, "iterations": number, "seeds": list(seeds), "training_horizon": 0}
        for number, name in enumerate(("cnn", "cnnf_1", "cnnf_2"))
    }
    return {
        "config": {
            "study": {
                "attack": {"steps": 40, "seed": 0, "paths": ["full_unroll", "first_pass"]},
                "clean_split": "test",
                "models": models,
                "radii": {
                    "models": ["cnnf_1", "cnn"],
                    "num_images": num_images,
                    "radii": [0.02, 8 / 255],
                    "readouts": ["last", "average"],
                },
                "trained": {"models": ["cnn", "cnnf_1", "cnnf_2"], "num_images": num_images, "radii": [0.02]},
                "tested": {
                    "models": ["cnnf_1"],
                    "num_images": num_images,
                    "radius": 0.02,
                    "attacked_iterations": [0, 1, 3],
                },
                "needed": {"models": ["cnnf_1"], "num_images": num_images, "max_iterations": 3},
            }
        },
        "cells": list(cells),
    }


def cell(part: str, model: str, correct: int, *, seed: int = 0, num_images: int = 100, **where: Any) -> dict[str, Any]:
    """A measurement of the study."""
    place = {"iterations": {"cnn": 0, "cnnf_1": 1, "cnnf_2": 2}[model], "readout": "last", "radius": 0.0} | where
    job = f"{part}/{model}/{seed}/{sorted(place.items())}"
    about = {"job": job, "part": part, "model": model, "seed": seed, "seconds": 60.0}
    return about | place | {"correct": correct, "num_images": num_images}


def needed(difficulty: str, level: float, settled: float, error: float, shares: Sequence[float]) -> dict[str, Any]:
    """A measurement of the study's last part."""
    return {
        "job": f"needed/{difficulty}",
        "part": "needed",
        "model": "cnnf_1",
        "seed": 0,
        "seconds": 60.0,
        "difficulty": difficulty,
        "level": level,
        "settled_mean": settled,
        "settled_error": error,
        "settled_mean_if_right": None,
        "accuracy": list(shares),
    }
