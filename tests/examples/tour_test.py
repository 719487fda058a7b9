"""examples/tour.ipynb: it is what examples/tour.py makes, shows what it should, and runs on few images."""

import json
import re

import tensorflow as tf

from tests.bin.binaries import DATA, ROOT
from tools import make_notebook


class TourTest(tf.test.TestCase):
    def test_committed_notebook(self):
        text = make_notebook.NOTEBOOK.read_text(encoding="utf-8")
        self.assertLess(len(text), 1_000_000)
        self.assertNotRegex(text, "/(root|home|work|tmp)/")
        cells = json.loads(text)["cells"]
        wanted = [(cell.cell_type, cell.source) for cell in make_notebook.read_text().cells]
        self.assertEqual(
            [(cell["cell_type"], "".join(cell["source"])) for cell in cells], wanted, "run `make notebook`"
        )
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        self.assertLen([output for output in outputs if "image/png" in output.get("data", {})], 3)
        self.assertEqual({output["output_type"] for output in outputs}, {"display_data", "stream"})

    def test_links(self):
        targets = re.findall(r"\]\(([^)#]+)", (make_notebook.EXAMPLES / "tour.py").read_text(encoding="utf-8"))
        self.assertGreater(len(targets), 5)
        for target in targets:
            self.assertTrue((make_notebook.EXAMPLES / target).exists(), target)

    def test_runs_on_few_images(self):
        notebook = make_notebook.read_text()
        make_notebook.execute(notebook, TOUR_DATA=DATA, PYTHONPATH=str(ROOT))
        said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
        self.assertIn("iteration 5", said)
        self.assertIn("CNN-F, pass 1", said)
        self.assertIn("largest difference without feedback: 0.0", said)
        self.assertIn("g(0) after", said)


if __name__ == "__main__":
    tf.test.main()
