"""The adapter to Brain-Score: with Brain-Score where it is installed, otherwise with a stand-in for what it calls."""

import contextlib
import importlib.util
import os
import pathlib
import sys
import types
from collections import OrderedDict
from unittest import mock

import numpy as np
import tensorflow as tf
import xarray
from absl.testing import absltest, parameterized
from PIL import Image

from cnnf_tf import CNNF
from cnnf_tf.evaluation import activations
from cnnf_tf.evaluation.brain_score import BrainScoreModel
from tests.models import fixtures_models

INSTALLED = importlib.util.find_spec("brainscore_vision") is not None
if INSTALLED:
    os.environ["RESULTCACHING_DISABLE"] = "1"  # before it is imported; otherwise it writes to the home folder


class Extractor:
    """`ActivationsExtractorHelper` of 2.4, as far as the adapter and these tests use it."""

    def __init__(self, get_activations, preprocessing, identifier, batch_size):
        self.get_activations, self.preprocess = get_activations, preprocessing
        self.identifier, self.batch_size = identifier, batch_size

    def insert_attrs(self, wrapper):
        wrapper.from_paths = self

    def __call__(self, stimuli, layers):
        parts = []
        for start in range(0, len(stimuli), self.batch_size):
            inputs = np.array(stimuli[start : start + self.batch_size])
            padding = np.repeat(inputs[-1:], self.batch_size - len(inputs))
            found = self.get_activations(self.preprocess(np.concatenate([inputs, padding])), layers)
            assert isinstance(found, OrderedDict)
            parts.append([found[layer][: len(inputs)].reshape(len(inputs), -1) for layer in layers])
        values = [np.concatenate(part) for part in zip(*parts, strict=True)]
        sizes = [value.shape[1] for value in values]
        coords = {
            "stimulus_path": ("presentation", stimuli),
            "neuroid_num": ("neuroid", np.concatenate([np.arange(size) for size in sizes])),
            "layer": ("neuroid", np.repeat(layers, sizes)),
        }
        return xarray.DataArray(np.concatenate(values, axis=1), coords=coords, dims=("presentation", "neuroid"))


def stand_in():
    """Modules in the place of Brain-Score's."""
    walk = lambda assembly: ((name, value.dims, value.values) for name, value in assembly.coords.items())  # noqa: E731
    contents = {
        "brainscore_vision.model_helpers.activations.core": {"ActivationsExtractorHelper": Extractor},
        "brainscore_vision.model_helpers.brain_transformation": {"ModelCommitment": mock.Mock()},
        "brainscore_core.supported_data_standards.brainio.assemblies": {
            "NeuroidAssembly": xarray.DataArray,
            "walk_coords": walk,
        },
    }
    modules = {}
    for name, attributes in contents.items():
        for end in range(1, name.count(".") + 2):
            modules.setdefault(".".join(name.split(".")[:end]), types.ModuleType(name))
        vars(modules[name]).update(attributes)
    return mock.patch.dict(sys.modules, modules)


class Subclass(CNNF):
    pass


class BrainScoreTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(contextlib.nullcontext() if INSTALLED else stand_in())
        folder = pathlib.Path(self.create_tempdir().full_path)
        rng = np.random.default_rng(0)
        self.paths, self.pixels = [], rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
        for number, pixels in enumerate(self.pixels):
            self.paths.append(str(folder / f"{number}.png"))
            Image.fromarray(pixels).save(self.paths[-1])

    def model(self, channels=3, **kwargs):
        return fixtures_models.smaller_model(image_shape=(8, 8, channels), iterations=2, **kwargs)

    def test_each_pass_is_a_layer(self):
        model = self.model()
        adapter = BrainScoreModel(model, "tiny", batch_size=2)
        self.assertEqual(adapter.layers("conv"), ["conv.f-t0", "conv.f-t1", "conv.f-t2"])
        layers = ["fc.f-t2", "ada_relu-t1", "fc.f-t0", "logits"]
        found = adapter(self.paths, layers=layers)
        self.assertEqual(tuple(found.dims), ("presentation", "neuroid"))
        self.assertEqual(list(found["stimulus_path"].values), self.paths)
        wanted = activations(model, self.pixels / np.float32(255), ["fc.f", "*ada_relu.f"])
        names = found["layer"].values
        relu = np.moveaxis(wanted["tap/ada_relu.f"][1], -1, 1).reshape(3, -1)  # channels first
        logits = model.predict(self.pixels / np.float32(255), verbose=0)
        for name, value in zip(layers, (wanted["fc.f"][2], relu, wanted["fc.f"][0], logits), strict=True):
            self.assertAllClose(found.values[:, names == name], value, atol=1e-5, msg=name)

    def test_all_passes_are_time(self):
        model = self.model()
        adapter = BrainScoreModel(model, "tiny", time_bins=[(70, 100), (100, 150), (150, 200)])
        found = adapter(self.paths, layers=["conv.f", "fc.f"])
        self.assertEqual(tuple(found.dims), ("presentation", "neuroid", "time_bin"))
        self.assertEqual(list(found["time_bin_start"].values), [70, 100, 150])
        self.assertEqual(list(found["time_bin_end"].values), [100, 150, 200])
        wanted = activations(model, self.pixels / np.float32(255), ["conv.f", "fc.f"])
        for name, value in wanted.items():
            value = np.moveaxis(value, -1, 2) if value.ndim == 5 else value
            ours = found.values[:, found["layer"].values == name]
            self.assertAllClose(ours, np.moveaxis(value.reshape(3, 3, -1), 0, -1), atol=1e-5, msg=name)
        ids = list(found["neuroid_id"].values)
        self.assertLen(set(ids), found.shape[1])
        self.assertStartsWith(ids[0], f"{adapter.identifier}.conv.f.0")

    def test_images_are_resized_and_made_grey(self):
        adapter = BrainScoreModel(self.model(channels=1), "tiny")
        path = os.path.join(os.path.dirname(self.paths[0]), "large.png")
        Image.new("RGBA", (40, 20), (255, 0, 0, 255)).save(path)
        images = adapter.preprocess([path])
        self.assertEqual((images.shape, images.dtype), ((1, 3, 8, 8), np.float32))
        self.assertAllClose(images, np.full_like(images, 76 / 255), atol=1e-6)  # the luma of red
        self.assertEqual(adapter([path, path], layers=["fc.f-t0"]).shape[1], 3)

    def test_passes_take_the_time_that_is_recorded(self):
        adapter = BrainScoreModel(self.model(), "tiny", iterations=5)
        wanted = [(70, 100), (100, 130), (130, 160), (160, 190), (190, 220), (220, 250)]
        self.assertEqual(adapter.time_bins, wanted)

    def test_results_are_kept_by_what_the_model_computes(self):
        model = self.model()
        first = BrainScoreModel(model, "tiny").identifier
        self.assertRegex(first, "^tiny-[0-9a-f]{12}$")
        self.assertEqual(BrainScoreModel(model, "tiny").identifier, first)
        self.assertNotEqual(BrainScoreModel(model, "tiny", iterations=5).identifier, first)
        for own in (model, Subclass.from_config(model.get_config())):  # of a subclass nobody knows all settings
            found = set()
            for own.eta in (0.1, 0.9):
                found.add(BrainScoreModel(own, "tiny").identifier)
            self.assertLen(found, 2)
        model.trainable_variables[0].assign_add(tf.ones_like(model.trainable_variables[0].value))
        self.assertNotEqual(BrainScoreModel(model, "tiny").identifier, first)

    def test_refuses(self):
        model = self.model()
        for options, message in (
            ({"time_bins": [(70, 100)]}, "milliseconds for each of 3 passes"),
            (
                {"time_bins": [(0, 10), (20, 30), (30, 40)]},
                r"each beginning where the one before ends, got \[\(0, 10\)",
            ),
            ({"time_bins": [(0, 10), (10, 10), (10, 40)]}, "time_bins"),
            ({"time_bins": [(0, 12.5), (12.5, 25), (25, 40)]}, "in whole milliseconds"),
            ({"time_bins": [0, 10, 20]}, "time_bins"),
            ({"iterations": 300}, "time_bins"),  # none of them would have a millisecond
            ({"image_size": (9, 8)}, r"image_size: wanted .* of images \(8, 8, 3\), got \(9, 8\)"),
            ({"batch_size": 0}, "batch_size"),
            ({"iterations": -1}, "iterations"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                BrainScoreModel(model, "tiny", **options)
        with self.assertRaisesRegex(ValueError, "images of 1 or 3 channels; the model takes 2"):
            BrainScoreModel(self.model(channels=2), "tiny")
        adapter = BrainScoreModel(model, "tiny")
        for layers, message in (
            (["fc.f-t3"], "'fc.f-t3': there are passes 0 to 2"),
            (["nothing.f-t0"], "'nothing.f' matches nothing"),
            (["*.f-t0"], "names . layers .*; wanted one"),
            (["fc.f-t0", "fc.f"], r"must all have a pass \(LAYER-tN\), or none"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                adapter(self.paths, layers=layers)
        with self.assertRaisesRegex(ValueError, "wanted LAYER-tN with a pass N of 0 to 2, or 'logits', got 'fc.f'"):
            adapter.brain_model({"IT": "fc.f"}, readout_layer="fc.f")
        with self.assertRaisesRegex(ValueError, "'x' matches nothing"):
            adapter.brain_model({"IT": "x"})

    def test_not_installed(self):
        with (
            mock.patch.dict(sys.modules, {"brainscore_vision": None}),
            self.assertRaisesRegex(ImportError, r"needs Brain-Score: pip install 'cnnf_tf\[brainscore\]'"),
        ):
            for name in [name for name in sys.modules if name.startswith("brainscore_vision.")]:
                del sys.modules[name]
            BrainScoreModel(self.model(), "tiny")

    @absltest.skipUnless(INSTALLED, "Brain-Score is not installed: pip install 'cnnf_tf[brainscore]'")
    def test_recordings_and_behaviour_of_the_real_one(self):
        from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
        from brainscore_vision.model_interface import BrainModel

        stimuli = StimulusSet({"stimulus_id": ["a", "b", "c"], "image_label": ["x", "y", "x"]})
        stimuli.stimulus_paths = dict(zip("abc", self.paths, strict=True))
        stimuli.identifier = "made-here"
        model = self.model()
        adapter = BrainScoreModel(model, "tiny", batch_size=2)
        wanted = np.moveaxis(activations(model, self.pixels / np.float32(255), "fc.f")["fc.f"], 0, -1)

        subject = adapter.brain_model({"IT": "fc.f"}, visual_degrees=10)
        self.assertEqual((subject.visual_degrees(), subject.identifier), (10, adapter.identifier))
        subject.start_recording("IT", time_bins=[(70, 130), (100, 160), (190, 250)])
        found = subject.look_at(stimuli, number_of_trials=2)
        self.assertEqual(found.dims, ("presentation", "neuroid", "time_bin"))
        self.assertEqual(list(found["stimulus_id"].values), ["a", "b", "c"])
        self.assertEqual(list(found["image_label"].values), ["x", "y", "x"])
        self.assertEqual(set(found["region"].values), {"IT"})
        self.assertEqual([tuple(each) for each in found["time_bin"].values], [(70, 130), (100, 160), (190, 250)])
        self.assertAllClose(found.values[..., 0], wanted[..., 0], atol=1e-5)
        self.assertAllClose(found.values[..., 1], wanted[..., :2].mean(-1), atol=1e-5)  # half of each
        self.assertAllClose(found.values[..., 2], wanted[..., 2], atol=1e-5)

        # One pass at all times, as feed-forward models have it.
        subject = adapter.brain_model({"IT": "fc.f-t1"})
        subject.start_recording("IT", time_bins=[(70, 170)])
        found = subject.look_at(stimuli)
        self.assertEqual(found.dims, ("presentation", "neuroid"))
        self.assertAllClose(found.values, wanted[..., 1], atol=1e-5)

        subject.start_task(BrainModel.Task.probabilities, stimuli)
        behaviour = subject.look_at(stimuli)
        self.assertEqual((behaviour.shape, sorted(behaviour["choice"].values)), ((3, 2), ["x", "y"]))

        # Trials that vary: the image moves by fractions of a pixel. Last, as Brain-Score goes on with two trials.
        varied = adapter(stimuli, layers=["conv.f-t0"], number_of_trials=2, require_variance=True)
        self.assertEqual(varied.shape[0], 6)
        self.assertGreater(np.abs(varied.values[0] - varied.values[1]).max(), 1e-5)


if __name__ == "__main__":
    tf.test.main()
