import pathlib

import tensorflow as tf

from cnnf_tf.utils import plotting


class PlottingTest(tf.test.TestCase):
    def test_names_are_no_formulas(self):
        figure = plotting.new_figure(2, 2)
        axis = figure.subplots()
        axis.set_xscale("log")
        axis.set_title("US$ [1]/a_b^$ \\x")
        paths = plotting.save_figure(figure, pathlib.Path(self.create_tempdir().full_path) / "a")
        self.assertIn("<!-- US$ [1]/a_b^$ \\x -->", paths[1].read_text(encoding="utf-8"))
        self.assertIn(r"mathdefault{10^{0}}", paths[1].read_text(encoding="utf-8"))


if __name__ == "__main__":
    tf.test.main()
