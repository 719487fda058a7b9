import dataclasses

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.plan import BenchmarkOptions, first_cases, memory_cases, timed_groups


def timed(options):
    return [case for group in timed_groups(options, exporters=["saved_model"]) for case in group]


class PlanTest(tf.test.TestCase, parameterized.TestCase):
    def test_short_plan_has_what_the_targets_speak_of(self):
        found = timed(BenchmarkOptions())
        main = {
            (case.setup.network, case.kind, case.encoder_blocks, case.iterations)
            for case in found
            if (case.dtype, case.mode, case.batch_size) == ("float32", "function", case.setup.batch_size)
        }
        for network, own, iterations in (("fashion_cnn", 2, 1), ("wide_resnet", 5, 2)):
            for count in (0, 1, 2, 5, 10):
                self.assertIn((network, setups.INFERENCE, own, count), main)
            for count in (0, 1, 2, 5):
                self.assertIn((network, setups.INFERENCE, 0, count), main)
            for kind in (
                setups.ATTACK_FIRST_PASS,
                setups.ATTACK_FULL_UNROLL,
                setups.TRAINING,
                setups.ADVERSARIAL_TRAINING,
                "export saved_model",
            ):
                self.assertIn((network, kind, own, iterations), main)
        self.assertLen(set(found), len(found))
        self.assertEqual({case.batch_size for case in found}, {32, 64, 128, 256})

    def test_short_plan_has_every_dtype_and_mode_of_inference(self):
        found = {(case.setup.network, case.dtype, case.mode) for case in timed(BenchmarkOptions(cases=("inference",)))}
        for network in setups.SETUPS:
            self.assertContainsSubset({(network, "bfloat16", "function")}, found)
            self.assertContainsSubset({(network, "float32", mode) for mode in setups.MODES}, found)

    def test_short_plan_compiles_no_gradient_of_the_wide_network(self):
        kinds = {case.kind for case in timed(BenchmarkOptions(networks=("wide_resnet",))) if case.mode == "xla"}
        self.assertEqual(kinds, {setups.INFERENCE})

    def test_full_plan_has_every_combination(self):
        options = BenchmarkOptions(cases=("inference", "training"), networks=("wide_resnet",), full=True)
        found = [case for case in timed(options) if case.batch_size == 32]
        combinations = len(setups.POLICIES) * len(setups.MODES) * 2  # dtypes, modes, encoder_blocks
        self.assertLen([case for case in found if case.kind == setups.INFERENCE], 5 * combinations)
        self.assertLen([case for case in found if case.kind == setups.TRAINING], combinations)

    def test_a_group_is_of_one_part_and_network(self):
        for group in timed_groups(BenchmarkOptions(), exporters=["a", "b"]):
            self.assertLen({(case.setup, case.encoder_blocks) for case in group}, 1)

    def test_first_dtype_and_mode_are_the_main_ones(self):
        options = BenchmarkOptions(cases=("training",), dtypes=("bfloat16",), modes=("xla",))
        self.assertEqual({(case.dtype, case.mode) for case in timed(options)}, {("bfloat16", "xla")})

    @parameterized.parameters(((0, 1), False), ((0, 1, 2), True), ((0, 1, 12), False))
    def test_line_needs_three_points_below_it(self, iterations, line):
        options = BenchmarkOptions(cases=("inference",), networks=("fashion_cnn",), iterations=iterations)
        self.assertEqual(10 in {case.iterations for case in timed(options)}, line)

    def test_batch_size_and_smoke(self):
        options = BenchmarkOptions(batch_size=8)
        self.assertEqual({case.batch_size for case in timed(options)}, {2, 4, 8})
        self.assertEqual({case.setup.batch_size for case in timed(options)}, {8})
        smoke = BenchmarkOptions(smoke=True)
        self.assertEqual({case.setup for case in timed(smoke)}, set(setups.SMOKE_SETUPS.values()))
        self.assertLen(memory_cases(smoke), 1)

    def test_memory(self):
        found = memory_cases(BenchmarkOptions())
        self.assertLen(set(found), len(found))
        fashion = [case for case in found if case.setup.network == "fashion_cnn"]
        training = [(case.iterations, case.batch_size) for case in fashion if case.kind == setups.TRAINING]
        self.assertEqual(training, [(1, 256), (0, 256), (5, 256), (1, 64), (1, 128)])
        self.assertLen([case for case in found if case.setup.network == "wide_resnet"], 4)
        self.assertEqual(memory_cases(BenchmarkOptions(cases=("inference",))), [])

    def test_first_results(self):
        self.assertEqual(first_cases(BenchmarkOptions()), [])
        options = BenchmarkOptions(cases=("first_result",))
        self.assertEqual((timed(options), memory_cases(options)), ([], []))
        found = {
            (case.setup.network, case.encoder_blocks, case.kind, case.iterations, case.batch_size)
            for case in first_cases(options)
        }
        networks = (("fashion_cnn", 0), ("wide_resnet", 5))
        kinds = (setups.FIRST_PREDICTION, setups.FIRST_ATTACK, setups.FIRST_TRAINING)
        wanted = {(*network, kind, count, 8) for network in networks for kind in kinds for count in (0, 1, 2, 5, 10)}
        self.assertEqual(found, wanted)
        options = dataclasses.replace(options, iterations=(1, 3), networks=("wide_resnet",), batch_size=64)
        self.assertEqual({(case.iterations, case.batch_size) for case in first_cases(options)}, {(1, 64), (3, 64)})
        self.assertLen(first_cases(dataclasses.replace(options, smoke=True)), 1)

    @parameterized.parameters(
        ({"cases": ("inference", "sleep")}, r"cases wants some of \['inference', .*got \['inference', 'sleep'\]"),
        ({"networks": ()}, "networks wants some of .*at least one, got"),
        ({"dtypes": ("float32", "float32")}, "dtypes wants some of .*each once"),
        ({"modes": ("graph",)}, r"modes wants some of \['function', 'eager', 'xla'\]"),
        ({"iterations": ()}, "iterations wants values of K"),
        ({"iterations": (1, 1)}, "iterations wants values of K, each once"),
        ({"iterations": (-1,)}, "iterations must be an integer >= 0"),
        ({"repeats": 0}, "repeats must be a positive integer"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
    )
    def test_bad_options(self, options, message):
        with self.assertRaisesRegex(ValueError, message):
            BenchmarkOptions(**options)

    def test_options_are_plain_values(self):
        self.assertEqual(BenchmarkOptions(**dataclasses.asdict(BenchmarkOptions())), BenchmarkOptions())


if __name__ == "__main__":
    tf.test.main()
