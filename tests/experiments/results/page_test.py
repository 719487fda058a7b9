"""The committed page: its tables and numbers are those of the files, its links and commands lead somewhere."""

import pathlib
import re

import tensorflow as tf

from cnnf_tf.experiments.results import TABLES, drift, fill

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
PAGE, FOLDER = ROOT / "docs" / "results.md", ROOT / "docs" / "results"


class PageTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        if not PAGE.exists():
            self.skipTest("docs is not among the files of this test run")
        self.text = PAGE.read_text(encoding="utf-8")

    def test_tables_and_numbers_are_those_of_the_files(self):
        self.assertEqual(fill(self.text, FOLDER), self.text)
        self.assertEqual(drift(PAGE, FOLDER, everywhere=True), [])

    def test_every_table_stands_on_a_page(self):
        pages = "".join(page.read_text(encoding="utf-8") for page in PAGE.parent.glob("*.md"))
        for name in TABLES:
            self.assertEqual(pages.count(f"<!-- table: {name} -->"), 1, name)

    def test_a_changed_digit_is_found(self):
        """Each number of the page, one after the other, is tied to a file: none may change unnoticed."""
        copy = pathlib.Path(self.create_tempdir().full_path) / "results.md"
        prose = re.sub(
            r"```.*?```|<!--.*?-->|`[^`]*`|\]\([^)]*\)|^\|[^\n]*",
            lambda m: " " * len(m[0]),
            self.text,
            flags=re.S | re.M,
        )
        places = [match.start() for match in re.finditer(r"(?<![\w.,-])\d+\.\d(?!\d)", prose)]
        self.assertGreater(len(places), 30)
        for place in places:
            changed = str((int(self.text[place]) + 5) % 10)
            copy.write_text(self.text[:place] + changed + self.text[place + 1 :], encoding="utf-8")
            line = self.text.count("\n", 0, place) + 1
            self.assertTrue([p for p in drift(copy, FOLDER, everywhere=True) if p.startswith(f"{copy}:{line}:")], line)

    def test_a_changed_file_is_found(self):
        """The headline of the adversarial training, seen from the other side."""
        copy = pathlib.Path(self.create_tempdir().full_path)
        for path in FOLDER.rglob("*.json*"):
            target = copy / path.relative_to(FOLDER)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        changed = copy / "adversarial_fashion_mnist" / "cnn" / "seed1" / "robustness.json"
        changed.write_text(re.sub(r'("minimum": \{\s*"last": )0\.737', r"\g<1>0.777", changed.read_text()))
        (problem,) = drift(PAGE, copy, everywhere=True)
        self.assertRegex(problem, rf"^{PAGE}:\d+: 74.3 % is 76.3 in .*adversarial_fashion_mnist/cnn/\*/robustness.json")
        self.assertNotEqual(fill(self.text, copy), self.text)

    def test_links_lead_somewhere(self):
        headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", self.text, flags=re.S), flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
        self.assertLen(anchors, len(headings))
        links = re.findall(r"\]\(([^)]+)\)", self.text)
        for path, _, place in (link.partition("#") for link in links if not link.startswith("http")):
            self.assertTrue((PAGE.parent / path).exists(), path)
            if not path:
                self.assertIn(place, anchors)
        readme = re.findall(r"docs/results\.md#([\w-]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
        self.assertLessEqual(set(readme), anchors)

    def test_commands_name_what_there_is(self):
        for path in set(re.findall(r"(?:bin|configs)/\w+\.py", self.text)):
            self.assertTrue((ROOT / path).is_file(), path)
        commands = re.findall(r"python bin/(\w+)\.py((?:[^\n\\]|\\\n)*)", self.text)
        self.assertGreater(len(commands), 15)
        for binary, arguments in commands:
            files = [ROOT / "bin" / f"{binary}.py", *(ROOT / "bin").glob("_*.py")]
            source = "".join(file.read_text(encoding="utf-8") for file in files)
            for flag in re.findall(r"--(?:no)?([a-z_]+)(?==|\s|$)", arguments):
                self.assertIn(f'"{flag}"', source, f"bin/{binary}.py --{flag}")

    def test_result_files_are_small_and_name_no_machine(self):
        for path in FOLDER.rglob("*.json*"):
            self.assertLess(path.stat().st_size, 300_000, path)
            self.assertNotRegex(path.read_text(encoding="utf-8"), r'"/(root|home|work|tmp)/')


if __name__ == "__main__":
    tf.test.main()
