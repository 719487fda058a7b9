"""Writes the API reference, docs/api/*.md, from the signatures and docstrings of the public names.

    python docs/make_api.py                   # or: make api
    python docs/make_api.py --output=/tmp/api

A page for each room of cnnf_tf with the names in its `__all__`, and README.md with an overview. Everything is read from
the source text: nothing is imported, so that the pages are the same on every machine, take seconds, and need the
standard library only.
"""

import argparse
import ast
import dataclasses
import inspect
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "cnnf_tf"
_SECTIONS = ("Args", "Attributes", "Raises", "Returns")
_LONGEST_LINE = 100
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Definition:
    """Where a name is defined.

    Attributes:
      name: of the class, function or value.
      path: of the file, from the root of the checkout.
      text: of the file.
      node: the class, function, or assignment.
      docstring: below its head, or below the assignment; "" without one.
    """

    name: str
    path: str
    text: str
    node: ast.stmt
    docstring: str

    def source(self, node: ast.AST | None) -> str:
        """The text of a part, on one line."""
        found = ast.get_source_segment(self.text, node) if node is not None else None
        return re.sub(r"\s+", " ", found or "").replace("( ", "(").replace(" )", ")").replace(",)", ")")


class Package:
    """The source files of a package and the public names of its rooms."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.rooms: dict[str, list[str]] = {}
        for init in sorted((root / PACKAGE).glob("*/__init__.py")):
            names = self.public_names(init)
            if names:
                self.rooms[init.parent.name] = names
        self.places = {name: room for room, names in reversed(self.rooms.items()) for name in names}

    def public_names(self, init: pathlib.Path) -> list[str]:
        """`__all__` of a file, sorted; empty without one."""
        for node in ast.parse(init.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
                return sorted(ast.literal_eval(node.value))
        return []

    def find(self, module: str, name: str) -> Definition | None:
        """The definition of a name that a module has, followed through its imports; None if it is not of ours."""
        path = self.root / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.is_file():
            return None
        text = path.read_text(encoding="utf-8")
        body = ast.parse(text).body
        for index, node in enumerate(body):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return self.find(node.module, alias.name)
            elif name in _names(node):
                below = body[index + 1] if index + 1 < len(body) else None
                return Definition(name, str(path.relative_to(self.root)), text, node, _docstring(node, below))
        return None

    def base(self, definition: Definition, name: str) -> Definition | None:
        """A base class by the name that the file of `definition` knows it by."""
        return self.find(definition.path.removesuffix(".py").replace("/", "."), name)

    def link(self, name: str, room: str) -> str:
        """`[name](page#anchor)` for a public name, or for a member of a public class; else the name as code."""
        head, _, member = name.removesuffix("()").partition(".")
        where = room if head in self.rooms.get(room, ()) else self.places.get(head, "")
        if head in self.rooms:  # `room.name`
            where = head
            head, _, member = member.partition(".")
        if head not in self.rooms.get(where, ()):
            return f"`{name}`"
        found = self.find(f"{PACKAGE}.{where}", head)
        heading = f"{head}.{member}" if found is not None and member in _documented(found.node) else head
        anchor = re.sub(r"[^\w-]", "", heading.lower())
        earlier = [each for each in self.rooms[where] if each < head and each.lower() == heading.lower()]
        anchor += f"-{len(earlier)}" if earlier else ""  # as GitHub numbers headings that differ in case only
        return f"[`{name}`]({'' if where == room else f'{where}.md'}#{anchor})"


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _docstring(node: ast.AST, below: ast.AST | None = None) -> str:
    """That of a class or function, or, for an assignment, the string below it."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
        return ast.get_docstring(node) or ""
    constant = below.value if isinstance(below, ast.Expr) else None
    written = constant.value if isinstance(constant, ast.Constant) else None
    return inspect.cleandoc(written) if isinstance(written, str) else ""


def _documented(node: ast.AST) -> dict[str, _Function]:
    """The public methods and properties of a class that have a docstring, by name."""
    functions = [
        each for each in getattr(node, "body", []) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return {each.name: each for each in functions if _docstring(each) and re.match("[^_]|__call__$", each.name)}


# --- Signatures -------------------------------------------------------------------------------------------------------


def signature(found: Definition, function: _Function, *, name: str, returns: bool = True) -> str:
    """`name(argument: type = default, ...) -> type`, without `self` and `cls`, as it is written in the source."""
    arguments = function.args
    ordered = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(ordered) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [_argument(found, each, default) for each, default in zip(ordered, defaults, strict=True)]
    if arguments.posonlyargs:
        parts.insert(len(arguments.posonlyargs), "/")
    if ordered and ordered[0].arg in ("self", "cls"):
        parts.pop(0)
    if arguments.vararg:
        parts.append("*" + _argument(found, arguments.vararg, None))
    elif arguments.kwonlyargs:
        parts.append("*")
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parts += [_argument(found, each, default) for each, default in pairs]
    if arguments.kwarg:
        parts.append("**" + _argument(found, arguments.kwarg, None))
    result = f" -> {_annotation(found, function.returns)}" if returns and function.returns is not None else ""
    return _wrapped(name, parts, result)


def _argument(found: Definition, argument: ast.arg, default: ast.AST | None) -> str:
    annotation = f": {_annotation(found, argument.annotation)}" if argument.annotation else ""
    if default is None:
        return argument.arg + annotation
    return f"{argument.arg}{annotation}{' = ' if annotation else '='}{found.source(default)}"


def _annotation(found: Definition, node: ast.AST) -> str:
    """Without the quotes around a name that is defined later."""
    return found.source(node).strip('"')


def _wrapped(name: str, parts: list[str], result: str) -> str:
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def class_signature(package: Package, found: Definition) -> str:
    """How to make one: from `__init__`, its own or that of a base of ours, or from the fields of a dataclass."""
    owner: Definition | None = found
    while owner is not None and isinstance(owner.node, ast.ClassDef):
        for node in owner.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return signature(owner, node, name=found.name, returns=False)
        decorators = [owner.source(each) for each in owner.node.decorator_list]
        bases = [owner.source(each) for each in owner.node.bases]
        if "NamedTuple" in bases or any(each.startswith("dataclasses.dataclass") for each in decorators):
            fields = [node for node in owner.node.body if isinstance(node, ast.AnnAssign)]
            parts = [owner.source(node) for node in fields if not owner.source(node.target).startswith("_")]
            return _wrapped(found.name, parts, "")
        inherited = [package.base(owner, base) for base in bases]
        owner = next((each for each in inherited if each is not None), None)
    return ""


# --- Docstrings -------------------------------------------------------------------------------------------------------


def prose(package: Package, text: str, room: str) -> str:
    """A docstring as Markdown: sections become lists, and names in backticks links."""
    lines, written = text.split("\n"), []
    index = 0
    while index < len(lines):
        title = lines[index].removesuffix(":")
        if lines[index].endswith(":") and title in _SECTIONS:
            end = index + 1
            while end < len(lines) and (not lines[end] or lines[end].startswith(" ")):
                end += 1
            written += ["", f"**{title}**", "", *_section(title, lines[index + 1 : end]), ""]
            index = end
        else:
            written.append(lines[index])
            index += 1
    linked = [line if line.startswith("    ") else _linked(package, line, room) for line in written]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(linked)).strip("\n")


def _section(title: str, lines: list[str]) -> list[str]:
    body = inspect.cleandoc("\n".join(["", *lines])).split("\n")
    if title == "Returns":
        return body
    items = []
    for line in body:
        match = re.match(r"(\*{0,2}[\w.]+): (.*)", line)
        items.append(f"- `{match.group(1)}`: {match.group(2)}" if match else f"  {line.strip()}" if line else "")
    return items


def _linked(package: Package, line: str, room: str) -> str:
    """A line with links for public names in backticks; what Markdown would take for markup elsewhere is escaped."""
    written = []
    for part in re.split(r"(`[^`]*`)", line):
        if re.fullmatch(r"`[A-Za-z_][\w.]*(\(\))?`", part):
            part = package.link(part.strip("`"), room)
        elif not part.startswith("`"):
            part = re.sub(r"<(?=[A-Za-z/!])", r"\\<", part)
            part = re.sub(r"(?<=\w)\*+(?=\w)", lambda found: "\\*" * len(found.group()), part)
        written.append(part)
    return "".join(written)


def first_sentence(text: str) -> str:
    """The first paragraph up to its first full stop, on one line, for a table."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", paragraph)[0].replace("|", "\\|")


# --- Pages ------------------------------------------------------------------------------------------------------------


def entry(package: Package, room: str, found: Definition) -> str:
    """One public name: heading, signature, docstring, and for a class its fields and methods."""
    blocks = [f"## {found.name}"]
    node = found.node
    kind = "value"
    if isinstance(node, ast.ClassDef):
        kind = "class"
        made = class_signature(package, found)
        blocks += [_code(made)] if made else []
        bases = [package.link(found.source(base), room) for base in node.bases]
        kind += f" ({', '.join(bases)})" if bases else ""
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        kind = "function"
        blocks.append(_code(signature(found, node, name=found.name)))
    else:
        value = found.source(node)
        head = f"{found.name}: {found.source(node.annotation)}" if isinstance(node, ast.AnnAssign) else found.name
        blocks.append(_code(value if len(value) <= _LONGEST_LINE else head))
    blocks.append(f"<sub>{kind}, [{found.path}](../../{found.path})</sub>")
    blocks.append(prose(package, found.docstring, room))
    if "module docstring" in ast.unparse(node):
        about = _docstring(ast.parse(found.text))
        blocks += [f"*The module docstring of {found.path}:*", prose(package, about, room)]
    if isinstance(node, ast.ClassDef):
        blocks += _members(package, room, found, node)
    return "\n\n".join(block for block in blocks if block)


def _members(package: Package, room: str, found: Definition, node: ast.ClassDef) -> list[str]:
    """Fields with a docstring of their own, then the methods and properties that have one."""
    fields: list[str] = []
    methods: list[str] = []
    for member, below in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, (ast.Assign, ast.AnnAssign)) and _docstring(member, below):
            text = _linked(package, " ".join(_docstring(member, below).split()), room)
            fields.append(f"- `{_names(member)[0]}`: {text}")
    for function in _documented(node).values():
        name = f"{found.name}.{function.name}"
        shown = signature(found, function, name=name)
        if any(found.source(each).endswith("property") for each in function.decorator_list):
            shown = f"{name}: {_annotation(found, function.returns)}" if function.returns else name
        methods += [f"### {name}", _code(shown), prose(package, _docstring(function), room)]
    return (["**Fields**", "\n".join(fields)] if fields else []) + methods


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def room_page(package: Package, room: str) -> str:
    """The page of a room: what it is, a table of its names, and an entry for each."""
    init = package.root / PACKAGE / room / "__init__.py"
    about = _docstring(ast.parse(init.read_text(encoding="utf-8")))
    entries, rows = [], []
    for name in package.rooms[room]:
        found = package.find(f"{PACKAGE}.{room}", name)
        if found is None:
            raise ValueError(f"{PACKAGE}.{room} lists {name!r} in __all__, but no definition of it was found.")
        entries.append(entry(package, room, dataclasses.replace(found, name=name)))
        text = _linked(package, first_sentence(found.docstring), room)
        rows.append(f"| {package.link(name, room)} | {text} |")
    table = "\n".join(["| name | |", "|---|---|", *rows])
    return "\n\n".join([f"# {PACKAGE}.{room}", prose(package, about, room), table, *entries]) + "\n"


def overview(package: Package) -> str:
    """README.md: the rooms, and the names of the package itself."""
    init = package.root / PACKAGE / "__init__.py"
    about = _docstring(ast.parse(init.read_text(encoding="utf-8")))
    rows = []
    for room in package.rooms:
        text = (package.root / PACKAGE / room / "__init__.py").read_text(encoding="utf-8")
        rows.append(f"| [{PACKAGE}.{room}]({room}.md) | {first_sentence(_docstring(ast.parse(text)))} |")
    names = [
        f"- [`{PACKAGE}.{name}`]({name}.md)" if name in package.rooms else f"- {package.link(name, '')}"
        for name in package.public_names(init)
    ]
    note = "Written by `make api` from the docstrings; edit those."
    table = "\n".join(["| room | |", "|---|---|", *rows])
    title, own = f"# API reference of {PACKAGE}", f"Names of `{PACKAGE}` itself:\n\n" + "\n".join(names)
    return "\n\n".join([title, about, note, table, own]) + "\n"


def pages(root: pathlib.Path) -> dict[str, str]:
    """All pages by file name."""
    package = Package(root)
    return {"README.md": overview(package)} | {f"{room}.md": room_page(package, room) for room in package.rooms}


def main() -> None:
    """Writes the pages, removes those of rooms that are gone, and says what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs" / "api", help="folder of the pages")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    wanted = pages(ROOT)
    for path in sorted(output.glob("*.md")):
        if path.name not in wanted:
            path.unlink()
            print(f"removed {path}")
    for name, text in wanted.items():
        path = output / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
