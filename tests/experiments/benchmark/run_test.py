from unittest import mock

import tensorflow as tf

from cnnf_tf.experiments.benchmark import cases, first_result, setups
from cnnf_tf.experiments.benchmark import run as benchmark
from cnnf_tf.experiments.benchmark.memory import Memory
from cnnf_tf.experiments.benchmark.plan import BenchmarkOptions
from cnnf_tf.experiments.benchmark.run import run_benchmark
from cnnf_tf.experiments.benchmark.timing import Timing

SMALL = {"networks": ("fashion_cnn",), "dtypes": ("float32",), "modes": ("function",), "repeats": 2, "smoke": True}


class FakeProcess:
    """In the place of the process that runs PyTorch."""

    about = {"torch": "2"}

    def __init__(self, *, threads, checkout):
        self.checkout, self.threads, self.forgotten = checkout, threads, 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.closed = True

    def run(self, case=None, ops=()):
        return lambda: 60.0 if case else sum(op["count"] for op in ops)

    def forget(self):
        self.forgotten += 1


class RunBenchmarkTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.object(benchmark, "installed", return_value=False))

    def test_inference(self):
        options = BenchmarkOptions(cases=("inference",), iterations=(0, 1, 2), **SMALL)
        lines = []
        report = run_benchmark(options, progress=lines.append)
        self.assertEqual([entry.case.iterations for entry in report.found], [0, 1, 2, 10, 0, 1, 2])
        for entry in report.found:
            self.assertIsInstance(entry.time, Timing)
            self.assertLen(entry.time.seconds, 2)
            self.assertIsInstance(entry.floor, Timing)
        self.assertEqual([row.against for row in report.rows()], ["floor"] * 4 + ["line"] + ["floor"] * 3)
        self.assertEqual(
            lines,
            [
                "time: fashion_cnn inference, encoder_blocks 2: 4 cases",
                "time: fashion_cnn inference, encoder_blocks 0: 3 cases",
            ],
        )
        self.assertGreaterEqual(report.about["threads"], 1)
        self.assertEqual(report.about["versions"]["tensorflow"], tf.__version__)

    def test_equal_floors_are_timed_once(self):
        options = BenchmarkOptions(cases=("inference",), iterations=(1,), **(SMALL | {"modes": ("function", "eager")}))
        with mock.patch.object(benchmark, "floor", wraps=benchmark.floor) as made:
            report = run_benchmark(options)
        first, second = [entry for entry in report.found if entry.case.encoder_blocks == 2]
        self.assertEqual({first.case.mode, second.case.mode}, {"function", "eager"})
        self.assertIs(first.floor, second.floor)
        self.assertEqual(made.call_count, 2)  # encoder_blocks 2 and encoder_blocks 0

    def test_what_cannot_be_built_is_a_row(self):
        def broken(*arguments):
            raise OSError("disk full\nsecond line")

        options = BenchmarkOptions(cases=("export",), **SMALL)
        exporters = {"saved_model": cases.saved_model, "broken": broken}
        report = run_benchmark(options, exporters=exporters)
        errors = {row.case.kind: row.error for row in report.rows()}
        self.assertEqual(errors, {"export saved_model": "", "export broken": "OSError: disk full"})

    def test_reference_takes_turns(self):
        options = BenchmarkOptions(cases=("inference",), iterations=(1, 2), **SMALL)
        with mock.patch.multiple(benchmark, TorchProcess=FakeProcess, check_checkout=mock.DEFAULT) as patched:
            report = run_benchmark(options, reference="folder")
        patched["check_checkout"].assert_called_once_with("folder")
        rows = [row for row in report.rows() if row.against == "authors"]
        self.assertEqual([(row.case.encoder_blocks, row.case.iterations, row.other) for row in rows], [(2, 1, 60e3)])
        self.assertTrue(rows[0].passed)
        self.assertEqual(report.about["pytorch"], {"torch": "2"})

    def test_floor_by_pytorch_is_the_same_ops(self):
        options = BenchmarkOptions(cases=("inference",), iterations=(1, 2), **SMALL)
        with mock.patch.multiple(benchmark, TorchProcess=FakeProcess, installed=lambda: True):
            report = run_benchmark(options)
        # Four convolutions, two of them in the encoder where it is there, and three dense layers.
        calls = [(2 if blocks else 0) + (5 if blocks else 7) * (1 + 2 * k) for blocks in (2, 0) for k in (1, 2)]
        self.assertEqual([row.torch_floor for row in report.rows()], [1e3 * count for count in calls])
        self.assertNotIn("authors", [row.against for row in report.rows()])

    def test_first_results(self):
        options = BenchmarkOptions(cases=("first_result",), iterations=(1,), **SMALL)
        found = {"import": 3.0, "load": 1.0, "first": 2.0, "later": 0.5, "nodes": 7}
        lines = []
        with mock.patch.object(first_result, "answer", return_value=found) as measured:
            report = run_benchmark(options, progress=lines.append)
        self.assertEqual(measured.call_count, 2 * 2)  # rounds, and cnnf_tf beside Keras
        self.assertEqual(lines[-1], "first prediction 2/2: fashion_cnn by keras, K 1")
        self.assertEqual([(row.against, row.value) for row in report.rows()], [("keras", 6000.0)])

    def test_memory(self):
        options = BenchmarkOptions(cases=("memory",), **SMALL)
        with mock.patch.object(benchmark, "peak_memory", return_value=Memory(0, 2**20)) as measured:
            report = run_benchmark(options)
        self.assertEqual([row.value for row in report.rows()], [1.0])
        self.assertEqual(measured.call_args.args[0].kind, setups.INFERENCE)


if __name__ == "__main__":
    tf.test.main()
