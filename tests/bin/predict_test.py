"""`predict` as a user runs it, over REST and gRPC; `export_test` has it in process."""

import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from cnnf_tf.data import image_files
from tests.bin import binaries
from tests.bin.binaries import run, run_forked
from tests.data import pictures
from tests.limits import HANGING
from tests.serving import exported, server

PATIENCE = f"--timeout={HANGING}"


class PredictTest(binaries.BinaryTestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        context = server.running(exported.base(), exported.NAME)
        cls.server = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)

    def images(self, count=5, size=8):
        folder = self.folder()
        for i, pixels in enumerate(exported.pixels(count)):
            Image.fromarray(pixels[..., 0]).resize((size, size)).save(folder / f"{i}.png")
        return folder

    def test_json_over_rest(self):
        folder = self.images()
        logits = exported.model()(tf.constant(exported.pixels(5), tf.float32) / 255)
        way = (f"--rest={self.server.rest_url}", f"--name={exported.NAME}", "--model_version=1", PATIENCE)
        result = run("predict", *way, f"--images={folder / '0.png'},{folder}", "--json", "--batch_size=2")
        self.assert_runs(result)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([pathlib.Path(line["file"]).stem for line in lines], ["0", *"01234"])
        self.assertEqual([line["label"] for line in lines[1:]], tf.argmax(logits, -1).numpy().tolist())
        wanted = tf.reduce_max(tf.nn.softmax(logits), -1)
        self.assertAllClose([line["probability"] for line in lines[1:]], wanted, atol=1e-4)
        self.assertEqual({line["iterations_used"] for line in lines}, {2})
        self.assertBetween(lines[0]["latent_flip_rate"], 0, 1)

    def test_table_over_grpc_of_images_made_to_fit(self):
        server_flags = (f"--server={self.server.grpc_address}", f"--name={exported.NAME}", PATIENCE)
        folder = self.images(2, size=16)
        result = run_forked(
            "predict", *server_flags, f"--images={folder}", "--fit", "--max_iterations=4", "--tolerance=0.2"
        )
        self.assert_runs(result)
        header, *rows = result.stdout.splitlines()
        self.assertEqual(header.split(), ["file", "label", "probability", "iterations"])
        self.assertLen(rows, 2)
        self.assertRegex(rows[0], r"0.png +(circle|square|a third) +\d+\.\d\d % +[234]$")

    def test_a_folder_as_people_have_it(self):
        """The same answers over REST, gRPC and in process, in a locale of C, where names are printed as they are."""
        folder = self.folder()
        good = {"a,b.PNG": "wide.png", "é [1].jpeg": "turned.webp", "c\\d#%.tif": "cmyk.tif", "z/e.gif": "animated.gif"}
        for name, kind in good.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(pictures.READABLE[kind][0])
        (folder / "z/zz.png").write_bytes(b"")
        (folder / "._a.png").write_bytes(b"\0\5\26\7")
        (folder / "Thumbs.db").touch()
        images = (f"--images={folder}/a,b.PNG", f"--images={folder}/é [1].jpeg,{folder / 'z'},{folder}", "--fit")
        wanted = ["a,b.PNG", "é [1].jpeg", "e.gif", "a,b.PNG", "c\\d#%.tif", "é [1].jpeg", "e.gif"]
        wide = np.stack([image_files.read_image(folder / name, (8, 8, 1), fit=True) for name in good])
        labels = tf.argmax(exported.model()(tf.constant(wide, tf.float32) / 255), -1).numpy().tolist()

        in_process = f"--exported={exported.base()}"
        result = run("predict", in_process, *images, environment={"LC_ALL": "C", "PYTHONUTF8": "0"})
        self.assert_fails(result, 1, "z/zz.png: is not a readable image .it is empty")
        self.assertIn("passed over: 2 hidden", result.stderr)
        self.assertRegex(result.stdout, r"file +label.*\n.*/a,b.PNG .*\n.*/é \[1\].jpeg .*\n.*/z/e.gif .*\n$")
        answers = []
        for way in (in_process, f"--rest={self.server.rest_url}", f"--server={self.server.grpc_address}"):
            served = (way, f"--name={exported.NAME}", PATIENCE, "--batch_size=3", "--json", "--skip_bad")
            result = run_forked("predict", *served, *images)
            self.assert_runs(result)
            self.assertRegex(result.stderr, r"went on without 2 of 9 images. First: .*zz.png: is not a readable image")
            answers.append([json.loads(line) for line in result.stdout.splitlines()])
            self.assertEqual([pathlib.Path(row["file"]).name for row in answers[-1]], wanted)
            for row, first in zip(answers[-1], answers[0], strict=True):
                self.assertEqual(row["label"], labels[[*good].index(row["file"].removeprefix(f"{folder}/"))])
                self.assertAllClose(row["probability"], first["probability"], atol=1e-5)

    def test_the_server_says_no(self):
        server_flags = (f"--server={self.server.grpc_address}", f"--images={self.images(1)}", PATIENCE)
        result = run_forked("predict", *server_flags, f"--name={exported.NAME}", "--max_iterations=99")
        self.assert_fails(result, 1, r"INVALID_ARGUMENT: max_iterations must be in \[0, 4\] \(the limit was fixed")

    @parameterized.parameters(
        ((), "exactly one of --server, --rest and --exported must be given, got none"),
        (("--server=a:1", "--rest=http://a:2", "--images=x"), "exactly one .* got --server, --rest"),
        (("--server=a:1",), "--images must be given"),
        (("--server=a:1", "--images=x", "--tolerance=0.1"), "--tolerance wants --max_iterations"),
        (("--server=a:1", "--images=x", "--timeout=0"), "timeout"),
        (("--server=a:1", "--images=x", "--batch_size=0"), "batch_size"),
    )
    def test_bad_flags(self, arguments, message):
        self.assert_refuses("predict", (arguments, 2, message))

    def test_no_images(self):
        arguments = ("--exported=x", "--images=none.png")
        self.assert_refuses("predict", (arguments, 1, "there is no file or folder 'none.png'"))


if __name__ == "__main__":
    tf.test.main()
