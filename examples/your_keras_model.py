"""Your Keras model: an ordinary CNN with batch norm gets feedback, is fine-tuned, and is attacked beside the original.

    python examples/your_keras_model.py            # Fashion-MNIST: some minutes on two CPU cores
    python examples/your_keras_model.py --smoke    # a few images that come with the checkout: seconds

docs/any_cnn.md tells the story, with the table that this prints. For a model in a file there is bin/convert.py.
"""

import argparse
import pathlib

import keras
import numpy as np
from keras import layers

from cnnf_tf import CNNF, attacks, data, evaluation
from cnnf_tf.utils.tables import aligned

MINI = pathlib.Path(__file__).resolve().parent.parent / "tests" / "testdata" / "fashion_mnist_mini"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", action="store_true", help="few images, few steps")
parser.add_argument("--output", default="runs/your_keras_model", type=pathlib.Path, help="folder for the model")
parser.add_argument("--seed", default=0, type=int, help="of weights, order of images, and attacks")
options = parser.parse_args()
epochs, steps, attacked, attack_steps = (2, 8, 8, 2) if options.smoke else (3, 600, 300, 20)

# 1. A Keras model, trained as always. Nothing here knows of feedback.
name = f"idx:{MINI}" if options.smoke else "fashion_mnist"
keras.utils.set_random_seed(options.seed)
train = data.load(name, "train", batch_size=64 if options.smoke else 128, shuffle_seed=options.seed)
test = data.load(name, "test", batch_size=100, limit=40 if options.smoke else 2_000)


def block(filters: int) -> list[keras.layers.Layer]:
    convolution = layers.Conv2D(filters, 3, padding="same", use_bias=False)
    pool = layers.MaxPooling2D(name=f"pool{filters}")
    return [convolution, layers.BatchNormalization(), layers.ReLU(), pool]


head = [layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dropout(0.3)]
head.append(layers.Dense(data.info(name).num_classes, activation="softmax"))
original = keras.Sequential([keras.Input((28, 28, 1)), *block(16), *block(32), *block(64), *head], name="small_cnn")
original.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
original.fit(train, epochs=epochs, shuffle=False, verbose=2)  # `train` shuffles itself

# 2. The same weights with feedback; the softmax is left away. `start` puts h on top of the first block, which then runs
#    once for each image: such a loop is cheaper than one over pixels, and disturbs less. K = 0 is the original.
images, labels = next(iter(test))
untuned = CNNF.from_keras(original, start="pool16", iterations=1, eta=0.1)
logits = untuned.infer(images, iterations=0).logits[0]
difference = float(keras.ops.max(keras.ops.abs(keras.ops.softmax(logits) - original(images))))
print(f"\nlargest difference from the original without feedback: {difference:.1e}")


# 3. Fine-tuning: nobody trained these weights to render anything, so feedback disturbs until they have learned it.
#    Batch norm keeps its statistics meanwhile. `training_horizon` trains passes beyond K, so that the loop may run on.
#    The original gets as many steps without feedback, or else the comparison would not be fair.
def fine_tuned(iterations: int, training_horizon: int) -> CNNF:
    loop = {"iterations": iterations, "eta": 0.1, "training_horizon": training_horizon}
    model = CNNF.from_keras(original, start="pool16", reconstruction_weight=0.1, **loop)
    rate = keras.optimizers.schedules.CosineDecay(5e-4, steps)
    model.compile(optimizer=keras.optimizers.AdamW(rate, clipnorm=1.0))
    model.fit(train.repeat().take(steps), shuffle=False, verbose=2)
    return model


plain, tuned = fine_tuned(0, 0), fine_tuned(1, 4)

# 4. Accuracy after every pass, and under PGD. Its gradients take the plain first pass, or the whole loop. An attacker
#    knows both, so what counts is the share of images that stand both.
EPSILON = 0.03  # l-inf, pixels in [0, 1]


def stands(model: CNNF, iterations: int, path: str) -> np.ndarray:
    """Which images are still classified correctly."""
    predict = attacks.predictor(model, iterations=iterations, readout="last")
    gradients = attacks.gradient_source(model, path, iterations=iterations, readout="last")
    attack = attacks.PGD(epsilon=EPSILON, steps=attack_steps)
    victims = test.unbatch().take(attacked).batch(100)
    found = attacks.run_attack(attack, predict, victims, seed=options.seed, surrogate=gradients)
    return found.predictions == found.labels


rows = [("model", "K'", "accuracy", "PGD, first pass", "PGD, full unroll", "both")]
for title, model, passes, attacked_passes in (
    ("the original", untuned, (0,), (0,)),
    ("the original, fine-tuned", plain, (0,), (0,)),
    ("with feedback", untuned, (1,), (1,)),
    ("with feedback, fine-tuned", tuned, (0, 1, 2, 3), (0, 1)),
):
    accuracy = evaluation.evaluate_passes(model, test, iterations=passes[-1]).accuracy["last"]
    for iterations in passes:
        robust = []
        if iterations in attacked_passes:
            first = stands(model, iterations, "first_pass")
            full = stands(model, iterations, "full_unroll") if iterations else first
            robust = [f"{100 * images.mean():.1f} %" for images in (first, full, first & full)]
        rows.append((title, str(iterations), f"{100 * accuracy[iterations]:.2f} %", *(robust or [""] * 3)))
print(f"\naccuracy on the first {len(list(test.unbatch()))} test images, PGD on the first {attacked} of them")
print(f"PGD: l-inf, epsilon {EPSILON} on [0, 1], {attack_steps} steps, seed {options.seed}")
print(aligned(rows))

# 5. A file like any other: `keras.saving.load_model` reads it, and --model of every binary.
options.output.mkdir(parents=True, exist_ok=True)
tuned.save(options.output / "cnnf.keras")
print(f"\nwrote {options.output / 'cnnf.keras'}")
