"""A network of your own: a list of feedback layers, one of which is new.

    python examples/own_network.py            # trains on 5,000 images of Fashion-MNIST: a minute on two CPU cores
    python examples/own_network.py --smoke    # a few images that come with the checkout: seconds

Each layer runs up (`call`) and down (`feedback`) with the same weights and keeps nothing in between: what one pass
hands to the next is passed as values. That is the whole contract, and it is what makes the loop, training, attacks,
export and checkpoints work with a layer that they have never seen.
"""

import argparse
import pathlib
from typing import Any

import keras
import tensorflow as tf

from cnnf_tf import CNNF, data, evaluation, layers

MINI = pathlib.Path(__file__).resolve().parent.parent / "tests" / "testdata" / "fashion_mnist_mini"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", action="store_true", help="few images, few steps")
parser.add_argument("--output", default="runs/own_network", type=pathlib.Path, help="folder for the model")
options = parser.parse_args()


@keras.saving.register_keras_serializable("my_layers")
class ChannelScale(layers.FeedbackLayer):
    """Multiplies every channel by a number that is learned, up and down.

    Going up the output is s f. The layer is linear, so its transpose is the way down: s g, with the same s. Layers
    whose output depends on the feedback (AdaReLU, AdaPool) read `signal`, the g that came down to their own output in
    the last pass, and return a latent that `feedback` is given back; this one needs neither.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(
        self, features: tf.Tensor, signal: Any = None, *, eta: Any = 0.0, training: bool = False
    ) -> tuple[tf.Tensor, None]:
        return features * self.in_compute_dtype(self.scale), None  # (output, latent)

    def feedback(self, signal: tf.Tensor, latent: None = None) -> tf.Tensor:
        return self.in_compute_dtype(signal) * self.in_compute_dtype(self.scale)


# Is the way down the transpose of the way up? Then <up(f), g> = <f, down(g)> for all f and g. A layer with arguments
# also wants `get_config`, and one that changes the shape `output_shape_for`; see cnnf_tf/layers/average_pool.py.
keras.utils.set_random_seed(0)
layer = ChannelScale()
f, g = keras.random.normal((2, 5, 5, 3)), keras.random.normal((2, 5, 5, 3))
layer.build(f.shape)
layer.scale.assign([0.5, 1.0, 2.0])
up, _ = layer(f)
print(
    f"<up(f), g> = {float(tf.reduce_sum(up * g)):.4f}, <f, down(g)> = {float(tf.reduce_sum(f * layer.feedback(g))):.4f}"
)


def network(num_classes: int) -> layers.FeedbackSequential:
    """Two convolution blocks and two dense layers. AdaReLU owns the bias, so convolutions have none."""
    return layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(8),
            ChannelScale(),
            layers.AdaReLU(),
            layers.AdaPool2D(),
            layers.FeedbackConv2D(16),
            layers.InstanceNorm(up=False),  # on the way down only, as in the authors' networks
            layers.AdaReLU(),
            layers.AdaPool2D(),
            layers.FeedbackFlatten(),
            layers.FeedbackDense(64),
            layers.AdaReLU(),
            layers.FeedbackDense(num_classes, use_bias=True),  # the logits
        ]
    )


name = f"idx:{MINI}" if options.smoke else "fashion_mnist"
facts = data.info(name)
train = data.load(name, "train", batch_size=32, shuffle_seed=0, limit=5_000)
test = data.load(name, "test", batch_size=100, limit=1_000)

model = CNNF(network(facts.num_classes), image_shape=facts.image_shape, iterations=2, eta=0.1)
model.compile(optimizer=keras.optimizers.Adam(2e-3))
model.fit(train, epochs=4 if options.smoke else 3, shuffle=False, verbose=2)  # `train` shuffles itself

# Saved and loaded with the new layer inside, because it is registered with Keras.
path = options.output / "own_network.keras"
path.parent.mkdir(parents=True, exist_ok=True)
model.save(path)
model = keras.saving.load_model(path)
scales = model.network.layers[1].scale.numpy()
print(f"\nlearned scales of the 8 channels: {', '.join(f'{scale:.2f}' for scale in scales)}")
result = evaluation.evaluate_passes(model, test, iterations=4)
print(f"{model.count_params():,} parameters, {result.num_images} test images, after each pass of the loop:")
print(result.table())
print(f"\nwrote {path}; bin/evaluate.py and the other binaries know no layers of yours, so load it from Python.")
