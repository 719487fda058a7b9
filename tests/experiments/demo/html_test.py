"""The page: everything is escaped, nothing is fetched, pictures come back as they went in."""

import base64
import io
import re

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from cnnf_tf.experiments.demo import html as html_
from tests.experiments.demo.html_reader import Reader, assert_stands_alone

NASTY = """<script>"a" & 'b'</script>"""


class HtmlPageTest(tf.test.TestCase, parameterized.TestCase):
    def test_everything_is_escaped(self):
        values = np.zeros((2, 2))
        blocks = [
            html_.paragraph(NASTY, html_.code(NASTY)),
            html_.bullets([NASTY]),
            html_.picture_rows([[html_.picture(values, alt=NASTY, caption=NASTY, title=NASTY)]], caption=NASTY),
            html_.chart(b"", b"", alt=NASTY, caption=NASTY, width=10),
            html_.details(NASTY, html_.table([NASTY, NASTY], [[NASTY, NASTY]], caption=NASTY)),
            NASTY,
        ]
        text = html_.page(
            title=NASTY,
            lead=[html_.facts([(NASTY, [NASTY], NASTY)])],
            sections=[html_.section(NASTY, *blocks, kicker=NASTY)],
            footer=[NASTY],
        )
        reader = assert_stands_alone(self, text)
        self.assertEqual(reader.text.count(NASTY), 22)  # each NASTY that is no attribute; the title twice
        for image in reader.all("img"):
            self.assertEqual(image["alt"], NASTY)

    def test_document(self):
        text = html_.page(title="T $x", lead=[], sections=[html_.section("S", html_.paragraph("p"))])
        reader = assert_stands_alone(self, text)
        self.assertStartsWith(text, "<!DOCTYPE html>\n")
        self.assertEqual(reader.all("html"), [{"lang": "en"}])
        self.assertIn("T $x", reader.text)
        style = re.search("<style>(.*)</style>", text, re.DOTALL).group(1)
        self.assertEqual(style.count("{"), style.count("}"))
        self.assertIn("prefers-color-scheme: dark", style)

    @parameterized.parameters(((3, 4),), ((3, 4, 1),), ((3, 4, 3),))
    def test_pictures_keep_their_values(self, shape):
        values = np.random.default_rng(0).random(shape)
        stored = html_.png_bytes(values)
        self.assertEqual(stored, html_.png_bytes(values))
        read = np.asarray(Image.open(io.BytesIO(stored)))
        self.assertAllEqual(read, np.rint(255 * values).reshape(read.shape).astype(np.uint8))
        (image,) = Reader(html_.picture(values, alt="a")).all("img")
        self.assertEqual(base64.b64decode(image["src"].removeprefix("data:image/png;base64,")), stored)

    def test_pictures_are_clipped(self):
        read = np.asarray(Image.open(io.BytesIO(html_.png_bytes(np.array([[-1.0, 2.0]])))))
        self.assertAllEqual(read, [[0, 255]])

    @parameterized.parameters(((4,),), ((2, 4, 4, 1),), ((4, 4, 2),))
    def test_wrong_pictures(self, shape):
        with self.assertRaisesRegex(ValueError, r"a picture is \[height, width\].*got shape"):
            html_.png_bytes(np.zeros(shape))

    def test_chart_has_a_dark_variant(self):
        reader = Reader(html_.chart(b"light", b"dark", alt="a", caption="c", width=100))
        (source,), (image,) = reader.all("source"), reader.all("img")
        self.assertEqual(source, {"srcset": html_.data_uri(b"dark"), "media": "(prefers-color-scheme: dark)"})
        self.assertEqual((image["src"], image["width"]), (html_.data_uri(b"light"), "100"))

    def test_table_names_rows_and_columns(self):
        reader = Reader(html_.table(["a", "b"], [["row", "1"]], caption="c"))
        self.assertEqual(reader.all("th"), [{"scope": "col"}, {"scope": "col"}, {"scope": "row"}])
        self.assertEqual(reader.text, "cabrow1")


if __name__ == "__main__":
    tf.test.main()
