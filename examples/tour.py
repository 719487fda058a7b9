# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of CNN-F
#
# A CNN goes up from an image to a label. CNN-F comes down again with the same weights, transposed, and renders what
# it believes it saw; then it goes up once more, closer to that belief. Here you watch it do so, repair images, attack
# it, and give the same feedback to a CNN of your own. Ten minutes to read, three to run on two CPU cores.

# %%
try:
    import cnnf_tf
except ModuleNotFoundError:  # from the clone around; without one: git+https://ADDRESS-OF-THIS-REPOSITORY
    # %pip install --quiet ..
    import cnnf_tf

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from cnnf_tf import CNNF, attacks, data, evaluation
from cnnf_tf.data.preparation.prepare import prepare

DATA = os.environ.get("TOUR_DATA", "fashion_mnist")
QUICK = DATA != "fashion_mnist"  # the tests name some images of their own, and have no time
if not QUICK:
    prepare(DATA, download=True, report=lambda line: None)  # downloads 30 MB, if need be
keras.utils.set_random_seed(0)

test = data.load(DATA, "test", batch_size=50, limit=50 if QUICK else 1000)
images, labels = next(iter(test))
shown = [0, 1, 2, 4, 6, 8, 18, 19]  # the ones to look at


def show(rows):
    """A row of pictures for each title."""
    size = (9, 0.95 * len(rows))
    figure, axes = plt.subplots(len(rows), len(shown), figsize=size, squeeze=False)
    for line, (title, pictures) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(title, rotation=0, ha="right", va="center")
        for axis, index in zip(line, shown, strict=True):
            axis.imshow(np.squeeze(pictures[index]), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.3)
    plt.show()


show({"image": images})

# %% [markdown]
# ## Repair
#
# `fashion_mnist_restore` comes with the package. It learned to classify and to render, from corrupted images. Its
# loop runs over the pixels: h starts as the image, and each iteration moves it towards g(0), which the network
# renders of it. So we can look at all of it.

# %%
restorer = cnnf_tf.load_pretrained("fashion_mnist_restore")
noisy = data.corrupt(images, "shot_noise", 3, seed=0)
rendered = restorer.reconstruct(noisy, iterations=5)
rows = {f"g(0), iteration {step}": rendered[step - 1] for step in (1, 2, 5)}
show({"image": images, "shot noise": noisy} | rows)


# %%
def decibels(pictures):
    """Peak signal-to-noise ratio against the clean images: more is better."""
    return float(tf.reduce_mean(tf.image.psnr(pictures, images, max_val=1.0)))


print(f"with noise  {decibels(noisy):.1f} dB")
for step, pictures in enumerate(rendered, start=1):
    print(f"iteration {step} {decibels(pictures):.1f} dB")

# %% [markdown]
# The first iteration gains most, and what more of them do is not always better. An autoencoder that is trained to
# remove this noise, and for nothing else, does better still:
# [results](../docs/results.md#does-it-repair-distorted-images). What is special is that nothing was added to the
# classifier: repair and label come from the same weights.

# %% [markdown]
# ## Attack
#
# `fashion_mnist_standard` is a CNN-F that was trained on clean images, `fashion_mnist_standard_cnn` the same network
# without feedback. PGD looks for the worst image within `epsilon` of each pixel. Its gradients may go through the
# whole loop, or through the first pass only, and an attacker takes what works: an image stands if it stands both.
# Each number of passes gets attacks of its own.

# %%
EPSILON = 0.03  # pixels are in [0, 1]
victims = test.take(1 if QUICK else 2)  # 50 images each
attack = attacks.PGD(epsilon=EPSILON, steps=2 if QUICK else 20)


def standing(model, passes):
    """The shares of images that are right after so many feedback passes, before and after the attacks."""
    predict = attacks.predictor(model, iterations=passes, readout="last")
    stands = True
    for path in ("first_pass", "full_unroll") if passes else ("first_pass",):
        gradients = attacks.gradient_source(model, path, iterations=passes, readout="last")
        report = attacks.run_attack(attack, predict, victims, seed=0, surrogate=gradients)
        stands = stands & (report.predictions == report.labels)
    return report.clean_accuracy, float(np.mean(stands))


cnn = cnnf_tf.load_pretrained("fashion_mnist_standard_cnn")
cnnf = cnnf_tf.load_pretrained("fashion_mnist_standard")
passes = (0, 1) if QUICK else (0, 1, 3)
found = {"CNN": standing(cnn, 0)} | {f"CNN-F, pass {step}": standing(cnnf, step) for step in passes}
print(f"{'':15} clean   PGD")
for title, (clean, robust) in found.items():
    print(f"{title:15} {clean:4.0%} {robust:6.0%}")

# %% [markdown]
# A hundred images leave ten points to chance. Of 500, under PGD of 40 steps, this CNN-F stands 43 %
# ([its card](../docs/models/fashion_mnist_standard.md)), and this CNN 31 %
# ([its card](../docs/models/fashion_mnist_standard_cnn.md)). But pass 0, which is a CNN too, stands as much as the
# later ones: that lies in the weights, and not in the passes. And over three training runs the two are
# [level](../docs/results.md#is-it-more-robust-after-standard-training).

# %% [markdown]
# ## A Keras model of your own
#
# Any CNN of Keras will do; this one trains for some seconds. `CNNF.from_keras` takes its layers and weights as they
# are. Without feedback it is the original.

# %%
train = data.load(DATA, "train", batch_size=64, shuffle_seed=0, limit=20_000)
layers = keras.layers
original = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
original.compile(keras.optimizers.Adam(2e-3), loss=loss, metrics=["accuracy"])
original.fit(train, epochs=1, shuffle=False, verbose=2)  # `train` shuffles by itself

model = CNNF.from_keras(original, iterations=1, eta=0.5, reconstruction_weight=30.0)
same = model.infer(images, iterations=0).logits[0]
print("largest difference without feedback:", float(tf.reduce_max(tf.abs(same - original(images)))))

# %% [markdown]
# ## Train it a little
#
# Nobody asked those weights to render anything, so g(0) is no picture yet. `fit` teaches them: the cross-entropy of
# every pass, and the distance between g(0) and the clean image, from pairs of a corrupted and a clean image.

# %%
untuned = model.reconstruct(noisy)[0]
steps = 4 if QUICK else 200
pairs = data.noisy_pairs(train.repeat(), ["shot_noise", "gaussian_noise", "dotted_line"], (1, 2, 3), seed=0)
model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)))
model.fit(pairs.take(steps), shuffle=False, verbose=2)

tuned = model.reconstruct(noisy)[0]
show({"shot noise": noisy, "g(0) before": untuned, "g(0) after": tuned, "image": images})
for title, pictures in {"shot noise": noisy, "g(0) before": untuned, "g(0) after": tuned}.items():
    print(f"{title:12} {decibels(pictures):5.1f} dB")
print(evaluation.evaluate_passes(model, test, iterations=2).table())

# %% [markdown]
# A sketch, after some seconds: the shapes are there, the shades are not, and it is no repair: the noisy images were
# closer to the truth. The restorer above saw all 60,000 images four times. Feedback costs this network some accuracy at
# the first pass already, and much more at those it was not trained for; `training_horizon` is for the latter, and
# [any Keras CNN](../docs/any_cnn.md) says what else to do.
#
# ## Where to go next
#
# - [The idea and its theory](../docs/theory.md): in which generative model all this is inference.
# - [Results](../docs/results.md): what holds of the paper's claims here, and what does not.
# - [Measuring robustness](../docs/robustness.md): all attacks, and how not to fool yourself.
# - [own_network.py](own_network.py), [image_folder.py](image_folder.py): other networks, your own pictures.
# - `make demo` in a clone: one page with repair, attacks and training;
#   [bin/playground.py](../docs/playground.md): a page to play with.
