import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import timing


class TimeInTurnsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.calls = []

    def run_of(self, name, seconds):
        remaining = iter(seconds)

        def run():
            self.calls.append(name)
            value = next(remaining)
            if isinstance(value, Exception):
                raise value
            return value

        return run

    def test_takes_turns_and_leaves_out_the_warm_up(self):
        runs = {"a": self.run_of("a", [9.0, 1.0, 3.0, 2.0]), "b": self.run_of("b", [0.0, 4.0, 4.0, 8.0])}
        found = timing.time_in_turns(runs, repeats=3)
        self.assertEqual("".join(self.calls), "abababab")
        self.assertEqual(found["a"].seconds, (1.0, 3.0, 2.0))
        self.assertEqual((found["a"].median, found["a"].low, found["a"].high), (2.0, 1.0, 3.0))
        self.assertEqual(found["b"].median, 4.0)

    @parameterized.parameters(0, 1, 2)
    def test_what_fails_is_left_out_and_the_others_go_on(self, when):
        runs = {
            "a": self.run_of("a", [1.0] * when + [ValueError("\n  first line\nsecond")]),
            "b": self.run_of("b", [1.0] * 3),
        }
        found = timing.time_in_turns(runs, repeats=2)
        self.assertEqual(found["a"], timing.Failure("ValueError: first line"))
        self.assertEqual(found["b"].seconds, (1.0, 1.0))
        self.assertEqual(self.calls.count("a"), when + 1)

    def test_failure_without_a_message(self):
        self.assertEqual(timing.failure(KeyError()).message, "KeyError")

    def test_timed(self):
        self.assertGreaterEqual(timing.timed(lambda: self.calls.append("x"))(), 0.0)
        self.assertEqual(self.calls, ["x"])

    @parameterized.parameters("repeats", "warmups")
    def test_rejects_no_rounds(self, name):
        with self.assertRaisesRegex(ValueError, f"{name} must be a positive integer, got 0"):
            timing.time_in_turns({}, **({"repeats": 1} | {name: 0}))


if __name__ == "__main__":
    tf.test.main()
