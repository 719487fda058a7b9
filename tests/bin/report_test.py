"""bin/report.py: the committed pages are up to date; --check says what is not; TensorFlow stays out of it."""

import json
import subprocess
import sys

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import ROOT, run, run_forked
from tests.limits import HANGING

PAGE = "# Title\n\n25 %, read.\n\n<!-- numbers\n25 % = out_of_distribution/digits.json#scores.any.auroc\n-->\n\n"
TABLE = "<!-- table: out_of_distribution -->\n<!-- /table -->\n"


class ReportTest(binaries.BinaryTestCase):
    def test_the_committed_pages_are_up_to_date(self):
        if not (ROOT / "docs" / "results.md").exists():
            self.skipTest("docs is not among the files of this test run")
        result = run("report", "--check")
        self.assert_runs(result)
        self.assertIn("every number is that of its file", result.stdout)

    def results(self):
        folder = self.folder()
        (folder / "results" / "out_of_distribution").mkdir(parents=True)
        report = {"ood_dataset": "digits", "num_ood_images": 3, "scores": {"any": {"auroc": 0.25}}}
        (folder / "results" / "out_of_distribution" / "digits.json").write_text(json.dumps(report))
        return folder, folder / "results.md", (f"--results={folder / 'results'}", f"--pages={folder}/*.md")

    def test_writes_and_checks(self):
        folder, page, arguments = self.results()
        page.write_text(PAGE + TABLE)
        result = run_forked("report", *arguments, "--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{page}:10: the table is not what {folder / 'results'} says", result.stderr)
        self.assertEqual(page.read_text(), PAGE + TABLE)

        self.assert_runs(run("report", *arguments))
        written = page.read_bytes()
        self.assertIn(b"| any | 0.250 |", written)
        self.assert_runs(run_forked("report", *arguments))
        self.assertEqual(page.read_bytes(), written)
        self.assert_runs(run_forked("report", *arguments, "--check"))

    def test_a_number_that_is_not_its_files(self):
        folder, page, arguments = self.results()
        page.write_text(PAGE.replace("25 %", "26 %") + "# Next\n\nAll 7 of them.\n")
        (folder / "other.md").write_text("Here 7 are not our business.\n")
        for flags in (), ("--check",):
            result = run_forked("report", *arguments, *flags)
            self.assertEqual(result.returncode, 1)
            self.assertIn(
                f"{page}:3: 26 % is 25 in {folder / 'results' / 'out_of_distribution'}/digits.json", result.stderr
            )
            self.assertIn(f"{page}:11: 7 is checked against no file", result.stderr)
            self.assertNotIn("other.md", result.stderr)

    def test_needs_no_tensorflow(self):
        _, page, arguments = self.results()
        page.write_text(PAGE + TABLE)
        program = (
            "import sys; sys.modules.update(tensorflow=None, keras=None, numpy=None); sys.path.insert(0, 'bin'); "
            f"sys.argv = ['bin/report.py', *{arguments!r}]; import _app, report; _app.run(report.main)"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=HANGING, check=False
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("| any |", page.read_text())

    def test_refuses(self):
        folder, page, (results, _) = self.results()
        page.write_text("<!-- table: none -->\n")
        self.assert_refuses(
            "report",
            ((results, "--pages=page.html"), 2, "--pages wants .md files that exist, got 'page.html'"),
            ((results, f"--pages={folder}/none.md"), 2, "--pages wants .md files that exist, got"),
            ((f"--results={folder / 'none'}",), 2, "--results wants a folder of result files such as docs/results"),
            ((results, f"--pages={page}"), 1, "and then <!-- /table -->, got '<!-- table: none -->"),
        )


if __name__ == "__main__":
    tf.test.main()
