"""The four sections of the demo page; each also writes its pictures and its chart as PNG beside the page."""

import pathlib
from collections.abc import Sequence

import numpy as np

from cnnf_tf.evaluation.figures import Picture, picture_grid
from cnnf_tf.evaluation.restoration.quality import image_qualities, restoration_figure
from cnnf_tf.experiments.demo import charts, html
from cnnf_tf.experiments.demo.measures import Contest, Demo, Repair
from cnnf_tf.experiments.demo.words import (
    contest_sentence,
    passes_sentence,
    percent,
    repair_sentence,
    sentence_case,
    share_of,
    training_sentence,
    words,
)

_ATTACKED_SHOWN = 3  # images that broke, and as many that stand


def repair_section(repairs: Sequence[Repair], folder: pathlib.Path) -> html.Html:
    """Truth, corruption and every iteration side by side, PSNR against iterations, and all numbers."""
    quality = repairs[0].quality
    blocks = [
        html.paragraph(
            f"A network trained to repair sees {quality.num_images} test images, corrupted in three ways (severity "
            f"{quality.severity} of 5). In every feedback pass it renders its own picture of each, g(0), and moves h, "
            f"its view of the image, towards it by eta = {repairs[0].step_size:g}. What is shown is h. Under each "
            "picture is its PSNR against the truth, in decibels: higher is closer."
        )
    ]
    for repair in repairs:
        name = words(repair.quality.corruption)
        blocks += [html.element("h3", sentence_case(name)), _repair_pictures(repair)]
        restoration_figure(
            folder / f"repair_{repair.quality.corruption}.png",
            repair.noisy,
            repair.restored,
            repair.clean,
            iterations=repair.quality.iterations,
            title=f"{name}, severity {repair.quality.severity}; restored: h after an iteration",
        )
    light, dark = charts.save_chart(charts.restoration_chart(repairs), folder / "repair.png")
    sentences = [repair_sentence(repair) for repair in repairs]
    caption = f"Mean PSNR over {quality.num_images} images: as corrupted (0), and of h after each pass."
    blocks += [
        html.chart(light, dark, alt=" ".join(sentences), caption=caption, width=charts.WIDTH),
        html.bullets(sentences),
        html.details("All numbers, beside a median filter", _repair_table(repairs)),
    ]
    return html.section("Repairing corrupted images", *blocks, kicker="Restoration")


def _repair_pictures(repair: Repair) -> html.Html:
    columns = [("truth", repair.clean), ("corrupted", repair.noisy)]
    steps = repair.quality.iterations
    columns += [(f"pass {step}", values) for step, values in zip(steps, repair.restored, strict=True)]
    rows = []
    for index, clean in enumerate(repair.clean):
        tiles = []
        for name, values in columns:
            score = float(image_qualities(values[index][np.newaxis], clean[np.newaxis])[0, 0])
            caption = "" if name == "truth" else f"{score:.1f} dB"
            alt = f"Image {index + 1}, {words(repair.quality.corruption)}: {name}"
            alt += f", PSNR {caption}" if caption else ""
            tiles.append(html.picture(values[index], alt=alt, caption=caption, title=name if index == 0 else ""))
        rows.append(tiles)
    return html.picture_rows(rows)


def _repair_table(repairs: Sequence[Repair]) -> html.Html:
    header = ["PSNR in dB, SSIM", *(words(repair.quality.corruption) for repair in repairs)]
    found = [
        {"corrupted": repair.quality.corrupted}
        | repair.quality.baselines
        | {
            f"{kind}, pass {step}": quality
            for kind, name in (("h", "features"), ("g(0)", "reconstruction"))
            for step, quality in zip(repair.quality.iterations, repair.quality.restored[name], strict=True)
        }
        for repair in repairs
    ]
    rows = [[name, *(f"{of[name].psnr:.1f}, {of[name].ssim:.2f}" for of in found)] for name in found[0]]
    caption = "g(0) is what the network renders in a pass; h is its view of the image after it."
    return html.table(header, rows, caption=caption)


def attack_section(demo: Demo, folder: pathlib.Path) -> html.Html:
    """Both networks of each pair under PGD, some attacked images, and what each gradient path left."""
    first = demo.contests[0]
    steps, count = demo.attack_steps, len(first.cnnf.images)
    light, dark = charts.save_chart(charts.contest_chart(demo.contests), folder / "attack.png")
    sentences = [contest_sentence(contest) for contest in demo.contests]
    caption = f"Right answers on {count} images as they are and under PGD-{steps}, with 95 % intervals."
    blocks = [
        html.paragraph(
            f"PGD-{steps} changes every pixel by up to the radius (l-inf, pixels in [0, 1]) so as to raise the loss. "
            "It aims at the readout that judges it, and it runs twice on CNN-F: with gradients through the first pass, "
            "and through the whole loop, feedback included. An image counts only if it stands both: gradients through "
            f"a loop are poorer, and alone they would flatter it. Steps of 2.5 radius / {steps}, one random start, "
            f"seed {demo.seed}, the first {count} test images."
        ),
        html.chart(light, dark, alt=" ".join(sentences), caption=caption, width=charts.WIDTH),
        html.bullets(sentences),
        *_attack_pictures(first, demo.class_names, folder),
        html.details("Path by path", _attack_table(demo)),
    ]
    return html.section("CNN-F beside a CNN, under attack", *blocks, kicker="Robustness")


def _attack_table(demo: Demo) -> html.Html:
    rows = []
    for contest in demo.contests:
        for name, found in (("CNN-F", contest.cnnf), ("CNN", contest.cnn)):
            model = f"{name}, {contest.name}, K = {found.iterations}, readout {found.readout}"
            by_path = [
                percent(found.reports[path].robust_accuracy) if path in found.reports else "–"
                for path in ("first_pass", "full_unroll")
            ]
            cells = [percent(float(np.mean(found.clean_correct))), *by_path, share_of(found.standing)]
            rows.append([model, f"{contest.radius:g}", *cells])
    header = ["network", "radius", "no attack", "first pass", "whole loop", "stands all"]
    caption = "Right answers; in brackets 95 % intervals. A plain CNN has one path. bin/evaluate.py --robustness runs "
    return html.table(header, rows, caption=caption + "adaptive attacks, SPSA and AutoAttack too, and checks itself.")


def _attack_pictures(contest: Contest, names: Sequence[str], folder: pathlib.Path) -> list[html.Html]:
    """Some images that broke and some that stand: as they were, and as PGD through the whole loop left them."""
    found = contest.cnnf
    report = found.reports["full_unroll"]
    broken = _of_several_classes(report.clean_correct & (report.predictions != report.labels), report.labels)
    stands = _of_several_classes(found.standing, report.labels)
    chosen = [*broken, *stands]
    if not chosen:
        return []
    said = [[names[int(values[index])] for index in chosen] for values in (report.labels, report.predictions)]
    pictures = [[values[index] for index in chosen] for values in (found.images, report.images)]
    picture_grid(
        folder / "attack_images.png",
        [[Picture(*pair) for pair in zip(*row, strict=True)] for row in zip(pictures, said, strict=True)],
        title=f"CNN-F, {contest.name}, before and after PGD of radius {contest.radius:g}",
        row_titles=["image", "attacked"],
    )
    rows: list[list[html.Html]] = [[], []]
    for index, before, after, true, answer in zip(chosen, *pictures, *said, strict=True):
        alt = f"Test image {index}: {true}"
        rows[0].append(html.picture(before, alt=alt, caption=true))
        alt += f", attacked; the network says {answer}"
        rows[1].append(html.picture(after, alt=alt, caption=answer, mark="good" if true == answer else "bad"))
    caption = (
        f"CNN-F, {contest.name}. Above: the image and its label. Below: after PGD through the whole loop, radius "
        f"{contest.radius:g}, and what the network says; {len(broken)} that broke, {len(stands)} that stand."
    )
    return [html.picture_rows(rows, caption=caption)]


def _of_several_classes(flags: np.ndarray, labels: np.ndarray) -> list[int]:
    """The first flagged image of each class, in the order of the images, some of them."""
    firsts = np.unique(np.where(flags, labels, -1), return_index=True)
    return sorted(int(index) for label, index in zip(*firsts, strict=True) if label >= 0)[:_ATTACKED_SHOWN]


def passes_section(demo: Demo, folder: pathlib.Path) -> html.Html:
    """Accuracy against feedback passes, for both readouts."""
    lines = {
        f"{name}, {'last pass' if readout == 'last' else readout}": shares
        for name, found in demo.passes.items()
        for readout, shares in found.accuracy.items()
    }
    light, dark = charts.save_chart(charts.passes_chart(lines), folder / "accuracy.png")
    sentences = [passes_sentence(name, found.accuracy) for name, found in demo.passes.items()]
    count = next(iter(demo.passes.values())).num_images
    header = ["passes", *map(str, range(max(map(len, lines.values()))))]
    rows = [[name, *map(percent, shares)] for name, shares in lines.items()]
    caption = f"Right answers after each feedback pass, {count} test images without an attack."
    blocks = [
        html.paragraph(
            "The loop may run for any number of passes, whatever number it was trained with. The label is read from "
            "the last pass, or from the average of all of them."
        ),
        html.chart(light, dark, alt=" ".join(sentences), caption=caption, width=charts.WIDTH),
        html.bullets(sentences),
        html.details("All numbers", html.table(header, rows, caption=caption)),
    ]
    return html.section("Accuracy, pass by pass", *blocks, kicker="Iterations")


def training_section(demo: Demo, folder: pathlib.Path) -> html.Html:
    """The loss of each step, and held-out images before and after."""
    tuning = demo.tuning
    light, dark = charts.save_chart(charts.training_chart(tuning), folder / "training.png")
    name = f"{words(tuning.corruption)} of severity {tuning.severity}"
    sentence = training_sentence(tuning)
    measured = {
        "loss": "loss",
        "accuracy": "accuracy",
        "first_pass_accuracy": "accuracy of the first pass",
        "reconstruction_loss": "error of g(0)",
    }
    rows = [[label, f"{tuning.before[key]:.3f}", f"{tuning.after[key]:.3f}"] for key, label in measured.items()]
    caption = f"Loss of each step, on its own batch of {tuning.batch_size} images, before the step."
    text = f"The network trained clean has never seen {name}. Now it trains on such images for {len(tuning.losses)} "
    blocks = [
        html.paragraph(text + "steps of Adam, with ", html.code("model.fit"), "."),
        html.chart(light, dark, alt=sentence, caption=caption, width=charts.WIDTH),
        html.paragraph(sentence),
        html.table(["held-out images", "before", "after"], rows, caption=f"{tuning.num_images} images with {name}."),
    ]
    return html.section("A few steps of training", *blocks, kicker="Training")
