"""bin/train.py in processes of its own: kills at any moment, several workers, refusals.

Every process runs TensorFlow's deterministic ops, which bin/train.py switches on, so that "the same" is bit by bit.
"""

import json
import pathlib
import random
import shlex
import shutil
import signal
import socket
import tempfile
import time

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training.checkpoints import Checkpoints
from cnnf_tf.zoo import load_model
from tests.bin import binaries
from tests.bin.binaries import Forked, run_forked
from tests.limits import HANGING
from tests.training import fixtures_training

STEPS = 20
CHANGES = {
    "data__validation_split": "",
    "train__steps_per_epoch": STEPS,
    "train__checkpoint_every": 2,
    "train__evaluate_every": 10,
}


class TrainTest(binaries.BinaryTestCase, parameterized.TestCase):
    unbroken = None
    """Folder of one run that nothing disturbed, for the tests that disturb one."""

    def undisturbed(self):
        if TrainTest.unbroken is None:
            folder = pathlib.Path(tempfile.mkdtemp())
            self.addClassCleanup(shutil.rmtree, folder)
            self.finish(self.start(folder))
            TrainTest.unbroken = folder
        return TrainTest.unbroken

    def start(self, workdir, *arguments, kind="adversarial", environment=None, **changes):
        if kind == "adversarial":
            # Clean images stay out of the loop: on their flat ground the units of a pooling window are equal up to
            # rounding, which would decide where the feedback goes, and 1e-8 between two runs would become 1e-3.
            changes = {"adversarial__clean_weight": 0.0} | changes
        config = fixtures_training.arguments(kind, **(CHANGES | changes))
        process = Forked("bin/train.py", *config, f"--workdir={workdir}", *arguments, environment=environment)
        self.addCleanup(process.end)
        return process

    def finish(self, process, code=0):
        """Waits for the end; returns what the process said, in one line."""
        result = process.result()
        output = result.stdout + result.stderr
        self.assertEqual(result.returncode, code, output[-3000:])
        return " ".join(output.split())

    def wait_for(self, process, workdir, steps):
        """Waits until there is a checkpoint of that many steps."""
        until = time.monotonic() + HANGING
        checkpoints = Checkpoints(workdir / "checkpoints")
        while max(checkpoints.steps(), default=0) < steps:
            self.assertIsNone(process.poll(), "ended too early")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)

    def end_of(self, workdir):
        """All arrays of the newest checkpoint and all weights that were saved."""
        steps, arrays, _ = Checkpoints(workdir / "checkpoints").read_newest()
        self.assertEqual(steps, STEPS)
        return [*arrays, *load_model(workdir / "last.keras").get_weights()]

    def test_killed_at_any_moment_and_started_again_ends_bit_identical(self):
        unbroken, workdir = self.undisturbed(), self.folder() / "run"
        rng = random.Random(7)
        for kill in range(3):
            process = self.start(workdir)
            # Once while it starts or compiles, then somewhere between or within steps and checkpoints.
            if kill:
                self.wait_for(process, workdir, 6 * kill)
                time.sleep(rng.uniform(0, 0.15))
            else:
                time.sleep(rng.uniform(0.2, 1.5))
            process.send_signal(signal.SIGKILL)
            self.finish(process, -signal.SIGKILL)
        self.finish(self.start(workdir))
        for ours, theirs in zip(self.end_of(workdir), self.end_of(unbroken), strict=True):
            self.assertTrue(np.array_equal(ours, theirs))
        history = training.Workdir(workdir).history()
        self.assertEqual([entry["step"] for entry in history], [10, 20])
        times = ("seconds", "images_per_second")
        for ours, theirs in zip(history, training.Workdir(unbroken).history(), strict=True):
            self.assertEqual(*({name: entry[name] for name in entry if name not in times} for entry in (ours, theirs)))
        self.assertEmpty(list(workdir.rglob(".*")))
        self.assertLen(list((workdir / "checkpoints").iterdir()), 3)
        sessions = training.Workdir(workdir).sessions()
        self.assertBetween(len(sessions), 3, 4)  # the first kill may come before there is anything to record
        self.assertGreaterEqual(sessions[-1]["step"], 12)
        for session in sessions:
            self.assertEqual(shlex.split(session["command"])[:2], ["python", "bin/train.py"])
            self.assertIn(f"--workdir={workdir}", shlex.split(session["command"]))

    def test_two_workers_equal_one_also_after_one_was_lost(self):
        alone, together = self.undisturbed(), self.folder() / "run"

        def start_both():
            sockets = [socket.socket() for _ in range(2)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
            for each in sockets:
                each.close()
            config = {"cluster": {"worker": addresses}}
            return [
                self.start(
                    together,
                    "--strategy=multi_worker",
                    environment={"TF_CONFIG": json.dumps(config | {"task": {"type": "worker", "index": index}})},
                )
                for index in range(2)
            ]

        chief, other = start_both()
        self.wait_for(chief, together, 4)
        other.send_signal(signal.SIGTERM)
        said = self.finish(chief, 1)
        self.assertRegex(said, r"Error: one of the 2 workers was lost \(.*\)\. Start all workers again with the same")
        self.assertNotIn("Traceback", said)

        for process in start_both():
            self.finish(process)
        for ours, theirs in zip(self.end_of(together), self.end_of(alone), strict=True):
            self.assertAllClose(ours, theirs, rtol=0, atol=1e-5)
        self.assertEqual([entry["step"] for entry in training.Workdir(together).history()], [10, 20])
        sessions = training.Workdir(together).sessions()  # of the first worker, before and after the loss
        self.assertEqual([session["hardware"]["replicas"] for session in sessions], [2, 2])

    def test_logical_devices_and_one_run_at_a_time(self):
        workdir = self.folder() / "run"
        longer = {"kind": "standard", "train__epochs": 5000}
        first = self.start(workdir, "--strategy=mirrored", "--devices=2", **longer)
        self.wait_for(first, workdir, 2)
        with self.assertRaisesRegex(ValueError, "another process is training in workdir"):
            training.run(fixtures_training.config(**(CHANGES | longer)), workdir)
        self.assertIsNone(first.poll())
        first.send_signal(signal.SIGINT)
        self.assertIn("Error: interrupted.", self.finish(first, 130))

    @parameterized.parameters(
        (("--strategy=tpu",), {}, 2, "--strategy=tpu.* <one_device\\|mirrored\\|multi_worker>"),
        (("--devices=-1",), {}, 2, "--devices.*-1"),
        (("--tracker=tensorboard,mlflw",), {}, 2, "--tracker: a tracker is one of mlflow, .* got 'mlflw'"),
        (("--tracker=none,mlflow",), {}, 2, "--tracker: none cannot stand beside others; got 'none,mlflow'"),
        (("--strategy=multi_worker",), {"TF_CONFIG": "{}"}, 1, "wants the environment variable TF_CONFIG.*got '{}'"),
    )
    def test_refuses(self, arguments, environment, code, message):
        workdir = self.folder() / "run"
        config = fixtures_training.arguments("standard", **CHANGES)
        result = run_forked("train", *config, f"--workdir={workdir}", *arguments, environment=environment)
        self.assert_fails(result, code, message)
        self.assertFalse(workdir.exists())


if __name__ == "__main__":
    tf.test.main()
