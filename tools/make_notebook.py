"""Writes examples/tour.ipynb: the text of examples/tour.py, run from top to bottom, with what it showed.

Command: python tools/make_notebook.py    # or: make notebook
Needs Fashion-MNIST, as the tour does, and some minutes.
"""

import os
import pathlib

import jupytext
import nbclient
import nbformat

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
NOTEBOOK = EXAMPLES / "tour.ipynb"


def read_text() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    notebook = jupytext.read(EXAMPLES / "tour.py")
    notebook.metadata.pop("jupytext")  # how the text is written is no matter of the notebook
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # in place of random letters
    return notebook


def execute(notebook: nbformat.NotebookNode, **environment: str) -> None:
    """Runs the cells in a kernel of their own, here, and keeps what they show but for stderr."""
    client = nbclient.NotebookClient(notebook, timeout=600, record_timing=False)
    client.execute(cwd=str(EXAMPLES), env=os.environ | environment)
    del notebook.metadata["language_info"]  # the version of this Python
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]  # TensorFlow's chatter


def main() -> None:
    notebook = read_text()
    execute(notebook)
    nbformat.write(notebook, NOTEBOOK)
    print(f"wrote {NOTEBOOK}: {NOTEBOOK.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
