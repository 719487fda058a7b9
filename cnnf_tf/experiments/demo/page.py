"""Writes what a demo found: `index.html`, its pictures and charts as PNG beside it, and the numbers as JSON."""

import os
import pathlib
from collections.abc import Mapping

from cnnf_tf.experiments.demo import html, sections
from cnnf_tf.experiments.demo.measures import Demo
from cnnf_tf.experiments.demo.words import change, gain
from cnnf_tf.utils.files import write_json, write_text

_LEAD = (
    "A CNN runs up from an image to a label. CNN-F runs back down as well: the same weights, transposed, render what "
    "the network expects to see, and the next pass up uses it. Everything below was measured while this page was made, "
    "on few images, so that it takes minutes; the intervals say how little few images tell."
)


def write_demo(demo: Demo, folder: str | os.PathLike[str], *, facts: Mapping[str, str]) -> pathlib.Path:
    """Writes the page and all that goes with it.

    Args:
      demo: what was found.
      folder: made if need be.
      facts: lines for the foot of the page, such as versions; that called "Command" is shown as it is typed.

    Returns:
      The page, `index.html` in the folder.
    """
    folder = pathlib.Path(folder)
    text = html.page(
        title="What feedback does to a CNN",
        lead=[html.paragraph(_LEAD), _first_numbers(demo)],
        sections=[
            sections.repair_section(demo.repairs, folder),
            sections.attack_section(demo, folder),
            sections.passes_section(demo, folder),
            sections.training_section(demo, folder),
        ],
        footer=[_foot(demo, facts)],
    )
    write_json(folder / "demo.json", demo.to_dict() | {"facts": dict(facts)})
    write_text(folder / "index.html", text.replace("CNN-F", "CNN\N{NON-BREAKING HYPHEN}F"))
    return folder / "index.html"


def _first_numbers(demo: Demo) -> html.Html:
    gains = [gain(repair)[1] for repair in demo.repairs]
    meaning = "dB of PSNR that feedback adds, lowest and highest of the corruptions"
    entries = [("Repair", [f"{change(min(gains))} to {change(max(gains))}"], meaning)]
    for contest in demo.contests:
        shares = [
            html.element("b", str(int(found.standing.sum())), class_=name)
            for name, found in (("feedback", contest.cnnf), ("plain", contest.cnn))
        ]
        count = len(contest.cnnf.images)
        meaning = f"of {count} images stand radius {contest.radius:g}: CNN-F and a CNN, both {contest.name}"
        entries.append((f"PGD-{demo.attack_steps}", [shares[0], " and ", shares[1]], meaning))
    before, after = demo.tuning.before["accuracy"], demo.tuning.after["accuracy"]
    meaning = f"right on noisy images, before and after {len(demo.tuning.losses)} steps of training"
    entries.append(("Training", [f"{100 * before:.0f} → {100 * after:.0f} %"], meaning))
    return html.facts(entries)


def _foot(demo: Demo, facts: Mapping[str, str]) -> html.Html:
    entries = {
        "Paper": "Huang et al., Neural networks with recurrent generative feedback, NeurIPS 2020, arXiv:2007.09200",
        "Data": f"{demo.dataset}, {demo.split}",
        "Models": ", ".join(dict.fromkeys(demo.models.values())),
        "Seed": str(demo.seed),
        **facts,
    }
    return html.joined(
        html.paragraph(html.element("strong", f"{name}: "), html.code(text) if name == "Command" else text)
        for name, text in entries.items()
    )
