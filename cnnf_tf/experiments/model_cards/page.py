"""The page of a packaged model: the head that every preset has, and its card, `card.py`, by the template card.md.j2."""

import json
import os
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any

from cnnf_tf.models.presets.page import head, wrapped
from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.templates import template
from cnnf_tf.zoo import preset_info


def write_pages(pages: str | os.PathLike[str], *, folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Writes the page of every preset in a folder, as its README.md and as NAME.md, and returns the latter's paths.

    Args:
      pages: folder of the pages NAME.md.
      folder: of the presets.
    """
    paths = []
    for preset in sorted(path.parent for path in pathlib.Path(folder).glob("[!.]*/metadata.json")):
        page = model_page(preset_info(preset))
        paths.append(pathlib.Path(pages) / f"{preset.name}.md")
        write_text(preset / "README.md", page)
        write_text(paths[-1], page)
    return paths


def model_page(info: Mapping[str, Any]) -> str:
    """The page; equal presets give equal pages.

    Args:
      info: of `preset_info`, with a card of `card.make_card`.
    """
    card = info["card"]

    def command(binary: str, *arguments: str) -> str:
        words = ["python", f"bin/{binary}.py", f"--model=pretrained:{card['name']}"]
        for key, flag, default in (("name", "dataset", "fashion_mnist"), ("split", "split", "test")):
            if card["data"][key] != default:
                words.append(f"--{flag}={card['data'][key]}")
        return shlex.join([*words, *arguments])

    body = template(pathlib.Path(__file__).with_name("card.md.j2"), wrapped=wrapped).render(
        card=card,
        attacks=_attacks(card["metrics"].get("robustness") or {"scores": []}),
        restored=_restored(card["metrics"].get("restoration") or {}),
        command=command,
        json=json.dumps,
        share=_share,
    )
    return f"{head(info)}\n{body}"


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
