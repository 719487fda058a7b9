"""The drift check: what it finds, what it leaves alone, and how a comment says where a number comes from."""

import json
import pathlib

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.results import drift

FILES = {
    "a/seed0/run.json": {"share": 0.724, "scores": [{"epsilon": 0.1, "right": 20}, {"epsilon": 0.2, "right": 5}]},
    "a/seed1/run.json": {"share": 0.736, "scores": [{"epsilon": 0.1, "right": None}]},
    "b.json": {
        "share": 0.25,
        "minutes": {"one": 90.0, "two": 30.0},
        "loss": -1.25,
        "zero": 0,
        "images": 10000,
        "a, b": 7,
    },
}


class DriftTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        for name, content in FILES.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        (self.folder / "log.jsonl").write_text('{"seconds": 60}\n{"seconds": 30.5}\n')

    def check(self, text: str, **options: bool) -> list[str]:
        page = self.folder / "page.md"
        page.write_text(text)
        return [problem.removeprefix(f"{page}:") for problem in drift(page, self.folder, **options)]

    @parameterized.parameters(
        ("72.4 %", "a/seed0/run.json#share"),
        ("73.0 %", "mean a/*/run.json#share"),
        ("72 %", "min a/*/run.json#share"),
        ("1.2 points", "max a/*/run.json#share - a/seed0/run.json#share"),
        ("20", "a/seed0/run.json#scores.0.right"),
        ("5", "a/seed0/run.json#scores.-1.right"),
        ("5", "a/seed0/run.json#scores[epsilon=0.2].right"),
        ("5", "a/seed0/run.json#scores[epsilon=0.2,right=5].right"),
        ("25", "sum a/*/run.json#scores.*.right"),
        ("2", "count a/*/run.json#scores.*.right"),
        ("75 %", "a/seed0/run.json#scores.0.right - #scores.1.right / #scores.0.right"),
        ("4.0", "a/seed0/run.json#scores.0.right / #scores.1.right"),
        ("2 min", "sum b.json#minutes.*"),
        ("0.03 h", "sum b.json#minutes.*"),
        ("1.5 min", "sum log.jsonl#*.seconds"),
        ("−1.25", "b.json#loss"),
        ("-1.25", "b.json#loss"),
        ("10,000 images", "b.json#images"),
        ("7", "b.json#a, b"),
    )
    def test_a_number_that_is_right(self, label, source):
        number = label.partition(" ")[0]
        text = f"# Title\n\nThere are {number} of them.\n\n<!-- numbers\n{label} = {source}\n-->\n"
        self.assertEqual(self.check(text, everywhere=True), [])

    def test_a_number_that_changed(self):
        claims = "72.5 % = a/seed0/run.json#share\n10,000 = b.json#images"
        text = f"# Title\n\nAbove is\n72.5 %, and 10,000.\n\n<!-- numbers\n{claims}\n-->\n"
        said = f"4: 72.5 % is 72.4 in {self.folder}/a/seed0/run.json: a/seed0/run.json#share."
        self.assertEqual(self.check(text), [said])
        (self.folder / "b.json").write_text(json.dumps(FILES["b.json"] | {"images": 9999}))
        self.assertIn(f"4: 10,000 is 9,999 in {self.folder}/b.json: b.json#images.", self.check(text))

    @parameterized.parameters(
        ("none.json#share", "FileNotFoundError: no file .*none.json"),
        ("b.json#none", "KeyError: 'none'"),
        ("b.json#minutes.*", "ValueError: wanted one value, found 2"),
        ("a/*/run.json#share", "ValueError: wanted one value, found 2"),
        ("a/seed0/run.json#scores[epsilon=0.3].right", "ValueError: wanted one value, found 0"),
        ("median a/*/run.json#share", r"ValueError: wanted \[mean\|sum\|count\|min\|max\] FILE#PATH, got 'median"),
        ("b.json#minutes[one=90.0].two", "AttributeError"),
        ("b.json#share / #zero", "ZeroDivisionError"),
        ("b.json", r"ValueError: wanted \[mean"),
    )
    def test_a_comment_that_leads_nowhere(self, source, message):
        (problem,) = self.check(f"Here are 3.\n\n<!-- numbers\n3 = {source}\n-->\n")
        self.assertRegex(problem, f"^4: cannot look up 3 in .*{message}")

    def test_a_number_without_a_file(self):
        text = "# One\n\nHere 7 and 8, and 7.\n\n<!-- numbers\n7 = b.json#a, b\n-->\n\n# Two\n\n9 stands alone.\n"
        found = self.check(text)
        self.assertLen(found, 2)  # the second 7 wants a line of its own
        self.assertStartsWith(found[0], "3: 7 is checked against no file")
        self.assertStartsWith(found[1], "3: 8 is checked against no file")
        self.assertStartsWith(self.check(text, everywhere=True)[2], "11: 9 is checked against no file")

    def test_a_comment_without_its_number(self):
        text = "# One\n\nHere is `7`.\n\n<!-- numbers\n7 = b.json#a, b\n-->\n"
        self.assertEqual(self.check(text), ["6: no sentence of this section has the 7 of '7 = b.json#a, b'."])

    def test_what_is_no_result(self):
        text = (
            "# WideResNet-40-2 in 2020\n\n1. `K = 1` on CIFAR-10 with PGD-40, [two of l2](http://x/3.html) ten-fold.\n"
            "```sh\npython 3 --seeds=4\n```\n<!-- a remark on 5 -->\n<!-- table: any -->\n| 6 |\n<!-- /table -->\n"
        )
        self.assertEqual(self.check(text, everywhere=True), [])

    @parameterized.parameters("1999.5", "2,020", "(8)", "8.", "8,", "8 %", "8–9", "+8", "| 8 |", "**8**", "# 8 things")
    def test_what_is_one(self, text):
        self.assertNotEmpty(self.check(f"{text}\n", everywhere=True))


if __name__ == "__main__":
    tf.test.main()
