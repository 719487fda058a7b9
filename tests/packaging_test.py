"""What is promised about installing: versions, requirements, make targets and the files a release needs.

The requirements are read from setup.py without running pip, so this needs the standard library and setuptools only.

    python -m tests.packaging_test --write-lock

writes requirements_lock.txt from packages of the running interpreter; `make lock` does so in .venv.
"""

import importlib.metadata
import pathlib
import re
import runpy
import sys
import unittest
from typing import Any
from unittest import mock

from tests.imports import DISTRIBUTION_OF, ROOT, imported_names

LOCK_HEADER = """\
# The versions that the tests were last run with: Python {python}, Linux, extra `dev`. Written by `make lock`.
# Bazel installs them (see MODULE.bazel); `pip install --constraint requirements_lock.txt -e .[dev]` gives the same.
"""


def normalized(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """The distribution that a requirement such as `numpy>=1.26` is about."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    if match is None:
        raise ValueError(f"not a requirement: {requirement!r}")
    return normalized(match.group())


def setup_arguments() -> dict[str, Any]:
    """What setup.py hands to setuptools, without building anything."""
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    return setup.call_args.kwargs


def third_party_imports(folder: str) -> dict[str, str]:
    """Top-level modules that the files under a folder import from elsewhere, each with one place that does."""
    own = {"bin", "cnnf_tf", "configs", "tests", "tools", *(path.stem for path in (ROOT / "bin").glob("*.py"))}
    found: dict[str, str] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for dotted, line in imported_names(path):
            top = dotted.partition(".")[0]
            if top not in own and top not in sys.stdlib_module_names:
                found.setdefault(top, f"{path.relative_to(ROOT)}:{line}")
    return found


def module_level_imports(path: pathlib.Path) -> set[str]:
    """Top-level names of what merely importing a file imports."""
    return {dotted.partition(".")[0] for dotted, _ in imported_names(path, nested=False)}


# Folders with a file for each backend of Keras.
_OF_A_BACKEND = ("attacks/programs", "layers/kernels", "models/steps")


class SetupTest(unittest.TestCase):
    """setup.py."""

    def setUp(self) -> None:
        super().setUp()
        self.arguments = setup_arguments()
        self.core = {requirement_name(line) for line in self.arguments["install_requires"]}
        self.extras = {
            extra: {requirement_name(line) for line in lines}
            for extra, lines in self.arguments["extras_require"].items()
        }

    def test_version_is_the_package_version(self) -> None:
        namespace = runpy.run_path(str(ROOT / "cnnf_tf" / "version.py"))
        self.assertEqual(self.arguments["version"], namespace["__version__"])
        self.assertRegex(self.arguments["version"], r"^\d+\.\d+\.\d+$")

    def test_bazel_module_has_the_same_version(self) -> None:
        module = (ROOT / "MODULE.bazel").read_text(encoding="utf-8")
        self.assertIn(f'    version = "{self.arguments["version"]}",', module)

    def test_python_versions(self) -> None:
        self.assertEqual(self.arguments["python_requires"], ">=3.10")

    def test_only_the_package_is_installed(self) -> None:
        tops = {package.partition(".")[0] for package in self.arguments["packages"]}
        self.assertEqual(tops, {"cnnf_tf"})

    def test_every_folder_with_modules_is_a_package(self) -> None:
        folders = {path.parent for path in (ROOT / "cnnf_tf").rglob("*.py")}
        packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
        missing = {name for name in packages if "experiments" not in name} - set(self.arguments["packages"])
        self.assertNotIn("cnnf_tf.experiments", self.arguments["packages"])
        self.assertFalse(missing, f"these folders need an __init__.py, or the wheel will lack them: {sorted(missing)}")

    def test_extras(self) -> None:
        apart = {"brainscore", "browser", "docs", "jax", "playground", "torch", "wandb"}
        light = ("activations", "experiments", "hub", "litert", "mlflow", "notebook", "onnx", "serving", "toolboxes")
        self.assertEqual(set(self.extras), {"dev", *light} | apart)
        for extra in light:
            self.assertLessEqual(self.extras[extra], self.extras["dev"], f"`dev` must hold what tests of {extra} need")
        self.assertFalse(self.extras["torch"] & (self.core | self.extras["dev"]), "PyTorch must stay optional")

    def test_every_requirement_has_a_lower_bound(self) -> None:
        groups = [self.arguments["install_requires"], *self.arguments["extras_require"].values()]
        for requirement in sum(groups, []):
            self.assertRegex(requirement, r"^[A-Za-z0-9._-]+>=\d[\d.]*(,<\d[\d.]*)?$")

    def test_tensorflow_is_not_installed_twice(self) -> None:
        self.assertNotIn("tensorflow-cpu", self.core.union(*self.extras.values()))

    def test_every_import_is_declared(self) -> None:
        declared = self.core.union(*self.extras.values())
        for folder, known in (("cnnf_tf", declared), ("bin", declared), ("configs", self.core), ("tests", declared)):
            for module, place in third_party_imports(folder).items():
                name = normalized(DISTRIBUTION_OF.get(module, module))
                # setuptools comes with TensorFlow.
                self.assertIn(
                    name, known | {"setuptools"}, f"{place} imports {module}, which setup.py does not require"
                )

    def test_extras_are_imported_only_where_used(self) -> None:
        """A core install can import every module of the package: extras are imported inside functions.

        But for the files of a backend, which are imported where Keras runs on it, and the page of the playground.
        """
        optional = set().union(*self.extras.values()) - self.core
        backend = {ROOT / f"cnnf_tf/{room}/{name}.py" for room in _OF_A_BACKEND for name in ("jax", "torch")}
        for experiment in ("accelerator", "screening"):
            backend |= {*(ROOT / "cnnf_tf/experiments" / experiment).glob("*.py")}
        page = {ROOT / "cnnf_tf/experiments/playground/page.py"}
        for path in sorted({*(ROOT / "cnnf_tf").rglob("*.py")} - backend - page):
            for module in module_level_imports(path):
                name = normalized(DISTRIBUTION_OF.get(module, module))
                self.assertNotIn(name, optional, f"{path.relative_to(ROOT)} imports {module}: do it where it is used")


class FilesTest(unittest.TestCase):
    """The Makefile and the texts around the code."""

    def test_readme_promises_only_targets_that_exist(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))
        for name in ("README.md", "CONTRIBUTING.md"):
            text = (ROOT / name).read_text(encoding="utf-8")
            code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
            promised = set(re.findall(r"\bmake ([a-z][a-z-]*)", code))
            self.assertLessEqual(promised, targets, f"{name} names make targets that Makefile lacks")
            self.assertLessEqual({"demo", "test"}, promised, f"{name} must name the two commands that do everything")

    def test_every_target_has_a_help_text(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
        for target in " ".join(phony).split():
            self.assertRegex(makefile, rf"(?m)^{target}:.* ## .+\.$")

    def test_license(self) -> None:
        self.assertTrue((ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n"))

    def test_changelog_has_the_current_version(self) -> None:
        version = setup_arguments()["version"]
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        self.assertRegex(changelog, rf"(?m)^## .*\b{re.escape(version)}\b")

    def test_manifest_names_files_that_exist(self) -> None:
        manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
        for line in manifest.splitlines():
            command, *names = line.split()
            if command == "include":
                missing = [name for name in names if not (ROOT / name).is_file()]
                self.assertFalse(missing, f"MANIFEST.in includes what is not there: {missing}")

    def test_lock_is_within_the_ranges(self) -> None:
        """Each requirement of the package and of `dev` is locked, at no less than its lower bound."""
        lock = (ROOT / "requirements_lock.txt").read_text(encoding="utf-8")
        locked = {normalized(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", lock, re.MULTILINE)}
        arguments = setup_arguments()
        for requirement in arguments["install_requires"] + arguments["extras_require"]["dev"]:
            name = requirement_name(requirement)
            self.assertIn(name, locked, "run `make lock`")
            for sign, bound in re.findall(r"(>=|<)([\d.]+)", requirement):
                below = _numbers(locked[name]) < _numbers(bound)
                self.assertEqual(
                    below, sign == "<", f"{name}=={locked[name]} is locked, but setup.py says {requirement}"
                )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]


def _write_lock() -> None:
    """Locks what the package and `dev` need, whatever else is installed beside it."""
    from packaging.requirements import Requirement  # pytest brings it along

    versions: dict[str, str] = {}
    wanted = [Requirement("cnnf-tf[dev]")]
    while wanted:
        requirement = wanted.pop()
        distribution = importlib.metadata.distribution(requirement.name)
        key = normalized(requirement.name) + ",".join(sorted(requirement.extras))
        if key not in versions:
            versions[key] = f"{normalized(requirement.name)}=={distribution.version}\n"
            below = map(Requirement, distribution.requires or ())
            extras = requirement.extras or {""}
            wanted += [
                needed
                for needed in below
                if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
            ]
    locked = {line for line in versions.values() if not line.startswith("cnnf-tf==")}
    lines = sorted(locked, key=lambda line: line.partition("=="))
    header = LOCK_HEADER.format(python=".".join(map(str, sys.version_info[:2])))
    (ROOT / "requirements_lock.txt").write_text(header + "".join(lines), encoding="utf-8")
    print(f"requirements_lock.txt: {len(lines)} packages.")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write-lock"]:
        _write_lock()
    else:
        unittest.main()
