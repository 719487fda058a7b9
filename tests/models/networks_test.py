"""The WideResNet with batch norm; the authors' networks are in golden_test.py."""

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf import CNNF, layers, load_model
from cnnf_tf.models.networks import leaves, wide_resnet


class BatchNormTest(tf.test.TestCase):
    def test_it_takes_the_place_of_the_norms_that_go_up(self):
        plain, normed = (wide_resnet(depth=16, encoder_blocks=1, batch_norm=batch_norm) for batch_norm in (False, True))
        for part in ("encoder", "network"):
            for authors, ours in zip(leaves(getattr(plain, part)), leaves(getattr(normed, part)), strict=True):
                goes_up = isinstance(authors, layers.InstanceNorm) and authors.up
                self.assertIs(type(ours), layers.FeedbackBatchNorm if goes_up else type(authors))

    def test_training_moves_its_statistics_and_a_file_keeps_them(self):
        keras.utils.set_random_seed(0)
        network = {"depth": 10, "widen_factor": 1, "encoder_blocks": 1, "batch_norm": True}
        model = CNNF.from_name("wide_resnet", image_shape=(32, 32, 3), network=network, iterations=1)
        images = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype("float32")
        before = [np.array(weight) for weight in model.non_trainable_weights if "moving" in weight.name]
        model.compile(optimizer="sgd")
        model.fit(images, np.arange(4), epochs=1, verbose=0)
        after = [np.array(weight) for weight in model.non_trainable_weights if "moving" in weight.name]
        self.assertLen(after, 2 * (3 * 2 + 1))  # mean and variance of two norms in each block, and of the head's
        for old, new in zip(before, after, strict=True):
            self.assertNotAllClose(old, new)
        path = f"{self.get_temp_dir()}/model.keras"
        model.save(path)
        self.assertAllEqual(load_model(path)(images), model(images))


if __name__ == "__main__":
    tf.test.main()
