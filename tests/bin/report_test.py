"""bin/report.py: the committed page is up to date; --check says what is not; TensorFlow stays out of it."""

import pathlib
import subprocess
import sys

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import ROOT, run, run_forked


class ReportTest(binaries.BinaryTestCase):
    def test_the_committed_page_is_up_to_date(self):
        if not (ROOT / "docs" / "results.md").exists():
            self.skipTest("docs is not among the files of this test run")
        result = run("report", "--check")
        self.assert_runs(result)
        self.assertIn("docs/results.md is up to date", result.stdout)

    def test_writes_and_checks(self):
        folder = self.folder()
        (folder / "results").mkdir()
        readme, page = folder / "README.md", folder / "page.md"
        readme.write_text("above\n<!-- results:begin -->\n<!-- results:end -->\nbelow\n")
        arguments = (f"--results={folder / 'results'}", f"--output={page}", f"--readme={readme}")

        result = run_forked("report", *arguments, "--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{page} is not what", result.stderr)
        self.assertIn("+# Results", result.stderr)
        self.assertFalse(page.exists())

        self.assert_runs(run("report", *arguments))
        written = page.read_bytes(), readme.read_bytes()
        self.assertStartsWith(readme.read_text(), "above\n<!-- results:begin -->\nMade by `bin/report.py`")
        self.assertIn(b"](page.md)", written[1])
        self.assert_runs(run_forked("report", *arguments))
        self.assertEqual((page.read_bytes(), readme.read_bytes()), written)
        self.assert_runs(run_forked("report", *arguments, "--check"))

        page.write_text(page.read_text().replace("# Results", "# My results"))
        result = run_forked("report", *arguments, "--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn("-# My results", result.stderr)
        self.assertNotIn(f"{readme} is not", result.stderr)
        self.assertIn("# My results", page.read_text())

    def test_needs_no_tensorflow(self):
        page = self.folder() / "page.md"
        (page.parent / "results").mkdir()
        program = (
            "import sys; sys.modules.update(tensorflow=None, keras=None, numpy=None); sys.path.insert(0, 'bin'); "
            f"sys.argv = ['bin/report.py', '--results={page.parent / 'results'}', '--output={page}']; "
            "import _app, report; _app.run(report.main)"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(page.exists())

    def test_refuses(self):
        folder = self.folder()
        (folder / "results").mkdir()
        half = folder / "half.md"
        half.write_text("<!-- results:begin -->\n")
        bad = folder / "bad"
        bad.mkdir()
        (bad / "paper.json").write_text("[]")
        results, output = f"--results={folder / 'results'}", f"--output={folder / 'page.md'}"
        self.assert_refuses(
            "report",
            (("--output=page.html",), 2, "--output wants a .md file, got 'page.html'"),
            (("--readme=README",), 2, "--readme wants a .md file, got 'README'"),
            ((f"--results={folder / 'none'}", output), 1, "wants a folder of result files such as docs/results, got"),
            ((f"--results={bad}", output), 1, "paper.json wants a JSON object, got list"),
            ((results, output, f"--readme={half}"), 1, "found 1 and 0"),
            ((results, f"--output={half}/page.md"), 2, "--output wants a folder that can be written"),
        )
        self.assertEqual([path.name for path in folder.glob("*.md")], ["half.md"])
        self.assertFalse(pathlib.Path(ROOT, "page.html").exists())


if __name__ == "__main__":
    tf.test.main()
