"""Every evaluation made in three parts and put together is that of one run, to the last bit of what it sums up."""

import functools
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import evaluation, generative
from cnnf_tf.evaluation.out_of_distribution import score_job
from cnnf_tf.utils.batch_records import MergedRecord, open_record
from cnnf_tf.utils.batches import BatchRunner, Shard
from tests.models import fixtures_models

SHAPE = (12, 12, 1)
IMAGES = np.random.default_rng(0).random((10, *SHAPE), np.float32)
LABELS = fixtures_models.labels(10)


@functools.cache
def model(iterations):
    return fixtures_models.smaller_model(image_shape=SHAPE, iterations=iterations)


def dataset():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(3)


def passes():
    return [evaluation.pass_job(model(1), dataset(), iterations=2)], evaluation.PassAccuracy.from_facts


def consistency():
    job = generative.self_consistency_job(model(1), dataset())
    return [job], generative.SelfConsistencySummary.from_facts


def restoration():
    way = {"corruption": "shot_noise", "severity": 3, "seed": 1, "iterations": (1, 2)}
    baselines = {"median": evaluation.median_filter}
    job = evaluation.restoration_job(model(1), dataset(), baselines=baselines, **way)
    return [job], functools.partial(evaluation.RestorationQuality.from_facts, baselines=("median",), **way)


def scores():
    one = model(1)
    job = score_job(one, evaluation.generative_model(one)[0], dataset())
    return [job], lambda facts: {name: values.tolist() for name, values in evaluation.scores_of(facts).items()}


def robustness():
    """SPSA has images in the first part alone."""
    specs = evaluation.baseline_suite(epsilon=0.1, steps=1, spsa_steps=1, spsa_images=2)
    options = {"attack_specs": specs, "epsilon": 0.1, "seed": 0, "check_images": 4, "check_steps": 1, "batch_size": 3}
    found = evaluation.RobustnessEvaluation(model(0), IMAGES, LABELS, **options)
    return found.jobs, lambda **facts: found.report(facts)


class PartsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(passes, consistency, restoration, scores, robustness)
    def test_equal_to_one_run(self, evaluate):
        jobs, result = evaluate()
        if evaluate is not robustness:
            result = functools.partial(lambda result, **facts: result(*facts.values()), result)
        folders = [pathlib.Path(self.create_tempdir().full_path) for _ in range(3)]
        for number, folder in enumerate(folders, start=1):
            with open_record(folder, {}, Shard(number, 3)) as record:
                runner = BatchRunner(shard=Shard(number, 3), record=record)
                for job in jobs:
                    runner.run(job)
                record.complete()
        merged = BatchRunner(record=MergedRecord(folders, {}))
        whole, parts = (result(**{job.name: each.run(job) for job in jobs}) for each in (BatchRunner(), merged))
        if evaluate is robustness:
            self.assertEqual(whole.table(), parts.table())
            whole, parts = (report.to_dict() for report in (whole, parts))
            for entry in (*whole["scores"], *parts["scores"]):
                del entry["seconds"]
        self.assertEqual(whole, parts)


if __name__ == "__main__":
    tf.test.main()
