"""Adversarial training of CNN-F with WideResNets on CIFAR-10: the authors' recipe, and a ladder for two CPU cores.

Command: python bin/train.py --config=configs/cifar10_adversarial.py --workdir=runs/cifar10 --strategy=mirrored
Fast:    python bin/train.py --config=configs/cifar10_adversarial.py:wrn_16_2 --workdir=runs/wrn_16_2
Smoke:   python bin/train.py --config=configs/cifar10_adversarial.py:smoke --workdir=/tmp/smoke

The authors' recipe mirrors the appendix of arXiv:2007.09200 and their code: K = 2, eta = 0.1, five residual blocks
outside of the loop, PGD-7 with epsilon 8/255 through the first pass, clean and adversarial images in one batch, 500
epochs, and no batch norm, without which it needs hundreds of steps to leave chance.

The ladder: batch norm in the head, batches of 128 as in arXiv:2001.03994, one attack step and at the end three, one
cycle of the learning rate, bfloat16, clean images as targets only. Feedback joins in after 60 % of the steps, so that
the average step of `wrn_16_2` costs 1.8 times that of its CNN, and at K = 2 throughout 2.8 times. Multiplications and
additions of the convolutions alone, for 49,000 images an epoch (attack, first and later, plus training step); the
minutes are what they take at 160 GFLOP/s, which two cores with AVX-512 and bfloat16 reach while nothing else
runs:

    variant         epochs   GFLOP / image: plain     with feedback    PFLOP    minutes
    wrn_16_2_cnn    15       1.0, later 1.8           -                0.92     100
    wrn_16_2        15       1.0                      2.8, later 3.6   1.46     150
    wrn_40_2_cnn    10       3.3, later 5.9           -                1.99     210
    wrn_40_2        10       3.3                      9.6, later 12.2  3.24     340
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "the authors' recipe, 500 epochs; for GPUs, see docs/scaling.md",
    "cnn": "the same for the plain WideResNet, K = 0",
    "wrn_16_2": "WideResNet-16-2, 15 epochs, about 3 hours on two cores",
    "wrn_16_2_cnn": "its plain CNN, the same images",
    "wrn_40_2": "WideResNet-40-2, 10 epochs, about 6 hours on two cores",
    "wrn_40_2_cnn": "its plain CNN, the same images",
    "smoke": "WideResNet-10-1, a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "cifar10_adversarial.py")
    config = _base.cifar10(depth=16 if variant.startswith("wrn_16") else 40)
    config.train.epochs = 500
    _base.add_adversarial(config, epsilon=8 / 255, step_size=0.02 / 2, clean_weight=0.05)
    if variant.startswith("wrn"):
        _base.make_fast(config)
        _base.make_cyclic(config)
        config.adversarial.guard_from = 0.7
        config.train.epochs = 15 if variant.startswith("wrn_16") else 10
    if variant.endswith("cnn"):
        config.model.iterations = 0
    if variant == "smoke":
        _base.shrink(config)
        config.model.network.update({"depth": 10, "widen_factor": 1, "encoder_blocks": 1})
    return config.lock()
