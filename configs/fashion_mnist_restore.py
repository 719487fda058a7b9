"""Training a pixel-level CNN-F that repairs distorted images (the talk's sanity check), on Fashion-MNIST.

Command: python bin/train.py --config=configs/fashion_mnist_restore.py --workdir=runs/restore
Smoke:   python bin/train.py --config=configs/fashion_mnist_restore.py:smoke --workdir=/tmp/smoke
Check:   python bin/restore.py --model=runs/restore/best.keras

Nine batches of ten are corrupted, by one of the three corruptions of the talk at a severity of 1 to 5; the network sees
the corrupted images, and its reconstructions are compared with the clean ones. With respect to standard training the
reconstruction weighs a hundred times as much (its loss is small and classification would win), and eta is larger.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "CNN-F, K = 1, h is the image",
    "smoke": "a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "fashion_mnist_restore.py")
    config = _base.fashion_mnist()
    config.model.step_size = 0.5
    config.model.reconstruction_weight = 10.0
    config.model.training_horizon = 0
    config.data.batch_size = 64
    config.data.corruptions = ConfigDict()
    config.data.corruptions.corruptions = ("shot_noise", "gaussian_noise", "dotted_line")
    config.data.corruptions.severities = (1, 2, 3, 4, 5)
    config.data.corruptions.clean_share = 0.1  # of the batches
    config.train.epochs = 2
    if variant == "smoke":
        _base.shrink(config)
    return config.lock()
