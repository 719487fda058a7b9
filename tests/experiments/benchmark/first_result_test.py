import gc
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import first_result, first_result_worker, setups
from cnnf_tf.experiments.benchmark.first_result import AUTHORS, KERAS, OURS
from cnnf_tf.experiments.benchmark.timing import Failure

PARTS = ("import", "load", "first", "nodes", "later")


def case(kind=setups.FIRST_PREDICTION, iterations=1, network="fashion_cnn"):
    setup = setups.SMOKE_SETUPS[network]
    return setups.Case(kind, setup, 1 if network == "wide_resnet" else 0, iterations, 2)


class FirstRunsTest(tf.test.TestCase):
    def measured(self, *wanted, results=None, **options):
        """The keys of what was run, in their order, and what came of it."""
        asked = []

        def measure(case, by, reference):
            asked.append((case.iterations, by))
            result = {"import": 4.0, "load": 1.0, "first": 2.0 + len(asked), "later": 1.0, "nodes": 9}
            return (results or {}).get(by, result)

        with mock.patch.object(first_result, "_measure", side_effect=measure):
            return asked, first_result.first_runs(wanted, **options)

    def test_rounds_take_turns_and_keras_has_no_k(self):
        asked, found = self.measured(case(), case(iterations=5), repeats=2, reference="folder")
        once = [(1, OURS), (1, KERAS), (1, AUTHORS), (5, OURS), (5, AUTHORS)]
        self.assertEqual(asked, once * 2)
        self.assertEqual([(runs.case.iterations, runs.by) for runs in found], once)
        self.assertEqual(found[0].timing("first").seconds, (3.0, 8.0))
        self.assertEqual(found[0].start_up.seconds, (2.0, 7.0))
        self.assertEqual(found[0].total.seconds, (8.0, 13.0))

    def test_what_fails_is_left_out_of_later_rounds(self):
        asked, found = self.measured(case(), repeats=3, results={KERAS: Failure("no")})
        self.assertEqual(asked, [(1, OURS), (1, KERAS), (1, OURS), (1, OURS)])
        self.assertEqual([(runs.by, runs.failure) for runs in found], [(OURS, None), (KERAS, Failure("no"))])


class WorkerTest(tf.test.TestCase, parameterized.TestCase):
    def measure(self, by, case):
        with mock.patch.object(first_result, "answer", side_effect=lambda *arguments: arguments[-1]):
            text = first_result._measure(case, by, None)
        with (
            mock.patch.object(first_result_worker.sys, "argv", ["worker", text]),
            mock.patch("builtins.print") as printed,
        ):
            first_result_worker.main()
        return first_result.json.loads(printed.call_args.args[0])

    @parameterized.product(by=(OURS, KERAS), kind=setups.FIRST_RESULTS)
    def test_first_run_is_the_slow_one(self, by, kind):
        found = self.measure(by, case(kind, network="wide_resnet"))
        self.assertCountEqual(found, PARTS)
        self.assertGreater(found["first"], found["later"])
        self.assertGreater(found["nodes"], 20)

    def test_a_pretrained_network_at_another_k(self):
        counts = [self.measure(OURS, case(iterations=count))["nodes"] for count in (0, 2)]
        self.assertGreater(counts[1], 1.5 * counts[0])

    def test_nodes_are_those_of_all_traced_graphs(self):
        inner = tf.function(lambda x: x * 2.0 + 1.0, autograph=False, experimental_attributes={"_noinline": True})
        outer = tf.function(lambda x: inner(inner(x)), autograph=False)
        before = first_result_worker._graphs()
        graph = outer.get_concrete_function(tf.TensorSpec([], tf.float32)).graph.as_graph_def()
        counted = len(graph.node) + sum(len(function.node_def) for function in graph.library.function)
        found = sum(nodes for name, nodes in first_result_worker._graphs().items() if name not in before)
        # The library does not list the argument of the outer function.
        self.assertEqual(found, counted - 1)

    def test_graphs_that_others_drop_meanwhile_do_not_count(self):
        def traced(additions):
            function = tf.function(lambda x: sum((x for _ in range(additions)), x), autograph=False)
            function(tf.ones([3])).numpy()
            return function

        known, held = set(first_result_worker._graphs()), [traced(100)]
        others = set(first_result_worker._graphs()) - known
        self.assertNotEmpty(others)

        def work():
            held[:] = [traced(5)]
            gc.collect()

        with mock.patch.object(first_result_worker, "_keras", return_value=iter([None, None, work])):
            found = first_result_worker.measure({"by": "keras"})
        self.assertNoCommonElements(others, first_result_worker._graphs())
        self.assertBetween(found["nodes"], 5, 20)


if __name__ == "__main__":
    tf.test.main()
