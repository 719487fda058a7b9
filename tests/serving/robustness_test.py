"""Requests that no model should see, put to the written graph without any server around it.

They run in processes of their own: a check that is missing there does not raise, it ends the process.
"""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.serving import signatures, verification
from tests.models import fixtures_models
from tests.serving import exported

NAN = float("nan")


def request(images, most=1, tolerance=0.0):
    return {
        "images": np.asarray(images, np.float32),
        "max_iterations": np.asarray(most, np.int32),
        "tolerance": np.asarray(tolerance, np.float32),
    }


IMAGES = np.asarray(fixtures_models.images(3))
ONE_NAN = IMAGES.copy()
ONE_NAN[1, 2, 3] = NAN
SHAPE = r"images must have the shape \[batch, 8, 8, 1\]; got the shape:"
PIXELS = r"pixels must be floats in \[0, 1\] without NaN"
BAD = (
    ("serving_default", {"images": IMAGES[0, ..., 0]}, SHAPE + r".*8 8"),
    ("serving_default", {"images": IMAGES[0]}, SHAPE + ".*8 8 1"),
    ("serving_default", {"images": np.float32(0.5)}, SHAPE),
    ("serving_default", {"images": IMAGES[None]}, SHAPE + ".*1 3 8 8 1"),
    ("serving_default", {"images": IMAGES[..., [0, 0, 0]]}, SHAPE + ".*3 8 8 3"),
    ("serving_default", {"images": IMAGES[:0, :5]}, SHAPE + ".*0 5 8 1"),
    ("reconstruct", {"images": IMAGES[0, ..., 0]}, SHAPE),
    ("trajectory", {"images": IMAGES[0, ..., 0]}, SHAPE),
    ("serving_uint8", {"images": np.zeros((8, 8), np.uint8)}, SHAPE),
    ("serving_default", {"images": IMAGES * np.float32(NAN)}, PIXELS + ".*nan"),
    ("serving_default", {"images": ONE_NAN}, PIXELS),
    ("serving_default", {"images": IMAGES * np.float32(np.inf)}, PIXELS),
    ("serving_default", {"images": IMAGES * 255}, PIXELS + r".*_uint8"),
    ("serving_default", {"images": IMAGES - 1}, PIXELS),
    ("serving_default", {"images": np.zeros((21, 8, 8, 1), "f")}, "at most 20 images .fixed at export.; got:.*21"),
    ("serving_uint8", {"images": np.zeros((10_000, 8, 8, 1), np.uint8)}, "at most 20 images .*10000"),
    ("classify", request(IMAGES, most=5), r"max_iterations must be in \[0, 4\] \(the limit was fixed at export\).*5"),
    ("classify", request(IMAGES, most=2**31 - 1), r"max_iterations must be in \[0, 4\] .*2147483647"),
    ("classify", request(IMAGES, most=[0, 4, -1]), r"max_iterations must be in \[0, 4\]"),
    ("classify", request(IMAGES, most=[1, 2]), "max_iterations must be one number or one for each image.*2.*3"),
    ("classify", request(IMAGES, most=[]), "max_iterations must be one number or one for each image"),
    ("classify", request(IMAGES, tolerance=-0.1), r"tolerance must be in \[0.0, inf\]"),
    ("classify", request(IMAGES, tolerance=NAN), r"tolerance must be in \[0.0, inf\].*nan"),
    ("classify", request(IMAGES, tolerance=[[1, 1], [1, 1]]), "tolerance must be one number or one for each image"),
    ("classify_uint8", request(IMAGES) | {"images": np.zeros((8, 8), np.uint8)}, SHAPE),
)


class RobustnessTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*verification.SAVED_MODEL_LOADERS)
    def test_bad_requests_are_invalid_and_the_next_one_works(self, loader):
        good = verification.Case("classify", request(IMAGES, most=2), {"logits": np.zeros(0)})
        cases = [good]
        for signature, inputs, _ in BAD:
            outputs = {"reconstruct": "reconstructions"}.get(signature, "logits")
            cases += [verification.Case(signature, inputs, {outputs: np.zeros(0)}), good]
        empty = request(IMAGES[:0])
        cases.append(verification.Case("classify", empty, {"logits": np.zeros(0), "self_consistency": np.zeros(0)}))
        results = verification.run_cases(loader, exported.result().directory, cases)
        for (_, _, message), found in zip(BAD, results[1::2], strict=False):
            self.assertRegex(str(found["error"]), f"(?s)^3: .*{message}")  # 3 is INVALID_ARGUMENT
        for found in results[::2][: len(BAD) + 1]:
            self.assertAllEqual(found["logits"], results[0]["logits"])
        logits = exported.model()(IMAGES)
        self.assertAllClose(results[0]["logits"], logits, rtol=1e-5, atol=1e-5)
        self.assertEqual((results[-1]["logits"].shape, results[-1]["self_consistency"].shape), ((0, 3), (0, 3)))

    def test_ten_thousand_images_in_chunks(self):
        options = exported.serving.ServingOptions.for_model(exported.model(), max_iterations=2)
        endpoints = signatures.endpoints(exported.model(), options, exported.CLASS_NAMES)
        pixels = exported.pixels(10_000)
        found = endpoints["serving_uint8"](tf.constant(pixels))
        some = slice(9_900, 10_000)
        self.assertEqual(found["logits"].shape, (10_000, 3))
        logits = exported.model()(tf.constant(pixels[some], tf.float32) / 255)
        self.assertAllClose(found["logits"][some], logits, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    tf.test.main()
