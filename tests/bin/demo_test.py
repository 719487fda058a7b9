"""`demo` as a user runs it, in a process of its own."""

import json

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import DATA, PNG, run
from tests.experiments.demo.html_reader import assert_stands_alone
from tests.models import fixtures_models

ROLES = ("restore", "standard", "standard_cnn", "adversarial", "adversarial_cnn")


class DemoTest(binaries.BinaryTestCase):
    def models(self, **others):
        """--models with a small model in every role."""
        cnnf, cnn = self.saved(), self.saved(iterations=0)
        names = {role: cnn if role.endswith("cnn") else cnnf for role in ROLES} | others
        return names, "--models=" + ",".join(f"{role}={name}" for role, name in names.items())

    def test_page(self):
        names, models = self.models(adversarial=self.saved(with_encoder=True))
        output = self.folder() / "deep" / "demo"
        arguments = ("--num_images=20", "--attacked_images=8", "--attack_steps=2", "--steps=3", "--seed=4")
        result = run("demo", models, f"--dataset={DATA}", *arguments, f"--output={output}")
        self.assert_runs(result)
        page = output / "index.html"
        self.assertEqual(result.stdout.splitlines()[-1], f"Open this page in a browser: {page.resolve().as_uri()}")
        for step in ("repairing dotted line", "attacking CNN-F", "every pass", "fine-tuning"):
            self.assertIn(step, result.stderr)
        reader = assert_stands_alone(self, page.read_text(encoding="utf-8"))
        self.assertIn(str(names["standard"]), reader.text)
        for name in ("repair.png", "repair_shot_noise.png", "attack.png", "accuracy.png", "training.png"):
            self.assertEqual((output / name).read_bytes()[:4], PNG)
        numbers = json.loads((output / "demo.json").read_text())
        self.assertEqual(numbers["models"], {role: str(name) for role, name in names.items()})
        self.assertEqual(list(numbers["repair"]), ["shot_noise", "gaussian_noise", "dotted_line"])
        pairs = numbers["attack"]["pairs"]
        self.assertEqual(
            {name: pair["epsilon"] for name, pair in pairs.items()},
            {
                "adversarially trained": 0.1,
                "trained clean": 0.03,
            },
        )
        for pair in pairs.values():
            self.assertEqual(list(pair["cnnf"]["by_gradient_path"]), ["first_pass", "full_unroll"])
            self.assertEqual(list(pair["cnn"]["by_gradient_path"]), ["full_unroll"])
            self.assertEqual(pair["cnnf"]["num_images"], 8)
        self.assertEqual(numbers["accuracy_of_every_pass"]["trained clean"]["num_images"], 20)
        self.assertLen(numbers["fine_tuning"]["losses"], 3)

    def test_errors(self):
        data = f"--dataset={DATA}"
        other = self.folder() / "tiny.keras"
        fixtures_models.model().save(other)
        file = self.folder() / "file"
        file.write_text("")
        self.assert_refuses(
            "demo",
            (("--models=best.keras",), 2, "ROLE=MODEL pairs.*roles restore, standard.*got 'best.keras'"),
            (("--models=cnn=best.keras",), 2, "got 'cnn=best.keras'"),
            (("--models=standard=",), 2, "got 'standard='"),
            (("--steps=0",), 2, "steps"),
            ((self.models(adversarial="none.keras")[1], data), 1, "no model for adversarial: .*'none.keras' does not"),
            (
                (self.models(standard=other)[1], data),
                2,
                "--models=standard wants images 8x8x1 .* are 28x28x1",
            ),
            ((self.models(restore=self.saved(with_encoder=True))[1], data), 1, "restoration wants a model whose h is"),
            ((self.models()[1], data, f"--output={file}"), 2, "--output wants a folder"),
        )


if __name__ == "__main__":
    tf.test.main()
