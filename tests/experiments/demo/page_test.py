"""The page: everything is escaped, nothing is fetched, pictures come back as they went in, the numbers are there."""

import base64
import dataclasses
import io
import json
import pathlib
import re

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from cnnf_tf.evaluation.figures import picture_address
from cnnf_tf.experiments.demo import measures as demo
from cnnf_tf.experiments.demo.page import write_demo
from tests.experiments.demo.fixtures_demo import attacked, images, small_demo
from tests.experiments.demo.html_reader import assert_stands_alone

NASTY = """<script>"a" & 'b'</script>"""


class PageTest(tf.test.TestCase):
    def folder(self):
        return pathlib.Path(self.create_tempdir().full_path)

    def read(self, found, facts):
        text = write_demo(found, self.folder(), facts=facts).read_text(encoding="utf-8")
        return assert_stands_alone(self, text), text.replace("\N{NON-BREAKING HYPHEN}", "-")

    def test_page(self):
        folders = [self.folder() / "deep" for _ in range(2)]
        found = small_demo()
        for folder in folders:
            page = write_demo(found, folder, facts={"Command": "python <x>"})
        self.assertEqual(page, folders[1] / "index.html")
        names = sorted(path.name for path in folder.iterdir())
        wanted = ["accuracy.png", "attack.png", "demo.json", "index.html", "repair.png", "training.png"]
        wanted += ["repair_dotted_line.png", "repair_gaussian_noise.png"]
        if found.comparisons[0].cnnf.clean_correct.any():
            wanted.append("attack_images.png")
        self.assertEqual(names, sorted(wanted))
        for name in names:
            self.assertEqual((folders[0] / name).read_bytes(), (folders[1] / name).read_bytes(), name)
        text = page.read_text(encoding="utf-8")
        reader = assert_stands_alone(self, text)
        self.assertIn("Dotted line", reader.text)
        self.assertIn("python <x>", reader.text)
        self.assertLen([image for image in reader.all("img") if image.get("width")], 4)
        numbers = json.loads((folder / "demo.json").read_text())
        self.assertEqual(numbers["repair"]["dotted_line"]["num_images"], 6)
        self.assertEqual(numbers["attack"]["pairs"]["trained clean"]["cnn"]["iterations"], 0)
        self.assertLen(numbers["fine_tuning"]["losses"], 2)

        self.assertStartsWith(text, "<!DOCTYPE html>\n")
        self.assertEqual(reader.all("html"), [{"lang": "en"}])
        style = re.search("<style>(.*)</style>", text, re.DOTALL).group(1)
        self.assertEqual(style.count("{"), style.count("}"))
        self.assertIn("prefers-color-scheme: dark", style)
        self.assertEqual({source["media"] for source in reader.all("source")}, {"(prefers-color-scheme: dark)"})
        charts = {image["src"] for image in reader.all("img") if image.get("width")}
        self.assertEmpty(charts & {source["srcset"] for source in reader.all("source")})
        self.assertEqual({each["scope"] for each in reader.all("th")}, {"col", "row"})

    def test_everything_is_escaped(self):
        found = small_demo()
        comparison = dataclasses.replace(found.comparisons[0], name=NASTY)
        found = dataclasses.replace(
            found,
            models={"standard": NASTY},
            dataset=NASTY,
            split=NASTY,
            class_names=(NASTY,) * 3,
            comparisons=[comparison],
            passes={NASTY: found.passes["trained clean"]},
        )
        reader, _ = self.read(found, {NASTY: NASTY, "Command": NASTY})
        footer = reader.text[reader.text.index("Paper: ") :]
        self.assertEqual(footer.count(NASTY), 6)  # data twice, models, a fact and its name, the command
        self.assertGreater(reader.text.count(NASTY), 10)
        alts = [image["alt"] for image in reader.all("img")]
        self.assertIn(NASTY, next(alt for alt in alts if "stands" in alt))
        self.assertIn(NASTY, next(alt for alt in alts if "at best" in alt))

    def test_sentences(self):
        cnnf, cnn = (attacked([True] * count + [False] * (6 - count)) for count in (5, 2))
        cnnf = dataclasses.replace(cnnf, images=images())
        cnnf.reports["full_unroll"] = dataclasses.replace(cnnf.reports["full_unroll"], images=images())
        found = small_demo(comparisons=[demo.AttackComparison("trained clean", 0.03, cnnf, cnn)])
        repaired, passes, tuning = found.repairs[0], found.passes["trained clean"].accuracy["last"], found.tuning
        step, gain = repaired.best
        psnr = repaired.quality.corrupted.psnr
        _, text = self.read(found, {})
        text = " ".join(text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-").split())
        for sentence in (
            f"Dotted line: {psnr:.1f} dB as corrupted; {psnr + gain:.1f} dB after the best of the passes shown, number "
            f"{step} ({gain:+.1f}).",
            "Networks trained clean, epsilon 0.03: CNN-F stands 5 of 6 (44–97 %), the CNN 2 of 6 (10–70 %).",
            f"Network trained clean: {100 * passes[0]:.1f} % for pass 0, the plain CNN inside; {100 * max(passes):.1f} "
            f"% at best, for pass {passes.index(max(passes))}; {100 * passes[-1]:.1f} % for the last, pass 2.",
            f"the loss went from {tuning.before['loss']:.2f} to {tuning.after['loss']:.2f}, and the right answers from "
            f"{100 * tuning.before['accuracy']:.1f} % to {100 * tuning.after['accuracy']:.1f} %.",
        ):
            with self.subTest(sentence):
                self.assertEqual(text.count(sentence), 2)  # below the chart, and for who cannot see it

    def test_nothing_stands(self):
        nothing = attacked([False] * 6)
        report = dataclasses.replace(nothing.reports["full_unroll"], clean_correct=np.zeros(6, bool))
        nothing = dataclasses.replace(nothing, images=images(), reports={"full_unroll": report})
        folder = self.folder()
        found = small_demo(comparisons=[demo.AttackComparison("trained clean", 0.1, nothing, nothing)])
        page = write_demo(found, folder, facts={})
        assert_stands_alone(self, page.read_text(encoding="utf-8"))
        self.assertFalse((folder / "attack_images.png").exists())


class PictureTest(tf.test.TestCase, parameterized.TestCase):
    def pixels(self, values):
        stored = base64.b64decode(picture_address(values).removeprefix("data:image/png;base64,"))
        return np.asarray(Image.open(io.BytesIO(stored)))

    @parameterized.parameters(((3, 4, 1),), ((3, 4, 3),))
    def test_pictures_keep_their_values(self, shape):
        values = np.random.default_rng(0).random(shape)
        self.assertEqual(picture_address(values), picture_address(values))
        read = self.pixels(values)
        self.assertAllEqual(read, np.rint(255 * values).reshape(read.shape).astype(np.uint8))

    def test_pictures_are_clipped(self):
        self.assertAllEqual(self.pixels(np.array([[[-1.0], [2.0]]])), [[0, 255]])


if __name__ == "__main__":
    tf.test.main()
