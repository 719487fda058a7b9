"""BUILD agrees with the sources: every file has one target, every import has its dependency, imports point one way."""

import difflib
import pathlib
import re
import sys
import tempfile
import unittest

# Run by itself, this file needs the checkout on the path.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tools.build_file import ROOT, Sources, build_file_problems, parse_build_file, render_build_file  # noqa: E402


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def locked_distributions(text: str) -> set[str]:
    """The distributions of a requirements file, as labels of the hub spell them."""
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*==", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "_", name).lower() for name in names}


class BuildFileTest(unittest.TestCase):
    """The checkout itself."""

    def setUp(self) -> None:
        super().setUp()
        self.sources = Sources(ROOT)
        self.expected = self.sources.targets()

    def _assert_none(self, problems: list[str], remedy: str) -> None:
        if problems:
            self.fail("\n".join(["", *problems, "", remedy]))

    def test_files_and_dependencies(self) -> None:
        actual = parse_build_file(_read("BUILD"))
        problems = self.sources.problems + build_file_problems(self.expected, actual)
        self._assert_none(problems, "Or let it be written: python tools/build_file.py")

    def test_formatting(self) -> None:
        there = _read("BUILD")
        wanted = render_build_file(self.expected, parse_build_file(there))
        diff = difflib.unified_diff(there.splitlines(), wanted.splitlines(), "BUILD", "BUILD as generated", lineterm="")
        self._assert_none(list(diff), "Let it be written: python tools/build_file.py")

    def test_import_directions(self) -> None:
        self._assert_none(
            self.sources.direction_problems(),
            "Imports point one way: see ALLOWED_IMPORTS in tools/build_file.py.",
        )

    def test_test_files_run_by_themselves(self) -> None:
        """Bazel runs a test file as a program: without a call of `main()` at its end it would pass without testing."""
        guard = re.compile(r'^if __name__ == "__main__":\n(?:    .*\n|\n)*    +.*\bmain\(', re.MULTILINE)
        silent = [path for path in self.sources.paths if path.endswith("_test.py") and not guard.search(_read(path))]
        self._assert_none(silent, 'End these files with: if __name__ == "__main__": tf.test.main()')

    def test_third_party_packages_are_locked(self) -> None:
        locked = locked_distributions(_read("requirements_lock.txt"))
        problems = [
            f"requirements_lock.txt lacks {label.removeprefix('@pip//')}: {target.reasons[label]}."
            for target in self.expected.values()
            for label in target.deps
            if label.startswith("@pip//") and label.removeprefix("@pip//") not in locked
        ]
        self._assert_none(problems, "See the head of requirements_lock.txt for how it is made.")


class CheckerTest(unittest.TestCase):
    """The checker, on small checkouts with one fault each."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self._add("cnnf_tf/__init__.py", "from cnnf_tf.layers import Conv\n")
        self._add("cnnf_tf/layers/__init__.py", "from cnnf_tf.layers.conv import Conv\n")
        self._add("cnnf_tf/layers/conv.py", "import math\nimport keras\n")
        self._add("cnnf_tf/models/__init__.py", "from ..layers import Conv\n")
        self._add("cnnf_tf/version.py", "")
        self._add("bin/_app.py", "from absl import app\n")
        self._add("bin/train.py", "import _app\nfrom cnnf_tf import layers, models\n")
        self._add("tests/layers/conv_test.py", "from cnnf_tf import layers\nDATA = 'tests/testdata/x.npz'\n")

    def _add(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def _problems(self, build_file: str) -> str:
        return "\n".join(build_file_problems(Sources(self.root).targets(), parse_build_file(build_file)))

    def test_targets(self) -> None:
        targets = Sources(self.root).targets()
        self.assertEqual(
            {name: target.deps for name, target in targets.items()},
            {
                "app": ["@pip//absl_py"],
                "cnnf_tf": [":layers"],
                "layers": ["@pip//keras", "@pip//tensorflow"],
                "models": [":layers"],
                "version": [],
                "train": [":app", ":layers", ":models"],
                "binaries": [],
                "layers_conv_test": [":layers"],
            },
        )
        self.assertEqual(targets["layers"].srcs, ["cnnf_tf/layers/__init__.py", "cnnf_tf/layers/conv.py"])
        self.assertEqual(targets["layers_conv_test"].data, [":testdata"])
        self.assertEqual(Sources(self.root).direction_problems(), [])

    def test_written_file_reads_back_without_problems(self) -> None:
        text = render_build_file(Sources(self.root).targets(), {})
        self.assertEqual(self._problems(text), "")
        edited = text.replace('name = "train",', 'name = "train",\n    tags = ["manual"],')
        again = render_build_file(Sources(self.root).targets(), parse_build_file(edited))
        self.assertEqual(parse_build_file(again)["train"].others, {"tags": ["manual"]})

    def test_says_what_to_change(self) -> None:
        text = render_build_file(Sources(self.root).targets(), {})
        self._add("cnnf_tf/models/new.py", "import numpy as np\n")
        self._add("tests/new_test.py", "")
        self.assertEqual(
            self._problems(text),
            'BUILD: py_library(name = "models"): add "cnnf_tf/models/new.py" to srcs.\n'
            'BUILD: py_library(name = "models"): add "@pip//numpy" to deps (cnnf_tf/models/new.py:1 imports numpy).\n'
            'BUILD lacks a rule; add:\npy_test(\n    name = "new_test",\n    srcs = ["tests/new_test.py"],\n'
            '    main = "tests/new_test.py",\n)\n',
        )

    def test_superfluous_and_double_entries(self) -> None:
        text = render_build_file(Sources(self.root).targets(), {})
        text = text.replace('deps = [":layers"],', 'deps = [":layers", ":version"],', 1)
        text = text.replace('srcs = ["cnnf_tf/models/__init__.py"],', 'srcs = ["cnnf_tf/version.py"],')
        text += 'py_library(name = "old", srcs = ["cnnf_tf/old.py"])\n'
        problems = self._problems(text)
        self.assertIn("cnnf_tf/version.py is in :models and :version; one is enough.", problems)
        self.assertIn('remove ":version" from deps (none of its sources needs it).', problems)
        self.assertIn('remove "cnnf_tf/version.py" from srcs (no such file belongs to it).', problems)
        self.assertIn('BUILD: remove py_library(name = "old"): it has no source file.', problems)

    def test_wrong_directions(self) -> None:
        faults = {
            "cnnf_tf/layers/a.py": ("from cnnf_tf import models\n", "but layers may import utils."),
            "cnnf_tf/data/b.py": ("import cnnf_tf.layers.conv\n", "but data may import utils."),
            "cnnf_tf/models/c.py": ("from absl import flags\n", "flags are read in bin/ only."),
            "cnnf_tf/models/d.py": ("import bin.train\n", "but bin/ is not to be imported from cnnf_tf/."),
            "cnnf_tf/models/e.py": ("import cnnf_tf\n", "which imports everything: import the module."),
            "cnnf_tf/rumour/f.py": ("", "does not say what rumour may import."),
            "cnnf_tf/registry.py": ("from cnnf_tf import layers\n", "a top-level module may import no other room."),
            "bin/g.py": ("import tests.build_file_test\n", "tests/"),
        }
        self._add("tests/build_file_test.py", "")
        for path, (text, message) in faults.items():
            with self.subTest(path):
                self._add(path, text)
                problems = [line for line in Sources(self.root).direction_problems() if line.startswith(path)]
                self.assertLen(problems, 1)
                self.assertIn(message, problems[0])

    def assertLen(self, container: list[str], length: int) -> None:  # noqa: N802 - named like its siblings
        self.assertEqual(len(container), length, container)

    def test_missing_module_is_named(self) -> None:
        self._add("cnnf_tf/models/a.py", "import cnnf_tf.nowhere\nfrom tests import nothing\n")
        sources = Sources(self.root)
        sources.targets()
        self.assertEqual(sources.problems, ["cnnf_tf/models/a.py:2 imports tests.nothing, but there is no such file."])


if __name__ == "__main__":
    unittest.main()
