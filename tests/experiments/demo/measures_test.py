"""The demo's measurements against the functions that do the same at full size."""

import dataclasses

import keras
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import PGD, gradient_source, predictor, run_attack
from cnnf_tf.data import corrupt, noisy_pairs
from cnnf_tf.evaluation import evaluate_restoration, restore
from cnnf_tf.experiments.demo import measures as demo
from tests.experiments.demo.fixtures_demo import LABELS, attack, dataset, images, model, repair


class MeasuringTest(tf.test.TestCase, parameterized.TestCase):
    def test_repair_is_restoration(self):
        counts = []
        found = repair(progress=counts.append)
        options = {"corruption": "dotted_line", "severity": 3, "seed": 1, "iterations": (1, 2)}
        wanted = evaluate_restoration(model(), dataset(), **options)
        self.assertEqual(dataclasses.replace(found.quality, baselines={}), wanted)
        self.assertEqual(list(found.quality.baselines), ["median filter 3x3"])
        self.assertEqual(counts, [4, 2])
        self.assertAllEqual(found.clean, images()[[0, 2]])  # the first of each class
        noisy = corrupt(tf.constant(found.clean), "dotted_line", 3, seed=1)
        self.assertAllEqual(found.noisy, noisy)
        self.assertAllClose(found.restored, restore(model(), noisy, iterations=(1, 2), restored="features"), atol=1e-6)

    def test_fewer_classes_than_pictures(self):
        self.assertLen(repair(num_shown=5).clean, 3)

    @parameterized.parameters("last", "average")
    def test_an_image_must_stand_both_paths(self, readout):
        cnnf, counts = model(readout=readout), []
        found = attack(cnnf, progress=counts.append)
        self.assertEqual(counts, [4, 2, 4, 2])
        self.assertEqual((found.iterations, found.readout), (1, readout))
        self.assertAllEqual(found.images, images())
        self.assertEqual(list(found.reports), ["first_pass", "full_unroll"])
        robust = predictor(cnnf)(images()).numpy().argmax(-1) == LABELS
        self.assertAllEqual(found.clean_correct, robust)
        for path, report in found.reports.items():
            pgd = PGD(epsilon=0.1, steps=2)
            wanted = run_attack(pgd, predictor(cnnf), dataset(), seed=3, surrogate=gradient_source(cnnf, path))
            self.assertAllEqual(report.predictions, wanted.predictions)
            robust &= wanted.predictions == LABELS
        self.assertAllEqual(found.robust, robust)
        numbers = found.to_dict()
        self.assertEqual(numbers["stands_every_path"], robust.mean())
        self.assertEqual(numbers["num_images"], 6)

    def test_a_cnn_has_one_path(self):
        found = attack(model(iterations=0))
        self.assertEqual(list(found.reports), ["full_unroll"])
        self.assertLen(demo.paths(model(iterations=0), epsilon=0.1, steps=2), 1)

    def test_no_epsilon_breaks_nothing(self):
        found = attack(model(), epsilon=0.0)
        self.assertAllEqual(found.robust, found.clean_correct)

    def test_fine_tuning(self):
        tuned, counts = model(), []
        found = demo.fine_tune(
            tuned, dataset().repeat(), dataset(), steps=30, learning_rate=0.01, seed=5, progress=counts.append
        )
        self.assertEqual(counts, [1] * 30)
        self.assertLen(found.losses, 30)
        self.assertEqual((found.batch_size, found.num_images), (4, 6))
        self.assertLess(found.after["loss"], found.before["loss"])

        fresh = model()  # independently: the losses before the first step, on its batch and on the held-out images
        fresh.compile()
        for clean, seed, wanted in ((dataset().take(1), 5, found.losses[0]), (dataset(), 6, found.before["loss"])):
            pairs = noisy_pairs(clean, ("gaussian_noise",), (4,), seed=seed, clean_share=0.0)
            self.assertAllClose(fresh.evaluate(pairs, verbose=0, return_dict=True)["loss"], wanted, rtol=1e-5)

    def test_fine_tuning_repeats(self):
        keras.utils.set_random_seed(0)
        first, second = (demo.fine_tune(model(), dataset().repeat(), dataset(), steps=2, seed=0) for _ in range(2))
        self.assertEqual(first, second)

    def test_fine_tuning_wants_steps(self):
        with self.assertRaisesRegex(ValueError, "steps must be .*got 0"):
            demo.fine_tune(model(), dataset(), dataset(), steps=0, seed=0)

    @parameterized.parameters(((14.0, 21.5), (2, 6.5)), ((21.5, 21.5), (1, 6.5)), ((13.0, 14.0), (2, -1.0)))
    def test_best_pass(self, psnr, wanted):
        found = repair()
        qualities = [dataclasses.replace(found.quality.corrupted, psnr=value) for value in psnr]
        quality = dataclasses.replace(
            found.quality,
            corrupted=dataclasses.replace(found.quality.corrupted, psnr=15.0),
            restored=found.quality.restored | {"features": qualities},
        )
        self.assertEqual(dataclasses.replace(found, quality=quality).best, wanted)


if __name__ == "__main__":
    tf.test.main()
