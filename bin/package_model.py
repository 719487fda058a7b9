"""Packages a trained model: a preset, in float16, goes into cnnf_tf/zoo/presets/, its page into docs/models/.

Example:
  python bin/package_model.py --run=runs/standard --name=my_model \\
      --limits="Not robust to attacks."
  python bin/package_model.py --run=runs/restore --name=my_model --restoration
  python bin/package_model.py --run=runs/fast --name=my_model --robustness=0.1 \\
      --overwrite
  python bin/package_model.py --pages_only     # writes the pages of all presets

--run is a workdir of bin/train.py. The card says how the model was trained and what it scores: accuracy of every pass
on the test split, with --robustness=EPSILON under PGD-40 (first pass and full unroll, the first 500 images), with
--restoration PSNR and SSIM for the corruptions of the talk at severity 3. All of it is measured on the float16 weights,
as a user will load them:

  cnnf_tf.CNNF.from_preset("NAME")    or    --model=pretrained:NAME

Of another --output the folder takes the place of NAME. docs/presets.md tells how to put it on a hub.
"""

import pathlib
import re
import tempfile
from typing import Any

import _app
from absl import flags

import cnnf_tf

_RUN: flags.FlagHolder = flags.DEFINE_string("run", None, "Workdir of bin/train.py.")
_NAME: flags.FlagHolder = flags.DEFINE_string("name", None, "Name of the packaged model: small letters, digits, _.")
_WHICH: flags.FlagHolder = flags.DEFINE_enum("which", "best", ["best", "last"], "Which model of the run.")
_LIMITS = flags.DEFINE_string("limits", "", "Where not to trust the model, for the card.")
_ROBUSTNESS = flags.DEFINE_string(
    "robustness", None, "Also attack: the l-inf epsilon on the [0, 1] pixel scale, for example 0.1 or 8/255."
)
_RESTORATION = flags.DEFINE_bool("restoration", False, "Also score restored images; the model's h must be the image.")
_SPLIT = flags.DEFINE_string("split", "test", "Split of the run's data set to measure on.")
_SEED = _app.define_seed("attacks and corruptions")
_COMMAND = flags.DEFINE_string("command", None, "The command of the run, where the run has no run.json.")
_COMMIT = flags.DEFINE_string("commit", None, "The commit it was trained with, where the run has no run.json.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the model --name if there is one.")
_OUTPUT = _app.define_output("Folder of the presets; default: cnnf_tf/zoo/presets.")
_CARDS = _app.define_output("Folder of the pages; default: docs/models.", name="cards")
_PAGES_ONLY = flags.DEFINE_bool("pages_only", False, "Only write the pages of all presets in --output.")
_DATA_DIR = _app.define_data_dir()


def main() -> None:
    if not _PAGES_ONLY.value:
        _app.require(_RUN, _NAME)
        _check_name()
    epsilon = None if _ROBUSTNESS.value is None else _app.pixel_length("robustness", _ROBUSTNESS.value)
    output = _app.Output("output", _OUTPUT.value or _app.PRETRAINED).folder
    pages = _app.Output("cards", _CARDS.value or _app.ROOT / "docs" / "models").folder
    preset = output / str(_NAME.value)
    if not _PAGES_ONLY.value and preset.exists() and not _OVERWRITE.value:
        raise _app.UsageError(f"there is a model --name={_NAME.value} in {output}; give --overwrite to replace it.")

    _app.start_tensorflow()
    from cnnf_tf.experiments.model_cards import page as model_page

    written = []
    if _PAGES_ONLY.value:
        if not output.is_dir():
            raise _app.UsageError(f"--output wants a folder of presets, got {str(output)!r}.")
    else:
        with _app.writing_to("output", output):
            output.mkdir(parents=True, exist_ok=True)
        _package(preset, epsilon)
        written.append(preset)
    with _app.writing_to("cards", pages):
        written += model_page.write_pages(pages, folder=output)
    print("\n".join(f"wrote {path}" for path in written))


def _check_name() -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", _NAME.value):
        raise _app.UsageError(f"--name wants small letters, digits and _, such as my_model_2; got {_NAME.value!r}.")


def _package(preset: pathlib.Path, epsilon: float | None) -> None:
    """Measures the model as it will be loaded, from a preset of its own, and writes it with what came of that."""
    from cnnf_tf.evaluation.restoration.quality import check_model
    from cnnf_tf.experiments.model_cards import card as model_card
    from cnnf_tf.utils import environment

    config, training = _read_run()
    model = cnnf_tf.load_model(pathlib.Path(_RUN.value) / f"{_WHICH.value}.keras")
    if _RESTORATION.value:
        check_model(model)
    facts = cnnf_tf.data.info(config["data"]["name"], data_dir=_DATA_DIR.value)
    _app.check_data(model, "run", facts.name, facts)
    dataset = cnnf_tf.data.load(facts.name, _SPLIT.value, data_dir=_DATA_DIR.value)
    model = _in_float32(model, config["model"])
    card: dict[str, Any] = {
        "data": {"name": facts.name, "split": _SPLIT.value},
        "training": training,
        "limits": _LIMITS.value,
    }
    options: dict[str, Any] = {"class_names": facts.class_names, "dtype": "float16"}
    with tempfile.TemporaryDirectory() as folder:
        model.save_to_preset(pathlib.Path(folder) / preset.name, **options)
        metrics = model_card.measure(
            cnnf_tf.CNNF.from_preset(pathlib.Path(folder) / preset.name),
            dataset,
            epsilon=epsilon,
            restoration=_RESTORATION.value,
            seed=_SEED.value,
            progress=lambda line: print(f"measuring: {line}", flush=True),
        )
    measured = {"versions": environment.versions(), "hardware": environment.hardware()}
    card = model_card.make_card(preset.name, metrics=metrics, measured=measured, **card)
    with _app.writing_to("output", preset.parent):
        model.save_to_preset(preset, card=card, overwrite=_OVERWRITE.value, **options)


def _in_float32(model: Any, config: dict[str, Any]) -> Any:
    """The same model, whatever it was trained in."""
    from cnnf_tf.models.presets import variables
    from cnnf_tf.utils.dtypes import dtype_policy

    left_out = ("name", "trainable", "dtype", "network", "encoder")
    options = {key: value for key, value in model.get_config().items() if key not in left_out}
    network = dict(config["network"]) | {"num_classes": model.num_classes}
    with dtype_policy("float32"):
        copy = cnnf_tf.CNNF.from_name(config["name"], network=network, **options)
    copy.name = _NAME.value
    arrays = variables.exact_arrays(model)
    variables.check_fit(copy, arrays)
    variables.assign(copy, arrays)
    return copy


def _read_run() -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of the run, and what the card says about the training."""
    from cnnf_tf.experiments.model_cards import card as model_card

    workdir = cnnf_tf.training.Workdir(pathlib.Path(_RUN.value))
    config, sessions = workdir.read_config(), workdir.sessions()
    given = {"command": _COMMAND.value, "commit": _COMMIT.value}
    if sessions and any(given.values()):
        raise _app.UsageError(
            f"--command and --commit are for a run without the file run.json, but {str(workdir.run)!r} is there; leave "
            "them out."
        )
    if any(given.values()):
        sessions = [given]
    facts = model_card.training_facts(config, workdir.history(), sessions, name=_NAME.value, which=_WHICH.value)
    return config, facts


if __name__ == "__main__":
    _app.run(main)
