"""Presets on the hub, against a local server that speaks what the hub's own library asks."""

import functools
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

import huggingface_hub
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, zoo
from tests.models import fixtures_models
from tests.models.presets import stand_in

PROGRAM = """
import hashlib, sys
import numpy as np
import cnnf_tf
images = np.load("images.npy")
model = cnnf_tf.load_model(sys.argv[1])
print(hashlib.sha256(np.asarray(model.infer(images).logits).tobytes()).hexdigest())
"""


class HubTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.hub = stand_in.Hub()
        self.address = self.enter_context(stand_in.served(self.hub))
        self.enter_context(
            mock.patch.object(
                huggingface_hub, "HfApi", functools.partial(huggingface_hub.HfApi, endpoint=self.address, token=False)
            )
        )
        constants = {"HF_HUB_CACHE": str(self.folder / "cache"), "ENDPOINT": self.address}
        constants["HUGGINGFACE_CO_URL_TEMPLATE"] = f"{self.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        self.enter_context(mock.patch.multiple(huggingface_hub.constants, **constants))

    def saved(self, name="tiny", **facts):
        model = fixtures_models.smaller_model(seed=3)
        model.save_to_preset(self.folder / name, class_names=["a", "b", "c"], **facts)
        return model, self.folder / name

    def test_a_fresh_process_elsewhere_predicts_the_same_bytes(self):
        """The library as it is, told by its environment where the hub is; then without the server, from its cache."""
        model, folder = self.saved()
        images = np.asarray(fixtures_models.images(3))
        self.hub.put("someone/tiny", folder, revision="v1")
        place = pathlib.Path(self.create_tempdir("elsewhere").full_path)
        np.save(place / "images.npy", images)
        root = pathlib.Path(__file__).resolve().parents[3]
        environment = os.environ | {"HF_ENDPOINT": self.address, "HF_HOME": str(place / "home")}
        found = subprocess.run(
            [sys.executable, "-c", PROGRAM, "hf://someone/tiny@v1"],
            capture_output=True,
            check=False,
            cwd=place,
            env=environment | {"PYTHONPATH": str(root)},
            text=True,
        )
        wanted = hashlib.sha256(np.asarray(model.infer(images).logits).tobytes()).hexdigest()
        self.assertEqual(found.stdout.strip(), wanted, found.stderr[-2000:])

    def test_what_is_fetched(self):
        model, folder = self.saved()
        (folder / "big.bin").write_bytes(b"no part of the format")
        self.hub.put("someone/tiny", folder)
        info = zoo.preset_info("hf://someone/tiny")
        self.assertEqual((info["name"], info["class_names"]), ("tiny", ["a", "b", "c"]))
        self.assertFalse([line for line in self.hub.requests if "weights" in line or "big" in line])
        loaded = CNNF.from_preset("hf://someone/tiny")
        self.assertAllEqual(loaded(fixtures_models.images(2)), model(fixtures_models.images(2)))
        self.assertFalse([line for line in self.hub.requests if "big" in line])
        digest = hashlib.sha256((folder / "model.weights.npz").read_bytes()).hexdigest()
        self.assertEqual(zoo.model_sha256("hf://someone/tiny"), digest)
        api = functools.partial(huggingface_hub.HfApi.func, endpoint="http://127.0.0.1:9")
        with mock.patch.object(huggingface_hub, "HfApi", api):
            zoo.load_model("hf://someone/tiny")
            with self.assertRaisesRegex(
                ConnectionError, "hf://someone/other' cannot be had: http://127.0.0.1:9 is out"
            ):
                zoo.load_model("hf://someone/other")

    def test_refusals(self):
        _, folder = self.saved()
        self.hub.put("someone/tiny", folder)
        self.hub.gated.add("someone/gated")
        foreign = pathlib.Path(self.create_tempdir().full_path)
        (foreign / "config.json").write_text(json.dumps({"model_type": "bert"}))
        self.hub.put("someone/bert", foreign)
        self.hub.put("someone/nothing", foreign, names=())
        for uri, error, message in (
            ("hf://someone/none", FileNotFoundError, "there is no model repository 'someone/none' at http.* private"),
            ("hf://someone/tiny@v9", FileNotFoundError, "has no such branch, tag or commit"),
            ("hf://someone/gated", PermissionError, "is gated: accept its terms at http.*/someone/gated, and log in"),
            ("hf://someone/bert", ValueError, "is foreign: its config.json holds a model of transformers"),
            ("hf://someone/nothing", ValueError, "'hf://someone/nothing' has no config.json"),
            ("hf://tiny", ValueError, "is hf://USER/MODEL or hf://USER/MODEL@REVISION, got 'hf://tiny'"),
            ("hf://someone/tiny@", ValueError, "got 'hf://someone/tiny@'"),
            ("hf://../tiny", ValueError, "got 'hf://../tiny'"),
            ("hf://someone/ti--ny", ValueError, "is no name of a repository"),
        ):
            with self.subTest(uri), self.assertRaisesRegex(error, message):
                CNNF.from_preset(uri)
        with (
            mock.patch.dict(sys.modules, {"huggingface_hub": None}),
            self.assertRaisesRegex(ImportError, r"needs the extra `hub`: pip install 'cnnf_tf\[hub\]'"),
        ):
            CNNF.from_preset("hf://someone/tiny")

    def test_upload(self):
        model, folder = self.saved()
        with self.assertRaisesRegex(PermissionError, "is not open to you .*; log in with `hf auth login`"):
            zoo.upload_preset("hf://me/tiny", folder)
        self.assertEmpty(self.hub.files)
        api = functools.partial(huggingface_hub.HfApi.func, endpoint=self.address, token="hf_stand_in")
        with mock.patch.object(huggingface_hub, "HfApi", api):
            with self.assertRaisesRegex(ValueError, "goes to the main branch"):
                zoo.upload_preset("hf://me/tiny@v1", folder)
            with self.assertRaisesRegex(ValueError, "has no config.json"):
                zoo.upload_preset("hf://me/tiny", self.folder)
            address = zoo.upload_preset("hf://me/tiny", folder)
        self.assertStartsWith(address, f"{self.address}/me/tiny/commit/")
        sent = self.hub.files["me/tiny"]["main"]
        self.assertEqual(sent, {path.name: path.read_bytes() for path in folder.iterdir()})
        loaded = CNNF.from_preset("hf://me/tiny")
        self.assertAllEqual(loaded(fixtures_models.images(2)), model(fixtures_models.images(2)))


if __name__ == "__main__":
    tf.test.main()
