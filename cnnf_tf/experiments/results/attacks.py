"""The table of attacks of one or more networks: `robustness.json` of bin/evaluate.py."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.markdown import table
from cnnf_tf.experiments.results.numbers import ABSENT, Share, listed, minutes, percent, plural, radius_text
from cnnf_tf.experiments.results.results import Run

Report = Mapping[str, Any]
_PATHS = {"first_pass": "first pass", "full_unroll": "full unroll"}


@dataclasses.dataclass(frozen=True)
class Attacked:
    """One column of the table: a network under one readout, over its training seeds.

    Attributes:
      label: its heading.
      reports: `robustness.json` of each seed.
      readout: "last" or "average".
    """

    label: str
    reports: Sequence[Report]
    readout: str

    @property
    def num_images(self) -> int:
        """That are attacked."""
        return self.reports[0]["num_images"]

    def clean(self) -> Share | None:
        """Accuracy on the attacked images, without attack."""
        return self._of_all("clean_accuracy")

    def minimum(self) -> Share | None:
        """Share of images that stand every attack of the table."""
        return self._of_all("minimum")

    def rows(self) -> list[tuple[str, str]]:
        """Attack and gradient path of each row there is."""
        keys = [(score["threat"], score["gradient_path"]) for score in self._scores()]
        return list(dict.fromkeys(keys))

    @property
    def unlike(self) -> bool:
        """Whether the seeds were attacked in different ways."""
        sets = {
            tuple((score["threat"], score["gradient_path"], score["num_images"]) for score in report["scores"])
            for report in self.reports
        }
        return len(sets) > 1

    def score(self, threat: str, path: str) -> Share | None:
        """Accuracy under one attack; None if it was not run on every seed."""
        found = [score for score in self._scores() if (score["threat"], score["gradient_path"]) == (threat, path)]
        if len(found) < len(self.reports) or len({score["num_images"] for score in found}) > 1:
            return None
        return Share.of([score["robust_accuracy"] for score in found], [score["num_images"] for score in found])

    def pgd(self, path: str) -> Share | None:
        """Accuracy under plain PGD along a gradient path."""
        names = [threat for threat, where in self.rows() if where == path and threat.removeprefix("PGD-").isdigit()]
        return self.score(names[0], path) if names else None

    def _scores(self) -> list[Mapping[str, Any]]:
        scores = [score for report in self.reports for score in report["scores"]]
        return [score for score in scores if score["readout"] == self.readout]

    def _of_all(self, key: str) -> Share | None:
        values = [report[key].get(self.readout) for report in self.reports]
        return Share.of(values, [report["num_images"] for report in self.reports])


def columns(label: str, runs: Sequence[Run]) -> list[Attacked]:
    """A column for each readout of a network; none if it was not attacked."""
    reports = [run.robustness for run in runs if run.robustness is not None]
    readouts = list(reports[0]["clean_accuracy"]) if reports else []
    several = len(readouts) > 1
    return [Attacked(f"{label}, {readout}" if several else label, reports, readout) for readout in readouts]


def attacks_table(found: Sequence[Attacked]) -> str:
    """A row for each attack, a column for each network and readout; accuracy in %, and the minimum below."""
    keys = list(dict.fromkeys(key for column in found for key in column.rows()))
    images = max(column.num_images for column in found)
    rows = [["none", "", *(percent(column.clean()) for column in found)]]
    for threat, path in keys:
        shares = [column.score(threat, path) for column in found]
        counts = sorted({share.num_images for share in shares if share is not None})
        fewer = f" ({listed(counts)} images)" if counts and counts != [images] else ""
        rows.append([f"{threat}{fewer}", _PATHS.get(path, path), *(percent(share) for share in shares)])
    rows.append(["**minimum: stands all of them**", "", *(f"**{percent(column.minimum())}**" for column in found)])
    return table(["attack", "gradients", *(column.label for column in found)], rows)


def attack_facts(found: Sequence[Attacked]) -> list[str]:
    """Radius, steps, images, seeds and checks, for the list under a section."""
    reports = list({id(report): report for column in found for report in column.reports}.values())
    settings = next(score["settings"] for score in reports[0]["scores"] if score["threat"].startswith("PGD"))
    factor = settings["steps"] * settings["step_size"] / settings["radius"] if settings["radius"] else 0.0
    sources = sorted({report["surrogate"] for report in reports if report.get("surrogate")})
    seconds = sum(score["seconds"] for report in reports for score in report["scores"])
    black_box = any(score["black_box"] for report in reports for score in report["scores"])
    radius, seed = radius_text(reports[0]["radius"]), reports[0]["seed"]
    facts = [
        f"attack: l-inf, radius {radius} on the [0, 1] scale, seed {seed}; PGD: {settings['steps']} steps of "
        f"{factor:g} radius / {settings['steps']}, "
        f"{plural(settings['restarts'], 'random start' if settings['random_start'] else 'start')}",
        f"images: the first {reports[0]['num_images']:,} of {reports[0]['dataset']} {reports[0]['split']}, fewer where "
        "the table says so; brackets are 95 % intervals",
    ]
    if sources:
        facts.append(f"transferred images were made on {listed(sources)}")
    if not black_box:
        facts.append("black-box attacks (SPSA, transfer) are not in this table")
    if any(column.unlike for column in found):
        facts.append("the seeds were not attacked alike: a row that not all have is left out, but is in their minimum")
    return [*facts, f"time: {minutes([seconds / 60])} for all attacks", *_check_facts(found)]


def _check_facts(found: Sequence[Attacked]) -> list[str]:
    checks = [
        (column.label, check)
        for column in found
        for report in column.reports
        for check in report["checks"].get(column.readout, [])
    ]
    failed = [(label, check) for label, check in checks if not check["passed"]]
    if not checks:
        return ["checks of the evaluation: none were run"]
    if not failed:
        return [f"checks of the evaluation: all {len(checks)} passed"]
    texts = listed([f'"{check["check"]}" ({label}: {check["evidence"]})' for label, check in failed])
    return [f"checks of the evaluation: {len(failed)} of {len(checks)} did not pass: {texts}"]


def minimum_text(column: Attacked) -> str:
    """The headline of a column, `ABSENT` where there is none."""
    share = column.minimum()
    return ABSENT if share is None else f"{share.text()} %"
