"""Standard training of CNN-F with WideResNets on CIFAR-10, augmented by crops and flips.

Command: python bin/train.py --config=configs/cifar10_standard.py --workdir=runs/cifar10_standard
Smoke:   python bin/train.py --config=configs/cifar10_standard.py:smoke --workdir=/tmp/smoke

WideResNet-16-2 with batch norm in the head, K = 2 after 60 % of the steps and the plain CNN before. The convolutions of
an image need 0.6 GFLOP in a plain step and 2.2 with feedback: 0.6 PFLOP for 20 epochs of the CNN and 1.2 of the CNN-F,
which two cores with AVX-512 and bfloat16 do in about 60 and 130 minutes while nothing else runs. The paper has no such
training.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "WideResNet-16-2, 20 epochs, about 2 hours on two cores",
    "cnn": "its plain CNN, the same images",
    "wrn_40_2": "WideResNet-40-2",
    "wrn_40_2_cnn": "its plain CNN, the same images",
    "smoke": "WideResNet-10-1, a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "cifar10_standard.py")
    config = _base.cifar10(depth=40 if variant.startswith("wrn_40") else 16)
    _base.make_cyclic(config)
    config.train.epochs = 20
    if variant.endswith("cnn"):
        config.model.iterations = 0
    if variant == "smoke":
        _base.shrink(config)
        config.model.network.update({"depth": 10, "widen_factor": 1, "encoder_blocks": 1})
    return config.lock()
