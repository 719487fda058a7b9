"""Every script in examples/, run as its docstring says, on the images that come with the checkout.

One runs as a user runs it, the others in forks of a process that has imported TensorFlow.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import keras
import tensorflow as tf
from absl.testing import parameterized

from tests.bin.binaries import PNG, ROOT, BinaryTestCase, Forked, Result
from tests.limits import HANGING

SCRIPTS = [path for path in (ROOT / "examples").glob("*.py") if path.stem != "tour"]  # the text of a notebook


def run_process(name: str, *arguments: object, scratch: str) -> Result:
    """Runs one to its end; the package need not be installed."""
    return subprocess.run(
        [sys.executable, f"examples/{name}.py", "--smoke", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": scratch, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )


def run_forked(name: str, *arguments: object, scratch: str) -> Result:
    """The same, seconds cheaper."""
    environment = {"PYTHONPATH": str(ROOT), "TMPDIR": scratch, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return Forked(f"examples/{name}.py", "--smoke", *arguments, environment=environment).result()


class ExamplesTest(BinaryTestCase, parameterized.TestCase):
    def run_example(self, name: str, *arguments: object, run: Callable[..., Result] = run_forked) -> Result:
        result = run(name, *arguments, scratch=str(self.folder()))
        self.assertEqual(result.returncode, 0, result.stderr[-3000:])
        self.assertNotRegex(result.stderr, "Traceback|Warning:|WARNING:(?! All log messages)")
        return result

    def test_all_are_tested(self):
        names = {path.stem for path in SCRIPTS}
        self.assertNotEmpty(names)
        self.assertLessEqual(names, {name.removeprefix("test_") for name in dir(self)})

    def test_quick_start(self):
        output = self.folder() / "out"
        result = self.run_example("quick_start", f"--output={output}", run=run_process)
        self.assertIn("(4, 8, 10)", result.stdout)
        self.assertIn("128 test images", result.stdout)
        self.assertIn("largest difference 0.0e+00", result.stdout)
        self.assertEqual((output / "reconstructions.png").read_bytes()[:4], PNG)
        self.assertEqual(keras.saving.load_model(output / "model.keras").iterations, 1)

    def test_image_folder(self):
        result = self.run_example("image_folder")
        right, count = map(int, re.search(r"(\d+) of (\d+) test images are right", result.stdout).groups())
        self.assertEqual(count, 45)
        self.assertGreater(right, 30)  # 15 by chance
        self.assertIn("circle  cross  square", result.stdout)

    def test_own_network(self):
        output = self.folder() / "out"
        result = self.run_example("own_network", f"--output={output}")
        up, down = re.search(r"<up\(f\), g> = (\S+), <f, down\(g\)> = (\S+)", result.stdout).groups()
        self.assertAllClose(float(up), float(down), rtol=1e-4)
        last = re.findall(r"^ *\d+(?: \(plain CNN\))? +([\d.]+) %", result.stdout, re.MULTILINE)
        self.assertLen(last, 5)
        self.assertGreater(float(last[0]), 30)  # 10 by chance
        self.assertTrue((output / "own_network.keras").exists())

    def test_serving(self):
        output = self.folder() / "models"
        result = self.run_example("serving", f"--output={output}")
        self.assertTrue((output / "1" / "saved_model.pb").is_file())
        self.assertRegex(result.stdout, r"labels, from a process without cnnf_tf: \[\d(, \d){7}\]")
        self.assertIn("Ankle boot", result.stdout)

    def test_your_keras_model(self):
        output = self.folder() / "out"
        result = self.run_example("your_keras_model", f"--output={output}")
        difference = re.search(r"largest difference from the original without feedback: (\S+)", result.stdout).group(1)
        self.assertLess(float(difference), 1e-6)
        rows = re.findall(r"^ *(?:the original|with feedback).*?(\d)  +[\d.]+ %(.*)$", result.stdout, re.MULTILINE)
        self.assertEqual([number for number, _ in rows], list("0010123"))
        self.assertEqual(["%" in robust for _, robust in rows], [True] * 5 + [False] * 2)
        self.assertEqual(keras.saving.load_model(output / "cnnf.keras").training_horizon, 4)

    def test_docstrings_say_how_to_run(self):
        for path in SCRIPTS:
            text = path.read_text(encoding="utf-8")
            self.assertIn(f"python examples/{path.name} --smoke", text)
            self.assertIn(f"python examples/{path.name}  ", text)


if __name__ == "__main__":
    tf.test.main()
