"""The screening's loop under `lax.scan` and its objective are those of the models; screening_test.py runs it."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from cnnf_tf.experiments.screening import images as images_lib
from cnnf_tf.experiments.screening import training
from cnnf_tf.experiments.screening.loop import Model
from cnnf_tf.experiments.screening.recipes import Recipe
from cnnf_tf.models.networks import fashion_cnn
from cnnf_tf.models.objective import trajectory_losses
from cnnf_tf.models.unroll import unroll

recipe = Recipe("test", "", iterations=2, horizon=7, reconstruction_weight=0.3)
model = Model(recipe, (12, 12, 1), 0)
keras.utils.set_random_seed(0)
network = fashion_cnn().network
network.build((None, 12, 12, 1))
images = jnp.array(np.random.default_rng(0).uniform(size=(4, 12, 12, 1)), jnp.float32)
labels = jnp.array([0, 3, 9, 3])


def cross_entropy(logits):
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(4), labels])


trajectory = unroll(network, images * 2 - 1, iterations=2, eta=0.1, burn_in=jnp.array(3))
expected = trajectory_losses(trajectory, cross_entropy, reconstruction_weight=0.3).total
numbers = training.numbers_of(recipe, 10)
found, _ = training._loss(model, recipe, 2, numbers, model.initial(), images, images, labels, jnp.array(3))
np.testing.assert_allclose(found, expected, rtol=1e-5)
grey = jnp.full((64, 28, 28, 1), 128, jnp.uint8)
for name in images_lib.CORRUPTIONS:
    noisy = images_lib.corrupt(jax.random.key(0), grey, name, 3)
    assert noisy.dtype == jnp.uint8
    change = np.asarray(noisy, "float64") / 255 - 128 / 255
    if name != "dotted_line":
        deviation = {"shot_noise": np.sqrt(0.502 / 12), "gaussian_noise": 0.18}[name]
        np.testing.assert_allclose((change.mean() + 1, change.std() / deviation), 1, atol=0.05)
    else:
        np.testing.assert_allclose((change.min(), change.mean()), (0, 0.05), atol=0.045)
