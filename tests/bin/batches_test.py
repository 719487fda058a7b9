"""--shard, --merge, --strategy, and going on after a kill, as a user has them: the files of one run, bit for bit."""

import json
import time

import numpy as np
import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import DATA, Forked, run_forked
from tests.limits import HANGING


class BatchesTest(binaries.BinaryTestCase):
    def setUp(self):
        super().setUp()
        self.work = self.folder()
        self.usual = (f"--model={self.saved()}", f"--dataset={DATA}", "--iterations=1")

    def made(self, binary, name, *arguments):
        """The folder that a run wrote to."""
        self.assert_runs(run_forked(binary, *self.usual, *arguments, f"--output={self.work / name}"))
        return self.work / name

    def assert_equal_files(self, one, other, *, but=("seconds", "command")):
        """Files of the same names, with equal contents but for some values of JSON."""
        names = [sorted(path.name for path in folder.iterdir()) for folder in (one, other)]
        self.assertEqual(*names)
        for name in names[0]:
            contents = [(folder / name).read_bytes() for folder in (one, other)]
            if name.endswith(".json"):
                contents = [{k: v for k, v in json.loads(text).items() if k not in but} for text in contents]
            elif name.endswith(".npz"):
                contents = [
                    {k: (v.dtype, v.tobytes()) for k, v in np.load(folder / name).items()} for folder in (one, other)
                ]
            self.assertEqual(*contents, name)

    def test_attack_in_parts_and_on_two_devices(self):
        arguments = ("--attack=pgd", "--steps=1", "--epsilon=8/255", "--num_images=14", "--batch_size=4")
        one = self.made("attack", "one", *arguments)
        self.assertEqual({path.name for path in one.iterdir()}, {"adversarial.npz", "attack.json", "attack.png"})
        two = self.made("attack", "two", *arguments, "--strategy=mirrored", "--devices=2")
        self.assert_equal_files(one, two)
        parts = [self.made("attack", f"part{i}", *arguments, f"--shard={i}/3") for i in (1, 2, 3)]
        self.assertEqual([path.name for path in parts[0].iterdir()], ["batches"])
        merged = self.made("attack", "merged", *arguments, f"--merge={parts[2]},{parts[0]},{parts[1]}")
        self.assert_equal_files(one, merged, but=("seconds",))

        new = self.work / "new"
        options = (*self.usual, *arguments, f"--output={new}")
        self.assert_refuses(
            "attack",
            ((*options, f"--merge={parts[2]},{parts[0]}"), 1, "--merge: part 2/3 is missing"),
            ((*options, f"--merge={parts[0]},{parts[1]},{parts[2]}", "--seed=1"), 1, "settings.seed: 0 there, 1 asked"),
            ((*options, "--shard=4/3"), 2, "--shard wants part i of n as i/n .* got '4/3'"),
            ((*options, "--shard=1/3", f"--merge={parts[0]}"), 2, "give one of them, not both"),
        )
        self.assertFalse(new.exists())

    def test_evaluate_goes_on_after_a_kill_in_parts(self):
        arguments = ("--batch_size=1", "--num_images=60", "--self_consistency", "--num_pictures=2")
        one = self.made("evaluate", "one", *arguments)
        killed = (*self.usual, *arguments, "--shard=1/2", f"--output={self.work / 'part1'}")
        process = Forked("bin/evaluate.py", *killed)
        self.addCleanup(process.end)
        record = self.work / "part1" / "batches"
        deadline = time.monotonic() + HANGING
        while not (record / "passes" / "000004.npz").exists():
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())
            time.sleep(0.005)
        process.end()
        self.assertNotEqual(process.result().returncode, 0)
        self.assertFalse(json.loads((record / "record.json").read_text())["complete"])
        kept = {path: path.stat().st_mtime_ns for path in record.glob("*/*.npz")}
        merge = (*self.usual, *arguments, f"--merge={self.work / 'part1'}", f"--output={self.work / 'new'}")
        self.assert_refuses("evaluate", (merge, 1, "--merge: part 2/2 is missing"))
        parts = [self.made("evaluate", f"part{i}", *arguments, f"--shard={i}/2") for i in (1, 2)]
        self.assertEqual(kept, {path: path.stat().st_mtime_ns for path in kept})
        merged = self.made("evaluate", "merged", *arguments, f"--merge={parts[0]},{parts[1]}")
        self.assert_equal_files(one, merged, but=())


if __name__ == "__main__":
    tf.test.main()
