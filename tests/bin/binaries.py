"""What the tests of the binaries share: running one as a user does, what it may say, and a small model for it."""

import atexit
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from cnnf_tf import CNNF, layers
from tests.limits import HANGING
from tests.reference_data import TESTDATA

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = f"idx:{TESTDATA / 'fashion_mnist_mini'}"
PNG = b"\x89PNG"
Result = subprocess.CompletedProcess[str]


def command(binary: str, *arguments: object) -> list[str]:
    """The command line, to be run in `ROOT`."""
    return [sys.executable, f"bin/{binary}.py", *map(str, arguments)]


def run(binary: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Result:
    """Runs a binary as a user does, to its end.

    Args:
      binary: its name, without folder and ending.
      *arguments: of the command line.
      environment: variables to change.

    Returns:
      Exit code, stdout and stderr, carriage returns as they came.
    """
    ended = subprocess.run(
        command(binary, *arguments),
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        timeout=HANGING,
        check=False,
    )
    return Result(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def run_forked(
    binary: str, *arguments: object, environment: Mapping[str, str] | None = None, root: pathlib.Path = ROOT
) -> Result:
    """The same as a `Forked` process.

    For every further run of a binary, above all those it refuses; one that succeeds should be a true `run`.
    """
    return Forked(f"bin/{binary}.py", *arguments, environment=environment, root=root).result()


class Forked:
    """A Python program in a fork of a process that has imported TensorFlow already, which is seconds cheaper.

    Args:
      program: path of the script from `root`.
      *arguments: of the command line.
      environment: variables to change.
      root: the checkout.
    """

    def __init__(
        self,
        program: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        root: pathlib.Path = ROOT,
    ):
        self._line = [program, *map(str, arguments)]
        self._server = _fork_server(root)
        self._folder = tempfile.TemporaryDirectory()
        self._code: int | None = None
        files = {name: str(self._file(name)) for name in ("stdout", "stderr")}
        self.pid = self._ask(start=self._line, environment=dict(environment or {}), timeout=HANGING, **files)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            self._code = self._ask(poll=self.pid)
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def result(self) -> Result:
        """Waits for its end."""
        if self._code is None:
            self._code = self._ask(wait=self.pid)
        stdout, stderr = (self._file(name).read_bytes().decode() for name in ("stdout", "stderr"))
        return Result([sys.executable, *self._line], self._code, stdout, stderr)

    def end(self) -> None:
        """Kills it, whatever it does."""
        self.send_signal(signal.SIGKILL)
        self.result()

    def _file(self, name: str) -> pathlib.Path:
        return pathlib.Path(self._folder.name, name)

    def _ask(self, **request: Any) -> Any:
        print(json.dumps(request), file=self._server.stdin, flush=True)
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError(f"tests/bin/fork_server.py ended, exit code {self._server.wait()}, over {request}.")
        return json.loads(line)


@functools.cache
def _fork_server(root: pathlib.Path) -> subprocess.Popen:
    """Started by the first who needs it; it ends with this process, which holds its stdin."""
    program = [sys.executable, str(pathlib.Path(__file__).with_name("fork_server.py")), str(root)]
    server = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server


def small_model(
    image_shape: Sequence[int] = (28, 28, 1), *, iterations: int = 1, with_encoder: bool = False, **kwargs: Any
) -> CNNF:
    """A CNN-F for the images of `DATA` and their 10 classes, with fixed random weights."""
    keras.utils.set_random_seed(0)
    network = layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(4, strides=2, name="conv1"),
            layers.InstanceNorm(down=False, name="norm_up"),
            layers.AdaReLU(name="ada_relu1"),
            layers.AdaPool2D(name="ada_pool1"),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(10, use_bias=True, name="fc"),
        ],
        name="network",
    )
    encoder = layers.FeedbackSequential([layers.FeedbackConv2D(2, name="conv0")], name="encoder")
    return CNNF(network, encoder if with_encoder else None, image_shape=image_shape, iterations=iterations, **kwargs)


class BinaryTestCase(tf.test.TestCase):
    """Folders, models in files, and what every binary must do when it succeeds or refuses."""

    def folder(self) -> pathlib.Path:
        """A new, empty one."""
        return pathlib.Path(self.create_tempdir().full_path)

    def saved(self, *args: Any, **kwargs: Any) -> pathlib.Path:
        """The file of a `small_model`."""
        path = self.folder() / "model.keras"
        small_model(*args, **kwargs).save(path)
        return path

    def assert_runs(self, result: Result) -> None:
        """It succeeded, no library complained, and no bar was drawn into what is no terminal."""
        self.assertEqual(result.returncode, 0, result.stderr[-3000:])
        self.assertNotIn("\r", result.stdout + result.stderr)
        self.assertNotRegex(result.stderr, "Traceback|(?i:warning)")

    def assert_fails(self, result: Result, code: int, *messages: str) -> None:
        """It said why in one paragraph, which matches all `messages`, without a traceback."""
        self.assertEqual(result.returncode, code, result.stderr[-3000:])
        self.assertNotIn("Traceback", result.stderr)
        error = " ".join(result.stderr.split())
        self.assertIn("Error: ", error)
        for message in messages:
            self.assertRegex(error, message)

    def assert_refuses(self, binary: str, *cases: tuple[Sequence[object], int, str]) -> None:
        """Each case: the arguments, the exit code, what the message matches. See `run_forked`."""
        for arguments, code, message in cases:
            self.assert_fails(run_forked(binary, *arguments), code, message)
