"""The page as a whole: any set of files renders, twice the same bytes; links lead somewhere; the README's block."""

import json
import pathlib
import re
import shutil

import tensorflow as tf

from cnnf_tf.experiments.results import Results, page, relative_link, render_page, render_readme_block, replace_block
from cnnf_tf.experiments.results.markdown import anchor
from tests.experiments.results.made_up import ReportingTestCase

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
COMMITTED = ROOT / "docs" / "results"


class EmptyTest(ReportingTestCase):
    def test_nothing_measured(self):
        text = render_page(self.results)
        self.assertEqual(text.count("**Not measured yet.**"), len(page.TALK) + len(page.BEYOND) + 1)  # 6 asks twice
        self.assertEqual(len(re.findall("^python bin/", text, flags=re.MULTILINE)), text.count("\npython bin/"))
        self.assertNotIn("{", text)
        block = render_readme_block(self.results)
        self.assertIn("Not measured yet: 1. Repair of distorted images; 2. PGD-40", block)

    def test_commands_name_binaries_and_configurations_that_exist(self):
        text = render_page(self.results)
        for path in set(re.findall(r"(?:bin|configs)/\w+\.py", text)):
            self.assertTrue((ROOT / path).is_file(), path)

    def test_wrong_files_are_named(self):
        self.put("restoration/restoration.json", {"model": "x"})
        with self.assertRaisesRegex(
            ValueError, "restoration.section has not what its binary writes.*KeyError: 'scores'"
        ):
            render_page(self.results)


class CommittedTest(ReportingTestCase):
    def setUp(self):
        super().setUp()
        if not COMMITTED.is_dir():
            self.skipTest("docs/results is not among the files of this test run")

    def test_twice_the_same_bytes(self):
        self.assertEqual(render_page(Results(COMMITTED)), render_page(Results(COMMITTED)))

    def test_a_folder_elsewhere_renders_alike(self):
        copy = self.folder / "copy"
        shutil.copytree(COMMITTED, copy)
        text = render_page(Results(copy), results_link="elsewhere")
        self.assertEqual(text, render_page(Results(COMMITTED), results_link="elsewhere"))
        self.assertIn("](elsewhere/", text)

    def test_any_file_may_be_missing(self):
        copy = self.folder / "copy"
        shutil.copytree(COMMITTED, copy)
        for path in sorted(copy.rglob("*.json*")):
            content = path.read_bytes()
            path.unlink()
            self.assertStartsWith(render_page(Results(copy)), "# Results")
            path.write_bytes(content)

    def test_links_lead_somewhere(self):
        text = render_page(Results(COMMITTED))
        headings = {anchor(title) for title in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}
        links = re.findall(r"\]\(([^)]+)\)", text)
        self.assertNotEmpty(links)
        for link in links:
            path, _, place = link.partition("#")
            self.assertTrue((COMMITTED.parent / path).exists(), link)
            if not path:
                self.assertIn(place, headings)

    def test_numbers_are_those_of_the_files(self):
        """One value of each kind of file, read here by other means."""
        text = render_page(Results(COMMITTED))

        def load(path):
            return json.loads((COMMITTED / path).read_text(encoding="utf-8"))

        rows = {row["model"]: row for row in load("study/results.json")["rows"]["radii"] if row["radius"] == 0.05}
        self.assertIn(f" {100 * rows['cnn']['accuracy']:.1f} ± ", text)
        attacked = load("adversarial_fashion_mnist/cnn/seed0/robustness.json")["scores"][0]
        low, high = (f"{100 * end:.1f}" for end in attacked["interval_95"])
        if not (COMMITTED / "adversarial_fashion_mnist/cnn/seed1").exists():
            self.assertIn(f"| {100 * attacked['robust_accuracy']:.1f} [{low}, {high}] |", text)
        auroc = load("out_of_distribution/digits.json")["scores"]["max softmax"]["auroc"]
        self.assertIn(f"below the baseline ({auroc:.3f})", " ".join(text.split()))
        met = [row["passed"] for row in load("benchmark/benchmark.json")["rows"] if row["passed"] is not None]
        self.assertIn(f"{sum(met)} of {len(met)} targets met", text)

    def test_result_files_are_small_and_name_no_machine(self):
        for path in COMMITTED.rglob("*.json*"):
            self.assertLess(path.stat().st_size, 300_000, path)
            self.assertNotRegex(path.read_text(encoding="utf-8"), r'"/(root|home|work|tmp)/')


class BlockTest(tf.test.TestCase):
    def test_replaces_what_is_between_the_lines(self):
        text = f"a\n{page.BEGIN}\nold\n{page.END}\nb\n"
        once = replace_block(text, "new\nlines")
        self.assertEqual(once, f"a\n{page.BEGIN}\nnew\nlines\n{page.END}\nb\n")
        self.assertEqual(replace_block(once, "new\nlines"), once)
        self.assertEqual(replace_block("no lines", "new"), "no lines")

    def test_refuses_half_a_block(self):
        for text in (page.BEGIN, page.END, f"{page.END} {page.BEGIN}", f"{page.BEGIN}{page.BEGIN}{page.END}"):
            with self.assertRaisesRegex(ValueError, "wanted one line <!-- results:begin --> and after it one line"):
                replace_block(text, "new")

    def test_relative_link(self):
        self.assertEqual(relative_link("docs/results", "docs/results.md"), "results")
        self.assertEqual(relative_link("docs/results.md", "README.md"), "docs/results.md")


if __name__ == "__main__":
    tf.test.main()
