"""What every section of the page has: claim, command, what it was measured on, and a summary of one sentence."""

import dataclasses
from collections.abc import Sequence

from cnnf_tf.experiments.results.markdown import bullets, paragraph, shell
from cnnf_tf.experiments.results.numbers import Difference, listed, minutes, plural
from cnnf_tf.experiments.results.results import Results, Run

NOT_MEASURED = "not measured yet"
FILES = "{results}"
"""In Markdown and in result files, what stands for the address of the folder of result files."""


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
      title: its heading.
      blocks: Markdown, to be separated by empty lines.
      summary: one sentence for the overview, or `NOT_MEASURED`.
    """

    title: str
    blocks: tuple[str, ...]
    summary: str

    def markdown(self) -> str:
        """The whole section."""
        return "\n\n".join([f"## {self.title}", *self.blocks])


def claim_block(results: Results, name: str) -> list[str]:
    """What the talk claims, from paper.json, with its source; nothing where it claims nothing."""
    claim = results.claim(name)
    if not claim:
        return []
    return [paragraph(f"*{claim['by']}, {claim['source']}:* {claim['claim']} {claim.get('note', '')}")]


def command_block(results: Results, section: str, commands: Sequence[str]) -> list[str]:
    """The commands that measured a section: those of its provenance, else those that would be used."""
    return [shell(results.provenance(section).get("commands", commands))]


def facts_block(results: Results, section: str, facts: Sequence[str], *, hardware: str = "") -> list[str]:
    """What a section was measured on, as a list; hardware, if not given, and notes come from its provenance."""
    provenance = results.provenance(section)
    machine = hardware or provenance.get("hardware", "not recorded")
    return [bullets([*facts, f"hardware: {machine}", *provenance.get("notes", [])])]


def not_measured(results: Results, title: str, claim: str, section: str, commands: Sequence[str]) -> Section:
    """A section without files: what is claimed, and the command that would measure it."""
    ask = paragraph(f"**Not measured yet.** The command, whose output goes to {FILES}/{section}:")
    return Section(title, (*claim_block(results, claim), ask, *command_block(results, section, commands)), NOT_MEASURED)


def figure_block(results: Results, path: str, caption: str) -> list[str]:
    """A picture, if it is there; its address is relative to the folder of the page."""
    return [f"![{caption}]({FILES}/{path})"] if results.has(path) else []


def training_fact(label: str, runs: Sequence[Run]) -> str:
    """Seeds, epochs, time and machine of a network's training, as far as its files say."""
    seeds = [run.seed for run in runs if run.seed is not None]
    parts = [f"training seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}" if seeds else "training seed not recorded"]
    config = runs[0].config
    if "train" in config:
        parts.append(f"{plural(config['train']['epochs'], 'epoch')}, {config['train']['dtype_policy']}")
    if any(run.history for run in runs):
        parts.append(f"{minutes([run.training_minutes for run in runs])} of training{' each' * (len(runs) > 1)}")
    machines = list(dict.fromkeys(machine for run in runs for machine in run.machines))
    if machines:
        parts.append(f"on {listed(machines)}")
    return f"{label}: {', '.join(parts)}"


def verdicts(found: Sequence[tuple[str, Difference]]) -> str:
    """Where one is higher, level or lower, in words: `higher at 0.05; level within the intervals at 0.01 and 0.02`."""
    parts = []
    for sign, words in ((1, "higher"), (0, "level within the intervals"), (-1, "lower")):
        places = [place for place, difference in found if difference.sign == sign]
        if places:
            where = "everywhere" if len(places) == len(found) else f"at {listed(places)}"
            parts.append(f"{words} {where}")
    return "; ".join(parts)
