"""Adversarial training of CNN-F with WideResNet-40-2 on CIFAR-10, by the authors' recipe.

Command: python bin/train.py --config=configs/cifar10_adversarial.py --workdir=runs/cifar10 --strategy=mirrored
Fast:    python bin/train.py --config=configs/cifar10_adversarial.py:fast --workdir=runs/cifar10_fast
Smoke:   python bin/train.py --config=configs/cifar10_adversarial.py:smoke --workdir=/tmp/smoke
Mirrors the appendix of arXiv:2007.09200 and the authors' code: K = 2, eta = 0.1, five residual blocks outside of the
loop, PGD-7 with epsilon 8/255 through the first pass, clean and adversarial images in one batch, 500 epochs.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "the authors' recipe, 500 epochs; for GPUs, see docs/scaling.md",
    "cnn": "the same for the plain WideResNet, K = 0",
    "fast": "single-step attack, one cycle of the learning rate, batches of 128, 30 epochs",
    "smoke": "WideResNet-10-1, a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "cifar10_adversarial.py")
    config = _base.fashion_mnist()
    config.model.name = "wide_resnet"
    config.model.network = ConfigDict({"depth": 40, "widen_factor": 2, "encoder_blocks": 5, "rule": "reference"})
    config.model.iterations = 2
    config.data.name = "cifar10"
    config.data.train_split = "train[:49000]"
    config.data.validation_split = "train[49000:]"
    config.data.crop_padding = 4
    config.train.epochs = 500
    _base.add_adversarial(config, epsilon=8 / 255, step_size=0.02 / 2, clean_weight=0.05)
    if variant == "fast":
        _base.make_fast(config)
        config.data.batch_size = 128  # as in arXiv:2001.03994
        config.train.epochs = 30
        config.train.evaluate_every = config.train.checkpoint_every = 100
        config.train.optimizer.learning_rate = 0.1
    if variant == "cnn":
        config.model.iterations = 0
    if variant == "smoke":
        _base.shrink(config)
        config.model.network.update({"depth": 10, "widen_factor": 1, "encoder_blocks": 1})
    return config.lock()
