"""Sections: adversarial training, Fashion-MNIST and CIFAR-10. From bin/train.py and bin/evaluate.py --robustness."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.attacks import Attacked, attack_facts, attacks_table, columns
from cnnf_tf.experiments.results.markdown import bullets, paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, Share, compare, listed, minutes, percent, plural, radius_text
from cnnf_tf.experiments.results.results import Results, Run
from cnnf_tf.experiments.results.section import (
    FILES,
    NOT_MEASURED,
    Section,
    claim_block,
    command_block,
    facts_block,
    not_measured,
    training_fact,
)
from cnnf_tf.experiments.results.standard_attacks import minimum_verdict
from cnnf_tf.training.overfitting import OverfittingGuard

FASHION_TITLE = "6. Adversarial training on Fashion-MNIST"
FASHION = "adversarial_fashion_mnist"
FASHION_COMMANDS = (
    "python bin/train.py --config=configs/fashion_mnist_adversarial.py:fast --workdir=runs/fast",
    "python bin/train.py --config=configs/fashion_mnist_adversarial.py:fast_cnn --workdir=runs/fast_cnn",
    "python bin/evaluate.py --model=runs/fast/best.keras --robustness=0.1 --attack_steps=40 --attacked_images=1000",
    "python bin/evaluate.py --model=runs/fast_cnn/best.keras --robustness=0.1 --attack_steps=40 --attacked_images=1000",
)
RECIPE_COMMANDS = (
    "python bin/train.py --config=configs/fashion_mnist_adversarial.py --config.train.epochs=2 --workdir=runs/recipe2",
    "python bin/evaluate.py --model=runs/recipe2/best.keras --robustness=0.1 --attack_steps=7 --attacked_images=1000 "
    "--spsa_images=0 --noadaptive",
)
CIFAR_TITLE = "7. Adversarial training on CIFAR-10"
CIFAR = "adversarial_cifar10"
CIFAR_COMMANDS = (
    "python bin/train.py --config=configs/cifar10_adversarial.py --workdir=runs/cifar10 --strategy=mirrored",
    "python bin/train.py --config=configs/cifar10_adversarial.py:cnn --workdir=runs/cifar10_cnn --strategy=mirrored",
    "python bin/evaluate.py --model=runs/cifar10/best.keras --dataset=cifar10 --robustness=8/255 --attack_steps=7",
    "python bin/evaluate.py --model=runs/cifar10_cnn/best.keras --dataset=cifar10 --robustness=8/255 --attack_steps=7",
)

_CHANCE = 0.1  # both data sets have ten classes


def fashion_section(results: Results) -> Section:
    """Fashion-MNIST, with the authors' recipe at equal budget."""
    found = _section(results, FASHION_TITLE, FASHION, FASHION_COMMANDS)
    return Section(found.title, (*found.blocks, *_recipe(results)), found.summary)


def cifar_section(results: Results) -> Section:
    """CIFAR-10."""
    return _section(results, CIFAR_TITLE, CIFAR, CIFAR_COMMANDS)


def _section(results: Results, title: str, folder: str, commands: Sequence[str]) -> Section:
    networks = {"CNN-F": results.runs(f"{folder}/cnnf"), "CNN": results.runs(f"{folder}/cnn")}
    if not any(networks.values()):
        return not_measured(results, title, folder, folder, commands)
    found = {label: columns(label, runs) for label, runs in networks.items()}
    every = [column for group in found.values() for column in group]
    attacked = {label: [run for run in runs if run.robustness is not None] for label, runs in networks.items()}
    trainings = [_training_fact(label, runs) for label, runs in networks.items() if runs]
    for label, runs in attacked.items():
        if runs and len(runs) < len(networks[label]):
            trainings.append(f"{label}: attacked so far with {listed([f'seed {run.seed}' for run in runs])} only")
    facts = facts_block(results, folder, [*trainings, *(attack_facts(every) if every else [])])
    blocks = [*claim_block(results, folder), *command_block(results, folder, commands), *facts]
    absent = [label for label, group in found.items() if not group]
    if every:
        verdict = f"{_clean_verdict(attacked)} {minimum_verdict(found['CNN-F'], found['CNN'])}".strip()
        blocks += [_overview(attacked, found), attacks_table(every)]
        blocks += [paragraph(verdict)] if verdict else []
    blocks += [bullets(guarded)] if (guarded := _guard(networks)) else []
    if absent:
        blocks.append(paragraph(f"**Not measured yet**: {listed(absent)} under attack. {_losses(networks, found)}"))
    return Section(title, tuple(blocks), _summary(found) if every else f"Accuracy {NOT_MEASURED}, training only.")


def _overview(networks: Mapping[str, list[Run]], found: Mapping[str, list[Attacked]]) -> str:
    rows = []
    for label, group in found.items():
        for column in group:
            attacked = [column.pgd("first_pass"), column.pgd("full_unroll"), column.minimum()]
            time = minutes([run.training_minutes for run in networks[label]])
            rows.append([column.label, *map(percent, [_clean(networks[label], column.readout), *attacked]), time])
    header = ["network", "clean, %", "PGD, first pass", "PGD, full unroll", "**stands all attacks**", "training"]
    note = paragraph("Clean accuracy is over the whole test split; all attacks are in the table below this one.")
    return f"{note}\n\n{table(header, rows)}"


def _clean(runs: Sequence[Run], readout: str) -> Share | None:
    """Clean accuracy of the last pass, over all images of accuracy.json."""
    reports = [run.accuracy for run in runs if run.accuracy is not None]
    values = [report["accuracy"][readout][-1] for report in reports]
    return Share.of(values, [report["num_images"] for report in reports])


def _clean_verdict(networks: Mapping[str, list[Run]]) -> str:
    ours, plain = _clean(networks["CNN-F"], "last"), _clean(networks["CNN"], "last")
    if ours is None or plain is None:
        return ""
    return f"**Clean accuracy, CNN-F (last) against the CNN:** {compare(ours, plain).words()}."


def _summary(found: Mapping[str, list[Attacked]]) -> str:
    texts = []
    for label, group in found.items():
        share = group[0].minimum() if group else None
        if share is not None:
            texts.append(f"{label} {share.text()} %")
    pair = [group[0].minimum() if group else None for group in found.values()]
    text = f"Images that stand every attack: {', '.join(texts) or ABSENT}"
    if pair[0] is not None and pair[1] is not None:
        text += f"; CNN-F is {compare(pair[0], pair[1]).words()}"
    return f"{text}."


def _training_fact(label: str, runs: Sequence[Run]) -> str:
    text, config = training_fact(label, runs), runs[0].config
    if "adversarial" not in config:
        return text
    attack, model = config["adversarial"], config["model"]
    steps, late = plural(attack["steps"], "step"), attack.get("guard_from", 1.0)
    if attack.get("guard_steps") and late < 1:
        steps += f" (of {attack['guard_steps']} after {100 * late:g} % of the training)"
    return (
        f"{text}; trained on attacks of {steps}, radius {radius_text(attack['radius'])}; K = "
        f"{model['iterations']}, eta = {model['step_size']:g}, ind = {model['network']['ind']}, rule "
        f"`{model['network']['rule']}`"
    )


def _guard(networks: Mapping[str, list[Run]]) -> list[str]:
    """Where the held-out robust accuracy fell so far that the guard against overfitting changed the attack."""
    texts = []
    for label, runs in networks.items():
        for run in runs:
            options = run.config.get("adversarial", {})
            fall = _fall(run.history, options) if options.get("guard_steps") else None
            if fall is not None:
                seed = "" if run.seed is None else f", seed {run.seed}"
                texts.append(
                    f"The guard was needed ({label}{seed}): the held-out robust accuracy "
                    f"(PGD-{options['robust_steps']}, {plural(options['robust_images'], 'image')}) fell from "
                    f"{100 * fall['best']:.1f} to {100 * fall['to']:.1f} % at step {fall['step']}; training then "
                    f"went on with {plural(options['guard_steps'], 'step')} of attack, and ended at "
                    f"{100 * fall['end']:.1f} %."
                )
    return texts


def _fall(history: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> dict[str, float] | None:
    """The fall that made the guard change the attack, while that was not due anyway: the guard on the same numbers."""
    robust = [entry for entry in history if "val_robust_accuracy" in entry]
    guard = OverfittingGuard(options.get("guard_drop", 0.0), chance=_CHANCE)
    for entry in robust[:-1]:
        best, value = guard.best, entry["val_robust_accuracy"]
        if entry["step"] >= options.get("guard_from", 1.0) * robust[-1]["step"]:
            return None
        if guard.update(value):
            return {"best": best, "to": value, "step": entry["step"], "end": robust[-1]["val_robust_accuracy"]}
    return None


def _losses(networks: Mapping[str, list[Run]], found: Mapping[str, list[Attacked]]) -> str:
    """What is known of a network that was trained, but not attacked: its loss, and no accuracy claimed."""
    texts = []
    for label, runs in networks.items():
        entries = [entry for run in runs[:1] for entry in run.history if "loss" in entry]
        if not found[label] and entries:
            first, last = entries[0], entries[-1]
            texts.append(
                f"{label} was trained for {last.get('step', ABSENT)} steps only: its loss went from "
                f"{first['loss']:.3f} to {last['loss']:.3f}, its held-out accuracy is "
                f"{100 * last['val_accuracy']:.1f} %."
                if "val_accuracy" in last
                else f"{label} was trained: its loss went from {first['loss']:.3f} to {last['loss']:.3f}."
            )
    return " ".join(texts)


def _recipe(results: Results) -> list[str]:
    """The authors' recipe cut short, beside the authors' own code for as many epochs."""
    heading = "### The authors' recipe, beside the authors' own code"
    folder = f"{FASHION}/recipe"
    runs = results.runs(folder)
    group = columns("this package", runs)
    if not group or runs[0].accuracy is None:
        ask = paragraph(f"**Not measured yet.** The command, whose output goes to {FILES}/{folder}:")
        return [heading, ask, *command_block(results, folder, RECIPE_COMMANDS)]
    authors = results.authors(FASHION) or {}
    epochs = runs[0].config.get("train", {}).get("epochs")
    equal = authors.get("epochs") == epochs
    facts = [_training_fact("this package", runs), *attack_facts(group)]
    if equal:
        facts.append(f"authors' code: {authors['source']}")
    rows, texts = [], []
    for column in group:
        ours = [_clean(runs, column.readout), column.pgd("first_pass"), column.pgd("full_unroll")]
        theirs = [authors.get(key, {}).get(column.readout) for key in ("clean", "first_pass", "full_unroll")]
        time = minutes([run.training_minutes for run in runs])
        rows.append([column.label, *map(percent, ours), time])
        if equal:
            rows.append([f"authors' code, {column.readout}", *map(_percent, theirs), f"{authors['minutes']} min"])
            texts += [
                f"{where}, {column.readout}: {compare(share, other).words()}"
                for where, share, other in zip(("clean", "first pass", "full unroll"), ours, theirs, strict=True)
                if share is not None and other is not None
            ]
    hardware = results.provenance(FASHION).get("hardware", "")
    blocks = [heading, *command_block(results, folder, RECIPE_COMMANDS)]
    blocks += facts_block(results, folder, facts, hardware=hardware)
    header = ["accuracy, %", "clean", "PGD, first pass", "PGD, full unroll", "training"]
    blocks.append(table(header, rows))
    if texts:
        blocks.append(
            paragraph(f"**This package against the authors' code, {epochs} epochs each.** {'; '.join(texts)}.")
        )
    else:
        blocks.append(paragraph(f"The authors' code was not measured at {epochs} epochs."))
    return blocks


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.1f}"
