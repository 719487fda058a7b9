"""Traced functions that are kept with a model."""

import gc
import weakref

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf import CNNF
from cnnf_tf.models.pixels import Pixels
from cnnf_tf.utils.traces import by_shape, described, kept, traced
from tests.models import fixtures_models


def scaled(model, factor, images):
    return factor * model.infer(images).logits


class TracesTest(tf.test.TestCase):
    def test_equal_arguments_give_the_same_function(self):
        model = fixtures_models.model()
        self.assertIs(traced(scaled, model, 2), traced(scaled, model, 2))
        self.assertIsNot(traced(scaled, model, 2), traced(scaled, model, 3))
        self.assertIsNot(traced(scaled, model, 2), traced(scaled, fixtures_models.model(), 2))

    def test_sees_new_weights_and_a_changed_model(self):
        model, images = fixtures_models.model(), fixtures_models.images(3)
        for change in (
            lambda: model.set_weights([2 * weight for weight in model.get_weights()]),
            lambda: setattr(model, "eta", 0.7),
            lambda: setattr(model, "pixels", Pixels(0.1, 0.3)),
            lambda: setattr(model, "iterations", 0),
        ):
            before = traced(scaled, model, 2)(images)
            change()
            found = traced(scaled, model, 2)(images)
            self.assertAllClose(found, 2 * model.infer(images).logits, rtol=1e-4, atol=1e-4)
            self.assertNotAllClose(found[-1], before[-1], rtol=1e-3)

    def test_keeps_nothing_of_a_model_that_may_do_anything(self):
        class Gained(CNNF):
            gain = 1.0

            def normalize(self, images):
                return self.gain * super().normalize(images)

        model = Gained(fixtures_models.smaller_network(), image_shape=fixtures_models.IMAGE_SHAPE)
        self.assertIsNone(described(model))
        images = fixtures_models.images(3)
        for model.gain in (1.0, -3.0):
            self.assertAllClose(traced(scaled, model, 2)(images), 2 * model.infer(images).logits, rtol=1e-5)
        wrapped = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda values: values)])
        self.assertIsNone(described(wrapped))
        self.assertIsNotNone(described(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])))

    def test_goes_with_the_model_and_leaves_no_mark_on_it(self):
        model, path = fixtures_models.model(), f"{self.create_tempdir().full_path}/model.keras"
        layers = len(list(model._flatten_layers()))
        traced(scaled, model, 2)(fixtures_models.images(3))
        self.assertLen(list(model._flatten_layers()), layers)
        model.save(path)
        loaded = keras.saving.load_model(path)
        self.assertAllEqual(loaded(fixtures_models.images(3)), model(fixtures_models.images(3)))
        reference = weakref.ref(model)
        del model
        gc.collect()
        self.assertIsNone(reference())

    def test_keeps_the_latest(self):
        model, made = fixtures_models.model(), []
        for number in (*range(40), 39, 0):
            kept(model, (number,), lambda number=number: made.append(number))
        self.assertEqual(made, [*range(40), 0])

    def test_one_trace_for_all_batch_sizes(self):
        traces = []

        def double(images, factor):
            traces.append(images.shape)
            return factor * images

        run = by_shape(double)
        for count in (1, 3, 0):
            self.assertAllEqual(run(np.ones((count, 2), np.float32), 2.0), 2 * np.ones((count, 2)))
        self.assertLen(traces, 1)
        run(np.ones((1, 5), np.float32), 2.0)
        self.assertEqual([list(shape) for shape in traces], [[None, 2], [None, 5]])


if __name__ == "__main__":
    tf.test.main()
