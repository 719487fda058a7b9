"""What every binary shares: flag parsing, one-paragraph errors, exit codes.

A binary defines its flags at import time, imports TensorFlow only inside `main`, and ends with

    if __name__ == "__main__":
        _app.run(main)

Exit codes: 0 success; 1 the work failed (bad data, missing file, ...); 2 the command line was wrong. Errors are one
paragraph on stderr that names what was wanted, what came and what is allowed; `--debug` shows the traceback instead.
"""

import codecs
import contextlib
import fractions
import io
import math
import os
import pathlib
import re
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
"""The checkout."""
# The package is importable from a plain checkout, without installation.
sys.path.insert(0, str(ROOT))
# TensorFlow's C++ chatter hides our own messages; an explicit setting of the user wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging  # noqa: E402

import cnnf_tf  # noqa: E402 - loads no TensorFlow before it is used
from cnnf_tf.utils.files import write_json, write_text  # noqa: E402

_DEBUG = flags.DEFINE_bool("debug", False, "On failure, show the Python traceback instead of one paragraph.")
flags.disclaim_key_flags()  # what functions here define belongs to the binary that calls them, and to its --help


PRETRAINED = ROOT / "cnnf_tf" / "zoo" / "weights"
"""Cards and weights of the pretrained models."""
_PREFIX = "pretrained:"


def define_model(name: str = "model", what: str = "The model") -> flags.FlagHolder:
    """Defines --model, or another flag whose value `cnnf_tf.load_model` takes; the default is none.

    Args:
      name: of the flag.
      what: the model is for, in the help text.
    """
    known = ", ".join(sorted(path.stem for path in PRETRAINED.glob("[!.]*.json"))) or "none yet"
    return flags.DEFINE_string(
        name,
        None,
        f"{what}: a .keras file, for example best.keras in the workdir of bin/train.py; or {_PREFIX}NAME, one that "
        f"comes with the package ({known}).",
    )


def folder_beside(model: str) -> pathlib.Path:
    """Where results about a model go unless a flag says otherwise.

    Args:
      model: value of a flag of `define_model`.

    Returns:
      For a file, the folder of the same name without ending; for a pretrained model runs/NAME.
    """
    if model.startswith(_PREFIX):
        return pathlib.Path("runs", model.removeprefix(_PREFIX))
    return pathlib.Path(model).with_suffix("")


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


def define_config() -> flags.FlagHolder:
    """Defines --config, and --config.NAME for each of its values."""
    from ml_collections import config_flags

    return config_flags.DEFINE_config_file(
        "config", None, "Configuration file, FILE or FILE:VARIANT; see configs/.", lock_config=True
    )


def define_seed(what: str) -> flags.FlagHolder:
    """Defines --seed; the random numbers of `what` depend on it."""
    return flags.DEFINE_integer("seed", 0, f"Seed of {what}.", lower_bound=0, upper_bound=2**31 - 2)


def define_iterations(
    default: int = -1, what: str = "K', feedback passes to run; may differ from the trained K."
) -> flags.FlagHolder:
    """Defines --iterations, K'; see `iterations_of`."""
    return flags.DEFINE_integer("iterations", default, f"{what} -1: the model's own.", lower_bound=-1)


def iterations_of(model: Any) -> int:
    """K' of --iterations for a model; its own K where there is no such flag of `define_iterations`."""
    chosen = flags.FLAGS.iterations if "iterations" in flags.FLAGS else -1
    return chosen if isinstance(chosen, int) and chosen >= 0 else model.iterations


def integers(flag: str, wanted: str = "integers such as 1,3,5") -> tuple[int, ...]:
    """The value of a list flag as integers; raises UsageError, which says what was wanted, otherwise."""
    texts: list[str] = flags.FLAGS[flag].value or []
    try:
        return tuple(int(text) for text in texts)
    except ValueError:
        raise UsageError(f"--{flag} wants {wanted}; got {','.join(texts)!r}.") from None


def command() -> str:
    """The command line, for the record of a result; without --output, which is where the record lies."""
    return shlex.join(["python", *(text for text in sys.argv if not text.startswith("--output="))])


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


def load_data(split: str | None = None, **options: Any) -> Any:
    """What --dataset, --split and --data_dir name: `cnnf_tf.data.load` with further options, such as `limit`.

    For binaries that have these three flags; `split` takes the place of --split.
    """
    found = flags.FLAGS
    if "batch_size" in found and "batch_size" not in options:
        options["batch_size"] = found.batch_size
    return cnnf_tf.data.load(found.dataset, found.split if split is None else split, data_dir=found.data_dir, **options)


def data_info() -> Any:
    """The facts about --dataset: `cnnf_tf.data.info`."""
    return cnnf_tf.data.info(flags.FLAGS.dataset, data_dir=flags.FLAGS.data_dir)


class UsageError(Exception):
    """The command line asks for something that cannot be: exit code 2."""


def _fail(message: str, code: int) -> int:
    paragraph = " ".join(message.split())
    print(textwrap.fill(f"Error: {paragraph}", 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return code


def require(*holders: flags.FlagHolder) -> None:
    """Raises UsageError naming every flag among `holders` that was not given."""
    missing = [f"--{holder.name}" for holder in holders if holder.value in (None, "")]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given; see --help for an example.")


def pixel_length(flag: str, text: str) -> float:
    """A length on the [0, 1] pixel scale, from text such as 0.1 or 8/255; raises UsageError otherwise."""
    try:
        value = float(fractions.Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UsageError(
            f"--{flag} wants a number >= 0 or a fraction such as 8/255, on the [0, 1] pixel scale, got {text!r}."
        )
    return value


@contextlib.contextmanager
def writing_to(flag: str, folder: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError raised inside into a UsageError that says that nothing can be written to the flag's folder."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--{flag} wants a folder that can be written, got {str(folder)!r}: {error.strerror or error}."
        ) from error


class Output:
    """The folder that a flag names, known to be writable before any work begins; made with its first file.

    Args:
      flag: its name.
      folder: its value, or the default.

    Raises:
      UsageError: nothing can be written there.
    """

    def __init__(self, flag: str, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        there = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        with writing_to(flag, folder), tempfile.TemporaryFile(dir=there):
            pass

    def write(self, name: str, writer: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls `writer(path, *arguments, **options)` for a file of the folder, and says that it was written."""
        writer(self.folder / name, *arguments, **options)
        print(f"wrote {self.folder / name}")

    def json(self, name: str, value: Any) -> None:
        """Writes a JSON file."""
        self.write(name, write_json, value)

    def text(self, name: str, text: str) -> None:
        """Writes a text file."""
        self.write(name, write_text, text)

    def figures(self, stem: str, draw: Callable[..., list[pathlib.Path]], *arguments: Any, **options: Any) -> None:
        """Calls `draw(path without suffix, *arguments, **options)`, and says which files it wrote."""
        for path in draw(self.folder / stem, *arguments, **options):
            print(f"wrote {path}")


def start_tensorflow() -> None:
    """Imports TensorFlow and looks for devices, keeping what its C++ side prints about that off the terminal.

    Those lines ("failed call to cuInit", ...) ignore every log level and read like errors where there is no GPU. They
    are shown after all if the import fails or `--debug` is given.
    """
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
        hint = f" Run `python {argv[0]} --help` for all flags."
        message = _without_traceback(str(error)).replace("\\n", " ")
        if message[:1] == message[-1:] == "'":  # a KeyError's message, quoted
            message = message[1:-1].replace("\\'", "'")
        sys.exit(_fail(message + hint, 2))


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
            return main() or 0
        except KeyboardInterrupt:
            return _fail("interrupted.", 130)
        except Exception as error:  # noqa: BLE001 - the last line of defence before the user
            if _DEBUG.value:
                raise
            if isinstance(error, UsageError):
                return _fail(str(error), 2)
            if isinstance(error, (ValueError, OSError, ImportError)):
                return _fail(_explain(error), 1)
            return _fail(f"{type(error).__name__}: {_explain(error)} (run again with --debug for the traceback)", 1)

    for stream in (sys.stdout, sys.stderr):  # names of files are printed as they are, in a locale of C too
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name in ("ascii", "utf-8"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    # `--help` is absl's own; flags such as --helpfull keep working through `app.run`.
    app.run(guarded, flags_parser=_parse_help_or_flags)


def _parse_help_or_flags(argv: list[str]) -> list[str]:
    app.define_help_flags()
    return _parse_flags(argv)
