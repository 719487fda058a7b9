"""Attacks a trained model and reports the accuracy that is left.

Example:
  python bin/attack.py --model=runs/standard/best.keras --epsilon=0.1 \\
      --steps=40 --num_images=1000 --output=runs/standard/pgd
  python bin/attack.py --model=runs/standard/best.keras --epsilon=8/255 \\
      --surrogate=runs/cnn/best.keras --output=/tmp/transfer
  python bin/attack.py --model=runs/standard/best.keras --epsilon=0.1 \\
      --shard=1/2 --output=runs/part1    # of two; then, in place of --shard,
                                         # --merge=runs/part1,runs/part2

Attacks are fgsm, pgd (with --norm=l2 too), pgd_l2, spsa (no gradients) and autoattack (extra `autoattack`). Success is
always judged by the full model: K' feedback passes, its readout. --epsilon is on the [0, 1] pixel scale. Writes into
--output
  attack.json       settings, accuracy before and after, distances, versions
  adversarial.npz   adversarial images (float32 in [0, 1]), their indices in the
                    split, labels, predictions, distances
  attack.png        clean image, perturbation, adversarial image, and what the
                    model reconstructs of it
A killed run goes on after its last finished batch when the same command is given again. --strategy=mirrored uses all
GPUs of this machine, --shard and --merge several machines (docs/scaling.md); what comes out is the same, down to every
decision about every image.
"""

from typing import Any

import _app
import _batches
from absl import flags

import cnnf_tf

_ATTACKS = ("fgsm", "pgd", "pgd_l2", "spsa", "autoattack")

_MODEL = _app.define_model()
_ATTACK = flags.DEFINE_enum("attack", "pgd", _ATTACKS, "Which attack.")
_EPSILON: flags.FlagHolder = flags.DEFINE_string(
    "epsilon", None, "Radius of the ball on the [0, 1] pixel scale, a number or a fraction: 0.1, 8/255."
)
_NORM = flags.DEFINE_enum("norm", "", ["", "linf", "l2"], "Norm of the ball; default: the attack's (linf; pgd_l2: l2).")
_STEPS = flags.DEFINE_integer("steps", 40, "Steps of each restart; not for fgsm.", lower_bound=1)
_STEP_SIZE = flags.DEFINE_string(
    "step_size", "", "Length of a step, on the scale of --epsilon; default 2.5 * epsilon / steps. For pgd and spsa."
)
_RESTARTS = flags.DEFINE_integer("restarts", 1, "Starts from different random points; not for fgsm.", lower_bound=1)
_LOSS = flags.DEFINE_enum(
    "loss", "", ["", "cross_entropy", "margin", "dlr"], "Loss to raise; default: the attack's. Not for autoattack."
)
_GRADIENT_PATH = flags.DEFINE_enum(
    "gradient_path",
    "full_unroll",
    ["first_pass", "full_unroll"],
    "What gradients go through: the plain CNN of the first pass, or all passes with their feedback.",
)
_SURROGATE = _app.define_model("surrogate", "Another model that gradients go through, a transfer attack")
_TARGETED = flags.DEFINE_bool("targeted", False, "Aim at the class after the label (the first after the last).")
_SEED = _app.define_seed("all random numbers")
_app.define_iterations()
_READOUT = flags.DEFINE_enum("readout", "", ["", "last", "average"], "Readout of the passes; default: the model's own.")
_DATASET, _SPLIT = _app.define_data("Split to attack; slices such as test[:1000] are allowed.", batch_size=250)
_NUM_IMAGES = flags.DEFINE_integer("num_images", 1000, "The first so many images; 0: all.", lower_bound=0)
_NUM_PICTURES = flags.DEFINE_integer("num_pictures", 8, "Images in the picture; 0 for no picture.", 0, 64)
_batches.define_batches()
_OUTPUT = _app.define_output("Folder for the files.")


def main() -> None:
    _app.require(_MODEL, _EPSILON, _OUTPUT)
    options = _attack_options()
    output = _app.Output("output", _OUTPUT.value)

    _app.start_tensorflow()

    attacks = cnnf_tf.attacks
    attack = attacks.ATTACKS[_ATTACK.value](**options)
    strategy = _batches.strategy()
    with strategy.scope():
        model = cnnf_tf.load_model(_MODEL.value)
        other = _app.load_other_model(model, "surrogate")
    settings: dict[str, Any] = {
        "iterations": _app.iterations_of(model),
        "readout": _READOUT.value or model.readout,
    }
    predict = attacks.predictor(model, **settings)
    surrogate = attacks.gradient_source(model, _GRADIENT_PATH.value, **settings)
    if other is not None:
        surrogate = attacks.gradient_source(other, _GRADIENT_PATH.value)
    dataset = _app.load_data_for(model, gradients=True, limit=_NUM_IMAGES.value or None)

    next_class = (lambda labels: (labels + 1) % model.num_classes) if _TARGETED.value else None
    job = attacks.attack_job(attack, predict, dataset, seed=_SEED.value, surrogate=surrogate, targets=next_class)
    with _batches.opened(strategy, output.folder, model, dataset) as batches:
        facts = batches.run([job])[job.name]
        if _batches.is_part():
            return
        found = attacks.AttackReport.from_facts(facts)
        report = _app.provenance(model) | {
            **attack.settings(),
            "gradient_path": _GRADIENT_PATH.value,
            "surrogate": _SURROGATE.value or None,
            "targeted": _TARGETED.value,
            **settings,
            "batch_size": flags.FLAGS.batch_size,
            "seed": _SEED.value,
            **found.to_dict(),
            "seconds": round(float(facts["seconds"].sum()), 2),
        }
        print(f"\n{_summary(report)}")
        output.write("adversarial.npz", _write_images, found)
        output.json("attack.json", report)
        if _NUM_PICTURES.value:
            output.write("attack.png", _draw, model, dataset, found, report)


def _write_images(path: Any, found: Any) -> None:
    import numpy as np

    from cnnf_tf.utils.archives import write_npz

    kept = ("labels", "predictions", "clean_correct", "success", "distance")
    arrays = {"images": found.images.astype(np.float32), "indices": np.arange(len(found.labels))}
    write_npz(path, arrays | {name: getattr(found, name) for name in kept}, compress=True)


def _attack_options() -> dict[str, Any]:
    """The arguments of the attack from the flags; refuses what it does not take."""
    name = _ATTACK.value
    given = {
        "norm": _NORM.value,
        "steps": _STEPS.value if _STEPS.present or name != "autoattack" else None,
        "step_size": _app.pixel_length("step_size", _STEP_SIZE.value) if _STEP_SIZE.value else None,
        "restarts": _RESTARTS.value,
        "loss": _LOSS.value,
    }
    taken = {
        "fgsm": ("norm", "loss"),
        "pgd": ("norm", "steps", "step_size", "restarts", "loss"),
        "pgd_l2": ("steps", "step_size", "restarts", "loss"),
        "spsa": ("steps", "step_size", "restarts", "loss"),
        "autoattack": ("norm", "steps", "restarts"),
    }[name]
    for flag in ("norm", "steps", "step_size", "restarts", "loss"):
        if flag not in taken and flags.FLAGS[flag].present:
            allowed = ", ".join(f"--{other}" for other in taken)
            raise _app.UsageError(f"--attack={name} takes no --{flag}; it takes --epsilon, {allowed}.")
    if given["step_size"] == 0:
        raise _app.UsageError("--step_size wants a length above 0, got 0: the attack would stand still.")
    if name == "autoattack":
        _app.need_extra("--attack=autoattack", "art", "autoattack")
    if name == "autoattack" and _TARGETED.value:
        raise _app.UsageError("--attack=autoattack is untargeted; leave out --targeted.")
    options = {flag: given[flag] for flag in taken if given[flag] not in ("", None)}
    return {"epsilon": _app.pixel_length("epsilon", _EPSILON.value), **options}


def _summary(report: dict[str, Any]) -> str:
    path = f"transfer from {report['surrogate']}, " if report["surrogate"] else ""
    return (
        f"{report['attack']} ({report['norm']}, epsilon {report['epsilon']:.4g} on [0, 1], {path}gradients through "
        f"{report['gradient_path']}) on {report['num_images']} images, K' = {report['iterations']}, readout "
        f"{report['readout']}: clean accuracy {100 * report['clean_accuracy']:.2f} %, robust accuracy "
        f"{100 * report['robust_accuracy']:.2f} %, success {100 * report['success_rate']:.2f} %, in "
        f"{report['seconds']:.0f} s"
    )


def _draw(path: Any, model: Any, dataset: Any, found: Any, report: dict[str, Any]) -> None:
    """Some images, those that the attack broke first."""
    import numpy as np
    import tensorflow as tf

    Picture, names = cnnf_tf.evaluation.Picture, _app.data_info().class_names  # noqa: N806
    order = np.argsort(~(found.success & found.clean_correct), kind="stable")
    chosen = np.sort(order[: _NUM_PICTURES.value])
    wanted = set(chosen.tolist())
    clean = np.stack([i for k, (i, _) in enumerate(dataset.unbatch().as_numpy_iterator()) if k in wanted])
    adversarial = found.images[chosen]
    before = cnnf_tf.attacks.predictor(model, iterations=report["iterations"], readout=report["readout"])(clean)
    delta = adversarial - clean
    largest = float(np.abs(delta).max())
    gain = 0.5 / largest if largest > 0 else 1.0
    rows = [
        [Picture(image, names[int(np.argmax(guess))]) for image, guess in zip(clean, before, strict=True)],
        [Picture(0.5 + gain * change) for change in delta],
        [
            Picture(image, names[int(guess)])
            for image, guess in zip(adversarial, found.predictions[chosen], strict=True)
        ],
    ]
    row_titles = ["clean image, and what the model says", f"perturbation, times {gain:.3g}", "adversarial image"]
    caption = "Below each image: the class the model gives it. "
    caption += f"Perturbations are shown {gain:.3g} times as large, around grey."
    if report["iterations"]:
        pictures = model.reconstruct(tf.constant(adversarial), iterations=report["iterations"]).numpy()[-1]
        rows.append([Picture(picture) for picture in pictures])
        row_titles.append("its reconstruction g(0)")
        caption += " Bottom: g(0) of the last feedback pass on the adversarial image"
        caption += ", a sketch through the encoder." if model.encoder is not None else "."
    title = f"{report['attack']}, {report['norm']} epsilon {report['epsilon']:.4g} on [0, 1], {report['gradient_path']}"
    cnnf_tf.evaluation.picture_grid(path, rows, title=title, caption=caption, row_titles=row_titles)


if __name__ == "__main__":
    _app.run(main)
