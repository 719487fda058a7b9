"""Standard (clean) training of CNN-F on Fashion-MNIST.

Command:   python bin/train.py --config=configs/fashion_mnist_standard.py --workdir=runs/standard
Plain CNN: python bin/train.py --config=configs/fashion_mnist_standard.py:cnn --workdir=runs/standard_cnn
Smoke:     python bin/train.py --config=configs/fashion_mnist_standard.py:smoke --workdir=/tmp/smoke
Mirrors the talk's "standard training on Fashion-MNIST", with the network of the authors' code; the values are
in configs/_base.py.

Measured times and accuracies are in the README.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "CNN-F, K = 1, h is the image",
    "cnn": "the same network without feedback, K = 0",
    "smoke": "a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "fashion_mnist_standard.py")
    config = _base.fashion_mnist()
    if variant == "cnn":
        config.model.iterations = 0
    elif variant == "smoke":
        _base.shrink(config)
    return config.lock()
