"""The demo: its measurements against the functions that do the same at full size, its sentences, its page."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.attacks import PGD, AttackReport, gradient_source, predictor, run_attack
from cnnf_tf.data import corrupt, noisy_pairs
from cnnf_tf.evaluation import evaluate_passes, evaluate_restoration, restore
from cnnf_tf.experiments.demo import measures as demo
from cnnf_tf.experiments.demo import words as demo_words
from cnnf_tf.experiments.demo.page import write_demo
from tests.experiments.demo.html_reader import assert_stands_alone
from tests.models import tiny

SHAPE = (12, 12, 1)
LABELS = np.array([2, 2, 0, 1, 0, 1], np.int32)
NAMES = ("a <b>", "coat", "boot")


def model(**kwargs):
    return tiny.model(image_shape=SHAPE, **({"iterations": 1} | kwargs))


def images() -> np.ndarray:
    return np.random.default_rng(0).random((6, *SHAPE)).astype(np.float32)


def dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images(), LABELS)).batch(4)


def repair(**kwargs) -> demo.Repair:
    options = {"corruption": "dotted_line", "severity": 3, "seed": 1, "iterations": (1, 2), "num_shown": 2} | kwargs
    return demo.repair(model(), dataset(), **options)


def attack(attacked, **kwargs) -> demo.Attacked:
    return demo.attack(attacked, dataset(), **({"radius": 0.1, "steps": 2, "seed": 3} | kwargs))


def attacked(standing: list[bool]) -> demo.Attacked:
    """A result with given survivors, along one path."""
    labels = np.zeros(len(standing), np.int32)
    predictions = np.where(standing, 0, 1).astype(np.int32)
    flags, zeros = np.ones(len(standing), bool), np.zeros(len(standing))
    report = AttackReport(zeros, labels, ~flags, zeros, predictions, flags, zeros, labels)
    return demo.Attacked(1, "last", zeros, {"full_unroll": report})


def small_demo(**kwargs) -> demo.Demo:
    found = demo.Demo(
        models={"standard": "m.keras"},
        dataset="idx:x",
        split="test",
        class_names=NAMES,
        seed=3,
        attack_steps=2,
        repairs=[repair(), repair(corruption="gaussian_noise")],
        contests=[demo.Contest("trained clean", 0.1, attack(model()), attack(model(iterations=0)))],
        passes={"trained clean": evaluate_passes(model(), dataset(), iterations=2)},
        tuning=demo.fine_tune(model(), dataset().repeat(), dataset(), steps=2, seed=0),
    )
    return dataclasses.replace(found, **kwargs)


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
        standing = predictor(cnnf)(images()).numpy().argmax(-1) == LABELS
        self.assertAllEqual(found.clean_correct, standing)
        for path, report in found.reports.items():
            pgd = PGD(radius=0.1, steps=2)
            wanted = run_attack(pgd, predictor(cnnf), dataset(), seed=3, surrogate=gradient_source(cnnf, path))
            self.assertAllEqual(report.predictions, wanted.predictions)
            standing &= wanted.predictions == LABELS
        self.assertAllEqual(found.standing, standing)
        numbers = found.to_dict()
        self.assertEqual(numbers["stands_every_path"], standing.mean())
        self.assertEqual(numbers["num_images"], 6)

    def test_a_cnn_has_one_path(self):
        found = attack(model(iterations=0))
        self.assertEqual(list(found.reports), ["full_unroll"])
        self.assertLen(demo.paths(model(iterations=0), radius=0.1, steps=2), 1)

    def test_no_radius_breaks_nothing(self):
        found = attack(model(), radius=0.0)
        self.assertAllEqual(found.standing, found.clean_correct)

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


class WordsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ((14.0, 21.5), "Dotted line: 15.0 dB as corrupted, at best 21.5 dB, after 2 passes (+6.5)."),
        ((14.0, 13.0), "Dotted line: 15.0 dB as corrupted, at best 14.0 dB after feedback: not repaired."),
    )
    def test_repair(self, psnr, wanted):
        found = repair()
        qualities = [dataclasses.replace(found.quality.corrupted, psnr=value) for value in psnr]
        quality = dataclasses.replace(
            found.quality,
            corrupted=dataclasses.replace(found.quality.corrupted, psnr=15.0),
            restored=found.quality.restored | {"features": qualities},
        )
        self.assertEqual(demo_words.repair_sentence(dataclasses.replace(found, quality=quality)), wanted)

    @parameterized.parameters(
        (60, 50, "The intervals overlap: so few images do not tell the two apart."),
        (80, 50, "The intervals do not overlap: CNN-F stands more."),
        (50, 80, "The intervals do not overlap: the CNN stands more."),
    )
    def test_contest(self, ours, theirs, verdict):
        cnnf, cnn = (attacked([True] * count + [False] * (100 - count)) for count in (ours, theirs))
        told = demo_words.contest_sentence(demo.Contest("trained clean", 0.03, cnnf, cnn))
        self.assertStartsWith(told, f"Networks trained clean, radius 0.03: CNN-F stands {ours} of 100 (")
        self.assertEndsWith(told, verdict)

    @parameterized.parameters(
        ([0.9], "Network n: 90.0 % for the first pass, the plain CNN inside."),
        ([0.9, 0.95, 0.8], "inside; at best 95.0 %, after 1 pass; 80.0 % after 2 passes."),
        ([0.9, 0.9], "inside; feedback adds nothing to it; 90.0 % after 1 pass."),
    )
    def test_passes(self, shares, end):
        told = demo_words.passes_sentence("n", {"last": shares}).replace("\N{NO-BREAK SPACE}", " ")
        self.assertEndsWith(told, end)

    def test_small_words(self):
        self.assertEqual(demo_words.words("gaussian_noise"), "Gaussian noise")
        self.assertEqual(demo_words.sentence_case("dotted line"), "Dotted line")
        self.assertEqual(demo_words.change(-1.25), "\N{MINUS SIGN}1.2")


class PageTest(tf.test.TestCase):
    def test_page(self):
        folders = [pathlib.Path(self.create_tempdir().full_path) / "deep" for _ in range(2)]
        found = small_demo()
        for folder in folders:
            page = write_demo(found, folder, facts={"Command": "python <x>"})
        self.assertEqual(page, folders[1] / "index.html")
        names = sorted(path.name for path in folder.iterdir())
        wanted = ["accuracy.png", "attack.png", "demo.json", "index.html", "repair.png", "training.png"]
        wanted += ["repair_dotted_line.png", "repair_gaussian_noise.png"]
        if found.contests[0].cnnf.clean_correct.any():
            wanted.append("attack_images.png")
        self.assertEqual(names, sorted(wanted))
        for name in names:
            self.assertEqual((folders[0] / name).read_bytes(), (folders[1] / name).read_bytes(), name)
        reader = assert_stands_alone(self, page.read_text(encoding="utf-8"))
        self.assertIn("Dotted line", reader.text)
        self.assertIn("python <x>", reader.text)
        self.assertLen([image for image in reader.all("img") if image.get("width")], 4)
        numbers = json.loads((folder / "demo.json").read_text())
        self.assertEqual(numbers["repair"]["dotted_line"]["num_images"], 6)
        self.assertEqual(numbers["attack"]["pairs"]["trained clean"]["cnn"]["iterations"], 0)
        self.assertLen(numbers["fine_tuning"]["losses"], 2)

    def test_nothing_stands(self):
        nothing = attacked([False] * 6)
        report = dataclasses.replace(nothing.reports["full_unroll"], clean_correct=np.zeros(6, bool))
        nothing = dataclasses.replace(nothing, images=images(), reports={"full_unroll": report})
        folder = pathlib.Path(self.create_tempdir().full_path)
        found = small_demo(contests=[demo.Contest("trained clean", 0.1, nothing, nothing)])
        page = write_demo(found, folder, facts={})
        assert_stands_alone(self, page.read_text(encoding="utf-8"))
        self.assertFalse((folder / "attack_images.png").exists())


if __name__ == "__main__":
    tf.test.main()
