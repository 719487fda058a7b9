import subprocess
from unittest import mock

import tensorflow as tf

from cnnf_tf.experiments.benchmark.fresh_process import answer
from cnnf_tf.experiments.benchmark.timing import Failure


class AnswerTest(tf.test.TestCase):
    def test_last_line_is_the_answer(self):
        program = "import sys, cnnf_tf; print('chatter'); print('[1, %s]' % sys.argv[1])"
        self.assertEqual(answer("-c", program, "2"), [1, 2])

    def test_what_the_process_says_when_it_fails(self):
        self.assertEqual(answer("-c", "raise OSError('disk full')"), Failure("OSError: disk full"))

    def test_time_limit(self):
        with mock.patch.object(subprocess, "run", side_effect=subprocess.TimeoutExpired("python", 3)):
            self.assertEqual(answer("-c", "", timeout=3), Failure("still running after 3 s"))

    def test_silent_death(self):
        done = subprocess.CompletedProcess([], -9, stdout="", stderr="")
        with mock.patch.object(subprocess, "run", return_value=done):
            self.assertEqual(answer("-c", ""), Failure("the process ended with code -9"))


if __name__ == "__main__":
    tf.test.main()
