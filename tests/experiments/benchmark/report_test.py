import dataclasses
import json
import pathlib

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.first_result import FirstRuns
from cnnf_tf.experiments.benchmark.memory import Memory
from cnnf_tf.experiments.benchmark.plan import BenchmarkOptions
from cnnf_tf.experiments.benchmark.plot import benchmark_figure
from cnnf_tf.experiments.benchmark.report import BenchmarkReport, Measured
from cnnf_tf.experiments.benchmark.timing import Failure, Timing

FASHION = setups.SETUPS["fashion_cnn"]


def case(kind=setups.INFERENCE, **options):
    return setups.Case(kind, FASHION, **({"encoder_blocks": 2, "iterations": 1, "batch_size": 256} | options))


def ms(*values):
    return Timing(tuple(value / 1e3 for value in values))


def report(*found, first=(), about=(), **options):
    facts = {"cpu": "a CPU", "threads": 2, "seconds": 1.0, "versions": {"tensorflow": "2.21"}, "onednn": True}
    return BenchmarkReport(BenchmarkOptions(**options), list(found), facts | dict(about), list(first))


def first_runs(by="cnnf_tf", iterations=1, *, first=(2.0, 2.5, 9.0), later=0.5, **options):
    rounds = [{"import": 3.0, "load": 0.25, "first": value, "later": later, "nodes": 70.0} for value in first]
    return FirstRuns(case(setups.FIRST_ATTACK, iterations=iterations, encoder_blocks=0), by, tuple(rounds), **options)


class ReportTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (setups.INFERENCE, 1.5),
        (setups.ATTACK_FIRST_PASS, 1.6),
        (setups.ATTACK_FULL_UNROLL, 1.6),
        (setups.TRAINING, 1.8),
    )
    def test_floor(self, kind, limit):
        below = Measured(case(kind), time=ms(9, 10 * limit - 1, 99), floor=ms(8, 10, 11))
        (row,) = report(below).rows()
        self.assertEqual((row.against, row.target, row.passed), ("floor", limit, True))
        self.assertAllClose((row.value, row.low, row.high, row.other), (10 * limit - 1, 9, 99, 10))
        self.assertAllClose(row.ratio, limit - 0.1)
        (row,) = report(dataclasses.replace(below, time=ms(10 * limit + 1))).rows()
        self.assertFalse(row.passed)

    @parameterized.parameters(
        {"dtype": "bfloat16"},
        {"mode": "eager"},
        {"batch_size": 64},
        {"kind": setups.ADVERSARIAL_TRAINING},
        {"kind": "export saved_model"},
    )
    def test_floor_without_a_target(self, **options):
        (row,) = report(Measured(case(**options), time=ms(30), floor=ms(10))).rows()
        self.assertAllClose(row.ratio, 3.0)
        self.assertEqual((row.target, row.passed), (None, None))

    @parameterized.parameters((104, True), (106, False))
    def test_line(self, time, passed):
        # 0, 1 and 5 iterations cost 0, 10 and 50, so 10 of them should cost 100.
        points = [Measured(case(iterations=k), time=ms(10.0 * k), floor=ms(1)) for k in (0, 1, 5)]
        others = [Measured(case(iterations=2, mode="xla"), time=ms(77.0), floor=ms(1))]
        rows = report(*points, *others, Measured(case(iterations=10), time=ms(time), floor=ms(1))).rows()
        (row,) = [row for row in rows if row.against == "line"]
        self.assertAllClose((row.other, row.ratio), (100, time / 100))
        self.assertEqual((row.target, row.passed), (1.05, passed))

    def test_no_line_through_two_points(self):
        found = [Measured(case(iterations=k), time=ms(10.0 * k + 1), floor=ms(1)) for k in (0, 1, 10)]
        self.assertNotIn("line", [row.against for row in report(*found).rows()])

    @parameterized.parameters((setups.INFERENCE, 5, True), (setups.TRAINING, 6, False))
    def test_half_precision(self, kind, time, passed):
        single, half = case(kind), case(kind, dtype="bfloat16")
        rows = report(Measured(single, time=ms(9)), Measured(half, time=ms(time), floor=ms(1))).rows()
        (row,) = [row for row in rows if row.against == "float32"]
        self.assertAllClose(row.ratio, 9 / time)
        self.assertEqual((row.case, row.target, row.passed), (half, 1.7, passed))

    @parameterized.parameters(
        (setups.INFERENCE, 3.0),
        (setups.ATTACK_FULL_UNROLL, 2.0),
        (setups.TRAINING, 2.5),
        (setups.ADVERSARIAL_TRAINING, 2.5),
    )
    def test_authors(self, kind, least):
        found = Measured(case(kind), time=ms(10), floor=ms(8), authors=ms(10 * least + 1))
        row = report(found).rows()[-1]
        self.assertAllClose(row.ratio, least + 0.1)
        self.assertEqual((row.against, row.target, row.passed), ("authors", least, True))
        self.assertFalse(report(dataclasses.replace(found, authors=ms(10 * least - 1))).rows()[-1].passed)

    def test_what_failed_is_a_row(self):
        failed = [
            Measured(case(), time=Failure("UnimplementedError: no kernel"), floor=ms(1)),
            Measured(case(encoder_blocks=0), time=ms(1), floor=Failure("the floor")),
            Measured(case(iterations=5), time=ms(1), floor=ms(1), authors=Failure("RuntimeError: their code")),
            Measured(case(iterations=0), memory=Failure("out of memory")),
        ]
        found = report(*failed)
        errors = [row.error for row in found.rows() if row.error]
        self.assertEqual(
            errors, ["UnimplementedError: no kernel", "the floor", "RuntimeError: their code", "out of memory"]
        )
        for error in errors:
            self.assertIn(error, found.table())
        self.assertTrue(found.summary().startswith("1 of 1 targets met"))

    def test_memory(self):
        found = report(Measured(case(), memory=Memory(baseline=2**20, peak=6 * 2**20)))
        (row,) = found.rows()
        self.assertEqual((row.unit, row.value, row.passed), ("MiB", 5.0, None))
        self.assertIn("5.0 MiB", found.table())

    def test_table(self):
        found = report(
            Measured(case(), time=ms(10), floor=ms(8)),
            Measured(case(setups.TRAINING), time=ms(19, 20, 21), floor=ms(10)),
        )
        head, first, second = found.table().splitlines()
        self.assertIn("ratio", head)
        self.assertRegex(
            first, r"inference +fashion_cnn +2 +1 +256 .*10\.0 ms .*floor +8\.0 ms +1\.25 +no PyTorch +<= 1\.5 +pass$"
        )
        self.assertRegex(second, r"20\.0 ms +19\.0\.\.21\.0 +floor .*2\.00 +no PyTorch +<= 1\.8 +FAIL$")

    @parameterized.parameters(
        ({}, True),
        ({"smoke": True}, False),
        ({"batch_size": 8}, False),
        ({"repeats": 4}, False),
        ({"repeats": 9}, True),
        ({"repeats": 3, "cases": ("first_result",)}, True),
    )
    def test_says_when_the_targets_do_not_apply(self, options, apply):
        found = report(Measured(case(), time=ms(10), floor=ms(8)), **options)
        self.assertEqual(found.at_target_conditions, apply)
        self.assertEqual("indication" in found.summary(), not apply)

    @parameterized.parameters((5.0, 2.0), (20.0, 1.0))
    def test_the_best_floor_is_the_faster_one(self, other, ratio):
        found = report(Measured(case(), time=ms(10), floor=ms(10), torch_floor=ms(other)))
        (row,) = found.rows()
        self.assertAllClose((row.ratio, row.torch_floor, row.best_ratio), (1.0, other, ratio))
        self.assertTrue(row.passed)  # the target is of the first floor, whose kernels are ours
        self.assertRegex(found.table(), rf"10\.0 ms +1\.00 +{other} ms +{ratio:.2f} +<= 1\.5 +pass$")

    def test_a_floor_by_pytorch_that_failed(self):
        (row,) = report(Measured(case(), time=ms(10), floor=ms(10), torch_floor=Failure("TorchError: no"))).rows()
        self.assertEqual((row.torch_floor, row.best_ratio, row.passed), (None, None, True))
        self.assertEqual(row.cells()["torch floor"], "TorchError: no")

    def test_says_which_kernels_the_floors_are_of(self):
        entry = Measured(case(), time=ms(10), floor=ms(8))
        self.assertEqual(report().kernels(), "")
        self.assertEqual(
            report(entry).kernels(),
            "Floors: TensorFlow 2.21 with oneDNN's kernels; no second one by PyTorch, which is not installed.",
        )
        torch = {"pytorch": {"torch": "2.13", "onednn": True}}
        text = report(entry, about=torch | {"onednn": False}).kernels()
        self.assertRegex(text, r"with its own kernels, oneDNN being off .*; PyTorch 2\.13 with oneDNN's kernels\.$")
        self.assertIn("which failed", report(entry, about={"pytorch": {"threads": 2}}).kernels())

    def test_first_results_beside_those_of_others(self):
        authors = first_runs("authors", first=(0.05,), later=0.05)
        found = report(first=[first_runs(), first_runs("keras", first=(1.25,)), authors])
        plain, eager = found.rows()
        self.assertAllClose((plain.value, plain.other, plain.ratio), (5750, 4500, 5750 / 4500))
        self.assertAllClose((eager.value, eager.other, eager.ratio), (5750, 3300, 3300 / 5750))
        self.assertEqual((plain.against, eager.against, plain.target), ("keras", "authors", None))
        self.assertRegex(
            found.first_table().splitlines()[1],
            r"^ *first attack +fashion_cnn +cnnf_tf +1 +3\.00 s +0\.25 s +2\.50 s +0\.50 s +2\.00 s +5\.75 s +70$",
        )
        self.assertEqual(report().first_table(), "")

    @parameterized.parameters((2, 9.0, None), (10, 3.4, True), (10, 3.6, False))
    def test_start_up_hardly_grows_with_k(self, iterations, first, passed):
        rows = report(first=[first_runs(), first_runs(iterations=iterations, first=(first,))]).rows()
        (row,) = rows
        self.assertEqual((row.case.kind, row.against, row.passed), ("first attack, start-up", "K = 1", passed))
        self.assertAllClose((row.value, row.other, row.ratio), (1e3 * (first - 0.5), 2000, (first - 0.5) / 2))
        self.assertEqual(row.target, None if passed is None else 1.5)

    def test_first_results_that_failed(self):
        failed = {"first": (), "failure": Failure("OSError: full")}
        found = report(first=[first_runs(**failed), first_runs("keras")])
        self.assertEqual([row.error for row in found.rows()], ["OSError: full"])
        self.assertIn("OSError: full", found.first_table())
        found = report(first=[first_runs(), first_runs("keras", **failed), first_runs(iterations=10, **failed)])
        self.assertEqual(
            [(row.against, row.error) for row in found.rows()], [("keras", "OSError: full"), ("", "OSError: full")]
        )

    def test_json_of_first_results(self):
        (facts,) = json.loads(json.dumps(report(first=[first_runs()]).to_dict()))["first_results"]
        named = {name: facts[name] for name in ("network", "kind", "by", "iterations", "nodes", "error")}
        wanted = {"network": "fashion_cnn", "kind": "first attack", "by": "cnnf_tf", "iterations": 1, "nodes": 70}
        self.assertEqual(named, wanted | {"error": ""})
        self.assertEqual((facts["first"], facts["start_up"], facts["total"]), (2.5, 2.0, 5.75))
        self.assertLen(facts["rounds"], 3)

    def test_json(self):
        found = report(Measured(case(), time=ms(3, 1, 2), floor=ms(1)))
        values = json.loads(json.dumps(found.to_dict()))
        (row,) = values["rows"]
        self.assertEqual((row["network"], row["kind"], row["samples"]), ("fashion_cnn", "inference", [3.0, 1.0, 2.0]))
        self.assertEqual(values["options"]["repeats"], 5)
        self.assertEqual(values["about"]["cpu"], "a CPU")


class FigureTest(tf.test.TestCase):
    def found(self):
        times = [Measured(case(iterations=k), time=ms(10.0 * k + 1), floor=ms(9.0 * k + 1)) for k in (0, 1, 2, 10)]
        sizes = [Measured(case(batch_size=n), memory=Memory(0, n * 2**20)) for n in (64, 256)]
        return report(*times, *sizes, Measured(case(iterations=0), memory=Memory(0, 2**20)))

    def test_same_report_same_bytes(self):
        stems = [pathlib.Path(self.create_tempdir().full_path, "deep", "benchmark") for _ in range(2)]
        first, second = ([path.read_bytes() for path in benchmark_figure(self.found(), stem)] for stem in stems)
        self.assertEqual(first, second)
        self.assertEqual(first[0][:4], b"\x89PNG")
        self.assertIn(b"<svg", first[1])

    def test_nothing_measured(self):
        paths = benchmark_figure(report(), pathlib.Path(self.create_tempdir().full_path, "empty"))
        self.assertTrue(all(path.exists() for path in paths))


if __name__ == "__main__":
    tf.test.main()
