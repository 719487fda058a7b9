"""Files of activations: what is written comes back, in xarray and h5py too; damage and other files are told."""

import contextlib
import pathlib
import shutil
import sys
from unittest import mock

import h5py
import numpy as np
import tensorflow as tf
import xarray
from absl.testing import parameterized

from cnnf_tf.evaluation.recordings import store
from cnnf_tf.evaluation.recordings.store import Batch

NAMES = ("tap/relu.f", "relu@2.z", "fc.f")
CLASS_NAMES = ("boot", "bêche")


def batches(sizes=(4, 3), labelled=True, passes=3):
    generator, first = np.random.default_rng(0), 0
    for count in sizes:
        shapes = dict(zip(NAMES, ((5, 6, 2), (2, 2, 4, 2), (7,)), strict=True))
        values = {
            name: generator.standard_normal((passes, count, *shape)).astype(np.float32)
            for name, shape in shapes.items()
        }
        labels = np.arange(first, first + count) % 2 if labelled else None
        yield Batch(values, labels, [f"test[{first + index}]" for index in range(count)])
        first += count


def joined(parts):
    return {name: np.concatenate([part.values[name] for part in parts], axis=1) for name in parts[0].values}


class StoreTest(parameterized.TestCase, tf.test.TestCase):
    def path(self):
        return pathlib.Path(self.create_tempdir().full_path, "found.nc")

    def written(self, **options):
        path = self.path()
        parts = list(batches(labelled=options.pop("labelled", True)))
        store.write_batches(path, parts, **options)
        return path, joined(parts)

    @parameterized.parameters(("float32", 0.0), ("float16", 2e-3))
    def test_comes_back(self, dtype, tolerance):
        attributes = {"eta": {"h": 0.5, "*": 0.1}, "seed": 3, "reduce": None, "data": "fashion_mnist"}
        details = {"fc.f": {"kind": "features", "layer": "FeedbackDense"}}
        path, wanted = self.written(dtype=dtype, class_names=CLASS_NAMES, attributes=attributes, details=details)
        with store.open_activations(path) as found:
            self.assertEqual(found.names, list(NAMES))
            self.assertEqual(found.iterations, 2)
            self.assertAllEqual(found.labels, [0, 1, 0, 1, 0, 1, 0])
            self.assertEqual(found.class_names, list(CLASS_NAMES))
            self.assertEqual(found.image_ids[5], "test[5]")
            self.assertEqual(found.attributes["eta"], '{"h": 0.5, "*": 0.1}')
            self.assertEqual((found.attributes["seed"], found.attributes["data"]), (3, "fashion_mnist"))
            self.assertEqual(found.details("fc.f"), details["fc.f"])
            for name in NAMES:
                self.assertEqual(found[name].dtype, np.float32)
                self.assertAllClose(found[name], wanted[name], rtol=tolerance, atol=tolerance)
            self.assertEqual(found.shape("fc.f"), (3, 7, 7))
            self.assertAllEqual(found.read("fc.f", slice(2, 6)), found["fc.f"][:, 2:6])
            with self.assertRaisesRegex(KeyError, r"has no 'fc.z'; it has tap/relu.f, relu@2.z, fc.f"):
                found["fc.z"]
        self.assertAllEqual(store.read_activations(path)["fc.f"].shape, (3, 7, 7))

    def test_in_xarray_and_h5py(self):
        path, wanted = self.written(class_names=CLASS_NAMES)
        with xarray.open_dataset(path) as found:
            self.assertEqual(found["tap.relu.f"].dims, ("pass", "image", "height_5", "width_6", "channel_2"))
            self.assertEqual(found["fc.f"].dims, ("pass", "image", "unit_7"))
            self.assertContainsSubset({"pass", "image", "class", "image_id"}, found.coords)
            self.assertAllEqual(found["tap.relu.f"], wanted["tap/relu.f"])
            boots = found["fc.f"].where(found["class"] == 0, drop=True).sel({"pass": 2})
            self.assertAllEqual(boots, wanted["fc.f"][2, ::2])
            self.assertEqual(found["image_id"].values[0], "test[0]")
        with h5py.File(path) as found:
            self.assertAllEqual(found["tap.relu.f"], wanted["tap/relu.f"])

    def test_names_of_files_that_are_no_unicode(self):
        path = self.path()
        store.write_batches(path, [Batch({"a.f": np.zeros((1, 2, 3))}, None, ["\udcff.png", "bêche.png"])])
        with store.open_activations(path) as found:
            self.assertEqual(found.image_ids, [r"\udcff.png", "bêche.png"])

    def test_without_labels(self):
        path, _ = self.written(labelled=False)
        with store.open_activations(path) as found:
            self.assertIsNone(found.labels)
            self.assertIsNone(found.class_names)
            self.assertLen(found, 7)

    def test_size_is_told(self):
        for count in (1, 31, 100):
            path = self.path()
            generator = np.random.default_rng(0)
            values = {"a.f": generator.random((2, count, 20, 20, 8)), "b.f": generator.random((2, count, 1000))}
            store.write_batches(path, [Batch(values, None, [str(index) for index in range(count)])])
            told = store.file_bytes({"a.f": (2, 20, 20, 8), "b.f": (2, 1000)}, images=count)
            self.assertBetween(path.stat().st_size, 0.5 * told, told)

    def test_no_half_file(self):
        def killed():
            yield next(batches())
            raise KeyboardInterrupt

        path, _ = self.written()
        before = path.read_bytes()
        with self.assertRaises(KeyboardInterrupt):
            store.write_batches(path, killed())
        self.assertEqual(path.read_bytes(), before)
        self.assertLen(list(path.parent.iterdir()), 1)

    def test_batches_that_do_not_go_together(self):
        first, second = batches()
        for wrong, message in (
            (second._replace(values={"fc.f": second.values["fc.f"]}), "in each batch, got"),
            (second._replace(labels=None), "a label for each of the 3 images"),
            (second._replace(values=second.values | {"fc.f": np.zeros((3, 3, 8))}), r"\(3, 3, 7\).*got \(3, 3, 8\)"),
            (second._replace(image_ids=["a"]), r"'tap/relu.f': wanted .* \(3, 1, 5, 6, 2\)"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                store.write_batches(self.path(), [first, wrong])
        with self.assertRaisesRegex(ValueError, "the data set is empty"):
            store.write_batches(self.path(), [])
        with self.assertRaisesRegex(ValueError, "names that differ"):
            values = {"a/b.f": np.zeros((1, 1, 1)), "a.b.f": np.zeros((1, 1, 1))}
            store.write_batches(self.path(), [Batch(values, None, ["0"])])
        with self.assertRaisesRegex(ValueError, "dtype must be one of"):
            store.write_batches(self.path(), batches(), dtype="int8")

    def test_files_that_are_none(self):
        path, _ = self.written()
        content = path.read_bytes()
        with self.assertRaisesRegex(FileNotFoundError, "does not exist; wanted a .nc file"):
            store.open_activations(path.with_name("other.nc"))
        with self.assertRaisesRegex(FileNotFoundError, "is a folder"):
            store.open_activations(path.parent)
        for damaged in (b"", b"some text", content[: len(content) // 2]):
            path.write_bytes(damaged)
            with self.assertRaisesRegex(ValueError, "is damaged, or no NetCDF-4 file"):
                store.open_activations(path)
        with h5py.File(path, "w") as file:
            file["x"] = 1
        with self.assertRaisesRegex(ValueError, "no file of activations of this version"):
            store.open_activations(path)

    def test_damage_inside(self):
        path, wanted = self.written()
        content = path.read_bytes()
        for place in range(7, len(content), len(content) // 97):  # wherever it is, it is no other error
            path.write_bytes(content[:place] + b"\xa5" + content[place + 1 :])
            with contextlib.suppress(ValueError), store.open_activations(path) as found:
                self.assertAllEqual(found.labels, [0, 1, 0, 1, 0, 1, 0])
                for name in found.names:
                    self.assertAllEqual(found[name], wanted[name])
        place = content.index(wanted["fc.f"][1, :4].tobytes()[:16])
        path.write_bytes(content[:place] + b"damage" + content[place + 6 :])
        with store.open_activations(path) as found, self.assertRaisesRegex(ValueError, "damaged: 'fc.f' cannot be"):
            found["fc.f"]

    def test_what_cannot_be_written_is_told_before_the_work(self):
        folder = pathlib.Path(self.create_tempdir().full_path)

        def never():
            raise AssertionError("no batch is wanted")
            yield

        for path, options, message in (
            (folder, {}, "is a folder; wanted a file"),
            (self.path(), {"attributes": {"seed": {(1, 2): 3}}}, "attributes must be texts, numbers or what goes into"),
            (self.path(), {"class_names": np.arange(3)}, "class_names must be texts"),
            (self.path(), {"class_names": []}, "class_names must be texts"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                store.write_batches(path, never(), **options)
        path, _ = self.written(attributes={"format": "mine", "place": folder, "sizes": np.arange(3), "big": 2**70})
        with store.open_activations(path) as found:
            self.assertEqual(found.attributes["place"], f'"{folder}"')
            self.assertEqual((found.attributes["sizes"], found.attributes["big"]), ("[0, 1, 2]", str(2**70)))

    def test_too_large_for_float16(self):
        (batch,) = batches((3,))
        batch.values["fc.f"][1, 2, 3] = 7e4
        with self.assertRaisesRegex(ValueError, r"'fc.f' holds 70000, and float16 ends at 65504; take float32"):
            store.write_batches(self.path(), [batch], dtype="float16")
        batch.values["fc.f"][1, 2, 3] = np.inf
        store.write_batches(self.path(), [batch], dtype="float16")

    def test_a_disk_that_fills_up(self):
        """HDF5 ends the process when it closes a file on a full disk, so it is not come to that."""
        path, usage = self.path(), shutil.disk_usage("/")
        free = mock.Mock(side_effect=[usage, usage._replace(free=1000)])
        with (
            mock.patch.object(store.shutil, "disk_usage", free),
            self.assertRaisesRegex(OSError, "are free in .* and the next images need"),
        ):
            store.write_batches(path, batches())
        self.assertEmpty(list(path.parent.iterdir()))

    def test_reading_in_other_ways(self):
        path, wanted = self.written()
        with store.open_activations(path) as found:
            self.assertAllEqual(found.read("fc.f", slice(2, 4)), wanted["fc.f"][:, 2:4])
            with self.assertRaisesRegex(ValueError, r"images must be a slice, .* got \[3, 1\]"):
                found.read("fc.f", [3, 1])
        with self.assertRaisesRegex(ValueError, "was closed"):
            found["fc.f"]

    def test_without_the_extra(self):
        with mock.patch.dict(sys.modules, {"h5netcdf": None}), self.assertRaisesRegex(ImportError, r"\[activations\]"):
            store.write_batches(self.path(), batches())


if __name__ == "__main__":
    tf.test.main()
