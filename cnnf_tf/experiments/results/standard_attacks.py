"""Section: trained clean and attacked, CNN against CNN-F. From the study's part `radii`, and tables of all attacks."""

from cnnf_tf.experiments.results.attacks import Attacked, attack_facts, attacks_table, columns, minimum_text
from cnnf_tf.experiments.results.markdown import paragraph, shell, table
from cnnf_tf.experiments.results.numbers import Difference, compare, listed, percent, plural, radius_text, signed, span
from cnnf_tf.experiments.results.results import Results
from cnnf_tf.experiments.results.section import (
    FILES,
    Section,
    claim_block,
    command_block,
    facts_block,
    figure_block,
    not_measured,
    training_fact,
    verdicts,
)
from cnnf_tf.experiments.results.study import COMMANDS, FOLDER, Study

TITLE = "2. PGD-40 after standard training: CNN against CNN-F"
ATTACKED = "standard_attacked"
ATTACKED_COMMANDS = (
    "python bin/evaluate.py --model=runs/study/models/cnnf_1-seed0/best.keras --robustness=0.03 --attacked_images=100 "
    "--spsa_images=30 --autoattack --surrogate=runs/study/models/cnn-seed1/best.keras",
    "python bin/evaluate.py --model=runs/study/models/cnn-seed0/best.keras --robustness=0.03 --attacked_images=100 "
    "--spsa_images=30 --autoattack --surrogate=runs/study/models/cnn-seed1/best.keras",
)
_PART = "radii"


def section(results: Results) -> Section:
    """The section, whatever has been measured."""
    study = Study.read(results)
    if study is None:
        return not_measured(results, TITLE, _PART, FOLDER, COMMANDS)
    verdict, summary = _verdict(study)
    blocks = [
        *claim_block(results, _PART),
        *command_block(results, FOLDER, COMMANDS),
        *facts_block(results, FOLDER, study.facts(results, _PART)),
        paragraph(
            "An image counts as robust only if it stands PGD along **both** gradient paths, judged by the readout "
            "that is scored: through all feedback passes, and through the first pass only. That matters, because "
            f"gradients through a loop are poorer the longer it is. {_flattered(results, study)}"
        ),
        *figure_block(results, f"{FOLDER}/radii.png", "Accuracy against radius"),
        _table(study),
        paragraph(verdict),
        *_all_attacks(results),
    ]
    return Section(TITLE, tuple(blocks), summary)


def _readouts(study: Study, model: str) -> list[str]:
    readouts = list(study.options[_PART]["readouts"])
    return readouts if study.trained(model) else readouts[:1]


def _table(study: Study) -> str:
    options = study.options[_PART]
    rows = []
    for model in study.models(_PART):
        for readout in _readouts(study, model):
            clean = study.clean(model, iterations=study.trained(model), readout=readout)
            attacked = [study.share(_PART, model, readout=readout, radius=radius) for radius in options["radii"]]
            seeds = plural(len(study.seeds(_PART, model)), "seed")
            name = study.label(model)
            rows.append([name, readout if study.trained(model) else "", seeds, *map(percent, [clean, *attacked])])
    radii = [f"radius {radius_text(radius)}" for radius in options["radii"]]
    note = paragraph(f"Accuracy in %; {plural(options['num_images'], 'test image')} under attack:")
    return f"{note}\n\n{table(['network', 'readout', 'seeds', 'clean', *radii], rows)}"


def _verdict(study: Study) -> tuple[str, str]:
    """The conclusion, and the summary of it for the overview."""
    plain = next((model for model in study.models(_PART) if not study.trained(model)), None)
    texts, shortest = [], ""
    for model in study.models(_PART):
        for readout in _readouts(study, model):
            found = [] if plain is None or not study.trained(model) else _against(study, plain, model, readout)
            if not found:
                continue
            words = verdicts([(radius_text(radius), difference) for radius, difference in found])
            texts.append(f"{study.label(model)}, readout {readout}: {words}.")
            if not shortest:
                shortest = f"{study.label(model)} (readout {readout}) against the CNN: {words}"
                largest = max(found, key=lambda pair: pair[1].points)
                texts[-1] += _by_seed(study, str(plain), model, readout, *largest)
    if not shortest:
        return "**CNN-F against the CNN:** nothing to compare yet.", "Nothing to compare yet."
    return f"**CNN-F against the CNN, by radius.** {' '.join(texts)}", f"{shortest}."


def _against(study: Study, plain: str, model: str, readout: str) -> list[tuple[float, Difference]]:
    found = []
    for radius in study.options[_PART]["radii"]:
        ours = study.share(_PART, model, readout=readout, radius=radius)
        theirs = study.share(_PART, plain, readout=_readouts(study, plain)[0], radius=radius)
        if ours and theirs:
            found.append((radius, compare(ours, theirs)))
    return found


def _by_seed(study: Study, plain: str, model: str, readout: str, radius: float, difference: Difference) -> str:
    ours = study.values(_PART, model, readout=readout, radius=radius)
    theirs = study.values(_PART, plain, readout=_readouts(study, plain)[0], radius=radius)
    both = [seed for seed in ours if seed in theirs]
    points = [100 * (ours[seed][0] / ours[seed][1] - theirs[seed][0] / theirs[seed][1]) for seed in both]
    text = f" Its largest lead is at radius {radius_text(radius)}, {signed(difference.points)} points"
    if len(both) < 2:
        return f"{text}."
    return f"{text} ({listed([signed(value) for value in points])} with seeds {listed(both)})."


def _flattered(results: Results, study: Study) -> str:
    """By how much an attack through the full unroll alone flatters, where that was measured too."""
    alone = Study.read(results, "full_unroll_only.json")
    if alone is None:
        return ""
    keys = ("part", "model", "seed", "iterations", "readout", "radius")
    both = {tuple(cell[key] for key in keys): cell for cell in study.cells if cell["part"] in ("radii", "tested")}
    once: list[float] = []
    more: list[float] = []
    for cell in alone.cells:
        twin = both.get(tuple(cell.get(key) for key in keys))
        if twin is not None and cell["iterations"]:
            gain = 100 * (cell["correct"] / cell["num_images"] - twin["correct"] / twin["num_images"])
            (once if cell["iterations"] == 1 else more).append(gain)
    texts = [
        f"{span(gains)} points better at K' {where}"
        for gains, where in ((once, "= 1"), (more, "> 1"))
        if gains and max(gains) > 0
    ]
    if not texts:
        return ""
    return (
        f"Attacked through the full unroll alone, the same networks look {listed(texts)}: whoever attacks only through "
        "the loop measures a gain of which part is not there "
        f"([full_unroll_only.json]({FILES}/{FOLDER}/full_unroll_only.json))."
    )


def _all_attacks(results: Results) -> list[str]:
    """The whole table of attacks at one radius."""
    heading = "### The whole table of attacks"
    networks = {"CNN-F": results.runs(f"{ATTACKED}/cnnf"), "CNN": results.runs(f"{ATTACKED}/cnn")}
    found = {label: columns(label, runs) for label, runs in networks.items()}
    every = [column for group in found.values() for column in group]
    commands = results.provenance(ATTACKED).get("commands", ATTACKED_COMMANDS)
    if not every:
        return [
            heading,
            paragraph(f"**Not measured yet.** The command, whose output goes to {FILES}/{ATTACKED}:"),
            shell(commands),
        ]
    seeds = [training_fact(label, runs) for label, runs in networks.items() if found[label]]
    return [
        heading,
        shell(commands),
        *facts_block(results, ATTACKED, [*seeds, *attack_facts(every)]),
        attacks_table(every),
        paragraph(
            "One readout is attacked at a time; an attack on the last pass says little about the average. "
            f"{minimum_verdict(found['CNN-F'], found['CNN'])}"
        ),
    ]


def minimum_verdict(ours: list[Attacked], plain: list[Attacked]) -> str:
    """How the images that stand all attacks compare, CNN-F's readouts one by one against the plain CNN."""
    other = plain[0].minimum() if plain else None
    texts = []
    for column in ours:
        share = column.minimum()
        if share is not None and other is not None:
            texts.append(f"{column.label}: {minimum_text(column)}, {compare(share, other).words()}")
    if not texts:
        return ""
    return f"**Images that stand all attacks, against {minimum_text(plain[0])} of the CNN.** {'; '.join(texts)}."
