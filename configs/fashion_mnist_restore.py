"""Training a pixel-level CNN-F that repairs distorted images (the talk's sanity check), on Fashion-MNIST.

Command: python bin/train.py --config=configs/fashion_mnist_restore.py --workdir=runs/restore
Smoke:   python bin/train.py --config=configs/fashion_mnist_restore.py:smoke --workdir=/tmp/smoke
Check:   python bin/restore.py --model=runs/restore/last.keras

Nine batches of ten are corrupted, by one of the three corruptions of the talk at a severity of 1 to 5; the network sees
the corrupted images, and its reconstructions are compared with the clean ones. What differs from standard training:
  taps False     g(0) alone is compared, for pixels are what counts here; with the features of block 3 and 4 in the
                 same mean, as the authors have them, two thirds of the loss are about those
  r = 30         the reconstruction loss is small, and classification would win
  eta = 0.5      half of what the loop believes replaces half of what it sees, in every iteration
  horizon 10     passes up to the tenth are trained too, or else the second would be worse than no repair at all
h after one iteration is above the corrupted image in PSNR and SSIM for all three at severity 3 (10,000 test images,
seed 0; docs/results.md); noise is repaired best after two to five, and g(0) of the first has the highest PSNR. Trained
35 minutes on two busy CPU cores. Take last.keras: best.keras is the best classifier of clean images.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "CNN-F, K = 1 unrolled, horizon of 10 iterations, h is the image",
    "smoke": "a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "fashion_mnist_restore.py")
    config = _base.fashion_mnist()
    config.model.eta = 0.5
    config.model.reconstruction_weight = 30.0
    config.model.training_horizon = 10
    config.model.network.taps = False
    config.data.batch_size = 64
    config.data.corruptions = ConfigDict()
    config.data.corruptions.corruptions = ("shot_noise", "gaussian_noise", "dotted_line")
    config.data.corruptions.severities = (1, 2, 3, 4, 5)
    config.data.corruptions.clean_share = 0.1  # of the batches
    config.train.epochs = 4
    config.train.dtype_policy = "mixed_bfloat16"
    if variant == "smoke":
        _base.shrink(config)
        config.model.training_horizon = 3
    return config.lock()
