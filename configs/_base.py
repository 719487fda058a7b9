"""What the Fashion-MNIST configurations share; each then changes what its own docstring speaks of."""

from ml_collections import ConfigDict


def fashion_mnist() -> ConfigDict:
    """Standard training of a pixel-level CNN-F with K = 1, unlocked; every value that bin/train.py reads."""
    config = ConfigDict()
    config.seed = 0

    config.model = ConfigDict()
    config.model.name = "fashion_cnn"
    config.model.network = ConfigDict({"ind": 0, "rule": "map"})
    config.model.iterations = 1  # K; 0 is the plain CNN
    config.model.step_size = 0.1
    config.model.readout = "last"
    config.model.feedback_start = "logits"
    config.model.reconstruction_weight = 0.1

    config.data = ConfigDict()
    config.data.name = "fashion_mnist"
    config.data.train_split = "train[:58000]"
    config.data.validation_split = "train[58000:]"  # picks the best checkpoint; "" for none
    config.data.batch_size = 256
    config.data.crop_padding = 0  # pixels
    config.data.horizontal_flip = True

    config.train = ConfigDict()
    config.train.epochs = 5
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
    return config


def shrink(config: ConfigDict) -> None:
    """Makes it a smoke run: two steps of 16 images."""
    config.data.train_split = "train[:64]"
    config.data.validation_split = "test[:32]"
    config.data.batch_size = 16
    config.train.epochs = 1
    config.train.steps_per_epoch = 2
