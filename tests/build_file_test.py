"""BUILD agrees with the sources: every file has one target, which names or reaches all that the file imports."""

import collections
import dataclasses
import functools
import pathlib
import re
import sys
import tempfile
import textwrap
import unittest
from collections.abc import Iterator, Sequence
from typing import Any

from tests.imports import DISTRIBUTION_OF, ROOT, imported_names

# What a package imports without declaring it, or as its back end.
IMPLIED = {
    "keras": ["tensorflow"],
    "nbclient": ["ipykernel"],
    "tensorflow_datasets": ["importlib_resources"],
    "tensorflow_probability": ["tf_keras"],
}
# Extras that are imported only where they are used, and that Bazel does not install.
NOT_IN_BAZEL = {"alembic", "brainscore_core", "brainscore_vision", "jax", "mlflow", "nicegui", "selenium", "sqlalchemy"}
NOT_IN_BAZEL |= {"torch", "wandb"}
SOURCES = ("bin", "cnnf_tf", "configs", "tests", "tools")


@dataclasses.dataclass
class Target:
    """One rule of BUILD."""

    rule: str
    name: str
    srcs: Sequence[str] = ()
    main: str = ""
    data: Sequence[str] = ()
    deps: Sequence[str] = ()
    testonly: bool = False


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of Bazel's patterns fits: `*` stays in a folder, `**` does not."""
    regex = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*"}
    return any(
        re.fullmatch("".join(regex.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*)", pattern)), path)
        for pattern in patterns
    )


class Build:
    """A checkout and the targets of its BUILD, which is Python enough to be run as such."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        paths = [path.relative_to(root) for room in SOURCES for path in root.glob(f"{room}/**/*") if path.is_file()]
        self.files = sorted(path.as_posix() for path in paths if path.parent.name != "__pycache__")
        self.sources = [path for path in self.files if path.endswith(".py")]
        self.targets: dict[str, Target] = {}
        self._module = {re.sub(r"(/__init__)?\.py$", "", path).replace("/", "."): path for path in self.sources}
        # Binaries import their siblings by bare name.
        self._module |= {name.removeprefix("bin."): path for name, path in self._module.items()}
        rules = ("filegroup", "py_binary", "py_library", "py_test")
        names = {rule: functools.partial(self._define, rule) for rule in rules} | {"glob": self._glob}
        names |= dict.fromkeys(("exports_files", "licenses", "load", "package"), lambda *_, **__: None)
        exec(compile((root / "BUILD").read_text(encoding="utf-8"), "BUILD", "exec"), names)

    def _glob(self, include: Sequence[str], *, exclude: Sequence[str] = (), allow_empty: bool = False) -> list[str]:
        found = [path for path in self.files if matches(path, include) and not matches(path, exclude)]
        if not found and not allow_empty:
            raise ValueError(f"BUILD: no file matches {include}.")
        return found

    def _define(self, rule: str, name: str, **attributes: Any) -> None:
        if name in self.targets:
            raise ValueError(f"BUILD defines :{name} a second time.")
        self.targets[name] = Target(rule, name, **attributes)

    def owners(self) -> dict[str, list[str]]:
        """The targets of each source, and of each other file of the package; more than one, or none, is an error."""
        files = (path for path in self.files if path in self.sources or path.startswith("cnnf_tf/"))
        owners: dict[str, list[str]] = {path: [] for path in files}
        for target in self.targets.values():
            for path in (*target.srcs, *target.data) if target.rule != "filegroup" else ():
                if not path.startswith((":", "tests/testdata/")):
                    owners.setdefault(path, []).append(f":{target.name}")
        return owners

    def wanted(self, path: str) -> Iterator[tuple[str, str]]:
        """The labels that a file needs, each with the reason."""
        if re.search(r"\b(tf\.summary|TensorBoard)\b", (self.root / path).read_text(encoding="utf-8")):
            yield "@pip//tensorboard", f"{path} writes TensorBoard files"
        owners = self.owners()
        for dotted, line in imported_names(self.root / path):
            parts = dotted.split(".")
            files = (self._module.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
            reason = f"{path}:{line} imports {dotted}"
            if file := next(filter(None, files), None):
                yield from ((label, reason) for label in owners[file])
            elif parts[0] in SOURCES:
                yield "no such file", reason
            elif parts[0] not in sys.stdlib_module_names | NOT_IN_BAZEL:
                for module in (parts[0], *IMPLIED.get(parts[0], ())):
                    yield f"@pip//{DISTRIBUTION_OF.get(module, module)}", reason

    def reachable(self, name: str) -> set[str]:
        """The target itself and all that its `deps` lead to."""
        found, new = set(), {f":{name}"}
        while new:
            found |= new
            targets = [self.targets[label[1:]] for label in new if label[1:] in self.targets]
            new = {label for target in targets for label in target.deps} - found
        return found

    def problems(self) -> list[str]:
        """What to change in BUILD, one line each. Libraries of the package name what they import, no more, no less."""
        problems = [
            f"{path} is in {' and '.join(names) or 'no target'}; it should be in one."
            for path, names in self.owners().items()
            if len(names) != 1
        ]
        for target in self.targets.values():
            if target.rule == "filegroup":
                continue
            reasons = {label: reason for path in target.srcs for label, reason in self.wanted(path)}
            exact = all(path.startswith("cnnf_tf/") for path in target.srcs)
            there = {*target.deps, f":{target.name}"} if exact else self.reachable(target.name)
            problems += [f":{target.name} lacks {label} ({reasons[label]})." for label in sorted({*reasons} - there)]
            for label in sorted(set(target.deps) - reasons.keys()) if exact else ():
                problems.append(f":{target.name} needs no {label}: none of its sources imports it.")
        return problems


def locked_distributions(text: str) -> set[str]:
    """The distributions of a requirements file, as labels of the hub spell them."""
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*==", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "_", name).lower() for name in names}


class BuildFileTest(unittest.TestCase):
    """The checkout itself."""

    build: Build
    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.build = Build(ROOT)

    def test_files_and_dependencies(self) -> None:
        self.assertEqual(self.build.problems(), [])

    def test_every_test_and_binary_is_a_target(self) -> None:
        found = collections.Counter(target.rule for target in self.build.targets.values())
        tests = [path for path in self.build.sources if path.endswith("_test.py")]
        self.assertEqual(found["py_test"], len(tests))
        binaries = [path for path in self.build.sources if re.fullmatch(r"bin/[^_/][^/]*\.py", path)]
        self.assertEqual(found["py_binary"], len(binaries))

    def test_test_files_run_by_themselves(self) -> None:
        """Bazel runs a test file as a program: without a call of `main()` at its end it would pass without testing."""
        guard = re.compile(r'^if __name__ == "__main__":\n(?:    .*\n|\n)*    +.*\bmain\(', re.MULTILINE)
        tests = [path for path in self.build.sources if path.endswith("_test.py")]
        silent = [path for path in tests if not guard.search((ROOT / path).read_text(encoding="utf-8"))]
        self.assertEqual(silent, [], 'End these files with: if __name__ == "__main__": tf.test.main()')

    def test_third_party_packages_are_locked(self) -> None:
        locked = locked_distributions((ROOT / "requirements_lock.txt").read_text(encoding="utf-8"))
        labels = {label for target in self.build.targets.values() for label in target.deps}
        missing = {label.removeprefix("@pip//") for label in labels if label.startswith("@pip//")} - locked
        self.assertEqual(missing, set(), "See the head of requirements_lock.txt for how it is made.")


class CheckerTest(unittest.TestCase):
    """The checker, on small checkouts with one fault each."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self._add("cnnf_tf/layers/__init__.py", "from cnnf_tf.layers.conv import Conv\n")
        self._add("cnnf_tf/layers/conv.py", "import math\nimport keras\n")
        self._add("cnnf_tf/models/__init__.py", "from cnnf_tf import layers\n")
        self._add("bin/_app.py", "from absl import app\n")
        self._add("bin/train.py", "import _app\nfrom cnnf_tf import layers, models\n")
        self._add("tests/layers/conv_test.py", "from cnnf_tf import layers\n")
        build = """
            [py_library(name = room, srcs = glob(["cnnf_tf/%s/*.py" % room]), deps = deps) for room, deps in [
                ("layers", ["@pip//keras", "@pip//tensorflow"]),
                ("models", [":layers"]),
            ]]
            py_library(name = "app", srcs = glob(["bin/_*.py"]), deps = ["@pip//absl_py", ":models"])
            py_binary(name = "train", srcs = ["bin/train.py"], deps = [":app"])
            [py_test(name = path, srcs = [path], deps = [":app"]) for path in glob(["tests/**/*_test.py"])]
            """
        self._add("BUILD", textwrap.dedent(build))

    def _add(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def test_targets(self) -> None:
        build = Build(self.root)
        self.assertEqual(build.problems(), [])
        self.assertEqual(build.targets["layers"].srcs, ["cnnf_tf/layers/__init__.py", "cnnf_tf/layers/conv.py"])
        self.assertEqual(build.owners()["tests/layers/conv_test.py"], [":tests/layers/conv_test.py"])

    def test_says_what_to_change(self) -> None:
        self._add("cnnf_tf/models/new.py", "import numpy as np\n")
        self._add("cnnf_tf/models/deep/new.py", "")
        self._add("cnnf_tf/models/style.css", "")
        self._add("tests/new_test.py", "import grpc\n")
        self.assertEqual(
            Build(self.root).problems(),
            [
                "cnnf_tf/models/deep/new.py is in no target; it should be in one.",
                "cnnf_tf/models/style.css is in no target; it should be in one.",
                ":models lacks @pip//numpy (cnnf_tf/models/new.py:1 imports numpy).",
                ":tests/new_test.py lacks @pip//grpcio (tests/new_test.py:1 imports grpc).",
            ],
        )

    def test_superfluous_and_double_entries(self) -> None:
        self._add("cnnf_tf/models/__init__.py", "")
        more = 'py_library(name = "old", srcs = ["bin/train.py"], deps = [":app"])\n'
        self._add("BUILD", (self.root / "BUILD").read_text() + more)
        self.assertEqual(
            Build(self.root).problems(),
            [
                "bin/train.py is in :train and :old; it should be in one.",
                ":models needs no :layers: none of its sources imports it.",
            ],
        )

    def test_a_name_or_a_pattern_without_meaning(self) -> None:
        there = (self.root / "BUILD").read_text()
        for more, message in (
            ('py_library(name = "app")\n', "defines :app a second time"),
            ('py_library(name = "zoo", srcs = glob(["cnnf_tf/zoo/*.py"]))\n', "no file matches .'cnnf_tf/zoo/"),
        ):
            self._add("BUILD", there + more)
            with self.assertRaisesRegex(ValueError, message):
                Build(self.root)

    def test_missing_module_is_named(self) -> None:
        self._add("cnnf_tf/models/a.py", "import cnnf_tf.nowhere\nfrom tests import nothing\n")
        self._add("cnnf_tf/models/__init__.py", "from cnnf_tf import layers\n")
        self.assertEqual(
            Build(self.root).problems(),
            [":models lacks no such file (cnnf_tf/models/a.py:2 imports tests.nothing)."],
        )


if __name__ == "__main__":
    unittest.main()
