"""Preparation with the official builder cut down to the few images in the repository; nothing reaches the network."""

import gzip
import hashlib
import os
import pathlib
import shutil
import threading
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

from cnnf_tf import data
from cnnf_tf.data.preparation import official_files
from cnnf_tf.data.preparation import prepare as preparation
from cnnf_tf.data.sources import idx

MINI = pathlib.Path(__file__).resolve().parents[1] / "testdata" / "fashion_mnist_mini"
MTIMES = official_files.IDX_MTIMES["fashion_mnist"]


def official_bytes(stem):
    stripped = (MINI / f"{stem}.gz").read_bytes()
    return idx.restore_gzip_header(stripped, stem, MTIMES[stem.split("-")[0]])


FashionMNIST = tfds.image_classification.FashionMNIST  # imports, and so registers, every builder of its kind

with tfds.core.registered.skip_registration():

    class MiniFashion(FashionMNIST):
        """Reads 256 and 128 examples, and knows the checksums of the files that hold them."""

        name = "fashion_mnist"
        fail = False
        url_infos = {
            f"{FashionMNIST.URL}{stem}.gz": checksums.UrlInfo(
                size=len(official_bytes(stem)),
                checksum=hashlib.sha256(official_bytes(stem)).hexdigest(),
                filename=f"{stem}.gz",
            )
            for stems in idx.FILE_STEMS.values()
            for stem in stems
        }

        def _generate_examples(self, num_examples, data_path, label_path):
            for index, example in super()._generate_examples(
                {60000: 256, 10000: 128}[num_examples], data_path, label_path
            ):
                if self.fail and index == 100:
                    raise RuntimeError("stopped on purpose")
                yield index, example


class PreparationTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / "data"
        self.lines = []
        real = tfds.builder

        def builder(name, **arguments):
            prepared = list((pathlib.Path(arguments["data_dir"]) / name).glob("*/dataset_info.json"))
            return MiniFashion(**arguments) if name == "fashion_mnist" and not prepared else real(name, **arguments)

        self.enter_context(mock.patch.object(tfds, "builder", builder))
        # Neither this machine's package nor its network plays a part.
        self.enter_context(mock.patch.object(official_files, "DEBIAN_IDX_DIR", self.root / "no_package"))
        self.enter_context(
            mock.patch.object(official_files, "check_reachable", mock.Mock(side_effect=ConnectionError("no network")))
        )

    def prepare(self, name="fashion_mnist", **arguments):
        return preparation.prepare(name, data_dir=self.root, report=self.lines.append, **arguments)

    def files(self):
        """Everything in the data directory, without the lock."""
        return sorted(path.name for path in self.root.rglob("*") if path.suffix != ".lock")

    def test_prepared_data_equal_the_idx_files(self):
        folder = self.prepare(idx_dir=MINI)
        self.assertEqual(folder, self.root / "fashion_mnist" / "3.0.1")
        self.assertIn("train 256, test 128 examples", self.lines[-1])
        info = data.info("fashion_mnist", data_dir=self.root)
        self.assertEqual((info.class_names[0], info.num_examples), ("T-shirt/top", {"train": 256, "test": 128}))
        wanted_images, wanted_labels = idx.read_split(MINI, "train")
        images, labels = next(iter(data.load("fashion_mnist", "train", batch_size=256, data_dir=self.root)))
        images = np.round(images.numpy() * 255).astype(np.uint8)  # TFDS writes them in another order
        wanted = sorted((image.tobytes(), label) for image, label in zip(wanted_images, wanted_labels, strict=True))
        self.assertEqual(sorted((i.tobytes(), y) for i, y in zip(images, labels.numpy(), strict=True)), wanted)
        self.assertEqual(sorted(path.name for path in self.root.iterdir() if path.suffix != ".lock"), ["fashion_mnist"])

    def test_prepared_already(self):
        self.prepare(idx_dir=MINI)
        self.lines.clear()
        with mock.patch.object(tfds, "builder", side_effect=AssertionError("not needed")):
            self.prepare()
        self.assertLen(self.lines, 1)
        self.assertStartsWith(self.lines[0], "Already prepared: ")

    def test_failure_leaves_nothing_and_a_second_run_succeeds(self):
        with mock.patch.object(MiniFashion, "fail", True), self.assertRaisesRegex(RuntimeError, "on purpose"):
            self.prepare(idx_dir=MINI)
        self.assertEmpty(self.files())
        with self.assertRaisesRegex(FileNotFoundError, "not prepared"):
            data.load("fashion_mnist", "train", data_dir=self.root)
        self.prepare(idx_dir=MINI)

    def test_leftovers_of_a_killed_run_are_not_trusted_and_cleared(self):
        """What SIGKILL leaves: a staging folder of ours with an unfinished folder of TFDS in it."""
        leftover = self.root / ".prepare_fashion_mnist.abc.tmp" / "data" / "fashion_mnist"
        for version in ("3.0.1", "incomplete.ABC_3.0.1"):
            (leftover / version).mkdir(parents=True)
            (leftover / version / "dataset_info.json").write_text("{}")
        shutil.copytree(leftover / "incomplete.ABC_3.0.1", self.root / "fashion_mnist" / "incomplete.ABC_3.0.1")
        self.prepare(idx_dir=MINI)
        self.assertFalse(leftover.exists())
        self.assertLen(list(data.load("fashion_mnist", "test", data_dir=self.root)), 128)

    def test_several_at_once(self):
        threads = [threading.Thread(target=self.prepare, kwargs={"idx_dir": MINI}) for _ in range(2)]
        with mock.patch.object(preparation, "_calm_tfds", mock.MagicMock()):  # its settings are of the whole process
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertLen([line for line in self.lines if line.startswith("Prepared ")], 1)
        self.assertLen([line for line in self.lines if line.startswith("Already prepared: ")], 1)

    def test_truncated_file(self):
        source = pathlib.Path(self.get_temp_dir()) / "source"
        shutil.copytree(MINI, source)
        path = source / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-100])
        with self.assertRaisesRegex(
            ValueError, "train-images-idx3-ubyte.gz: wanted a complete gzip file, got .* cut short"
        ):
            self.prepare(idx_dir=source)
        self.assertEmpty(self.files())

    def test_other_files(self):
        source = pathlib.Path(self.get_temp_dir()) / "source"
        shutil.copytree(MINI, source)
        path = source / "train-labels-idx1-ubyte.gz"
        path.write_bytes(gzip.compress(idx.encode(np.zeros(256, np.uint8))))
        with self.assertRaisesRegex(ValueError, "this is not the official file of fashion_mnist"):
            self.prepare(idx_dir=source)

    def test_no_files(self):
        with self.assertRaisesRegex(FileNotFoundError, "apt-get install dataset-fashion-mnist.*--idx_dir.*--download"):
            self.prepare()
        with self.assertRaisesRegex(
            FileNotFoundError, "mnist: its files are not on this machine. .*: --idx_dir=FOLDER"
        ):
            self.prepare("mnist")
        with self.assertRaisesRegex(FileNotFoundError, "idx_dir: there is no folder /does/not/exist"):
            self.prepare(idx_dir="/does/not/exist")
        with self.assertRaisesRegex(FileNotFoundError, "cifar-10-binary.tar.gz"):
            self.prepare("cifar10", idx_dir=MINI)

    def test_download_looks_for_the_network_first(self):
        with self.assertRaisesRegex(ConnectionError, "no network"):
            self.prepare("mnist", download=True)
        official_files.check_reachable.assert_called_once()
        self.assertRegex(self.lines[0], "Downloading 4 files .11.6 MB.")
        self.assertEmpty(self.files())

    def test_apt_installs_the_package_and_uses_it(self):
        def install(report):
            shutil.copytree(MINI, official_files.DEBIAN_IDX_DIR)

        with mock.patch.object(official_files, "install_debian_package", side_effect=install):
            self.prepare(apt=True)
        self.assertIn("no_package", self.lines[0])

    def test_apt_without_root(self):
        with (
            mock.patch.object(os, "geteuid", return_value=1000),
            mock.patch.object(shutil, "which", return_value="/usr/bin/apt-get"),
            self.assertRaisesRegex(PermissionError, "sudo apt-get install dataset-fashion-mnist"),
        ):
            self.prepare(apt=True)
        with (
            mock.patch.object(shutil, "which", return_value=None),
            self.assertRaisesRegex(FileNotFoundError, "apt-get is not on this machine"),
        ):
            self.prepare(apt=True)

    def test_data_dir_is_a_file(self):
        self.root.write_text("")
        with self.assertRaisesRegex(NotADirectoryError, "data_dir: wanted a folder, got the file"):
            self.prepare(idx_dir=MINI)

    def test_unknown_names(self):
        for name in ("", "../x", "idx:folder", None):
            with self.assertRaisesRegex(ValueError, "dataset: wanted a TFDS name"):
                self.prepare(name)
        with self.assertRaisesRegex(ValueError, "TFDS knows no data set 'fashion_minst'"):
            self.prepare("fashion_minst", download=True)


class ReachableTest(tf.test.TestCase):
    def test_closed_port_and_silent_name_server(self):
        with self.assertRaisesRegex(ConnectionError, "http://127.0.0.1:9/x cannot be reached within 5 s"):
            official_files.check_reachable("http://127.0.0.1:9/x")
        with (
            mock.patch.object(official_files, "_ask", side_effect=lambda *_: threading.Event().wait(1)),
            self.assertRaisesRegex(ConnectionError, "within 0.1 s .no answer."),
        ):
            official_files.check_reachable("http://nowhere.test/", timeout_s=0.1)


if __name__ == "__main__":
    tf.test.main()
