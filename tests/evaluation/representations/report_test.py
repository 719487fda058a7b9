"""Studies of one model and of two: numbers, tables and figures, files and what is refused."""

import json
import pathlib
import types
import warnings
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.evaluation import representations
from cnnf_tf.evaluation.recordings.store import Batch, open_activations, write_batches
from cnnf_tf.evaluation.representations import report

LABELS = np.tile([0, 1, 2], 20)


def features(seed, passes=3, width=5):
    """`[passes, 60, width]`, the class clearer from pass to pass."""
    rng = np.random.default_rng(seed)
    classes = np.random.default_rng(9).normal(size=(3, width))[LABELS]
    return (np.arange(passes)[:, None, None] * classes + rng.normal(size=(passes, 60, width))).astype(np.float32)


def model(seed, passes=3):
    return {
        "a/relu.f": features(seed, passes),
        "b.f": features(seed + 1, passes),
        "fc.f": features(seed + 2, passes, 3),
    }


def study(**options):
    options = {"labels": LABELS, "logits": "fc.f", "folds": 2, "resamples": 20} | options
    return representations.Study(**{"activations": {"one": model(0), "two": model(5, passes=2)}} | options)


class AnalysesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*representations.ANALYSES)
    def test_one_and_two_models(self, name):
        folder = pathlib.Path(self.create_tempdir().full_path)
        for which in (study(activations={"one": model(0)}), study()):
            found = dict(representations.analyse(which, [name]))[name]
            json.dumps(found.numbers, allow_nan=False)
            self.assertIn("pass 1" if name == "arrival" else "pass 2", found.table)
        pictures = [folder / "1.png", folder / "2.png"]
        for path in pictures:
            found.draw(path, title="$a_b$")
        self.assertEqual(pictures[0].read_bytes()[:4], b"\x89PNG")
        self.assertEqual(*(path.read_bytes() for path in pictures))

    def test_two_models_are_compared_by_name(self):
        both = study()
        self.assertEqual(both.pairs["b.f"], ("one b.f", "two b.f"))
        found = dict(representations.analyse(both, ["cka", "arrival"]))
        self.assertIn("b.f, of both models", found["cka"].table)
        places = {(item["name"], item["pass"]): place for place, item in enumerate(found["cka"].numbers["items"])}
        pair = [representations.linear_cka(model(0)["b.f"][t], model(5, passes=2)["b.f"][t]) for t in (0, 1)]
        value = np.array(found["cka"].numbers["value"])
        self.assertAllClose([value[places["one b.f", t], places["two b.f", t]] for t in (0, 1)], pair)
        wrong = [np.argmax(both.activations[name]["fc.f"][0], -1) != LABELS for name in ("one", "two")]
        for name in both.pairs["fc.f"]:
            hard = found["arrival"].numbers["arrivals"][name]["challenge_images"]
            self.assertEqual(hard, np.sum(wrong[0] & wrong[1]))
        self.assertLen(found["arrival"].numbers["differences"]["fc.f"]["value"], 2)

    def test_a_model_arrives_as_it_does_itself_with_more_passes(self):
        """Right until the last pass that both have: what one does after it says nothing about the other."""
        long = np.eye(3)[np.stack([LABELS * 0, LABELS, LABELS * 0])]
        both = study(activations={"one": {"fc.f": long[:2]}, "two": {"fc.f": long}})
        found = dict(representations.analyse(both, ["arrival"]))["arrival"].numbers
        self.assertAllEqual(found["differences"]["fc.f"]["value"], [0, 0])
        self.assertEqual(*(row["curve"] for row in found["arrivals"].values()))

    def test_logits_need_no_decoder(self):
        read = study().predictions["two fc.f"]
        self.assertAllEqual(read, np.argmax(model(5, passes=2)["fc.f"], -1))
        self.assertNotIn("two fc.f", study().transferred)
        with self.assertRaisesRegex(
            ValueError, r"one a/relu.f: wanted finite logits .* of at least 6 classes, got shape"
        ):
            _ = study(logits="a/relu.f", labels=np.tile([0, 1, 5], 20)).predictions

    @parameterized.parameters(
        ({"labels": None}, ["decoding"], "labels are wanted here, .* none, or --analyses=rsa,cka,dimensionality"),
        ({"labels": 0 * LABELS}, ["arrival"], "at least 2 classes"),
        ({"folds": 21}, ["decoding"], "in 21 folds wants at least 21 images of each class, got 20"),
        ({}, ["rsa", "tsne"], "analysis must be one of .*'cka'.*got 'tsne'"),
        ({"activations": {}}, ["rsa"], "at least one name for each model"),
        ({"activations": {"one": {}}}, ["rsa"], "at least one name for each model"),
        (
            {"logits": None, "activations": {"one": {"a": LABELS}}},
            ["rsa"],
            r"wanted activations|wants activations \[passes, images",
        ),
        (
            {"logits": None, "activations": {"one": {"a": features(0)[:, :9]}}},
            ["cka"],
            "integer >= 10 for an interval, got 9",
        ),
        (
            {"logits": None, "labels": None, "activations": {"one": {"a": np.zeros((2, 10**6, 1), np.int8)}}},
            ["cka"],
            "of 1000000 images want .* fewer",
        ),
        ({"labels": LABELS[:9]}, ["rsa"], "labels: wanted 60 integers"),
        ({"logits": "fc"}, ["rsa"], "logits must be one of a/relu.f, b.f, fc.f, got 'fc'"),
        ({"logits": "b.f", "num_classes": 3}, ["rsa"], r"one b.f: wanted .* of 3 classes, got shape \(3, 60, 5\)"),
        ({"activations": {"m": {"a fc.f": 0}, "m a": {"fc.f": 0}}}, ["rsa"], "two activations .* called 'm a fc.f'"),
    )
    def test_refused_before_any_work(self, options, analyses, message):
        with self.assertRaisesRegex(ValueError, message):
            representations.analyse(study(**options), analyses)

    @parameterized.parameters(*representations.ANALYSES)
    def test_constant_features(self, name):
        activations = {"one": {"a": np.stack([features(0)[0], np.ones((60, 5))])}}
        with self.assertRaisesRegex(ValueError, "a, pass 1: the features are constant, the same for all 60 images"):
            list(representations.analyse(study(activations=activations, logits=None), [name]))

    def test_logits_alone_want_no_folds(self):
        logits = {"one": {"fc.f": model(0)["fc.f"]}}
        found = dict(representations.analyse(study(activations=logits, folds=21), ["arrival", "decoding"]))
        self.assertIn("pass 2", found["arrival"].table)
        found["decoding"].draw(pathlib.Path(self.create_tempdir().full_path, "x.png"), title="")

    def test_decoding_is_drawn_beside_chance_in_one_range(self):
        found = dict(representations.analyse(study(), ["decoding"]))["decoding"]
        with mock.patch.object(report, "curves_figure") as drawn:
            found.draw("x.png", title="")
        self.assertAllClose([panel.level for panel in drawn.call_args.args[1]], 2 * [1 / 3])
        self.assertTrue(drawn.call_args.kwargs["one_range"])

    def test_integers_of_numpy(self):
        numbers = {"folds": np.int64(2), "resamples": np.int32(20), "seed": np.int64(1)}
        json.dumps(dict(representations.analyse(study(**numbers), ["decoding"]))["decoding"].numbers)
        self.assertLen(representations.decode(features(0), LABELS, folds=np.int64(2)), 3)

    def test_rdms_are_those_of_the_last_layers_of_each_model(self):
        both = study()
        found = representations.rsa(both.flat, resamples=2)
        names = [f"{name} fc.f, pass {index}" for name, index in (("one", 0), ("one", 2), ("two", 0), ("two", 1))]
        self.assertEqual(list(report._pictures(both, found)), names)
        one = study(activations={"one": model(0)})
        names = [f"{name}, pass {index}" for name in model(0) for index in (0, 2)]
        self.assertEqual(list(report._pictures(one, representations.rsa(one.flat, resamples=2))), names)

    @parameterized.parameters("rsa", "cka", "dimensionality")
    def test_ten_images(self, name):
        """Among their resamples is one of too few different images: no interval, no warning."""
        few = {"one": {"a": features(0)[:, :10]}}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = dict(
                representations.analyse(study(activations=few, labels=None, logits=None, resamples=5000), [name])
            )[name]
            found.draw(pathlib.Path(self.create_tempdir().full_path, "x.png"), title="")
        if name == "cka":
            self.assertIn("none: too few images", found.table)

    def test_no_labels(self):
        names = ["rsa", "cka", "dimensionality"]
        found = dict(representations.analyse(study(labels=None), names))
        self.assertEqual(list(found), names)
        found["rsa"].draw(pathlib.Path(self.create_tempdir().full_path, "x.png"), title="")


class FilesTest(tf.test.TestCase, parameterized.TestCase):
    def test_what_is_read(self):
        path = pathlib.Path(self.create_tempdir().full_path, "a.nc")
        values = {name: features(0) for name in ("a/relu.f", "a/relu.z", "conv@1.f", "conv@2.f", "h.g")}
        write_batches(path, [Batch(values, LABELS, [f"test[{index}]" for index in range(60)])])
        with open_activations(path) as file:
            for layers, wanted in (
                (["*"], ["a/relu.f", "conv@1.f", "conv@2.f"]),
                (["relu"], ["a/relu.f"]),
                (["relu.*", "h.g"], ["a/relu.f", "a/relu.z", "h.g"]),
                (["conv.f"], ["conv@1.f", "conv@2.f"]),
                (["conv@2"], ["conv@2.f"]),
                ("a/*.[fz]", ["a/relu.f", "a/relu.z"]),
                ("?.[gz]", ["h.g"]),
            ):
                self.assertEqual(list(representations.file_activations(file, layers)), wanted)
            few = representations.file_activations(file, ["h.g"], num_images=12)
            self.assertAllEqual(few["h.g"], values["h.g"][:, :12])
            with self.assertRaisesRegex(ValueError, "a.nc has nothing that 'h.f' matches; it has a/relu.f"):
                representations.file_activations(file, ["*", "h.f"])
            with self.assertRaisesRegex(ValueError, "a.nc has 60 images, fewer than the 61"):
                representations.file_activations(file, num_images=61)

    @parameterized.parameters(
        ({"image_ids": ["x", "y"]}, "image by image: 3 images against 2"),
        ({"image_ids": ["x", "z", "y"]}, "image by image: 2 of 3 differ, the first at place 1: 'y' against 'z'"),
        ({"labels": None}, "one has labels, the other has none"),
        ({"labels": np.array([0, 1, 2])}, "by class: 1 of 3 differ, the first at place 2: 1 against 2"),
    )
    def test_other_images(self, changes, message):
        one = {"image_ids": ["x", "y", "z"], "labels": np.array([0, 1, 1])}
        files = [types.SimpleNamespace(**one), types.SimpleNamespace(**(one | changes))]
        representations.check_same_images({"a": files[0], "b": files[0]})
        with self.assertRaisesRegex(ValueError, f"a and b cannot be compared.*{message}"):
            representations.check_same_images(dict(zip("ab", files, strict=True)))
        if message.startswith("image by image: 2"):
            representations.check_same_images(dict(zip("ab", files, strict=True)), num_images=1)


if __name__ == "__main__":
    tf.test.main()
