"""What binaries find out before they work, over all of them that have such a flag."""

import functools
import pathlib
import re
import shutil
import tempfile

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.bin import binaries
from tests.bin.binaries import DATA, ROOT, run_forked

# Flags that name what is written, with the ending where it is a file.
OUTPUTS = {
    "activations": {"output": ".nc"},
    "attack": {"output": ""},
    "benchmark": {"output": ""},
    "convert": {"output": ".keras"},
    "corruption_robustness": {"output": ""},
    "demo": {"output": ""},
    "evaluate": {"output": ""},
    "export": {"output": ""},
    "generative_vs_discriminative": {"output": ""},
    "import_reference": {"output": ".keras"},
    "leaderboard": {"output": ".md"},
    "out_of_distribution": {"output": ""},
    "package_model": {"output": "", "cards": ""},
    "representations": {"output": ""},
    "restore": {"output": ""},
    "sample": {"output": ""},
    "screening": {"output": "", "weights": ""},
    "study": {"output": ""},
    "theory_figure": {"output": ".png"},
    "train": {"workdir": ""},
}
# Further arguments of the binaries that run a model on data.
MODEL_ON_DATA = {
    "activations": ("--layers=fc", "--output=OUT.nc"),
    "attack": ("--epsilon=0.1", "--output=OUT"),
    "corruption_robustness": ("--baseline=MODEL", "--output=OUT"),
    "evaluate": ("--output=OUT",),
    "export": ("--output=OUT",),
    "out_of_distribution": ("--ood_dataset=digits", "--fit_split=test"),
    "playground": ("--port=0",),
    "restore": ("--output=OUT",),
    "sample": ("--output=OUT",),
}
# Flags that number feedback passes.
ITERATIONS = {
    "activations": "iterations",
    "attack": "iterations",
    "benchmark": "iterations",
    "convert": "iterations",
    "corruption_robustness": "iterations",
    "evaluate": "iterations",
    "export": "max_iterations",
    "import_reference": "iterations",
    "out_of_distribution": "iterations",
    "predict": "max_iterations",
    "restore": "iterations",
}
CONFIGS = {
    "generative_vs_discriminative": ("generative_vs_discriminative", "--output=OUT"),
    "study": ("fashion_mnist_study", "--output=OUT"),
    "train": ("fashion_mnist_standard", "--workdir=OUT"),
}
# Values of a configuration that no work can be done with.
BAD_CONFIGS = (
    ("train", "--config.data.batch_size=100000", "batch_size must be at most 64, the images of .* 'train.:64.'"),
    ("train", "--config.model.iterations=1000000", "iterations=1000000: at most 1000 feedback passes"),
    ("train", "--config.data.validation_split=valid", "no split is called 'valid'"),
    ("study", "--config.data.batch_size=100000", "batch_size must be at most 64"),
    ("study", "--config.study.tested.max_iterations=100000", "max_iterations=100000: at most 1000"),
    ("study", "--config.study.clean_split=valid", "no split is called 'valid'"),
    ("study", "--config.study.attack.steps=0", "config.study.attack.steps must be at least 1, got 0"),
    ("study", "--config.study.needed.num_images=0", "config.study.needed.num_images must be at least 1"),
    ("study", "--config.study.needed.corruptions=('fog',)", "corruptions: wanted some of .* got"),
    ("generative_vs_discriminative", "--config.data.batch_size=0", "config.data.batch_size must be at least 1"),
    ("generative_vs_discriminative", "--config.model.iterations=1001", "iterations=1001: at most 1000"),
    ("generative_vs_discriminative", "--config.study.test_split=valid", "no split is called 'valid'"),
)


@functools.cache
def source(binary):
    return (ROOT / "bin" / f"{binary}.py").read_text(encoding="utf-8")


class ChecksTest(binaries.BinaryTestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.models)
        cls.model, cls.wide, cls.plain = (cls.models / f"{name}.keras" for name in ("model", "wide", "plain"))
        binaries.small_model().save(cls.model)
        binaries.small_model((40, 40, 3)).save(cls.wide)
        keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]).save(cls.plain)
        for name in "abc":
            (cls.models / "three" / "test" / name).mkdir(parents=True)
            picture = tf.io.encode_png(np.full((28, 28, 1), 90, np.uint8)).numpy()
            (cls.models / "three" / "test" / name / "1.png").write_bytes(picture)

    def setUp(self):
        super().setUp()
        self.place = self.folder()

    def arguments(self, texts, model=""):
        """`texts` with a model and a new folder in place of MODEL and OUT."""
        return [text.replace("MODEL", str(model)).replace("OUT", str(self.place / "new")) for text in texts]

    def on_data(self, binary, model, *arguments):
        """All arguments of a binary of `MODEL_ON_DATA`."""
        return [f"--model={model}", f"--dataset={DATA}", *self.arguments(MODEL_ON_DATA[binary], model), *arguments]

    def refused(self, binary, *arguments, message):
        """One paragraph, exit code 1 or 2, and nothing was written."""
        result = run_forked(binary, *arguments)
        self.assertIn(result.returncode, (1, 2), result.stderr[-3000:])
        self.assert_fails(result, result.returncode, message)
        self.assertFalse((self.place / "new").exists())

    def test_tables_are_complete(self):
        for path in (ROOT / "bin").glob("[a-z]*.py"):
            text = source(path.stem)
            self.assertEqual(text.count("define_output("), len(OUTPUTS.get(path.stem, ())), path)
            self.assertNotRegex(text, r'DEFINE_string\(\s*"(output|workdir|cards|weights_folder)"')
            on_data = "define_model()" in text and "define_data(" in text
            self.assertEqual(on_data, path.stem in MODEL_ON_DATA, path)
            passes = re.search(r'define_iterations\(|limit_iterations\("', text)
            self.assertEqual(bool(passes), path.stem in ITERATIONS, path)
            self.assertEqual("define_config(" in text, path.stem in CONFIGS, path)

    @parameterized.parameters(*OUTPUTS)
    def test_output_that_cannot_be_written(self, binary):
        file = self.place / "file"
        file.write_text("")
        for flag, suffix in OUTPUTS[binary].items():
            bad = [file / "a" / f"b{suffix}"]
            if suffix:
                bad.append(self.place / f"folder{suffix}")
                bad[-1].mkdir()
            for path in bad:
                message = f"--{flag} wants a {'file' if suffix else 'folder'} that can be written, got"
                self.refused(binary, f"--{flag}={path}", message=message)

    @parameterized.parameters(
        ("/proc/nowhere", "No such file|Permission|Read-only"),
        (f"/tmp/{300 * 'a'}", "File name too long"),
        (f"/tmp/{300 * 'a'}/b/c", "File name too long"),
    )
    def test_folders_that_cannot_be(self, path, reason):
        if not pathlib.Path("/proc").is_dir():
            self.skipTest("there is no folder /proc")
        self.refused("evaluate", "--model=x", f"--output={path}", message=reason)
        self.refused("evaluate", f"--model={path}/x.keras", message=reason)  # by default beside the model
        self.refused("convert", f"--output={path}/x.keras", message=reason)

    @parameterized.parameters(*MODEL_ON_DATA)
    def test_data_of_another_kind_than_the_model(self, binary):
        message = "--model wants images 40x40x3 .* but those of --dataset=.* are 28x28x1"
        self.refused(binary, *self.on_data(binary, self.wide), message=message)
        if binary not in ("activations", "restore"):  # which compare no label with the model's
            three = f"--dataset=image_folder:{self.models / 'three'}"
            self.refused(binary, *self.on_data(binary, self.model, three), message="10 classes against 3")

    def test_data_that_are_not_there(self):
        valid = "no split is called 'valid'.* there are: test .128 examples., train"
        hint = "mnist is not prepared in .*. Run `python bin/prepare_data.py --dataset=mnist"
        for binary in ("attack", "evaluate", "sample"):
            self.refused(binary, *self.on_data(binary, self.model, "--split=valid"), message=valid)
        missing = "--dataset=mnist", f"--data_dir={self.place}"
        self.refused("evaluate", *self.on_data("evaluate", self.model, *missing), message=hint)
        for flag, binary in (("denoiser_split", "restore"), ("fit_split", "out_of_distribution")):
            more = (f"--{flag}=valid", "--denoiser_epochs=1" if binary == "restore" else "--seed=0")
            self.refused(binary, *self.on_data(binary, self.model, *more), message=valid)
        self.refused("demo", f"--dataset={DATA}", "--train_split=valid", f"--output={self.place}/new", message=valid)

    def test_files_that_are_no_model(self):
        cut, content = self.place / "cut.keras", self.model.read_bytes()
        cut.write_bytes(content[: len(content) // 2])
        message = "plain.keras' holds a Sequential; wanted a CNNF. A CNN of Keras becomes one by CNNF.from_keras"
        self.refused("evaluate", *self.on_data("evaluate", self.plain), message=message)
        message = "no zip archive, or one that was cut short"
        self.refused("sample", *self.on_data("sample", cut), message=message)
        self.refused("convert", f"--keras={cut}", f"--output={self.place}/new.keras", message=message)
        others = ("attack", "surrogate"), ("corruption_robustness", "baseline"), ("evaluate", "surrogate")
        for binary, flag in (*others, ("playground", "cnn")):
            message = rf"--{flag} wants the images of the shape that --model has, \(28, 28, 1\)"
            self.refused(binary, *self.on_data(binary, self.model, f"--{flag}={self.wide}"), message=message)

    def test_too_many_feedback_passes(self):
        for binary, flag in ITERATIONS.items():
            self.refused(binary, f"--{flag}=1000000", message="at most 1000 feedback passes can be run: each costs")

    @parameterized.parameters(*BAD_CONFIGS)
    def test_configurations(self, binary, argument, message):
        config, output = CONFIGS[binary]
        arguments = f"--config=configs/{config}.py:smoke", f"--config.data.name={DATA}", argument
        self.refused(binary, *arguments, *self.arguments([output]), message=message)

    def test_configurations_of_something_else(self):
        other = self.place / "other.py"
        other.write_text("from ml_collections import ConfigDict\n\ndef get_config():\n  return ConfigDict({'a': 1})\n")
        for binary, (config, output) in CONFIGS.items():
            message = f"--config has no `[a-z.]+` in it; configs/{config}.py shows one"
            self.refused(binary, f"--config={other}", *self.arguments([output]), message=message)


if __name__ == "__main__":
    tf.test.main()
