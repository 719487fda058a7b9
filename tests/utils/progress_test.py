"""Progress: what a terminal shows and what a log holds, by a clock of our own."""

import contextlib
import fcntl
import io
import os
import pty
import struct
import termios
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.utils import progress
from cnnf_tf.utils.progress import Progress


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self):
        return True


class ProgressTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.log, self.now = io.StringIO(), 1000.0

    def progress(self, *args, **kwargs):
        return Progress(*args, **{"stream": self.log, "clock": lambda: self.now} | kwargs)

    def lines(self):
        self.assertNotIn("\r", self.log.getvalue())
        return self.log.getvalue().splitlines()

    def test_lines(self):
        with self.progress("PGD-40", 40, "batches") as shown:
            self.assertEqual(self.lines(), ["PGD-40: preparing ..."])
            self.now += 30  # tracing, and the first batch
            shown.update(note="robust accuracy 50.0 %")
            for _ in range(39):
                self.now += 4.5
                shown.update()
        self.assertEqual(
            self.lines()[1:4],
            [
                "PGD-40: 1/40 batches, 30 s (robust accuracy 50.0 %)",  # with tracing: says nothing of the rest
                "PGD-40: 4/40 batches, 44 s, about 3 min left (robust accuracy 50.0 %)",
                "PGD-40: 7/40 batches, 57 s, about 2 min left (robust accuracy 50.0 %)",
            ],
        )
        self.assertEqual(self.lines()[-1], "PGD-40: 40/40 batches, 3 min 26 s (robust accuracy 50.0 %)")
        self.assertLen(self.lines(), 2 + 1 + 39 // 3 - 1)  # the last batch is at the end

    def test_quick_work_is_two_lines(self):
        with self.progress("scoring", 1000, "images", done=200) as shown:
            for _ in range(80):
                shown.update(10)
        self.assertEqual(self.lines(), ["scoring: preparing ...", "scoring: 1,000/1,000 images, 0 s"])

    def test_what_is_being_done(self):
        with self.progress("attacking", None, "batches", note="apgd-ce: 8 images") as shown:
            self.now += 9
            progress.note("fab-t: 5 images")  # too soon
            self.now += 61
            progress.note("square: 4 images")
            shown.update()
            self.now += 10
            progress.note("apgd-ce: 8 images")
        progress.note("nobody listens")
        self.assertEqual(
            self.lines(),
            [
                "attacking: preparing apgd-ce: 8 images ...",
                "attacking: preparing square: 4 images ... 1 min 10 s",
                "attacking: 1 batches, 1 min 20 s (apgd-ce: 8 images)",
                "attacking: 1 batches, 1 min 20 s (apgd-ce: 8 images)",
            ],
        )

    def test_work_within_work_shares_the_ten_seconds(self):
        with self.progress("study", 3, "jobs") as outer:
            for job in range(3):
                with self.progress(f"job {job}", 4, "batches") as inner:
                    for _ in range(4):
                        self.now += 3
                        inner.update()
                outer.update()
        self.assertEqual(
            self.lines(),
            [
                "study: preparing ...",
                "study 0/3, job 0: 4/4 batches, 12 s",
                "study 1/3, job 1: 4/4 batches, 12 s",
                "study 2/3, job 2: 4/4 batches, 12 s",
                "study: 3/3 jobs, 36 s",
            ],
        )

    def test_an_error_ends_it(self):
        with self.assertRaisesRegex(OSError, "disk"), self.progress("copying", 2, "files") as shown:
            shown.update()
            raise OSError("disk")
        shown.close()  # once more does no harm
        self.assertEqual(self.lines(), ["copying: preparing ...", "copying: 1/2 files, 0 s"])

    def test_nowhere_to_show_it(self):
        closed = io.StringIO()
        closed.close()
        for stream in (closed, None):
            with mock.patch("sys.stderr", None), self.progress("copying", 2, "files", stream=stream) as shown:
                shown.note("a")
                shown.update(2)

    def test_a_note_is_one_line(self):
        with self.progress("copying", 2, "files", note="a\n b") as shown:
            shown.update(2, note="c\r\nd")
        self.assertEqual(self.lines(), ["copying: preparing a b ...", "copying: 2/2 files, 0 s (c d)"])

    def test_nothing_to_do_and_unknown_totals_on_a_terminal(self):
        for total, done, said in ((0, 0, "copying: 0/0 files, 0 s"), (5, 5, "copying: 5/5 files, 0 s")):
            terminal = Terminal()
            self.progress("copying", total, "files", done=done, stream=terminal).close()
            self.assertEqual(terminal.getvalue().split("\r")[-1].strip(), said)
        terminal = Terminal()
        with self.progress("copying", None, "files", stream=terminal) as shown:
            shown.update(3)
        self.assertIn("copying: 3 files", terminal.getvalue())
        self.assertNotIn(": :", terminal.getvalue())

    def test_hidden(self):
        for stream in (self.log, Terminal()):
            with self.progress("copying", 2, "files", shown=False, stream=stream) as shown:
                self.now += 100
                shown.note("a")
                shown.update(2, note="b")
            self.assertEqual(stream.getvalue(), "")

    def test_terminal(self):
        terminal = Terminal()
        with self.progress("PGD-40", 4, "batches", note="{loop}", stream=terminal) as shown:
            self.assertRegex(terminal.getvalue(), r"^\rPGD-40: preparing \{loop\} \.\.\. *$")
            shown.note("gradients")
            self.assertEqual(terminal.getvalue().split("\r")[-1].rstrip(), "PGD-40: preparing gradients ...")
            shown.update(note="robust accuracy 50.0 %")
            first = terminal.getvalue().split("\r")[-1]
            self.assertRegex(first, r"^PGD-40:  25%\|.*\| 1/4 \[\d+:\d+<\?, \? batches/s, robust accuracy 50\.0 %\]")
            shown.update(2)
            shown.note("x")
            self.assertRegex(terminal.getvalue().split("\r")[-1], r"3/4 \[.*, x\]")
            shown.update()
        self.assertRegex(terminal.getvalue(), r"4/4 \[\d+:\d+<\d+:\d+, [^?]+ batches/s, x\]\n$")

    def test_a_message_does_not_cut_the_bar(self):
        terminal = Terminal()
        both = contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal)
        with both[0], both[1], Progress("training", 4, "steps") as shown:
            shown.update(2)
            progress.say("step 2 of 4")
        self.assertRegex(terminal.getvalue(), r"\r {20,}\rstep 2 of 4\n\rtraining:  50%")

    @parameterized.parameters(20, 60)
    def test_a_real_terminal(self, columns):
        reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        with (
            open(writer, "w", encoding="utf-8") as terminal,
            Progress("attacking", 3, "batches", note="the full unroll", stream=terminal) as shown,
        ):
            preparing = os.read(reader, 4096).decode().strip("\r")
            self.assertIn("attacking: preparing the full unroll ..."[: columns - 1], preparing)
            self.assertLessEqual(len(preparing), columns)
            shown.update()
            self.assertIn("attacking:  33%", os.read(reader, 4096).decode())
        os.close(reader)

    def test_duration(self):
        for seconds, text in ((0.4, "0 s"), (59.6, "1 min"), (63, "1 min 3 s"), (3600, "1 h"), (7530, "2 h 5 min")):
            self.assertEqual(progress.duration(seconds), text)


if __name__ == "__main__":
    tf.test.main()
