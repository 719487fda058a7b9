"""Scores a trained model after every pass of its loop, and draws its reconstructions.

Example:
  python bin/evaluate.py --model=runs/standard/best.keras --output=runs/scores
  python bin/evaluate.py --model=runs/standard/best.keras --iterations=10 \\
      --num_images=1000 --self_consistency
  python bin/evaluate.py --model=runs/standard/best.keras --robustness=0.05 \\
      --surrogate=runs/cnn/best.keras
  python bin/evaluate.py --model=runs/standard/best.keras --robustness=0.05 \\
      --shard=1/3 --output=runs/part1    # of three; then, in place of --shard,
                                         # --merge=runs/part1,runs/part2,...

Prints a table (accuracy after pass 0, which is the plain CNN, 1, ..., K', for the readouts "last" and "average") and
writes it to accuracy.txt and accuracy.json and, unless K' is 0, reconstructions.png into --output. With
--self_consistency it adds a table of what each iteration still changed, self_consistency.json and self_consistency.png.

With --robustness=EPSILON it adds robustness.txt and robustness.json: accuracy under PGD and SPSA through the first pass
and through the whole loop, under attacks aimed at the feedback, and under images made on --surrogate, for both
readouts, with the images that stand every attack as the headline, and checks of the evaluation itself, with what to
do about those that fail. --autoattack adds AutoAttack, --leaderboard a row for bin/leaderboard.py (docs/robustness.md).

A killed run goes on after its last finished batch when the same command is given again. --strategy=mirrored uses all
GPUs of this machine, --shard and --merge several machines (docs/scaling.md); what comes out is the same, down to every
decision about every image.
"""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import _app
import _batches
from absl import flags

import cnnf_tf

_MODEL = _app.define_model()
_DATASET, _SPLIT = _app.define_data("Split to score on; slices such as test[:1000] are allowed.", batch_size=256)
_app.define_iterations()
_NUM_IMAGES = flags.DEFINE_integer("num_images", 0, "Score only the first so many images; 0: all.", lower_bound=0)
_NUM_PICTURES = flags.DEFINE_integer("num_pictures", 8, "Images in the picture; 0 for no picture.", 0, 64)
_SELF_CONSISTENCY = flags.DEFINE_bool(
    "self_consistency", False, "Also report what each iteration changes: label, latents, features. Needs K' >= 1."
)
_ROBUSTNESS = flags.DEFINE_string(
    "robustness", None, "Also attack: epsilon, the radius on the [0, 1] pixel scale, for example 0.05 or 8/255."
)
_NORM = flags.DEFINE_enum("norm", "linf", ["linf", "l2"], "Norm of that radius; SPSA knows linf only.")
_ATTACKED_IMAGES = flags.DEFINE_integer(
    "attacked_images", 1000, "--robustness attacks the first so many images.", lower_bound=1
)
_ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 40, "Steps of PGD, each of 2.5 * epsilon / steps.", lower_bound=1)
_SPSA_IMAGES = flags.DEFINE_integer(
    "spsa_images", 100, "SPSA attacks the first so many images (each step costs 257 passes); 0: no SPSA.", lower_bound=0
)
_SURROGATE = _app.define_model(
    "surrogate", "With --robustness: another model, such as the plain CNN, to attack through"
)
_ADAPTIVE = flags.DEFINE_bool("adaptive", True, "With --robustness: also run the attacks aimed at the feedback.")
_AUTOATTACK = flags.DEFINE_bool(
    "autoattack", False, "With --robustness: also run AutoAttack, through the first pass and through all passes."
)
_AUTOATTACK_IMAGES = flags.DEFINE_integer(
    "autoattack_images", 0, "AutoAttack attacks the first so many of --attacked_images; 0: all.", lower_bound=0
)
_LEADERBOARD = flags.DEFINE_bool(
    "leaderboard", False, "With --robustness: also AutoAttack on all attacked images, and leaderboard.json."
)
_ADDITIONAL_DATA = flags.DEFINE_bool(
    "additional_data", False, "For --leaderboard: the model was trained on more than the data set's training images."
)
_ARCHITECTURE = flags.DEFINE_string(
    "architecture",
    "",
    "For --leaderboard: the network's name, such as WideResNet-40-2 CNN-F; default: CNN-F and its K.",
)
_SEED = _app.define_seed("the attacks")
_batches.define_batches()
_OUTPUT = _app.define_output("Folder for the files; default: beside --model, or runs/NAME.")


def main() -> None:
    _app.require(_MODEL)
    output = _app.Output("output", _OUTPUT.value or _app.folder_beside(_MODEL.value))
    epsilon = None if _ROBUSTNESS.value is None else _app.pixel_length("robustness", _ROBUSTNESS.value)
    for holder in (_AUTOATTACK, _LEADERBOARD):
        if holder.value and epsilon is None:
            raise _app.UsageError(f"--{holder.name} wants a radius: give --robustness=EPSILON as well.")
    if _LEADERBOARD.value:
        _app.need_extra("--leaderboard", "jsonschema", "experiments")
        if _AUTOATTACK_IMAGES.value:
            raise _app.UsageError("--leaderboard attacks all --attacked_images; leave out --autoattack_images.")

    _app.start_tensorflow()
    evaluation = cnnf_tf.evaluation
    strategy = _batches.strategy()
    with strategy.scope():
        model = cnnf_tf.load_model(_MODEL.value)
        surrogate = _app.load_other_model(model, "surrogate")
    iterations = _app.iterations_of(model)
    if _SELF_CONSISTENCY.value and iterations == 0:
        raise _app.UsageError(
            f"--self_consistency wants at least 1 feedback pass, got 0 (the model was saved with K = "
            f"{model.iterations}); give --iterations=1 or more, or leave out --self_consistency."
        )
    dataset = _app.load_data_for(model, gradients=epsilon is not None, limit=_NUM_IMAGES.value or None)
    jobs = [evaluation.pass_job(model, dataset, iterations=iterations)]
    if _SELF_CONSISTENCY.value:
        jobs.append(cnnf_tf.generative.self_consistency_job(model, dataset, iterations=iterations))
    robustness = None if epsilon is None else _robustness(model, surrogate, dataset, iterations, epsilon)
    with _batches.opened(strategy, output.folder, model, dataset) as batches:
        passes = batches.run(jobs)
        if not _batches.is_part():
            _report_passes(model, passes, output)
        facts = {} if robustness is None else batches.run(robustness.jobs)
        if not _batches.is_part():
            if robustness is not None:
                found = robustness.report(facts)
                _report_robustness(model, found, output)
                if _LEADERBOARD.value:
                    output.json("leaderboard.json", _leaderboard_row(model, found, passes))
            if iterations and _NUM_PICTURES.value:
                images, labels = next(iter(dataset.unbatch().batch(_NUM_PICTURES.value)))
                output.write("reconstructions.png", _draw, model, images, labels, iterations)


def _heading(model: Any, num_images: int) -> str:
    eta = cnnf_tf.models.step_sizes.eta_text(model.reported_eta())
    return f"{_MODEL.value} on {num_images} images of {_DATASET.value} {_SPLIT.value}, eta {eta}"


def _report_passes(model: Any, facts: Mapping[str, Any], output: _app.Output) -> None:
    evaluation, report = cnnf_tf.evaluation, _app.provenance(model)
    result = evaluation.PassAccuracy.from_facts(facts["passes"])
    table = f"{_heading(model, result.num_images)}\n{result.table()}\n"
    summary = None
    if "self-consistency" in facts:
        summary = cnnf_tf.generative.SelfConsistencySummary.from_facts(facts["self-consistency"])
        table += f"\nself-consistency, means over the same images\n{evaluation.self_consistency_table(summary)}\n"
    print(f"\n{table}")
    output.text("accuracy.txt", table)
    output.json("accuracy.json", report | result.to_dict())
    if summary is not None:
        output.json("self_consistency.json", report | summary.to_dict())
        title = f"what each iteration changes; means over {summary.num_images} images of {_DATASET.value}"
        output.write("self_consistency.png", evaluation.self_consistency_figure, summary, title=title)


def _report_robustness(model: Any, found: Any, output: _app.Output) -> None:
    scale = f"{found.norm_text} epsilon {found.epsilon:g} on the [0, 1] scale, seed {found.seed}"
    table = f"{_heading(model, len(next(iter(found.clean.values()))))}\n{scale}\n{found.table()}\n"
    print(f"\n{table}")
    output.text("robustness.txt", table)
    output.json("robustness.json", _app.provenance(model) | {"surrogate": _SURROGATE.value} | found.to_dict())


def _robustness(model: Any, surrogate: Any, dataset: Any, iterations: int, epsilon: float) -> Any:
    """The jobs of --robustness."""
    evaluation = cnnf_tf.evaluation
    count, steps = _ATTACKED_IMAGES.value, _ATTACK_STEPS.value
    ball: dict[str, Any] = {"epsilon": epsilon, "norm": _NORM.value}
    images, labels = next(dataset.unbatch().batch(count).as_numpy_iterator())
    attack_specs = evaluation.baseline_suite(
        spsa_images=_SPSA_IMAGES.value, transfer_from=surrogate, steps=steps, **ball
    )
    if _ADAPTIVE.value:
        attack_specs += evaluation.adaptive_suite(steps=steps, **ball)
    if _AUTOATTACK.value or _LEADERBOARD.value:
        few = _AUTOATTACK_IMAGES.value or None
        attack_specs += evaluation.autoattack_suite(num_images=few, progress=_batches.announce, **ball)
    return evaluation.RobustnessEvaluation(
        model,
        images,
        labels,
        attack_specs=attack_specs,
        seed=_SEED.value,
        iterations=iterations,
        check_steps=steps,
        batch_size=flags.FLAGS.batch_size,
        **ball,
    )


def _leaderboard_row(model: Any, found: Any, passes: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the model's own readout, or of the only one where there is no feedback."""
    from cnnf_tf.experiments import leaderboard

    readout = model.readout if model.readout in found.clean else next(iter(found.clean))
    result = cnnf_tf.evaluation.PassAccuracy.from_facts(passes["passes"])
    facts = _app.provenance(model)
    return leaderboard.make(
        found,
        readout=readout,
        clean_correct=result.correct[readout][found.iterations],
        clean_images=result.num_images,
        name="/".join(pathlib.Path(str(_MODEL.value).rpartition(":")[2]).with_suffix("").parts[-2:]),
        dataset=pathlib.Path(str(_DATASET.value).rpartition(":")[2]).name,
        split=_SPLIT.value,
        eps=_ROBUSTNESS.value if re.fullmatch(r"\d+/\d+", str(_ROBUSTNESS.value)) else found.epsilon,
        architecture=_ARCHITECTURE.value or (f"CNN-F, K = {model.iterations}" if model.iterations else "CNN"),
        additional_data=_ADDITIONAL_DATA.value,
        parameters=model.count_params(),
        sha256=cnnf_tf.zoo.model_sha256(_MODEL.value),
        command=facts["command"],
        versions=facts["versions"] | {"cnnf_tf": cnnf_tf.__version__},
    )


def _draw(path: Any, model: Any, images: Any, labels: Any, iterations: int) -> None:
    class_names = _app.data_info().class_names
    pictures = model.reconstruct(images, iterations=iterations).numpy()
    guesses = model.infer(images, iterations=iterations).logits.numpy().argmax(-1)
    captions = [
        [f"true: {class_names[int(label)]}", *(class_names[guess] for guess in guesses[:-1, index])]
        for index, label in enumerate(labels)
    ]
    title = "g(0), what the feedback renders, from the label below it"
    if model.encoder is not None:
        title += " (sketch through the encoder)"
    cnnf_tf.evaluation.reconstruction_figure(path, images.numpy(), pictures, captions, title=title)


if __name__ == "__main__":
    _app.run(main)
