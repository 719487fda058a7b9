"""bin/package_model.py: from a run to a packaged model and its page; and the binaries that take such a model."""

import json
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF
from cnnf_tf.utils import environment
from cnnf_tf.zoo import load_model, preset_info, pretrained_names
from tests.bin import binaries
from tests.bin.binaries import DATA, ROOT, run, run_forked


class PackageModelTest(binaries.BinaryTestCase, parameterized.TestCase):
    made = None
    """Folder of one run, `run`, and of the model packaged from it, `models/from_smoke`, with a page in `pages`."""

    def packaged(self):
        """That folder, and what bin/package_model.py said."""
        if PackageModelTest.made is None:
            folder = pathlib.Path(tempfile.mkdtemp())
            self.addClassCleanup(shutil.rmtree, folder)
            config = "configs/fashion_mnist_standard.py:smoke"
            self.assert_runs(
                run_forked("train", f"--config={config}", f"--config.data.name={DATA}", f"--workdir={folder / 'run'}")
            )
            result = run("package_model", *self.arguments(folder), "--split=test[:40]", "--limits=Only a test.")
            self.assert_runs(result)
            PackageModelTest.made = folder, result
        return PackageModelTest.made

    def arguments(self, folder, name="from_smoke", models="models"):
        return (f"--run={folder / 'run'}", f"--name={name}", f"--output={folder / models}", f"--cards={folder}/pages")

    def test_from_a_run_to_a_model_and_its_page(self):
        folder, result = self.packaged()
        preset, page_file = folder / "models/from_smoke", folder / "pages/from_smoke.md"
        self.assertIn(f"wrote {preset}\nwrote {page_file}", result.stdout)
        self.assertEqual(list((folder / "models").iterdir()), [preset])

        loaded = CNNF.from_preset(preset)
        info = preset_info(preset)
        for ours, theirs in zip(loaded.weights, load_model(folder / "run/best.keras").weights, strict=True):
            self.assertAllEqual(ours, theirs.numpy().astype(np.float16).astype(np.float32))
        card = json.loads((preset / "card.json").read_text())
        self.assertEqual((info["parameter_count"], info["weights"]["dtype"]), (loaded.count_params(), "float16"))
        self.assertEqual(card["metrics"]["clean"]["num_images"], 40)
        self.assertLen(card["metrics"]["clean"]["accuracy"]["average"], 2)
        self.assertLen(info["class_names"], 10)
        self.assertEqual(card["data"], {"name": DATA, "split": "test[:40]"})
        self.assertEqual((card["limits"], card["measured"]["hardware"]), ("Only a test.", environment.hardware()))
        training = card["training"]
        self.assertEqual(training["config"], json.loads((folder / "run/config.json").read_text()))
        self.assertEqual((training["epochs"], training["steps"], training["starts"]), (1, 2, 1))
        self.assertEqual(training["versions"], environment.versions())
        self.assertEqual(training["commit"], environment.source_tree()["commit"])
        config = "python bin/train.py --config=configs/fashion_mnist_standard.py:smoke"
        self.assertEqual(training["command"], f"{config} --config.data.name={DATA} --workdir=runs/from_smoke")
        page = page_file.read_text()
        self.assertIn('cnnf_tf.CNNF.from_preset("from_smoke")', page)
        self.assertEqual((preset / "README.md").read_text(), page)

        page_file.unlink()
        arguments = ("--pages_only", f"--output={folder / 'models'}", f"--cards={folder / 'pages'}")
        self.assert_runs(run_forked("package_model", *arguments))
        self.assertEqual(page_file.read_text(), page)

    def test_attack_on_a_plain_cnn_from_a_run_of_an_older_version(self):
        folder = self.folder()
        config = ("--config=configs/fashion_mnist_standard.py:smoke", "--config.model.iterations=0")
        self.assert_runs(run_forked("train", *config, f"--config.data.name={DATA}", f"--workdir={folder / 'run'}"))
        (folder / "run/run.json").unlink()
        arguments = (*self.arguments(folder), "--which=last", "--split=test[:3]", "--robustness=0")
        arguments += ("--command=python bin/train.py --workdir=/x", "--commit=abc")
        result = run_forked("package_model", *arguments)
        self.assert_runs(result)
        self.assertIn("measuring: PGD-40, full_unroll, readout last", result.stdout)
        card = json.loads((folder / "models/from_smoke/card.json").read_text())
        self.assertEqual(card["metrics"]["robustness"]["num_images"], 3)
        training = card["training"]
        self.assertEqual((training["which"], training["commit"], training["hardware"]), ("last", "abc", None))
        self.assertEqual(training["command"], "python bin/train.py --workdir=runs/from_smoke")
        page = (folder / "pages/from_smoke.md").read_text()
        self.assertIn("Plain CNN (K = 0)", page)
        self.assertIn("| hardware | not recorded |", page)

    def test_refuses(self):
        folder, empty = self.packaged()[0], self.folder()
        before = {path: path.read_bytes() for path in (folder / "models").glob("*/*")}
        encoder = self.folder()
        config = json.loads((folder / "run/config.json").read_text())
        (encoder / "run").mkdir()
        (encoder / "run/config.json").write_text(json.dumps(config))
        binaries.small_model(with_encoder=True).save(encoder / "run/best.keras")
        fresh = self.arguments(folder, name="fresh")
        self.assert_refuses(
            "package_model",
            ((), 2, "--run, --name must be given"),
            ((f"--run={folder}",), 2, "--name must be given"),
            ((f"--run={folder}", "--name=My-Model"), 2, "--name wants small letters, digits and _.* got 'My-Model'"),
            (self.arguments(folder), 2, "there is a model --name=from_smoke in .*; give --overwrite"),
            ((*fresh, "--robustness=-1"), 2, "--robustness wants a number >= 0"),
            ((*fresh, "--which=worst"), 2, "which"),
            ((*fresh, "--command=x"), 2, "--command and --commit are for a run without the file run.json"),
            ((*fresh, "--split=valid"), 1, "valid"),
            ((f"--run={empty}", *fresh[1:]), 1, "is not the workdir of a run: it has no config.json"),
            (self.arguments(encoder, "x") + ("--restoration",), 1, "whose h is the image"),
            (("--pages_only", f"--output={empty / 'none'}"), 2, "--output wants a folder of presets"),
            ((*fresh[:2], f"--output={folder}/run/config.json/x"), 2, "--output wants a folder that can be written"),
        )
        (empty / "config.json").write_text(json.dumps(config))
        arguments = (f"--run={empty}", *fresh[1:])
        self.assert_refuses("package_model", (arguments, 1, "best.keras' does not exist; wanted a .keras file"))
        self.assertEqual(before, {path: path.read_bytes() for path in (folder / "models").glob("*/*")})
        self.assertFalse((ROOT / "docs/models/from_smoke.md").exists())

    def test_overwrite(self):
        folder, other = self.packaged()[0], self.folder()
        shutil.copytree(folder / "run", other / "run")
        shutil.copytree(folder / "models", other / "models")
        (other / "models/from_smoke/model.weights.npz").write_bytes(b"damaged")
        result = run_forked("package_model", *self.arguments(other), "--split=test[:3]", "--overwrite")
        self.assert_runs(result)
        CNNF.from_preset(other / "models/from_smoke")

    def checkout(self):
        """A copy of the sources, with the packaged model as the only one, for all tests: its fork server costs most."""
        root = self.packaged()[0] / "checkout"
        if root.exists():
            return root
        for name in ("bin", "cnnf_tf"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "fashion_mnist_*"))
        shutil.copytree(self.packaged()[0] / "models", root / "cnnf_tf/zoo/presets", dirs_exist_ok=True)
        return root

    def run_in(self, root, binary, *arguments):
        return run_forked(binary, "--model=pretrained:from_smoke", f"--dataset={DATA}", *arguments, root=root)

    def test_model_and_surrogate_flags_take_it_and_results_go_to_runs(self):
        root = self.checkout()
        self.assert_runs(self.run_in(root, "evaluate", "--num_images=4", "--num_pictures=0"))
        report = json.loads((root / "runs/from_smoke/accuracy.json").read_text())
        self.assertEqual((report["model"], report["num_images"]), ("pretrained:from_smoke", 4))

        arguments = ("--score_images=3", "--num_images=2", "--corruption=contrast", "--iterations=1")
        self.assert_runs(self.run_in(root, "restore", *arguments))
        self.assertTrue((root / "runs/from_smoke/restoration/contrast.png").exists())

        arguments = ("--attack=fgsm", "--epsilon=0.1", "--num_images=4", "--num_pictures=0", "--output=attack")
        self.assert_runs(self.run_in(root, "attack", *arguments, "--surrogate=pretrained:from_smoke"))
        report = json.loads((root / "attack/attack.json").read_text())
        self.assertEqual((report["model"], report["surrogate"]), ("pretrained:from_smoke",) * 2)

    def test_record_of_corruptions_has_its_checksum(self):
        root = self.checkout()
        preset = self.packaged()[0] / "models/from_smoke"
        arguments = (f"--baseline={preset}", "--num_images=3", "--corruptions=contrast", "--severities=1")
        self.assert_runs(self.run_in(root, "corruption_robustness", *arguments, "--iterations=1", "--output=out"))
        record = json.loads((root / "out/results.json").read_text())
        digest = preset_info(preset)["files"]["model.weights.npz"]
        self.assertEqual(record["config"]["sha256"], {"model": digest, "baseline": digest})

    def test_unknown_name(self):
        for binary in ("evaluate", "sample", "export", "attack"):
            more = {"attack": ("--epsilon=0",)}.get(binary, ())
            arguments = ("--model=pretrained:no_such", f"--output={self.folder() / 'x'}", *more)
            self.assert_refuses(binary, (arguments, 1, "there is no pretrained model 'no_such'.* There are: "))

    @parameterized.parameters(
        ("evaluate", "model", "surrogate"),
        ("attack", "model", "surrogate"),
        ("corruption_robustness", "model", "baseline"),
        *((binary, "model") for binary in ("restore", "export", "sample", "out_of_distribution")),
    )
    def test_help_names_the_models(self, binary, *names):
        text = " ".join(run_forked(binary, "--help").stdout.split())
        known = ", ".join(pretrained_names()) or "none yet"
        for name in names:
            self.assertRegex(
                text,
                rf"--{name}: [^;]*: a \.keras file, [^;]*; a folder [^;]*; or pretrained:NAME, [^()]* \({known}\)\.",
            )


if __name__ == "__main__":
    tf.test.main()
