"""Generative versus discriminative classifiers on few and on many training images (Ng & Jordan 2002), Fashion-MNIST.

Command: python bin/generative_vs_discriminative.py --config=configs/generative_vs_discriminative.py --output=DIR
Smoke:   python bin/generative_vs_discriminative.py --config=configs/generative_vs_discriminative.py:smoke --output=DIR
The talk quotes the paper; results of this command are in docs/results/generative_vs_discriminative.

Logistic regression is compared with Gaussian naive Bayes, and the CNN (K = 0) with CNN-F (K = 1). `model`, `data` and
`train` are what bin/train.py reads too (it then trains that one CNN-F on the whole pool); the study takes the network,
batch size and optimiser from there and chooses images and steps itself.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "m = 10, 20, 50, ..., 10,000 images, three seeds; half an hour on two busy CPU cores",
    "smoke": "about half a minute on two CPU cores, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "generative_vs_discriminative.py")
    config = _base.fashion_mnist()
    config.data.train_split = "train[:50000]"
    config.data.validation_split = "train[50000:52000]"  # bin/train.py only
    config.data.batch_size = 32
    config.data.horizontal_flip = False
    config.train.epochs = 1  # bin/train.py only

    config.study = ConfigDict()
    config.study.methods = (
        "gaussian_naive_bayes",
        "gaussian_naive_bayes_per_class",
        "logistic_regression",
        "cnn",
        "cnnf",
    )
    config.study.num_images = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)  # m, drawn from data.train_split
    config.study.seeds = (0, 1, 2)
    config.study.test_split = "test[:2000]"  # the same images for every method
    # The next two were chosen by the mean error on train[50000:52000] at m = 10, 100 and 1000 over three subsets, never
    # on test images; out of (1e-9, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1) and (0.01, 0.1, 1, 10, 100).
    config.study.var_smoothing = 0.1  # times the largest pixel variance: added to each variance of both naive Bayes
    config.study.l2 = 1.0  # of logistic regression: sum of -log p(y | x) + l2 / 2 |W|^2
    # Of both networks: max(min_steps, epochs * m / batch_size) steps, with batches of min(m, batch_size) images.
    config.study.min_steps = 100
    config.study.epochs = 1.0

    if variant == "smoke":
        config.study.num_images = (10, 20)
        config.study.seeds = (0,)
        config.study.test_split = "test[:32]"
        config.study.min_steps = 2
        _base.shrink(config)
    return config.lock()
