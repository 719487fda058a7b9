"""Tables and charts of the playground: K + 1 passes of what was measured, names escaped."""

import json
import re

import numpy as np
import tensorflow as tf

from cnnf_tf.experiments.playground import charts
from cnnf_tf.experiments.playground.measures import Lab, Passes
from tests.bin.binaries import small_model

NAMES = ["<b>cat</b>", "dog", "owl"]


def passes(count, classes=3, seed=0):
    """Made-up ones of `count` feedback passes."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(classes), count + 1).astype("float32")
    pictures = rng.uniform(0, 1, (2 * count + 1, 4, 4, 1)).astype("float32")
    flags = np.array([index == 1 for index in range(count)], np.float32)
    return Passes(
        pictures[0], shares, pictures[: count + 1], pictures[count + 1 :], flags, *rng.uniform(0, 1, (2, count))
    )


class ChartsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.found = passes(5), passes(0, seed=1)

    def test_table(self):
        text = charts.table(self.found[0], 2, NAMES, 0, sketches=False)
        self.assertLen(re.findall("<tr>", text), 4)
        self.assertLen(re.findall("<img", text), 5)  # h of three passes, g(0) of two
        self.assertEqual(re.findall(r'scope="row">(\d)', text), ["0", "1", "2"])
        self.assertNotIn("<b>cat", text)
        self.assertIn("&lt;b&gt;cat", text)
        self.assertEqual(text.count("the answer changed"), 1)
        for share in self.found[0].probabilities[:3].flatten():
            self.assertIn(charts.percent(share), text)
        self.assertNotIn("Sketch", text)
        self.assertIn("Sketch of g(0), pass 1", charts.table(self.found[0], 1, NAMES, None, sketches=True))

    def test_comparison(self):
        best, name, share = charts.answer(self.found[0], 3, NAMES)
        self.assertEqual((best, name), (int(self.found[0].probabilities[3].argmax()), NAMES[best]))
        text = charts.comparison(self.found[0].image, self.found, 3, NAMES, best)
        for part in (share, "CNN-F, K = 3", ">right<"):
            self.assertIn(part, text)
        text = charts.comparison(self.found[0].image, self.found, 0, NAMES, None)
        self.assertIn("class unknown", text)
        self.assertNotRegex(text, ">(right|wrong)<|<b>cat")

    def test_charts(self):
        bars = charts.class_chart(self.found, 2, NAMES)
        self.assertAllClose(bars["series"][0]["data"], 100 * self.found[1].probabilities[0], atol=0.01)
        self.assertAllClose(bars["series"][1]["data"], 100 * self.found[0].probabilities[2], atol=0.01)
        lines = charts.pass_chart(self.found, 3, NAMES, 1)
        self.assertEqual([line["name"] for line in lines["series"]][::3], ["dog", "dog, CNN"])
        self.assertAllClose(lines["series"][0]["data"], 100 * self.found[0].probabilities[:4, 1], atol=0.01)
        consistency = charts.consistency_chart(self.found[0], 3)
        self.assertAllClose(consistency["series"][0]["data"], 100 * self.found[0].feature_residual[:3], atol=0.01)
        self.assertEqual(consistency["xAxis"]["data"], ["1", "2", "3"])
        self.assertEmpty(charts.consistency_chart(self.found[0], 0)["series"][0]["data"])
        for options in (bars, lines, consistency):
            json.dumps(options)

    def test_pair_text(self):
        text = charts.pair_text(Lab(small_model(eta=0.3), small_model(iterations=0)), ("a.keras", "b.keras"))
        self.assertIn("CNN-F: a.keras, trained with K = 1 and eta = 0.3. h is the image itself", text)
        self.assertEndsWith(text, "CNN: b.keras.")
        model = small_model(with_encoder=True, eta={"h": 0.5, "*": 0.1})
        text = charts.pair_text(Lab(model, model), ("a.keras", "b.keras"))
        self.assertRegex(text, "eta = 0.5 for h .its layers have steps of their own.*sketches")

    def test_many_classes_and_few(self):
        names = [f"class {index}" for index in range(100)]
        many = passes(2, 100), passes(0, 100)
        bars = charts.class_chart(many, 2, names)
        self.assertLen(bars["yAxis"]["data"], charts.MOST_CLASSES)
        self.assertIn(names[int(many[0].probabilities[2].argmax())], bars["yAxis"]["data"])
        two = passes(2, 2), passes(0, 2)
        self.assertLen(charts.pass_chart(two, 2, NAMES[:2], None)["series"], 3)


if __name__ == "__main__":
    tf.test.main()
