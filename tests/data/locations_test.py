import json
import os
import pathlib
from unittest import mock

import tensorflow as tf

from cnnf_tf.data.sources import locations


class LocationsTest(tf.test.TestCase):
    def test_argument_before_environment_before_default(self):
        with mock.patch.dict(os.environ, {"CNNF_TF_DATA_DIR": "/ours", "TFDS_DATA_DIR": "/theirs", "HOME": "/home/me"}):
            self.assertEqual(locations.resolve_data_dir("/given"), pathlib.Path("/given"))
            self.assertEqual(locations.resolve_data_dir("~/given"), pathlib.Path("/home/me/given"))
            self.assertEqual(locations.resolve_data_dir(), pathlib.Path("/ours"))
            del os.environ["CNNF_TF_DATA_DIR"]
            self.assertEqual(locations.resolve_data_dir(), pathlib.Path("/theirs"))
            del os.environ["TFDS_DATA_DIR"]
            self.assertEqual(locations.resolve_data_dir(), pathlib.Path("/home/me/tensorflow_datasets"))
        self.assertTrue(locations.resolve_data_dir("relative").is_absolute())

    def test_finds_finished_versions_only(self):
        root = pathlib.Path(self.get_temp_dir())
        info = {"name": "one", "splits": [{"name": "train", "shardLengths": ["3", "4"]}, {"name": "empty"}]}
        for path in ("one/1.0.0", "two/config/2.0.0", "one/incomplete.ABC_1.0.1", ".hidden/1.0.0"):
            (root / path).mkdir(parents=True)
            (root / path / "dataset_info.json").write_text(json.dumps(info))
        (root / "three" / "1.0.0").mkdir(parents=True)
        self.assertEqual(locations.prepared_names(root), ["one", "two"])
        self.assertEqual(locations.prepared_versions("one", root), [root / "one/1.0.0"])
        self.assertEqual(locations.prepared_versions("two", root), [root / "two/config/2.0.0"])
        self.assertEqual(locations.prepared_versions("three", root), [])
        self.assertEqual(locations.split_counts(root / "one/1.0.0"), {"train": 7, "empty": 0})
        self.assertEqual(locations.prepared_names(root / "nowhere"), [])


if __name__ == "__main__":
    tf.test.main()
