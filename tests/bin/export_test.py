"""`export` as a user runs it: from a .keras file to a version, to predictions; and killed on the way."""

import ast
import importlib.util
import json
import re
import time

import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from cnnf_tf import data, serving
from cnnf_tf.serving import versions
from tests.bin import binaries
from tests.bin.binaries import DATA, ROOT, Forked, run, run_forked
from tests.limits import HANGING


class ExportTest(binaries.BinaryTestCase, parameterized.TestCase):
    def arguments(self):
        return f"--model={self.saved()}", f"--dataset={DATA}", "--num_images=4", "--max_iterations=2"

    def test_from_keras_file_to_predictions(self):
        base = self.folder() / "[1], é\\b" / "clothes"  # which TensorFlow itself cannot load from
        arguments = (*self.arguments(), f"--output={base}")
        result = run("export", *arguments)
        self.assert_runs(result)
        for line in ("reloaded with tf.saved_model.load: ", "reloaded with the C API: ", f"wrote {base / '1'}"):
            self.assertIn(line, result.stdout)
        names = data.info(DATA).class_names
        self.assertEqual((base / "1/assets/class_names.txt").read_text().splitlines(), list(names))
        self.assertIn('name: "clothes"', (base / "models.config").read_text())

        images = self.folder()
        dataset = list(data.load(DATA, "test", limit=3).as_numpy_iterator())
        for i, (image, _) in enumerate(dataset):
            Image.fromarray((image[..., 0] * 255).round().astype("uint8")).save(images / f"{i}.png")
        result = run_forked("predict", f"--saved_model={base}", f"--images={images}", "--json")
        self.assert_runs(result)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        logits = binaries.small_model()(tf.stack([image for image, _ in dataset]))
        self.assertEqual([line["label"] for line in lines], tf.argmax(logits, -1).numpy().tolist())
        self.assertAllClose([line["probability"] for line in lines], tf.reduce_max(tf.nn.softmax(logits), -1))
        self.assertEqual([line["class_name"] for line in lines], [names[line["label"]] for line in lines])

        self.assert_refuses("export", ((*arguments, "--version=1"), 1, "version 1 exists in .*versions there: 1"))

    def test_litert_file_to_predictions(self):
        if importlib.util.find_spec("ai_edge_litert") is None:
            self.skipTest("wants the package ai_edge_litert, of the extra `litert`")
        folder = self.folder()
        file = folder / "[1], é\\b.tflite"
        arguments = (*self.arguments()[:3], "--format=litert", f"--output={file}", "--iterations_input")
        result = run_forked("export", *arguments)
        self.assert_runs(result)
        self.assertRegex(
            result.stdout,
            "reloaded with the LiteRT interpreter, beside the original:\n  K = 0: .* 0 of 4 .*100.0%",
        )
        self.assertIn(f"wrote {file} (", result.stdout)
        image, _ = next(data.load(DATA, "test", limit=1).as_numpy_iterator())
        Image.fromarray((image[..., 0] * 255).round().astype("uint8")).save(folder / "0.png")
        result = run_forked("predict", f"--exported={file}", f"--images={folder}/0.png", "--json", "--max_iterations=3")
        self.assert_runs(result)
        answer = json.loads(result.stdout)
        logits = binaries.small_model().infer(image[None], iterations=3).logits[-1]
        self.assertEqual((answer["label"], answer["iterations_used"]), (int(tf.argmax(logits[0])), 3))
        self.assert_refuses("export", (arguments, 2, "--output .* exists; give --overwrite"))
        others = (*arguments, "--overwrite", "--tolerance=0.1")
        self.assert_refuses("export", (others, 2, "--format=litert has no --tolerance .images that stop by themselves"))

    def test_killed_while_writing(self):
        arguments, base = self.arguments(), self.folder() / "clothes"
        process = Forked("bin/export.py", *arguments, f"--output={base}")
        self.addCleanup(process.end)
        deadline = time.monotonic() + HANGING
        while not list(base.glob(".exporting-*/variables/*")) and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        process.end()
        left = sorted(path.name for path in base.iterdir())
        self.assertLen(left, 2)
        self.assertEqual(left[0], ".export.lock")
        self.assertStartsWith(left[1], ".exporting-1-")
        with versions.new_version(base) as (_, target):
            pass
        self.assertEqual(sorted(path.name for path in base.iterdir()), [".export.lock", target.name])

    @parameterized.parameters(
        ((), "--model, --output must be given"),
        (("--model=x.keras",), "--output must be given"),
        (("--model=x.keras", "--output=x", "--overwrite"), "--overwrite wants the --version to replace"),
        (("--model=x.keras", "--output=x", "--version=-1"), "version"),
        (("--model=x.keras", "--output=x", "--weights=int8"), "--format=savedmodel has no --weights"),
        (("--model=x.keras", "--output=x", "--format=onnx"), "--output must end in .onnx, got 'x'"),
        (("--model=x.keras", "--output=x", "--tolerance=-1"), "tolerance"),
        (("--model=x.keras", "--output=x", "--chunk_size=0"), "chunk_size"),
    )
    def test_bad_flags(self, arguments, message):
        self.assert_refuses("export", (arguments, 2, message))
        self.assertFalse((ROOT / "x").exists())

    def test_endings_are_those_of_the_formats(self):
        found = {name: each.suffix for name, each in serving.FORMATS.items()}
        self.assertEqual(
            ast.literal_eval(re.search(r"_SUFFIXES = (.*)", (ROOT / "bin/export.py").read_text())[1]), found
        )

    def test_more_iterations_than_the_limit(self):
        output = self.folder() / "out"
        result = run_forked("export", *self.arguments(), f"--output={output}", "--iterations=3")
        self.assert_fails(result, 2, r"iterations must be an integer from 0 to max_iterations \(2\), got 3")
        self.assertFalse(output.exists())


if __name__ == "__main__":
    tf.test.main()
