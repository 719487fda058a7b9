"""What Python files import, read from their text, and which distribution brings it; needs the standard library only."""

import ast
import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Distributions whose name is not the name of the module they bring.
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "absl": "absl_py",
    "art": "adversarial_robustness_toolbox",
    "google": "protobuf",
    "grpc": "grpcio",
    "importlinter": "import_linter",
    "mlflow": "mlflow_skinny",
    "sklearn": "scikit_learn",
    "tensorflow_serving": "tensorflow_serving_api",
    "yaml": "pyyaml",
}


def imported_names(path: pathlib.Path, *, nested: bool = True) -> Iterator[tuple[str, int]]:
    """Yields each dotted name that a file imports, with its line; `from a import b` gives `a.b`.

    Args:
      path: of the file. This code base has no relative imports.
      nested: whether to look inside of functions and classes too.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            yield from ((base + alias.name, node.lineno) for alias in node.names)
