"""Quick start: load data, build a CNN-F, train it, and look at what feedback does. Read it from top to bottom.

    python examples/quick_start.py            # Fashion-MNIST: some minutes on two CPU cores
    python examples/quick_start.py --smoke    # a few images that come with the checkout: seconds

Fashion-MNIST must be there: `make data`, or `python bin/prepare_data.py --help`.
"""

import argparse
import pathlib

import keras

from cnnf_tf import CNNF, data, evaluation

MINI = pathlib.Path(__file__).resolve().parent.parent / "tests" / "testdata" / "fashion_mnist_mini"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", action="store_true", help="few images, few steps")
parser.add_argument("--output", default="runs/quick_start", type=pathlib.Path, help="folder for model and picture")
options = parser.parse_args()

# 1. Data: batches of images, float32 in [0, 1], and integer labels. Any prepared TFDS name works here, and so do IDX
#    files (idx:PATH) and folders of images (image_folder:PATH, see image_folder.py).
name = f"idx:{MINI}" if options.smoke else "fashion_mnist"
keras.utils.set_random_seed(0)
train = data.load(name, "train", batch_size=64, shuffle_seed=0, limit=10_000)
test = data.load(name, "test", batch_size=64, limit=1_000)
facts = data.info(name)

# 2. Model: the paper's network for Fashion-MNIST. `encoder_blocks=0` puts the whole of it inside the loop, so that the
#    feedback renders the image itself; `iterations` is K, the number of feedback passes; `eta` is how far each moves
#    the network's view of the image towards what was rendered.
model = CNNF.from_name(
    "fashion_cnn",
    image_shape=(28, 28, 1),
    network={"encoder_blocks": 0, "num_classes": facts.num_classes},
    iterations=1,
    eta=0.1,
)

# 3. Training: Keras as you know it. Without a loss, `compile` takes the paper's: the cross-entropy of every pass, and
#    the distance between the image and its reconstruction.
model.compile(optimizer=keras.optimizers.Adam(1e-3))
model.fit(train, validation_data=test, epochs=3 if options.smoke else 2, shuffle=False)  # `train` shuffles itself

# 4. Inference: calling the model gives logits, as with any Keras classifier. `infer` gives everything that happened,
#    for any number of iterations, whatever the training used.
images, labels = next(iter(test.unbatch().batch(8)))
print("\nlogits:", model(images).shape)
trajectory = model.infer(images, iterations=3)
print("logits of pass 0 (the plain CNN), 1, 2, 3:", trajectory.logits.shape)
print("g(0), what each of the three passes down rendered:", [tuple(g.shape) for g in trajectory.reconstructions])

# 5. What did feedback do? Accuracy after every pass, and the reconstructions as a picture.
result = evaluation.evaluate_passes(model, test, iterations=3)
print(f"\n{result.num_images} test images:\n{result.table()}")
pictures = model.reconstruct(images, iterations=3).numpy()  # [3, 8, 28, 28, 1], pixels in [0, 1]
said = trajectory.logits.numpy().argmax(-1)
captions = [
    [f"true: {facts.class_names[label]}", *(facts.class_names[said[step, index]] for step in (1, 2, 3))]
    for index, label in enumerate(labels.numpy())
]
picture = options.output / "reconstructions.png"
evaluation.reconstruction_figure(picture, images.numpy(), pictures, captions, title="g(0), and the label after it")

# 6. Saving: one file; `keras.saving.load_model` reads it wherever cnnf_tf was imported.
model.save(options.output / "model.keras")
again = keras.saving.load_model(options.output / "model.keras")
print(f"\nsaved and loaded: largest difference {float(abs(again(images) - model(images)).numpy().max()):.1e}")
print(f"wrote {picture} and {options.output / 'model.keras'}")
print("\nNo time to train? cnnf_tf.pretrained_names() lists the models that come with the package.")
