"""The binaries as a user runs them, in processes of their own."""

import ast
import json
import os
import re
import subprocess
import sys

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.zoo import load_model
from tests import reference_data
from tests.bin import binaries
from tests.bin.binaries import DATA, ROOT, run, run_forked
from tests.limits import HANGING
from tests.models import fixtures_models

BINARIES = sorted(path.stem for path in (ROOT / "bin").glob("[a-z]*.py"))
CONFIG = "configs/fashion_mnist_standard.py"


class BinariesTest(binaries.BinaryTestCase, parameterized.TestCase):
    @parameterized.parameters(*BINARIES)
    def test_help_teaches_without_tensorflow(self, binary):
        program = (
            f"import atexit, runpy, sys; sys.argv = ['bin/{binary}.py', '--help']; sys.path.insert(0, 'bin'); "
            "atexit.register(lambda: print({'keras', 'numpy', 'tensorflow'} & set(sys.modules))); "
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        command, environment = [sys.executable, "-c", program], os.environ | {"COLUMNS": "80"}
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=HANGING
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"python bin/{binary}.py", result.stdout)
        lines = result.stdout.splitlines()
        self.assertEqual([line for line in lines if len(line) > 80], [])
        doc = ast.get_docstring(ast.parse((ROOT / "bin" / f"{binary}.py").read_text(encoding="utf-8")), clean=False)
        self.assertContainsSubset([line for line in doc.splitlines() if line.startswith(" ")], lines)
        # The symbols of the paper are explained where they occur, once.
        text, _, symbols = result.stdout.partition("\nsymbols:\n")
        for symbol in ("K'", "g(0", " eta ", "encoder_blocks", "dlr", "SPSA"):
            if symbol in text:
                self.assertRegex(symbols, rf"(?m)^  (K, )?{re.escape(symbol.strip())}.*: ")
        self.assertEqual(result.stdout.splitlines()[-1], "set()")  # --help takes 0.3 s, and 3 s more with TensorFlow

    @parameterized.parameters(*BINARIES)
    def test_unknown_flag_and_stray_argument(self, binary):
        self.assert_fails(run_forked(binary, "--no_such_flag=1"), 2, "no_such_flag", "--help")
        self.assert_fails(run_forked(binary, "stray"), 2, "no positional arguments are taken, got .'stray'")

    def test_train_evaluate_and_resume(self):
        workdir = self.folder() / "run"
        arguments = (f"--config={CONFIG}:smoke", f"--config.data.name={DATA}", f"--workdir={workdir}")
        result = run("train", *arguments)
        self.assert_runs(result)
        self.assertIn("saved", result.stdout)
        again = run_forked("train", *arguments)
        self.assert_runs(again)
        self.assertIn("nothing to train", again.stdout)
        self.assert_fails(
            run_forked("train", *arguments, "--config.seed=4"), 1, "another config", "seed: 0 there, 4 asked"
        )

        output = workdir / "evaluation"
        result = run(
            "evaluate",
            f"--model={workdir}/best.keras",
            f"--dataset={DATA}",
            "--iterations=3",
            "--num_images=40",
            f"--output={output}",
        )
        self.assert_runs(result)
        self.assertIn("0 (plain CNN)", result.stdout)
        report = json.loads((output / "accuracy.json").read_text())
        self.assertEqual((report["num_images"], report["iterations"], report["trained_iterations"]), (40, 3, 1))
        self.assertLen(report["accuracy"]["average"], 4)
        self.assertEqual((output / "reconstructions.png").read_bytes()[:4], b"\x89PNG")
        arguments = (f"--model={workdir}/best.keras", f"--dataset={DATA}", "--split=valid")
        self.assert_fails(run_forked("evaluate", *arguments), 1, "valid")

    @parameterized.parameters(
        ((), 2, "--config must be given"),
        ((f"--config={CONFIG}",), 2, "--workdir must be given"),
        (("--config=configs/nothing.py", "--workdir=x"), 2, "configs/nothing.py"),
        ((f"--config={CONFIG}:tiny", "--workdir=x"), 2, "unknown variant 'tiny'.*smoke"),
        ((f"--config={CONFIG}", "--config.train.epoch=1", "--workdir=x"), 2, "epoch"),
        ((f"--config={CONFIG}", "--config.train.epochs=many", "--workdir=x"), 2, "many"),
        ((f"--config={CONFIG}", "--config.data.name=no_such_data", "--workdir=x"), 1, "no_such_data"),
    )
    def test_train_errors(self, arguments, code, message):
        self.assert_fails(run_forked("train", *arguments), code, message)
        self.assertFalse((ROOT / "x").exists())

    def test_train_dry_run(self):
        result = run_forked("train", f"--config={CONFIG}:cnn", "--dry_run")
        self.assert_runs(result)
        self.assertIn("iterations: 0", result.stdout)

    def test_evaluate_errors(self):
        model = self.folder() / "tiny.keras"
        fixtures_models.model().save(model)
        self.assert_refuses(
            "evaluate",
            ((), 2, "--model must be given"),
            (("--model=none.keras",), 1, "'none.keras' does not exist; wanted a .keras file"),
            ((f"--model={model}", f"--dataset={DATA}"), 2, "--model wants images 8x8x1 .* are 28x28x1"),
            ((f"--model={model}", "--batch_size=0"), 2, "batch_size"),
        )
        self.assertFalse(model.with_suffix("").exists())

    def test_import_reference(self):
        output = self.folder() / "out.keras"
        arguments = (f"--output={output}", "--ind=2", "--iterations=1")
        self.assert_refuses(
            "import_reference",
            (("--input=none.pt", *arguments), 1, "no reference weights at 'none.pt'"),
            (("--input=none.pt",), 2, "--output, --ind, --iterations must be given"),
        )
        state = self.folder() / "state.pt"
        try:
            import torch
        except ImportError:
            state.write_bytes(b"")
            self.assert_fails(
                run_forked("import_reference", f"--input={state}", *arguments), 1, "needs PyTorch", "torch"
            )
            return
        values = {name: torch.tensor(value) for name, value in reference_data.fashion_state().items()}
        torch.save(values, state)
        result = run("import_reference", f"--input={state}", *arguments)
        self.assert_runs(result)
        with np.load(reference_data.TESTDATA / "golden" / "fashion_cnn_ind2.npz") as golden:
            logits = load_model(output)((golden["x"].transpose(0, 2, 3, 1) + 1) / 2)
            self.assertAllClose(logits, golden["logits_1"], atol=1e-4 * np.abs(golden["logits_1"]).max())
        state.write_bytes(b"garbage")
        self.assert_refuses(
            "import_reference",
            ((f"--input={state}", *arguments), 2, "exists; give --overwrite"),
            ((f"--input={state}", *arguments, "--overwrite"), 1, "is not a readable PyTorch state dict"),
        )
        self.assertTrue(output.exists())


if __name__ == "__main__":
    tf.test.main()
