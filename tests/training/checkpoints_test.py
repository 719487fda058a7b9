"""Checkpoints: all of it comes back, or damage is noticed; a full disk costs only the newest one."""

import contextlib
import errno
import io
import pathlib
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.training.checkpoints import Checkpoints

ARRAYS = [np.arange(12, dtype=np.float32).reshape(3, 4), np.float32(2.5), np.int64(7), np.zeros((0, 2), np.float32)]


class CheckpointsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / "checkpoints"

    def checkpoints(self, *steps, **kwargs):
        checkpoints = Checkpoints(self.folder, **kwargs)
        for step in steps:
            checkpoints.write(step, [array + step for array in ARRAYS], state=f'{{"step": {step}}}')
        return checkpoints

    def read(self, checkpoints):
        """What is read, and what is said about it."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            found = checkpoints.read_newest()
        return found, said.getvalue()

    def assert_is(self, found, step):
        self.assertEqual(found[0], step)
        self.assertEqual(str(found[2]["state"]), f'{{"step": {step}}}')
        for ours, theirs in zip(found[1], ARRAYS, strict=True):
            self.assertEqual(ours.dtype, np.asarray(theirs).dtype)
            self.assertAllEqual(ours, theirs + step)

    def test_comes_back(self):
        checkpoints = self.checkpoints(2, 4)
        found, said = self.read(checkpoints)
        self.assert_is(found, 4)
        self.assertEmpty(said)

    def test_nothing_there(self):
        self.assertEqual(self.read(self.checkpoints()), (None, ""))
        self.assertFalse(self.folder.exists())

    @parameterized.parameters(1, 3)
    def test_keeps_the_newest(self, keep):
        checkpoints = self.checkpoints(*range(5, 105, 5), keep=keep)
        self.assertEqual(checkpoints.steps(), [90, 95, 100][-keep:])
        self.assertLen(list(self.folder.iterdir()), keep)

    @parameterized.parameters("cut", "empty", "flipped", "other file", "folder")
    def test_damaged_newest_makes_way_for_the_one_before(self, how):
        checkpoints = self.checkpoints(2, 4)
        path = checkpoints.path(4)
        content = bytearray(path.read_bytes())
        if how == "folder":
            path.unlink()
            path.mkdir()
        else:
            content[200] ^= 0x10
            path.write_bytes({"cut": content[:-100], "empty": b"", "flipped": content}.get(how, b"step 4"))
        found, said = self.read(checkpoints)
        self.assert_is(found, 2)
        self.assertRegex(said, r"step-00000004.npz is damaged \(.+\); trying the checkpoint before it.")

    def test_any_damaged_byte_is_noticed_or_does_no_harm(self):
        checkpoints = self.checkpoints(2, 4)
        path = checkpoints.path(4)
        content = path.read_bytes()
        noticed = 0
        for place in range(0, len(content), 3):
            for change in (0x01, 0xFF):
                damaged = bytearray(content)
                damaged[place] ^= change
                path.write_bytes(damaged)
                found, said = self.read(checkpoints)
                self.assert_is(found, 2 if said else 4)
                noticed += bool(said)
        self.assertGreater(noticed, len(content) / 3)

    def test_all_damaged(self):
        checkpoints = self.checkpoints(2, 4)
        for step in (2, 4):
            checkpoints.path(step).write_bytes(b"")
        with self.assertRaisesRegex(ValueError, r"all checkpoints in .*checkpoints are damaged \(2, 4\); remove them"):
            self.read(checkpoints)

    @parameterized.parameters(True, False)
    def test_full_disk(self, first):
        checkpoints = self.checkpoints(*([] if first else [2, 4]))

        def full(file, **arrays):
            file.write(b"PK")
            raise OSError(errno.ENOSPC, "No space left on device")

        kept = "there is none yet" if first else "the newest checkpoint is that of step 4"
        wanted = rf"the checkpoint of step 6 could not be written \(No space left on device\); {kept}"
        with mock.patch.object(np, "savez", full), self.assertRaisesRegex(OSError, wanted) as raised:
            checkpoints.write(6, ARRAYS)
        self.assertEqual(raised.exception.errno, errno.ENOSPC)
        self.assertLen(list(self.folder.iterdir()), 0 if first else 2)
        if not first:
            self.assert_is(self.read(checkpoints)[0], 4)


if __name__ == "__main__":
    tf.test.main()
