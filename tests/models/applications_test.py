"""The networks of keras.applications by name, and the check that a conversion is the original."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF
from cnnf_tf.models.conversion import applications
from cnnf_tf.models.conversion.self_check import Original


class ApplicationsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        *(("VGG16", "caffe"), ("ResNet50", "caffe"), ("ResNet50V2", "tf"), ("MobileNetV2", "tf"), ("Xception", "tf")),
        *(("DenseNet121", "torch"), ("EfficientNetB0", None), ("ConvNeXtTiny", None), ("MobileNetV3Small", None)),
    )
    def test_preprocessing(self, name, wanted):
        self.assertEqual(applications.preprocessing_of(name), wanted)

    def test_new_top(self):
        model = applications.build("MobileNet", weights=None, image_size=(32, 48), num_classes=3)
        self.assertEqual((model.input_shape, model.output_shape), ((None, 32, 48, 3), (None, 3)))

    def test_refuses(self):
        with self.assertRaisesRegex(ValueError, "name must be one of .*'VGG16'.*, got 'vgg16'"):
            applications.build("vgg16")
        with self.assertRaisesRegex(ValueError, "at least 32x32"):
            applications.build("MobileNet", weights=None, image_size=(20, 20))


class OriginalTest(tf.test.TestCase, parameterized.TestCase):
    def make(self, *first, activation):
        keras.utils.set_random_seed(0)
        layers = [*first, keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()]
        top = [keras.layers.Dense(5), *([keras.layers.Softmax()] if activation else [])]
        return keras.Sequential([keras.Input((None, None, 3)), *layers, *top])

    @parameterized.product(preprocessing=(None, "caffe", (0.5, 0.25)), activation=(False, True))
    def test_finds_a_difference_only_where_there_is_one(self, preprocessing, activation):
        original = self.make(activation=activation)
        before = Original(original, preprocessing=preprocessing)
        self.assertEqual(before.softmax, activation)
        model = CNNF.from_keras(original, preprocessing=preprocessing)
        self.assertLess(before.difference(model), 0.1 * before.allowed(model))
        model.network.layers[0].layer.kernel.assign_add(np.full((3, 3, 3, 4), 0.1))
        self.assertGreater(before.difference(model), before.allowed(model))

    def test_layers_for_bytes(self):
        original = self.make(keras.layers.Rescaling(1 / 255), activation=False)
        model = CNNF.from_keras(original)
        self.assertAllClose(Original(original).difference(model), 0, atol=1e-6)


if __name__ == "__main__":
    tf.test.main()
