"""Training a pixel-level CNN-F that repairs distorted images (the talk's sanity check), on Fashion-MNIST.

Command: python bin/train.py --config=configs/fashion_mnist_restore.py --workdir=runs/restore
Smoke:   python bin/train.py --config=configs/fashion_mnist_restore.py:smoke --workdir=/tmp/smoke
Check:   python bin/restore.py --model=runs/restore/best.keras

Nine batches of ten are corrupted, by one of the three corruptions of the talk at a severity of 1 to 5; the network sees
the corrupted images, and its reconstructions are compared with the clean ones. With respect to standard training the
reconstruction weighs a hundred times as much (its loss is small and classification would win), and eta is larger.
"""

from ml_collections import ConfigDict

from configs import _variants

VARIANTS = {
    "": "CNN-F, K = 1, h is the image",
    "smoke": "a few seconds on a CPU, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "fashion_mnist_restore.py")
    config = ConfigDict()
    config.seed = 0

    config.model = ConfigDict()
    config.model.name = "fashion_cnn"
    config.model.network = ConfigDict({"ind": 0, "rule": "map"})
    config.model.iterations = 1
    config.model.step_size = 0.5
    config.model.readout = "last"
    config.model.feedback_start = "logits"
    config.model.reconstruction_weight = 10.0
    config.model.training_horizon = 0

    config.data = ConfigDict()
    config.data.name = "fashion_mnist"
    config.data.train_split = "train[:58000]"
    config.data.validation_split = "train[58000:]"  # picks the best checkpoint; "" for none
    config.data.batch_size = 64
    config.data.crop_padding = 0  # pixels
    config.data.horizontal_flip = True
    config.data.corruptions = ConfigDict()
    config.data.corruptions.corruptions = ("shot_noise", "gaussian_noise", "dotted_line")
    config.data.corruptions.severities = (1, 2, 3, 4, 5)
    config.data.corruptions.clean_share = 0.1  # of the batches

    config.train = ConfigDict()
    config.train.epochs = 2
    config.train.steps_per_epoch = 0  # 0: one pass over the training split
    config.train.dtype_policy = "float32"
    config.train.optimizer = ConfigDict()
    config.train.optimizer.name = "adam"
    config.train.optimizer.learning_rate = 2e-3
    config.train.optimizer.schedule = "cosine"
    config.train.optimizer.warmup_fraction = 0.05  # of all steps
    config.train.optimizer.momentum = 0.9  # sgd only
    config.train.optimizer.weight_decay = 0.0  # decoupled, as Keras does it
    config.train.optimizer.clip_norm = 1.0  # global norm; 0 for none

    if variant == "smoke":
        config.data.train_split = "train[:64]"
        config.data.validation_split = "test[:32]"
        config.data.batch_size = 16
        config.train.epochs = 1
        config.train.steps_per_epoch = 2
    return config.lock()
