"""Finding result files: seeds in order, what is not there, what cannot be read."""

import tensorflow as tf

from cnnf_tf.experiments.results import Results
from tests.experiments.results.made_up import ReportingTestCase


class ResultsTest(ReportingTestCase):
    def test_seeds_are_in_the_order_of_numbers(self):
        for seed in (10, 2, 0):
            self.put(f"part/cnn/seed{seed}/accuracy.json", {"seed": seed})
        (self.folder / "part" / "cnn" / "seeds").mkdir()
        runs = self.results.runs("part/cnn")
        self.assertEqual([(run.seed, run.accuracy) for run in runs], [(n, {"seed": n}) for n in (0, 2, 10)])

    def test_a_folder_with_files_is_one_run(self):
        self.put("part/restoration.json", {})
        self.assertEqual([run.seed for run in self.results.runs("part")], [None])
        self.put("other/provenance.json", {})
        self.assertEmpty(self.results.runs("other"))
        self.assertEmpty(self.results.runs("none"))

    def test_training(self):
        self.put("part/seed0/metrics.jsonl", [{"seconds": 60.0}, {"seconds": 30.0, "loss": 1}, {"loss": 2}])
        sessions = [
            {"hardware": {"cpu": "Fast", "cores": 2, "gpus": []}},
            {"hardware": {"cpu": "Fast", "cores": 2, "gpus": ["A", "A"]}},
        ]
        self.put("part/seed0/run.json", {"sessions": [*sessions, sessions[0]]})
        (run,) = self.results.runs("part")
        self.assertEqual(run.training_minutes, 1.5)
        self.assertLen(run.history, 3)
        self.assertEqual(run.machines, ["2 cores of Fast", "A, A"])

    def test_absent_is_empty(self):
        results = self.results
        self.assertIsNone(results.json("x/y.json"))
        self.assertEqual((results.claim("x"), results.authors("x"), results.provenance("x")), ({}, None, {}))
        self.assertFalse(results.has("x.png"))
        (self.folder / "part" / "seed0").mkdir(parents=True)
        (run,) = results.runs("part")
        found = (run.accuracy, run.robustness, run.config, run.history, run.training_minutes, run.machines)
        self.assertEqual(found, (None, None, {}, [], None, []))

    def test_errors_name_the_file(self):
        with self.assertRaisesRegex(ValueError, "wants a folder of result files such as docs/results, got '.*none'"):
            Results(self.folder / "none")
        (self.folder / "bad.json").write_text("{")
        with self.assertRaisesRegex(ValueError, "bad.json is not JSON"):
            self.results.json("bad.json")
        self.put("list.json", [1])
        with self.assertRaisesRegex(ValueError, "list.json wants a JSON object, got list"):
            self.results.json("list.json")
        self.put("part/seed0/metrics.jsonl", [{"loss": 1}])
        with (self.folder / "part/seed0/metrics.jsonl").open("a") as file:
            file.write('{"loss"')
        with self.assertRaisesRegex(ValueError, "metrics.jsonl, line 2 is not JSON"):
            _ = self.results.runs("part")[0].history


if __name__ == "__main__":
    tf.test.main()
