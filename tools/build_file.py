"""Makes BUILD from the `import` statements of the sources, so that nobody has to keep two lists alike by hand.

    python tools/build_file.py

rewrites it and says what changed; `build_file_test.py` says line by line what differs. Attributes it does not manage
(`size`, `tags`, `shard_count`, ...) are kept. It needs the standard library only.
"""

import ast
import dataclasses
import pathlib
import re
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Each room of cnnf_tf names the rooms it may import: utils <- layers <- models <- zoo, generative, attacks, serving <-
# training, evaluation <- experiments <- bin. `data` stands apart.
_MODEL_SIDE = frozenset({"utils", "layers", "models", "zoo", "generative", "attacks"})
ALLOWED_IMPORTS = {
    "utils": frozenset(),
    "layers": frozenset({"utils"}),
    "models": frozenset({"utils", "layers"}),
    "zoo": frozenset({"utils", "layers", "models"}),
    "generative": frozenset({"utils", "layers", "models"}),
    "attacks": frozenset({"utils", "layers", "models"}),
    "data": frozenset({"utils"}),
    "serving": _MODEL_SIDE,
    "training": _MODEL_SIDE | {"data"},
    "evaluation": _MODEL_SIDE | {"data"},
    "experiments": _MODEL_SIDE | {"data", "serving", "training", "evaluation"},
}
# Flags and process start-up belong to bin/.
FORBIDDEN_IN_PACKAGE = frozenset({"absl.flags", "absl.app"})

# Distributions whose name is not the name of the module they bring.
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "absl": "absl_py",
    "art": "adversarial_robustness_toolbox",
    "google": "protobuf",
    "grpc": "grpcio",
    "sklearn": "scikit_learn",
    "tensorflow_serving": "tensorflow_serving_api",
    "yaml": "pyyaml",
}
# What a module imports behind our back, without declaring it, or as its back end.
IMPLIED = {
    "keras": ("tensorflow",),
    "tensorflow_datasets": ("importlib_resources",),
    "tensorflow_probability": ("tf_keras",),
}
# Extras that are imported only where they are used, and that Bazel does not install.
NOT_IN_BAZEL = frozenset({"torch"})

HEADER = '''"""The targets of cnnf_tf. Generated; after a change of files or imports run

    python tools/build_file.py

Third-party packages come from the hub `pip` of MODULE.bazel, at the versions of requirements_lock.txt.
"""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["LICENSE"])

# What the tests of packaging and of this file read.
filegroup(
    name = "checkout",
    srcs = glob(
        [
            "*",
            ".ci/*",
            "bin/**",
            "cnnf_tf/**",
            "configs/**",
            "docs/**",
            "examples/**",
            "tests/**",
            "tools/**",
        ],
        allow_empty = True,
        exclude = ["**/__pycache__/**"],
    ),
)

# Cards and weights of the pretrained models.
filegroup(
    name = "pretrained",
    srcs = glob(
        ["cnnf_tf/zoo/weights/*"],
        allow_empty = True,
    ),
)

filegroup(
    name = "testdata",
    srcs = glob(
        ["tests/testdata/**"],
        allow_empty = True,
    ),
)
'''
_MANAGED = ("srcs", "main", "data", "deps")
_HAND_WRITTEN = frozenset({"checkout", "pretrained", "testdata"})


@dataclasses.dataclass
class Target:
    """One rule of BUILD; `reasons` says for each dependency which file wants it."""

    rule: str
    name: str
    srcs: list[str] = dataclasses.field(default_factory=list)
    main: str = ""
    data: list[str] = dataclasses.field(default_factory=list)
    deps: list[str] = dataclasses.field(default_factory=list)
    others: dict[str, object] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)

    def render(self) -> str:
        """The rule as buildifier would format it."""
        first = {key: value for key, value in self.others.items() if key in ("size", "timeout", "testonly")}
        rest = {key: value for key, value in self.others.items() if key not in first}
        attributes = {"name": self.name, **first, "srcs": self.srcs}
        attributes |= dict(sorted({**rest, "main": self.main, "data": self.data}.items()))
        attributes["deps"] = self.deps
        lines = [f"    {key} = {_render_value(value)},\n" for key, value in attributes.items() if value not in ([], "")]
        return f"{self.rule}(\n{''.join(lines)})\n"


def _render_value(value: object) -> str:
    if isinstance(value, list) and len(value) > 1:
        return "[\n" + "".join(f"        {_render_value(item)},\n" for item in value) + "    ]"
    if isinstance(value, list):
        return "[" + ", ".join(_render_value(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


class Sources:
    """The Python files of a checkout, the targets they belong to and what they import."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.problems: list[str] = []
        files = [path.relative_to(root) for path in root.rglob("*.py") if path.is_file()]
        # Hidden folders, build products and whatever a person keeps at the top level are not ours.
        rooms = ("bin", "cnnf_tf", "configs", "tests", "tools")
        self.paths = sorted(path.as_posix() for path in files if path.parts[0] in rooms)
        self._path_of_module: dict[str, str] = {}
        for path in self.paths:
            module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            self._path_of_module[module] = path
            if path.startswith("bin/"):  # Binaries import their siblings by bare name.
                self._path_of_module.setdefault(module.removeprefix("bin."), path)

    def rule_and_name(self, path: str) -> tuple[str, str]:
        """The rule and the name of the target that a file belongs to."""
        parts = pathlib.PurePosixPath(path).parts
        stem = parts[-1].removesuffix(".py")
        if parts[0] == "cnnf_tf":
            if len(parts) > 2:
                return "py_library", parts[1]
            return "py_library", "cnnf_tf" if stem == "__init__" else stem
        if parts[0] == "bin":
            return ("py_library", stem.strip("_")) if stem.startswith("_") else ("py_binary", stem)
        if parts[0] == "configs":
            return "py_library", "configs"
        if parts[0] == "tools":
            return "py_library", "tools"
        if stem.endswith("_test"):
            return "py_test", "_".join([*parts[1:-1], stem])
        return "py_library", "test_lib"

    def imports(self, path: str) -> Iterator[tuple[str, int]]:
        """Yields each dotted name that a file imports, with its line; `from a import b` gives `a.b`."""
        tree = ast.parse((self.root / path).read_text(encoding="utf-8"), filename=path)
        package = list(pathlib.PurePosixPath(path).parent.parts)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                base = [*base, *(node.module.split(".") if node.module else [])]
                for alias in node.names:
                    yield ".".join(base if alias.name == "*" else [*base, alias.name]), node.lineno

    def first_party(self, dotted: str) -> str | None:
        """The file that holds an imported name, or None if the name is not of this checkout."""
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            path = self._path_of_module.get(".".join(parts[:end]))
            if path is not None:
                return path
        return None

    def dependencies(self, path: str) -> dict[str, str]:
        """The labels that a file needs, each with the reason."""
        own = self.rule_and_name(path)[1]
        found: dict[str, str] = {}
        writes_events = re.compile(r"\b(tf\.summary|TensorBoard)\b")
        if path.startswith("cnnf_tf/") and writes_events.search((self.root / path).read_text(encoding="utf-8")):
            found["@pip//tensorboard"] = f"{path} writes TensorBoard files"
        for dotted, line in self.imports(path):
            top = dotted.partition(".")[0]
            target = self.first_party(dotted)
            if target is not None:
                name = self.rule_and_name(target)[1]
                if name != own:
                    found.setdefault(f":{name}", f"{path}:{line} imports {dotted}")
            elif top in ("bin", "cnnf_tf", "configs", "tests", "tools"):
                self.problems.append(f"{path}:{line} imports {dotted}, but there is no such file.")
            elif top not in sys.stdlib_module_names and top not in NOT_IN_BAZEL:
                for module in (top, *IMPLIED.get(top, ())):
                    found.setdefault(f"@pip//{DISTRIBUTION_OF.get(module, module)}", f"{path}:{line} imports {dotted}")
        return found

    def data(self, path: str) -> dict[str, str]:
        """The files that a source reads at run time: the package its resources, others by their string constants."""
        if path.startswith("cnnf_tf/"):
            uses = any(dotted.startswith("importlib.resources") for dotted, _ in self.imports(path))
            return {":pretrained": f"{path} reads resources of the package"} if uses else {}
        tree = ast.parse((self.root / path).read_text(encoding="utf-8"), filename=path)
        words = {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
            for part in {node.value, node.value.partition("/")[0], "testdata" * ("testdata/" in node.value)}
        }
        found: dict[str, str] = {}
        if path.startswith("bin/"):
            if any(dotted.startswith("ml_collections.config_flags") for dotted, _ in self.imports(path)):
                found[":configs"] = f"{path} loads a configuration by its file name"
            return found
        if words & {"setup.py", "BUILD", "Makefile"}:
            return {":checkout": f"{path} reads files of the checkout"}
        if words & {"docs", "examples"}:
            found[":checkout"] = f'{path} mentions "docs"'
        if "testdata" in words:
            found[":testdata"] = f'{path} mentions "testdata"'
        if "configs" in words:
            found[":configs"] = f'{path} mentions "configs"'
        if "bin" in words:
            found[":binaries"] = f'{path} mentions "bin"'
        return found

    def targets(self) -> dict[str, Target]:
        """What BUILD should contain, by name, in the order in which it is written."""
        targets: dict[str, Target] = {}
        for path in self.paths:
            rule, name = self.rule_and_name(path)
            target = targets.setdefault(name, Target(rule, name))
            if target.rule != rule or (target.srcs and rule != "py_library"):
                self.problems.append(f"{path} and {target.srcs[0]} would both be the target :{name}; rename one.")
                continue
            target.srcs.append(path)
            target.reasons |= self.dependencies(path)
            if rule != "py_library":
                target.main = path
            if rule != "py_library" or name == "test_lib" or path.startswith("cnnf_tf/"):
                data = self.data(path)
                target.reasons |= data
                target.data = sorted({*target.data, *data})
            if name == "test_lib":
                target.others["testonly"] = True
        binaries = sorted(f":{target.name}" for target in targets.values() if target.rule == "py_binary")
        for target in targets.values():
            target.srcs.sort(key=_sort_key)
            target.deps = sorted(set(target.reasons) - set(target.data))
            target.data = [label for label in target.data if label != ":binaries" or binaries]
        if binaries:
            # As `data`, so that what the binaries need comes along.
            targets["binaries"] = Target("filegroup", "binaries", data=binaries)
        rules = ("py_library", "py_binary", "filegroup", "py_test")
        return dict(sorted(targets.items(), key=lambda item: (rules.index(item[1].rule), item[0])))

    def direction_problems(self) -> list[str]:
        """Imports that point the wrong way, each with file and line."""
        problems = []
        for path in self.paths:
            parts = pathlib.PurePosixPath(path).parts
            if parts[0] in ("tests", "tools"):
                continue
            room = parts[1] if parts[0] == "cnnf_tf" and len(parts) > 2 else ""
            if room and room not in ALLOWED_IMPORTS:
                problems.append(f"{path}: ALLOWED_IMPORTS of tools/build_file.py does not say what {room} may import.")
                continue
            for dotted, line in self.imports(path):
                where = f"{path}:{line} imports {dotted}"
                target = self.first_party(dotted)
                target_parts = pathlib.PurePosixPath(target).parts if target else ()
                if parts[0] == "cnnf_tf" and any(f"{dotted}.".startswith(f"{name}.") for name in FORBIDDEN_IN_PACKAGE):
                    problems.append(f"{where}, but flags are read in bin/ only.")
                if not target_parts or path == "cnnf_tf/__init__.py" and target_parts[0] == "cnnf_tf":
                    continue
                if target_parts[0] == "tests" or target_parts[0] == "bin" and parts[0] != "bin":
                    problems.append(f"{where}, but {target_parts[0]}/ is not to be imported from {parts[0]}/.")
                elif parts[0] == "cnnf_tf" and target_parts[0] != "cnnf_tf":
                    problems.append(f"{where}, but the package imports nothing from {target_parts[0]}/.")
                elif parts[0] == "cnnf_tf" and target == "cnnf_tf/__init__.py":
                    problems.append(f"{where} from cnnf_tf/__init__.py, which imports everything: import the module.")
                elif parts[0] == "cnnf_tf" and len(target_parts) > 2 and target_parts[1] != room:
                    allowed = sorted(ALLOWED_IMPORTS.get(room, ()))
                    if target_parts[1] not in allowed:
                        wanted = ", ".join(allowed) or "no other room"
                        problems.append(f"{where}, but {room or 'a top-level module'} may import {wanted}.")
        return problems


def _sort_key(path: str) -> list[list[str]]:
    """buildifier's order: by path component, the punctuation of a name before its letters."""
    return [re.split(r"(?<=[-_.])|(?=[-_.])", part) for part in path.split("/")]


def parse_build_file(text: str) -> dict[str, Target]:
    """Reads the rules of a BUILD file; Starlark is close enough to Python for `ast`."""
    targets: dict[str, Target] = {}
    for node in ast.parse(text, filename="BUILD").body:
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if call.func.id not in ("filegroup", "py_binary", "py_library", "py_test"):
            continue
        values = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        name = ast.literal_eval(values.pop("name"))
        if name in _HAND_WRITTEN:
            continue
        if name in targets:
            raise ValueError(f"BUILD:{node.lineno} defines :{name} a second time.")
        literal = {key: ast.literal_eval(value) for key, value in values.items()}
        managed = {key: literal.pop(key) for key in _MANAGED if key in literal}
        targets[name] = Target(call.func.id, name, others=literal, **managed)
    return targets


def render_build_file(expected: dict[str, Target], actual: dict[str, Target]) -> str:
    """The text of BUILD; attributes that are not managed here are taken from the BUILD there was."""
    for name, target in expected.items():
        if name in actual:
            target.others = {**actual[name].others, **target.others}
    return "\n".join([HEADER, *(target.render() for target in expected.values())])


def build_file_problems(expected: dict[str, Target], actual: dict[str, Target]) -> list[str]:
    """What to change in BUILD, one line each (or one whole rule)."""
    problems = []
    owners: dict[str, list[str]] = {}
    for target in actual.values():
        for source in target.srcs:
            owners.setdefault(source, []).append(f":{target.name}")
    problems += [f"{path} is in {' and '.join(names)}; one is enough." for path, names in owners.items() if names[1:]]
    for name, target in expected.items():
        if name not in actual:
            problems.append(f"BUILD lacks a rule; add:\n{target.render()}")
            continue
        there = actual[name]
        where = f'BUILD: {there.rule}(name = "{name}"):'
        if there.rule != target.rule:
            problems.append(f"{where} should be a {target.rule}.")
        if there.main != target.main:
            problems.append(f'{where} set main = "{target.main}".')
        for attribute in ("srcs", "data", "deps"):
            wanted, found = getattr(target, attribute), getattr(there, attribute)
            for label in sorted(set(wanted) - set(found)):
                reason = target.reasons.get(label)
                problems.append(f'{where} add "{label}" to {attribute}' + (f" ({reason})." if reason else "."))
            for label in sorted(set(found) - set(wanted)):
                why = "no such file belongs to it" if attribute == "srcs" else "none of its sources needs it"
                problems.append(f'{where} remove "{label}" from {attribute} ({why}).')
    for name in actual.keys() - expected.keys():
        problems.append(f'BUILD: remove {actual[name].rule}(name = "{name}"): it has no source file.')
    return problems


def write() -> None:
    """Rewrites BUILD of this checkout and prints what changed."""
    sources = Sources(ROOT)
    path = ROOT / "BUILD"
    actual = parse_build_file(path.read_text(encoding="utf-8")) if path.exists() else {}
    expected = sources.targets()
    changes = build_file_problems(expected, actual)
    path.write_text(render_build_file(expected, actual), encoding="utf-8")
    print("\n".join(sources.problems + changes) or "BUILD was right already.")


if __name__ == "__main__":
    write()
