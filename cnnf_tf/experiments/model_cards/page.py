"""The page of a packaged model: its card, `card.py`, in Markdown by the template card.md.j2."""

import json
import os
import pathlib
import shlex
import textwrap
from typing import Any

from cnnf_tf.models.step_sizes import eta_text
from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.templates import template
from cnnf_tf.zoo.pretrained import Card, Folder, pretrained_card, pretrained_names


def write_pages(pages: str | os.PathLike[str], *, folder: Folder = None) -> list[pathlib.Path]:
    """Writes NAME.md for every card, and returns the paths.

    Args:
      pages: folder of the pages.
      folder: of the cards; None for those of the package.
    """
    paths = []
    for name in pretrained_names(folder=folder):
        paths.append(pathlib.Path(pages) / f"{name}.md")
        write_text(paths[-1], model_page(pretrained_card(name, folder=folder)))
    return paths


def model_page(card: Card) -> str:
    """The page; equal cards give equal pages."""
    fill = textwrap.TextWrapper(120, break_long_words=False, break_on_hyphens=False).fill
    filters: dict[str, Any] = {"wrapped": lambda text: fill(text) + "\n", "eta_text": eta_text}

    def command(binary: str, *arguments: str) -> str:
        words = ["python", f"bin/{binary}.py", f"--model=pretrained:{card['name']}"]
        for key, flag, default in (("name", "dataset", "fashion_mnist"), ("split", "split", "test")):
            if card["data"][key] != default:
                words.append(f"--{flag}={card['data'][key]}")
        return shlex.join([*words, *arguments])

    return template(pathlib.Path(__file__).with_name("card.md.j2"), **filters).render(
        card=card,
        attacks=_attacks(card["metrics"].get("robustness") or {"scores": []}),
        restored=_restored(card["metrics"].get("restoration") or {}),
        command=command,
        json=json.dumps,
        share=_share,
    )


def _attacks(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """By attack and gradient path, then by readout: the share that stands."""
    attacks: dict[tuple[str, str], dict[str, str]] = {}
    for score in found["scores"]:
        robust = _share(score["robust_accuracy"] * score["num_images"], score["num_images"])
        attacks.setdefault((score["attack"], score["gradient_path"]), {})[score["readout"]] = robust
    return attacks


def _restored(scores: dict[str, Any]) -> dict[str, list[dict[str, float]]]:
    """By kind of image: its quality for each corruption."""
    rows: dict[str, list[dict[str, float]]] = {}
    for found in scores.values():
        named = {"corrupted": found["corrupted"], **found["baselines"]}
        for kind, label in (("reconstruction", "g(0)"), ("features", "h")):
            pairs = zip(found["iterations"], found["restored"][kind], strict=True)
            named |= {f"{label}, iteration {iteration}": quality for iteration, quality in pairs}
        for image, quality in named.items():
            rows.setdefault(image, []).append(quality)
    return rows


def _share(count: float, total: int) -> str:
    low, high = wilson_interval(round(count), total)
    return f"{100 * round(count) / total:.2f} % [{100 * low:.1f}, {100 * high:.1f}]"
