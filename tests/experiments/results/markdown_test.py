"""Markdown that says what was meant: no line becomes a list by accident, commands survive being broken."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.results import markdown


class MarkdownTest(tf.test.TestCase, parameterized.TestCase):
    def test_table(self):
        found = markdown.table(["a", "b"], [["p(z | y)", "1"]])
        self.assertEqual(found, "| a | b |\n| --- | --- |\n| p(z \\| y) | 1 |")
        with self.assertRaisesRegex(ValueError, r"wants 2 cells in each row, got \['1'\]"):
            markdown.table(["a", "b"], [["1"]])

    def test_no_line_starts_something_else(self):
        words = ["a", "word", "-", "+", "#", "1.", "2)", ">", "1.5", "+5.6", "longer-words"]
        rng = np.random.default_rng(0)
        for indent in ("", "  "):
            text = " ".join(["text", *rng.choice(words, 2000)])
            lines = markdown.paragraph(text, indent=indent).splitlines()
            self.assertEqual(" ".join(" ".join(lines).split()), text)
            for line in lines[1:]:
                self.assertStartsWith(line, indent)
                self.assertNotIn(line.split()[0], ("-", "+", "#", "1.", "2)", ">"))
            self.assertLess(max(map(len, lines)), 150)

    def test_shell_is_one_command_again(self):
        command = "python bin/x.py " + " ".join(f"--flag{number}={number}" for number in range(40))
        block = markdown.shell([command, "python bin/y.py"])
        lines = block.removeprefix("```sh\n").removesuffix("\n```").replace(" \\\n", " ").splitlines()
        self.assertEqual([" ".join(line.split()) for line in lines], [command, "python bin/y.py"])
        self.assertLess(max(map(len, block.splitlines())), 121)

    @parameterized.parameters(
        ("Speed", "speed"),
        ("2. PGD-40 after training: CNN against CNN-F", "2-pgd-40-after-training-cnn-against-cnn-f"),
    )
    def test_anchor(self, title, anchor):
        self.assertEqual(markdown.anchor(title), anchor)

    def test_bullets(self):
        self.assertEqual(markdown.bullets(["one", "two"]), "- one\n- two")


if __name__ == "__main__":
    tf.test.main()
