"""Sections: trained with K, tested with K', and harder images. From the study's parts `trained`, `tested`, `needed`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.markdown import paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, Share, compare, listed, percent, plural, radius_text, span
from cnnf_tf.experiments.results.results import Results
from cnnf_tf.experiments.results.section import (
    Section,
    claim_block,
    command_block,
    facts_block,
    figure_block,
    not_measured,
)
from cnnf_tf.experiments.results.study import COMMANDS, FOLDER, Study

TRAINED_TITLE = "3. Trained with more iterations"
TESTED_TITLE = "4. Tested with more iterations"
NEEDED_TITLE = "5. Harder images need more iterations"

_SURE = 2.0  # standard errors between the easiest and the hardest images


def trained_section(results: Results) -> Section:
    """CNN-F trained and tested with K iterations."""
    study = Study.read(results)
    if study is None:
        return not_measured(results, TRAINED_TITLE, "trained", FOLDER, COMMANDS)
    models, options = study.models("trained"), study.options["trained"]
    rows = []
    by_radius: dict[float, list[tuple[int, Share | None]]] = {radius: [] for radius in options["radii"]}
    for model in models:
        trained = study.trained(model)
        clean = study.clean(model, iterations=trained, readout="last")
        shares = [study.share("trained", model, radius=radius) for radius in options["radii"]]
        for radius, share in zip(options["radii"], shares, strict=True):
            by_radius[radius].append((trained, share))
        seeds = plural(len(study.seeds("trained", model)), "seed")
        rows.append([f"{trained}{'' if trained else ' (CNN)'}", seeds, *map(percent, [clean, *shares])])
    verdict = " ".join(_rise(f"at radius {radius_text(radius)}", found) for radius, found in by_radius.items())
    clean_rows = [
        (study.trained(model), study.clean(model, iterations=study.trained(model), readout="last")) for model in models
    ]
    verdict += f" {_rise('on clean images', clean_rows)}"
    blocks = (
        *claim_block(results, "trained"),
        *command_block(results, FOLDER, COMMANDS),
        *facts_block(results, FOLDER, study.facts(results, "trained")),
        *figure_block(results, f"{FOLDER}/trained.png", "Accuracy against the trained K"),
        paragraph(
            f"Trained and tested with K iterations, readout last, {plural(options['num_images'], 'image')} under "
            "attack; accuracy in %:"
        ),
        table(["K", "seeds", "clean", *(f"radius {radius_text(radius)}" for radius in options["radii"])], rows),
        paragraph(f"**From the smallest to the largest K.** {verdict}"),
    )
    return Section(TRAINED_TITLE, blocks, verdict)


def _rise(where: str, found: Sequence[tuple[int, Share | None]]) -> str:
    """From the first K to the last: how far apart, and whether every step goes the same way."""
    known = [(number, share) for number, share in found if share is not None]
    if len(known) < 2:
        return f"{where.capitalize()}: {ABSENT}."
    (first, low), (last, high) = known[0], known[-1]
    steps = [after[1].mean - before[1].mean for before, after in zip(known, known[1:], strict=False)]
    rises, falls = all(step >= 0 for step in steps), all(step <= 0 for step in steps)
    shape = "rises with every K" if rises else "falls with every K" if falls else "goes up and down"
    return (
        f"{where.capitalize()}, K = {last} is {compare(high, low).words()} compared with K = {first}; accuracy {shape}."
    )


def tested_section(results: Results) -> Section:
    """Networks tested with K' iterations."""
    study = Study.read(results)
    if study is None:
        return not_measured(results, TESTED_TITLE, "tested", FOLDER, COMMANDS)
    options = study.options["tested"]
    tested = options["attacked_iterations"]
    rows, texts = [], []
    for model in study.models("tested"):
        seed = study.seeds("tested", model)
        clean = {k: _first_seed(study, "clean", model, seed, k, readout="last") for k in tested}
        attacked = {k: _first_seed(study, "tested", model, seed, k) for k in tested}
        rows.append([study.label(model), "clean", *(percent(share) for share in clean.values())])
        rows.append(["", "attacked", *(percent(share) for share in attacked.values())])
        texts.append(f"{study.label(model)}: {_beyond(study.trained(model), attacked, clean)}.")
    verdict = " ".join(texts)
    blocks = (
        *claim_block(results, "tested"),
        *command_block(results, FOLDER, COMMANDS),
        *facts_block(results, FOLDER, study.facts(results, "tested")),
        *figure_block(results, f"{FOLDER}/tested.png", "Accuracy against the tested K'"),
        paragraph(
            f"Readout last; {plural(options['num_images'], 'image')} under attack, radius "
            f"{radius_text(options['radius'])}, the attack aimed at each K' anew; accuracy in %:"
        ),
        table(["network", "", *(f"K' = {k}" for k in tested)], rows),
        paragraph(f"**Beyond the K it was trained with.** {verdict}"),
    )
    return Section(TESTED_TITLE, blocks, verdict)


def _first_seed(
    study: Study, part: str, model: str, seeds: Sequence[int], iterations: int, **where: Any
) -> Share | None:
    """Only some seeds are tested with every K': the clean row is of the same ones."""
    found = study.values(part, model, iterations=iterations, **where)
    chosen = [found[seed] for seed in seeds if seed in found]
    return Share.of([correct / count for correct, count in chosen], [count for _, count in chosen])


def _beyond(trained: int, attacked: Mapping[int, Share | None], clean: Mapping[int, Share | None]) -> str:
    own, later = attacked.get(trained), {k: share for k, share in attacked.items() if share and k > trained}
    if own is None or not later:
        return ABSENT
    best = max(later, key=lambda k: later[k].mean)
    text = f"under attack the best is K' = {best}, {compare(later[best], own).words()} compared with K' = {trained}"
    last = max(later)
    if last != best:
        text += f"; at K' = {last} it is {compare(later[last], own).words()}"
    clean_own, clean_last = clean.get(trained), clean.get(last)
    if clean_own is not None and clean_last is not None:
        text += f", and clean accuracy is {compare(clean_last, clean_own).words()}"
    return text


def needed_section(results: Results) -> Section:
    """After how many iterations the label stays, against three kinds of difficulty."""
    study = Study.read(results)
    cells = [] if study is None else [cell for cell in study.cells if cell["part"] == "needed"]
    if study is None or not cells:
        return not_measured(results, NEEDED_TITLE, "needed", FOLDER, COMMANDS)
    options = study.options["needed"]
    kinds = list(dict.fromkeys(cell["difficulty"] for cell in cells))
    rows = [_needed_row(cell) for kind in kinds for cell in cells if cell["difficulty"] == kind]
    verdict = _harder({kind: [cell for cell in cells if cell["difficulty"] == kind] for kind in kinds})
    blocks = (
        *claim_block(results, "needed"),
        *command_block(results, FOLDER, COMMANDS),
        *facts_block(results, FOLDER, study.facts(results, "needed")),
        *figure_block(results, f"{FOLDER}/needed.png", "Iterations until the label stays"),
        paragraph(
            f"{listed([study.label(model) for model in options['models']])}, K' = {options['max_iterations']}, "
            f"{plural(options['num_images'], 'image')}: after how many iterations the label no longer changes (0: "
            "the first pass was final), mean ± one standard error, over all images and over those that are right "
            "in the end. Images are made harder by PGD on the first pass (a transfer from the plain CNN inside, "
            "not an attack on the loop), by corruptions of growing severity, and sorted by the margin of the first "
            "pass, easiest part first."
        ),
        table(["difficulty", "", "settled after", "if right in the end", "first pass, %", "last pass, %"], rows),
        paragraph(f"{verdict} {_repaired(cells)} {_aimed(study, cells)}"),
    )
    return Section(NEEDED_TITLE, blocks, verdict.replace("**", ""))


def _needed_row(cell: Mapping[str, Any]) -> list[str]:
    right = cell.get("settled_mean_if_right")
    ends = [f"{100 * cell['accuracy'][index]:.1f}" for index in (0, -1)]
    settled = f"{cell['settled_mean']:.2f} ± {cell['settled_error']:.2f}"
    return [_kind(cell), f"{cell['level']:g}", settled, ABSENT if right is None else f"{right:.2f}", *ends]


def _kind(cell: Mapping[str, Any]) -> str:
    return cell["difficulty"].replace("_", " ").replace("gaussian", "Gaussian")


def _harder(by_kind: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Whether the hardest images of each kind need more iterations than the easiest, and every step is one upwards."""
    sure: list[str] = []
    unsure: list[str] = []
    steady = []
    for cells in by_kind.values():
        ordered = sorted(cells, key=lambda cell: cell["level"])
        means = [cell["settled_mean"] for cell in ordered]
        error = math.hypot(ordered[0]["settled_error"], ordered[-1]["settled_error"])
        (sure if means[-1] - means[0] > _SURE * error else unsure).append(_kind(ordered[0]))
        if all(after >= before for before, after in zip(means, means[1:], strict=False)):
            steady.append(_kind(ordered[0]))
    text = (
        "**Yes, by every measure of difficulty**"
        if not unsure
        else f"**By some measures**: {listed(sure)}; not by {listed(unsure)}"
        if sure
        else "**No, by no measure of difficulty**"
    )
    where = "every one" if len(steady) == len(by_kind) else listed(steady) if steady else "none"
    return (
        f"{text} (the hardest images settle later than the easiest by more than {_SURE:g} standard errors); the number "
        f"rises at every level for {where}{' of them' if where in ('every one', 'none') else ''}."
    )


def _repaired(cells: Sequence[Mapping[str, Any]]) -> str:
    """What iterations do to the accuracy of each kind of hard image."""
    texts = []
    for attacked, words in ((True, "what an attack on the first pass broke"), (False, "corruptions")):
        chosen = [
            cell
            for cell in cells
            if cell["level"] > 0 and cell["difficulty"] != "margin" and (cell["difficulty"] == "radius") == attacked
        ]
        gains = [100 * (cell["accuracy"][-1] - cell["accuracy"][0]) for cell in chosen]
        if gains:
            texts.append(f"by {span(gains)} points for {words}")
    return f"From the first pass to the last, accuracy changes {listed(texts)}." if texts else ""


def _aimed(study: Study, cells: Sequence[Mapping[str, Any]]) -> str:
    """What is left of it once the attack is aimed at the loop itself, where section 4 measured that."""
    radius, iterations = study.options["tested"]["radius"], study.options["needed"]["max_iterations"]
    texts = []
    for cell in cells:
        if (cell["difficulty"], cell["level"]) == ("radius", radius):
            share = study.share("tested", cell["model"], iterations=iterations, radius=radius)
            if share is not None:
                texts.append(
                    f"Aimed at all K' = {iterations} iterations, an attack of radius {radius_text(radius)} leaves "
                    f"{share.text()} % (section 4), not these {100 * cell['accuracy'][-1]:.1f} %."
                )
    return " ".join(texts)
