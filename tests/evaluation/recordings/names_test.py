"""Names of activations, and the patterns that pick them."""

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, layers
from cnnf_tf.evaluation import list_activations
from cnnf_tf.evaluation.recordings.names import fits, select
from tests.models import fixtures_models

WIDE = {"name": "wide_resnet", "image_shape": (32, 32, 3), "network": {"depth": 10, "widen_factor": 1}}


def names(found):
    return [activation.name for activation in found]


class NamesTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ("conv1", ["conv1.f"]),
        ("conv1.*", ["conv1.f", "conv1.g"]),
        ("h.*", ["h.f", "h.g"]),
        ("*ada*.z", ["tap1/ada_relu1.z", "ada_pool.z", "res/main/ada_relu2.z"]),
        ("ada_relu[12].z", ["tap1/ada_relu1.z", "res/main/ada_relu2.z"]),
        ("tap1/*.[zg]", ["tap1/ada_relu1.z", "tap1/ada_relu1.g"]),
        ("encoder/*", ["encoder/conv0.f", "encoder/ada_relu0.f"]),
        (["fc.g", "conv?", "conv1"], ["encoder/conv0.f", "conv1.f", "res/main/conv2.f", "fc.g"]),
        ("res", ["res.f"]),
        ("res/*", ["res/main/conv2.f", "res/main/ada_relu2.f", "res/main.f"]),
    )
    def test_patterns(self, pattern, wanted):
        found = list_activations(fixtures_models.model(with_encoder=True))
        self.assertEqual(names(select(found, pattern)), wanted)

    @parameterized.parameters(
        ("conv1.z", "'conv1.z' matches nothing; .* close to it are .*conv1.f"),
        ("encoder/conv0.g", "z .latents, of rectifiers and max pools. or g .signals."),
        ("Conv1", "close to it are conv1.g, conv1.f, "),
        ("zzz", "there are encoder/conv0.f, encoder/ada_relu0.f, h.f, h.g, conv1.f"),
        ("", "'' matches nothing"),
        ([], "layers must be a pattern"),
        (None, "layers must be a pattern"),
        ([1], "layers must be a pattern"),
        (["conv1", "convv1"], "'convv1' matches nothing"),
    )
    def test_patterns_that_match_nothing(self, pattern, message):
        found = list_activations(fixtures_models.model(with_encoder=True))
        with self.assertRaisesRegex(ValueError, message):
            select(found, pattern)

    def test_one_fit(self):
        for pattern, wanted in (("a/conv@1.[gz]", True), ("conv.g", True), ("a/*.*", True), ("conv", False)):
            self.assertEqual(fits("a/conv@1", "a/conv", "g", pattern), wanted)

    def test_layers_at_several_places_are_numbered(self):
        relu, conv = layers.AdaReLU(name="relu"), layers.FeedbackConv2D(1, name="x.f")
        inside = [relu, conv, relu, layers.AdaReLU(name="h"), layers.FeedbackFlatten(name="flatten")]
        network = layers.FeedbackSequential([*inside, layers.FeedbackDense(3, name="fc")], name="network")
        found = list_activations(CNNF(network, image_shape=(4, 4, 1)))
        self.assertEqual(
            names(select(found, "*")), ["h@1.f", "relu@1.f", "x.f.f", "relu@2.f", "h@2.f", "flatten.f", "fc.f"]
        )
        self.assertEqual(names(select(found, "relu.z")), ["relu@1.z", "relu@2.z"])
        self.assertEqual(names(select(found, "relu@2.z")), ["relu@2.z"])
        self.assertEqual(names(select(found, "h")), ["h@1.f", "h@2.f"])
        self.assertEqual(names(select(found, ["x.f.*"])), ["x.f.f", "x.f.g"])

    def test_the_paper_s_network(self):
        found = {activation.name: activation.shape for activation in list_activations(CNNF.from_name(**WIDE))}
        self.assertEqual(found["block3_0.f"], (8, 8, 64))
        self.assertEqual(found["block2_0/main/block2_0_conv1.g"], (16, 16, 32))
        self.assertEqual(found["block2_0/shortcut.f"], (16, 16, 32))
        self.assertEqual(found["head_ada_relu.z"], (8, 8, 64))
        self.assertEqual(found["h.g"], (32, 32, 3))
        self.assertEqual(found["fc.f"], (10,))


if __name__ == "__main__":
    tf.test.main()
