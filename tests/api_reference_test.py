"""The API reference, docs/api: it is fresh, complete and its links lead somewhere; and the program that writes it."""

import importlib
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from types import ModuleType

import cnnf_tf
from cnnf_tf import attacks, data, evaluation, generative, layers, models, serving, training  # noqa: F401 - for Bazel

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "api"
REMEDY = "Let it be written: python docs/make_api.py (or: make api)."


def _program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_api"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def _anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings; those that came before get a number."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(slug)
        if found.count(slug) > 1:
            found[-1] = f"{slug}-{found.count(slug) - 1}"
    return set(found)


class ReferenceTest(unittest.TestCase):
    def test_pages_are_fresh(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "docs/make_api.py", f"--output={folder}"]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            wanted = {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}
        found = {path.name: path.read_bytes() for path in PAGES.iterdir()}
        self.assertEqual(sorted(found), sorted(wanted), REMEDY)
        stale = [name for name, text in wanted.items() if found[name] != text]
        self.assertFalse(stale, REMEDY)

    def test_every_public_name_is_there(self) -> None:
        """Against the packages as Python imports them; the program reads their text."""
        rooms = sorted(path.parent.name for path in (ROOT / "cnnf_tf").glob("*/__init__.py"))
        for room in rooms:
            names = getattr(importlib.import_module(f"cnnf_tf.{room}"), "__all__", [])
            page = PAGES / f"{room}.md"
            self.assertEqual(page.exists(), bool(names), f"{room}: {REMEDY}")
            text = page.read_text(encoding="utf-8") if names else ""
            for name in names:
                self.assertRegex(text, rf"(?m)^## {re.escape(name)}$", REMEDY)
        text = (PAGES / "README.md").read_text(encoding="utf-8")
        for name in cnnf_tf.__all__:
            self.assertRegex(text, rf"(?m)^- \[?`(cnnf_tf\.)?{re.escape(name)}`", REMEDY)

    def test_links_lead_somewhere(self) -> None:
        anchors = {path.name: _anchors(path.read_text(encoding="utf-8")) for path in PAGES.iterdir()}
        for path in PAGES.iterdir():
            text = re.sub(r"```.*?```|(?<!\[)`[^`\n]*`(?!\])", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                name, _, anchor = target.partition("#")
                with self.subTest(page=path.name, target=target):
                    self.assertTrue((PAGES / name).resolve().exists())
                    if anchor:
                        self.assertIn(anchor, anchors[name or path.name])

    def test_nothing_of_this_machine(self) -> None:
        for path in PAGES.iterdir():
            self.assertNotRegex(path.read_text(encoding="utf-8"), r"0x[0-9a-f]{6,}|/home/|/root/")


MODULE = '''"""About the module."""

import dataclasses
from typing import NamedTuple

LIMIT = 3
"""The most."""

TABLE: dict[str, int] = {"a rather long value": 1, "that does not fit": 2, "on one line": 3, "and goes on": 4, "end": 5}


class Base:
    """Below `Thing`.

    Args:
      size: of it, see
        `work`.
    """

    def __init__(self, size: int, *, name: "str" = "x", **kwargs: object):
        """Not a member."""

    def work(self, *values: float) -> "Base":
        """Works on 2**3 and 2**4 <b>.

        Returns:
          Base: itself.
        """

    def undocumented(self): ...

    def _hidden(self):
        """Hidden."""

    @property
    def twice(self) -> int:
        """Two times."""


class Thing(Base):
    """A thing. With more to say; see the module docstring.

        indented `work`

    The end.
    """


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts | data.

    Attributes:
      one: the first.

    Raises:
      ValueError: never.
    """

    one: int
    two: str = "b"


class Pair(NamedTuple):
    """Two."""

    left: int
    """The left one."""
    right: int


def thing(first, second=(1, 2), /, *, a_long_argument: dict[str, int] | None = None, another: list[int] = ()) -> Thing:
    """Makes a `Thing`, as `Thing.work`, `Base.work()` and `room.Facts` do; not `nothing`.

    Returns:
      The thing: done.
    """
'''


class ProgramTest(unittest.TestCase):
    """On a small package."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program = _program()
        names = ["Base", "Facts", "LIMIT", "Pair", "TABLE", "Thing", "thing"]
        self.add("__init__.py", '"""All."""\nfrom cnnf_tf.room import Thing\n__all__ = ["Thing", "room"]\n')
        self.add("room/__init__.py", self.imports(names) + f"__all__ = {names}\n")
        self.add("room/inner.py", MODULE)
        self.add(
            "using/__init__.py",
            '"""Other, uses `Thing`."""\nfrom cnnf_tf.room import LIMIT as MOST\n__all__ = ["MOST"]\n',
        )
        self.add("private/__init__.py", "")

    def imports(self, names: list[str]) -> str:
        return f'"""Room."""\nfrom cnnf_tf.room.inner import {", ".join(names)}\n'

    def add(self, path: str, text: str) -> None:
        file = self.root / "cnnf_tf" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def entry(self, name: str) -> str:
        text = self.program.pages(self.root)["room.md"]
        return re.search(rf"^## {name}\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL).group(1)

    def test_pages(self) -> None:
        pages = self.program.pages(self.root)
        self.assertEqual(sorted(pages), ["README.md", "room.md", "using.md"])
        self.assertIn("| [cnnf_tf.room](room.md) | Room. |", pages["README.md"])
        self.assertIn("- [`Thing`](room.md#thing)\n- [`cnnf_tf.room`](room.md)\n", pages["README.md"])
        self.assertIn("Other, uses [`Thing`](room.md#thing).", pages["using.md"])
        self.assertIn("## MOST\n\n```python\nLIMIT = 3\n```", pages["using.md"])
        self.assertIn("| [`Facts`](#facts) | Facts \\| data. |", pages["room.md"])

    def test_function(self) -> None:
        text = self.entry("thing")
        wanted = ("first", "second=(1, 2)", "/", "*", "a_long_argument: dict[str, int] | None = None")
        wanted = "".join(f"    {part},\n" for part in (*wanted, "another: list[int] = ()"))
        self.assertIn(f"```python\nthing(\n{wanted}) -> Thing\n```\n", text)
        self.assertIn("Makes a [`Thing`](#thing), as [`Thing.work`](#thing), [`Base.work()`](#basework) and", text)
        self.assertIn("[`room.Facts`](#facts) do; not `nothing`.", text)
        self.assertIn("**Returns**\n\nThe thing: done.", text)
        self.assertIn("function, [cnnf_tf/room/inner.py](../../cnnf_tf/room/inner.py)", text)

    def test_names_that_differ_in_case(self) -> None:
        self.assertIn("| [`thing`](#thing-1) |", self.program.pages(self.root)["room.md"])

    def test_class(self) -> None:
        text = self.entry("Base")
        self.assertIn('```python\nBase(size: int, *, name: str = "x", **kwargs: object)\n```', text)
        self.assertIn("**Args**\n\n- `size`: of it, see\n  `work`.", text)
        self.assertIn("### Base.work\n\n```python\nBase.work(*values: float) -> Base\n```\n\n", text)
        self.assertIn("Works on 2\\*\\*3 and 2\\*\\*4 \\<b>.", text)
        self.assertIn("### Base.twice\n\n```python\nBase.twice: int\n```\n\nTwo times.", text)
        self.assertNotRegex(text, "undocumented|idden|Not a member")

    def test_inherited_signature_and_module_docstring(self) -> None:
        text = self.entry("Thing")
        self.assertIn('Thing(size: int, *, name: str = "x", **kwargs: object)', text)
        self.assertIn("class ([`Base`](#base))", text)
        self.assertIn("About the module.", text)
        self.assertIn("\n    indented `work`\n", text)

    def test_fields(self) -> None:
        self.assertIn('Facts(one: int, two: str = "b")', self.entry("Facts"))
        self.assertIn("**Raises**\n\n- `ValueError`: never.", self.entry("Facts"))
        self.assertIn("Pair(left: int, right: int)", self.entry("Pair"))
        self.assertIn("**Fields**\n\n- `left`: The left one.", self.entry("Pair"))

    def test_values(self) -> None:
        self.assertIn("```python\nLIMIT = 3\n```", self.entry("LIMIT"))
        self.assertIn("The most.", self.entry("LIMIT"))
        self.assertIn("```python\nTABLE: dict[str, int]\n```", self.entry("TABLE"))

    def test_a_name_without_definition(self) -> None:
        self.add("room/__init__.py", self.imports(["nowhere"]) + '__all__ = ["nowhere"]\n')
        with self.assertRaisesRegex(ValueError, "cnnf_tf.room lists 'nowhere' in __all__, but no definition"):
            self.program.pages(self.root)

    def test_removes_pages_of_rooms_that_are_gone(self) -> None:
        old = self.root / "old.md"
        old.write_text("")
        command = [sys.executable, "docs/make_api.py", f"--output={self.root}"]
        result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        self.assertFalse(old.exists())
        self.assertIn(f"removed {old}", result.stdout)


if __name__ == "__main__":
    unittest.main()
