"""The scores of the validation split."""

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import PGD, predictor
from cnnf_tf.training.validator import Validator
from tests.training import fixtures_training, numpy_reference


def held_out(model, dataset, attack=None, robust_images=0):
    return Validator(model, dataset, attack=attack, robust_images=robust_images, seed=4)


class ValidatorTest(tf.test.TestCase):
    def split(self):
        """Batches of 4, 4 and 2."""
        ((images, labels),) = fixtures_training.batches(1, size=10)
        return images, labels, tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)

    def test_means_over_the_whole_split(self):
        images, labels, dataset = self.split()
        model = fixtures_training.model(readout="average")
        logits = model.infer(images).logits.numpy().astype(np.float64)
        for scores in (held_out(model, dataset).score(), held_out(model, dataset).score()):
            accuracy = np.mean(np.argmax(logits.mean(axis=0), -1) == labels.numpy())
            self.assertAllClose(scores["accuracy"], accuracy, rtol=1e-6)
            self.assertAllClose(
                scores["first_pass_loss"], numpy_reference.cross_entropy(logits[0], labels.numpy()), rtol=1e-5
            )
            self.assertAllClose(
                scores["last_pass_loss"], numpy_reference.cross_entropy(logits[1], labels.numpy()), rtol=1e-5
            )
            self.assertNotIn("robust_accuracy", scores)

    def test_robust_accuracy_of_the_first_images(self):
        images, labels, dataset = self.split()
        model = fixtures_training.model()
        attack = PGD(epsilon=0.05, steps=2)
        for count in (1, 6, 10, 99):
            seen = min(count, 10)
            result = attack(predictor(model), images[:seen], labels[:seen], seed=4, indices=tf.range(seen))
            scores = held_out(model, dataset, attack, count).score()
            self.assertAllClose(scores["robust_accuracy"], 1 - np.mean(result.success), atol=1e-9)
        scores = held_out(model, dataset, attack, 0).score()
        self.assertNotIn("robust_accuracy", scores)

    def test_no_split(self):
        images, labels, _ = self.split()
        nothing = held_out(fixtures_training.model(), None)
        self.assertEqual(nothing.score(), {})
        self.assertIsNone(nothing.attacked(images, labels))

    def test_pictures_are_attacked_within_the_ball(self):
        images, labels, dataset = self.split()
        attacked = held_out(fixtures_training.model(), dataset, PGD(epsilon=0.05, steps=1), 4).attacked(images, labels)
        self.assertAllLessEqual(np.abs(attacked - images), 0.05 + 1e-6)


if __name__ == "__main__":
    tf.test.main()
