"""What every binary shares: flags, one-paragraph errors, exit codes.

A binary defines its flags at import time, imports TensorFlow only inside `main`, and ends with

    if __name__ == "__main__":
        _app.run(main)

Exit codes: 0 success; 1 the work failed (bad data, missing file, ...); 2 the command line was wrong. Errors are one
paragraph on stderr that names what was wanted, what came and what is allowed; `--debug` shows the traceback instead.
What can be wrong with a command line is found before any work: outputs and numbers of passes before `main`, the rest by
what stands in `_checks` and `_outputs`, which is to be had from here.
"""

import codecs
import contextlib
import io
import os
import pathlib
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from _messages import fail, help_text

ROOT = pathlib.Path(__file__).resolve().parent.parent
"""The checkout."""
# The package is importable from a plain checkout, without installation.
sys.path.insert(0, str(ROOT))
# TensorFlow's C++ chatter hides our own messages; an explicit setting of the user wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

try:
    import _checks
    from _checks import (
        BEFORE_MAIN,
        UsageError,
        check_data,
        integers,
        limit_iterations,
        need_extra,
        pixel_length,
        require,
    )
    from _outputs import Output, define_output, writing_to
    from absl import app, flags, logging

    import cnnf_tf  # loads no TensorFlow before it is used
except ModuleNotFoundError as missing:
    sys.exit(fail(f"{missing} in {sys.executable}; `make demo` installs all that is needed for .venv/bin/python.", 1))
except ImportError as wrong:
    sys.exit(fail(str(wrong), 1))

# Beside what is here.
__all__ = ["Output", "UsageError", "check_data", "define_output", "integers", "limit_iterations", "need_extra"]
__all__ += ["pixel_length", "require", "writing_to"]

_DEBUG = flags.DEFINE_bool("debug", False, "On failure, show the Python traceback instead of one paragraph.")
flags.disclaim_key_flags()  # what functions here define belongs to the binary that calls them, and to its --help


PRETRAINED = ROOT / "cnnf_tf" / "zoo" / "presets"
"""The pretrained models, a folder each."""
_PREFIX = "pretrained:"
MODEL_FLAGS: list[str] = []
"""The flags of `define_model`."""


def define_model(name: str = "model", what: str = "The model") -> flags.FlagHolder:
    """Defines --model, or another flag whose value `cnnf_tf.load_model` takes; the default is none.

    Args:
      name: of the flag.
      what: the model is for, in the help text.
    """
    MODEL_FLAGS.append(name)
    known = ", ".join(sorted(path.parent.name for path in PRETRAINED.glob("[!.]*/metadata.json"))) or "none yet"
    return flags.DEFINE_string(
        name,
        None,
        f"{what}: a .keras file, for example best.keras in the workdir of bin/train.py; a folder that save_to_preset "
        f"wrote, or hf://USER/MODEL on the hub; or {_PREFIX}NAME, one that comes with the package ({known}).",
    )


def folder_beside(model: str) -> pathlib.Path:
    """Where results about a model go unless a flag says otherwise.

    Args:
      model: value of a flag of `define_model`.

    Returns:
      For a file, the folder of the same name without ending; for a preset runs/NAME.
    """
    if model.startswith((_PREFIX, "hf://")):
        return pathlib.Path("runs", re.split("[:/]", model.partition("@")[0])[-1])
    path = pathlib.Path(model)
    return pathlib.Path("runs", path.resolve().name) if path.is_dir() else path.with_suffix("")


def define_data_dir() -> flags.FlagHolder:
    """Defines --data_dir, for the binaries that load data."""
    return flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of prepared TFDS data; default: $CNNF_TF_DATA_DIR, else TFDS's own (~/tensorflow_datasets).",
    )


def define_data(
    split_help: str, *, dataset_help: str = "", batch_size: int = 0
) -> tuple[flags.FlagHolder, flags.FlagHolder]:
    """Defines --dataset, --split, --data_dir and, unless its default is 0, --batch_size, as `load_data` reads them.

    Returns:
      The flags --dataset and --split.
    """
    define_data_dir()
    if batch_size:
        flags.DEFINE_integer("batch_size", batch_size, "Images per batch.", lower_bound=1)
    names = f"{dataset_help}TFDS name, idx:PATH or image_folder:PATH; see cnnf_tf.data.load."
    return flags.DEFINE_string("dataset", "fashion_mnist", names), flags.DEFINE_string("split", "test", split_help)


def define_config(like: str, *needed: str) -> flags.FlagHolder:
    """Defines --config, and --config.NAME for each of its values.

    Args:
      like: a file that shows what it must hold.
      *needed: of that, such as "study.models".
    """
    from ml_collections import config_flags

    holder = config_flags.DEFINE_config_file(
        "config", None, "Configuration file, FILE or FILE:VARIANT; see configs/.", lock_config=True
    )

    BEFORE_MAIN.append(lambda: _checks.check_config(holder.value, needed, like))
    return holder


def define_seed(what: str) -> flags.FlagHolder:
    """Defines --seed; the random numbers of `what` depend on it."""
    return flags.DEFINE_integer("seed", 0, f"Seed of {what}.", lower_bound=0, upper_bound=2**31 - 2)


def define_iterations(
    default: int = -1, what: str = "K', feedback passes to run; may differ from the trained K."
) -> flags.FlagHolder:
    """Defines --iterations, K'; see `iterations_of`."""
    holder = flags.DEFINE_integer("iterations", default, f"{what} -1: the model's own.", lower_bound=-1)
    limit_iterations("iterations")
    return holder


_STRATEGIES = {
    "one_device": "the first GPU, or the CPU",
    "mirrored": "several GPUs of this machine",
    "multi_worker": "several machines, by TF_CONFIG",
}


def define_strategy(*names: str, note: str) -> None:
    """Defines --strategy and --devices, as `training.build_strategy` takes them.

    Args:
      *names: of the strategies, the default first.
      note: how they share the work.
    """
    what = "; ".join(f"{name}: {_STRATEGIES[name]}" for name in names)
    flags.DEFINE_enum("strategy", names[0], names, f"{what}. {note}")
    flags.DEFINE_integer(
        "devices", 0, "With --strategy=mirrored: how many GPUs (logical CPU devices where there is no GPU); 0: all.", 0
    )


def iterations_of(model: Any) -> int:
    """K' of --iterations for a model; its own K where there is no such flag of `define_iterations`."""
    chosen = flags.FLAGS.iterations if "iterations" in flags.FLAGS else -1
    return chosen if isinstance(chosen, int) and chosen >= 0 else model.iterations


def command() -> str:
    """The command line, for the record of a result; without the folders that it lies in or was put together from."""
    return shlex.join(["python", *(text for text in sys.argv if not text.startswith(("--output=", "--merge=")))])


def provenance(model: Any = None) -> dict[str, Any]:
    """What every result says about its making, for JSON.

    Args:
      model: the CNN-F that it is about, of --model; None where there is none, or several.

    Returns:
      The versions and the command. With a model also --model, --dataset, --split, K' of --iterations (or K), the
      model's own K, and its eta: a number, a mapping, or what was learned for each layer.
    """
    from cnnf_tf.utils import environment

    facts: dict[str, Any] = {}
    if model is not None:
        facts |= {name: flags.FLAGS[name].value for name in ("model", "dataset", "split")}
        facts["iterations"] = iterations_of(model)
        facts |= {"trained_iterations": model.iterations, "eta": model.reported_eta()}
    return facts | {"cnnf_tf": cnnf_tf.__version__, "versions": environment.versions(), "command": command()}


def load_data(split: str | None = None, *, dataset: str | None = None, **options: Any) -> Any:
    """What --dataset, --split and --data_dir name: `cnnf_tf.data.load` with further options, such as `limit`.

    For binaries that have these three flags; `split` takes the place of --split, `dataset` that of --dataset.
    """
    found = flags.FLAGS
    if "batch_size" in found and "batch_size" not in options:
        options["batch_size"] = found.batch_size
    name = found.dataset if dataset is None else dataset
    return cnnf_tf.data.load(name, found.split if split is None else split, data_dir=found.data_dir, **options)


def load_data_for(
    model: Any,
    split: str | None = None,
    *,
    dataset: str | None = None,
    flag: str = "dataset",
    labelled: bool = True,
    gradients: bool = False,
    **options: Any,
) -> Any:
    """`load_data` of images that the model takes, in batches that fit into memory; see `_checks.check_data`.

    Args:
      model: a CNN-F.
      split: in place of --split.
      dataset: in place of --dataset, and the flag that names it.
      flag: see `dataset`.
      labelled: whether the labels are used.
      gradients: whether gradients go through all passes.
      **options: of `cnnf_tf.data.load`.
    """
    from cnnf_tf.data.sources.splits import parse_split
    from cnnf_tf.models.memory import check_memory

    found = flags.FLAGS
    name = found.dataset if dataset is None else dataset
    loaded = load_data(split, dataset=name, **options)  # first: it says what to do about data that are not there
    facts = data_info(name)
    check_data(model, flag, name, facts, labelled=labelled)
    count = sum(part.count for part in parse_split(found.split if split is None else split, facts.num_examples))
    sizes = options.get("limit"), options.get("batch_size") or getattr(found, "batch_size", 1)
    largest = min(count, *(size for size in sizes if size))
    check_memory(model, largest, iterations=iterations_of(model), gradients=gradients)
    return loaded


def load_other_model(model: Any, flag: str) -> Any:
    """The model that another flag of `define_model` names, for the same images and classes; None where it is empty."""
    name = flags.FLAGS[flag].value
    if not name:
        return None
    other = cnnf_tf.load_model(name)
    _checks.check_models(model, flag, name, other)
    return other


def data_info(dataset: str | None = None) -> Any:
    """The facts about --dataset, or another: `cnnf_tf.data.info`."""
    return cnnf_tf.data.info(flags.FLAGS.dataset if dataset is None else dataset, data_dir=flags.FLAGS.data_dir)


def start_tensorflow() -> None:
    """Imports TensorFlow and looks for devices, keeping what its C++ side prints about that off the terminal.

    Those lines ("failed call to cuInit", ...) ignore every log level and read like errors where there is no GPU. They
    are shown after all if the import fails or `--debug` is given.
    """
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise UsageError(
            f"this program runs on TensorFlow, but KERAS_BACKEND is {os.environ['KERAS_BACKEND']!r}; unset it."
        )
    if _DEBUG.value:
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _explain(error: Exception) -> str:
    """The message of an error; of a TensorFlow error only its own words, not the graph nodes around them."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}."
    message = str(getattr(error, "message", error)).split("\n\t [[")[0]
    asserted = re.search(r"assertion failed: (\[.*)", message)  # after the lines of Python that built the graph
    return asserted.group(1) if asserted else message


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses flags the absl way, but explains a bad one in a paragraph and exits with 2."""
    try:
        rest = flags.FLAGS(argv)
        for name in flags.FLAGS:  # a config file that failed to load says so only when it is looked at
            getattr(flags.FLAGS[name].value, "keys", None)
        return rest
    except Exception as error:  # noqa: BLE001 - a config file is executed here and may raise anything
        if "--debug" in argv:
            raise
        hint = f"Run `python {argv[0]} --help` for all flags."
        message = _without_traceback(str(error)).replace("\\n", " ")
        if message[:1] == message[-1:] == "'":  # a KeyError's message, quoted
            message = message[1:-1].replace("\\'", "'")
        sys.exit(fail(f"{message.strip().removesuffix('.')}. {hint}", 2))


def _without_traceback(message: str) -> str:
    """What a config file raised, where ml_collections put its whole traceback into the message."""
    if "Traceback" not in message:
        return message
    raised = re.findall(r"^\w+(?:Error|Exception): (.*)", message, flags=re.MULTILINE)
    return raised[-1] if raised else message


def run(main: Callable[[], int | None]) -> None:
    """Parses the flags, calls `main()` and exits with its code; see the module docstring for errors."""

    def guarded(argv: list[str]) -> int:
        try:
            if not flags.FLAGS["verbosity"].present and not _DEBUG.value:
                logging.set_verbosity(logging.ERROR)
            if len(argv) > 1:
                raise UsageError(f"no positional arguments are taken, got {argv[1:]}; write flags as --name=value.")
            for check in BEFORE_MAIN:
                check()
            with _quiet_pipe():
                code = main() or 0
                sys.stdout.flush()
                return code
            return 1
        except KeyboardInterrupt:
            return fail("interrupted.", 130)
        except Exception as error:  # noqa: BLE001 - the last line of defence before the user
            if _DEBUG.value:
                raise
            if isinstance(error, UsageError):
                return fail(str(error), 2)
            if type(error).__name__ in ("MemoryError", "ResourceExhaustedError"):
                shape = re.search(r"shape(\[[\d,]*\])", str(error))
                what = f", for a tensor of shape {shape[1]}" if shape else ""
                return fail(f"out of memory{what}; a smaller batch, or fewer or smaller images at once, takes less.", 1)
            if isinstance(error, (ValueError, OSError, ImportError)):
                return fail(_explain(error), 1)
            return fail(f"{type(error).__name__}: {_explain(error)} (run again with --debug for the traceback)", 1)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files as they are, in a locale of C too
            if codecs.lookup(stream.encoding).name in ("ascii", "utf-8"):
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")
            else:
                stream.reconfigure(errors="backslashreplace")
    app.run(guarded, flags_parser=_parse_help_or_flags)


@contextlib.contextmanager
def _quiet_pipe() -> Iterator[None]:
    """Lets a reader such as `head` leave before the end."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes at its end


def _parse_help_or_flags(argv: list[str]) -> list[str]:
    app.define_help_flags()  # flags such as --helpfull are absl's own
    if {"--help", "-help", "--helpshort", "-h", "-?"}.intersection(argv[1:]):
        with _quiet_pipe():
            print(help_text(sys.modules["__main__"].__doc__ or "", flags.FLAGS.main_module_help()), flush=True)
        sys.exit()
    return _parse_flags(argv)
