"""Batches shared out over replicas, parts, and what a record holds: the same facts, whoever found them."""

import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks, training
from cnnf_tf.evaluation.accuracy import pass_job
from cnnf_tf.utils.batch_records import BatchRecord, MergedRecord, open_record
from cnnf_tf.utils.batches import SECONDS, BatchRunner, Job, Shard
from tests.models import fixtures_models

IMAGES = 11
CONFIG = {"sha256": {"model": "a"}, "seed": 0}


def squares(calls=None, count=IMAGES, stop=None):
    """A job on batches of 2 numbers; `calls` gets the first number of each that is worked on, the `stop`-th raises."""

    def work(values, indices):
        if calls is not None:
            if len(calls) == stop:
                raise KeyboardInterrupt
            calls.append(int(indices[0]))
        return {"square": values**2, "index": indices}

    return Job("squares: 1/2", tf.data.Dataset.range(count).batch(2), work)


def without_seconds(facts):
    return {name: values for name, values in facts.items() if name != SECONDS}


class BatchesTest(tf.test.TestCase, parameterized.TestCase):
    def folder(self):
        return pathlib.Path(self.create_tempdir().full_path)

    def assert_same(self, first, second):
        """To the last bit."""
        self.assertEqual(first.keys(), second.keys())
        for name in without_seconds(first):
            self.assertEqual((first[name].dtype, first[name].shape), (second[name].dtype, second[name].shape), name)
            self.assertEqual(first[name].tobytes(), second[name].tobytes(), name)

    def test_facts_in_order(self):
        seen = []
        facts = BatchRunner().run(squares(), progress=lambda batch: seen.append(len(batch["index"])))
        self.assertAllEqual(facts["square"], np.arange(IMAGES) ** 2)
        self.assertAllEqual(facts["index"], np.arange(IMAGES))
        self.assertEqual(facts[SECONDS].shape, (IMAGES,))
        self.assertEqual(seen, [2, 2, 2, 2, 2, 1])
        with self.assertRaisesRegex(ValueError, "the data set to evaluate is empty; wanted at least one image"):
            BatchRunner().run(squares(count=0))

    @parameterized.parameters(IMAGES, 8, 1)
    def test_replicas_take_whole_batches(self, count):
        """Two take turns; where the last group has one batch only, the other replica's work is dropped."""
        runner = BatchRunner(training.build_strategy("mirrored", devices=2))
        self.assert_same(BatchRunner().run(squares(count=count)), runner.run(squares(count=count)))

    def test_model_and_attack_on_two_devices(self):
        strategy = training.build_strategy("mirrored", devices=2)
        attack = attacks.PGD(epsilon=0.1, steps=2)
        dataset = fixtures_models.dataset(10, 4)
        found = []
        for runner, scope in ((BatchRunner(), tf.distribute.get_strategy()), (BatchRunner(strategy), strategy)):
            with scope.scope():
                model = fixtures_models.smaller_model(iterations=1)
            attack_job = attacks.attack_job(attack, attacks.predictor(model), dataset, seed=1)
            found.append([runner.run(job) for job in (pass_job(model, dataset, iterations=1), attack_job)])
        for one, two in zip(*found, strict=True):
            self.assert_same(one, two)
        reports = [attacks.AttackReport.from_facts(facts) for _, facts in found]
        self.assertEqual(*(report.to_dict() for report in reports))
        self.assertBetween(reports[0].robust_accuracy, 0, reports[0].clean_accuracy)

    @parameterized.parameters((1, 1), (3, 1), (2, 2), (8, 1))
    def test_parts_put_together(self, count, devices):
        """More parts than batches too: some are empty."""
        strategy = training.build_strategy("mirrored", devices=devices)
        folders, worked = [self.folder() for _ in range(count)], []
        for number, folder in enumerate(folders, start=1):
            calls = [] if devices == 1 else None
            with open_record(folder, CONFIG, Shard(number, count)) as record:
                facts = BatchRunner(strategy, Shard(number, count), record).run(squares(calls))
                record.complete()
            self.assertEqual(len(facts) > 0, number <= 6)
            worked += calls or []
        if devices == 1:
            self.assertEqual(sorted(worked), [0, 2, 4, 6, 8, 10])
        merged, calls = MergedRecord(folders[::-1], CONFIG), []
        facts = BatchRunner(record=merged).run(squares(calls))
        self.assertEqual(calls, [])
        self.assert_same(facts, BatchRunner().run(squares()))
        with self.assertRaisesRegex(ValueError, "the parts hold nothing of 'another'; they are of .'squares: 1/2'."):
            BatchRunner(record=merged).run(Job("another", [], lambda: {}))

    def test_goes_on_after_a_kill(self):
        folder, calls, again = self.folder(), [], []
        with self.assertRaises(KeyboardInterrupt), open_record(folder, CONFIG) as record:
            BatchRunner(record=record).run(squares(calls, stop=3))
        with open_record(folder, CONFIG) as record:
            facts = BatchRunner(record=record).run(squares(again))
        self.assertEqual((calls, again), ([0, 2, 4], [6, 8, 10]))
        self.assert_same(facts, BatchRunner().run(squares()))
        # What is finished is read without the data set; a file that is gone is made again.
        record.path("squares: 1/2", 2).unlink()
        with open_record(folder, CONFIG) as record:
            self.assert_same(facts, BatchRunner(record=record).run(squares(again := [])))
            self.assertEqual(again, [4])
            done = Job("squares: 1/2", [], lambda: {})
            self.assert_same(facts, BatchRunner(record=record).run(done))
            record.path("squares: 1/2", 1).write_bytes(b"PK")
            with self.assertRaisesRegex(ValueError, r"squares_1_2/000001.npz is damaged .* remove it"):
                BatchRunner(record=record).run(done)
            record.remove()
        self.assertFalse(folder.exists())

    def test_refuses_to_go_on_with_something_else(self):
        folder = self.folder()
        busy = self.assertRaisesRegex(BlockingIOError, "another process works on")
        with open_record(folder, CONFIG), busy, open_record(folder, CONFIG):
            pass
        with open_record(folder, CONFIG | {"seed": 1}) as record:  # nothing was found: no loss
            BatchRunner(record=record).run(squares())
        for config, shard, message in (
            (CONFIG, Shard(), "seed: 1 there, 0 asked"),
            (CONFIG | {"seed": 1}, Shard(2, 3), "shard: '1/1' there, '2/3' asked"),
        ):
            message = rf"holds what another run has found so far \({message}\). Give another output"
            with self.assertRaisesRegex(ValueError, message), open_record(folder, config, shard):
                pass
        head = json.loads((folder / "record.json").read_text())
        (folder / "record.json").write_text(json.dumps(head | {"format": 99}))
        with self.assertRaisesRegex(ValueError, "record_format: 99 there, 1 asked"), open_record(folder, CONFIG):
            pass
        for text in ("", "[]", "{}", json.dumps(head | {"shard": "3/2"}), json.dumps(head | {"jobs": {"a": "b"}})):
            (folder / "record.json").write_text(text)
            with self.assertRaisesRegex(ValueError, "record.json is not the record of an evaluation"):
                BatchRecord.load(folder)

    def test_refuses_parts_that_do_not_make_a_whole(self):
        def part(shard, *, complete=True, config=CONFIG, count=IMAGES):
            folder = self.folder()
            with open_record(folder, config, shard) as record:
                BatchRunner(None, shard, record).run(squares(count=count))
                if complete:
                    record.complete()
            return folder

        one, two, three = (part(Shard(number, 3)) for number in (1, 2, 3))
        gone = part(Shard(3, 3))
        next(gone.glob("*/*.npz")).unlink()
        for folders, message in (
            ([], "wanted all parts of one evaluation, got parts of none"),
            ([one, self.folder()], "holds no part of an evaluation: there is no record.json"),
            ([one, three], "part 2/3 is missing"),
            ([two], "part 1/3, 3/3 is missing"),
            ([one, two, three, part(Shard(2, 3))], "part 2/3 is doubled: it lies in .* and in"),
            ([one, one, two, three], "part 1/3 is doubled"),
            ([one, two, part(Shard(3, 4))], r"got parts of .3, 4."),
            ([one, two, part(Shard(3, 3), complete=False)], "part 3/3 in .* is not finished"),
            ([one, two, part(Shard(3, 3), count=20)], "part 3/3 in .* not of the same batches as part 1/3"),
            ([one, two, gone], "000002.npz of part 3/3 is missing; give its command again"),
            (
                [one, two, part(Shard(3, 3), config={"sha256": {"model": "b"}, "seed": 0})],
                "is a part of something else .sha256.model: 'b' there, 'a' asked",
            ),
        ):
            with self.assertRaisesRegex(ValueError, message):
                MergedRecord(folders, CONFIG)

    def test_shards(self):
        self.assertEqual(Shard.parse("2/3"), Shard(2, 3))
        self.assertEqual([number for number in range(7) if Shard(2, 3).holds(number)], [1, 4])
        for text in ("", "0/3", "4/3", "1/0", "-1/3", "1", "a/b", "1/3/4", " 1/3", "1.0/3"):
            with self.assertRaisesRegex(ValueError, "wants part i of n as i/n with i from 1 to n, such as 2/3; got"):
                Shard.parse(text)


if __name__ == "__main__":
    tf.test.main()
