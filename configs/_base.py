"""What the Fashion-MNIST configurations share; each then changes what its own docstring speaks of."""

from ml_collections import ConfigDict


def fashion_mnist() -> ConfigDict:
    """Standard training of a pixel-level CNN-F with K = 1, unlocked; every value that bin/train.py reads."""
    config = ConfigDict()
    config.seed = 0

    config.model = ConfigDict()
    config.model.name = "fashion_cnn"
    config.model.network = ConfigDict({"encoder_blocks": 0, "rule": "map"})
    config.model.iterations = 1  # K; 0 is the plain CNN
    config.model.eta = 0.1
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
    config.train.accumulation = 1  # micro-batches that each replica works through one by one
    config.train.ema_decay = 0.0  # of a moving average of the weights, which is then what is saved; 0 for none
    config.train.evaluate_every = 0  # steps; 0: after each epoch
    config.train.checkpoint_every = 0  # steps; 0: after each epoch
    config.train.optimizer = ConfigDict()
    config.train.optimizer.name = "adam"
    config.train.optimizer.learning_rate = 2e-3
    config.train.optimizer.schedule = "cosine"
    config.train.optimizer.warmup_fraction = 0.05  # of all steps; cosine and cyclic only
    config.train.optimizer.momentum = 0.9  # sgd only
    config.train.optimizer.weight_decay = 0.0  # L2, added to the clipped gradient
    config.train.optimizer.clip_norm = 1.0  # global norm over all replicas; 0 for none
    return config


def cifar10(*, depth: int) -> ConfigDict:
    """Standard training of a WideResNet-depth-2, 16 or 40, with K = 2 on CIFAR-10; the encoder is most of stage 1."""
    config = fashion_mnist()
    config.model.name = "wide_resnet"
    blocks = {16: 2, 40: 5}[depth]  # 5 is the authors'
    config.model.network = ConfigDict({"depth": depth, "widen_factor": 2, "encoder_blocks": blocks, "rule": "map"})
    config.model.iterations = 2
    config.data.name = "cifar10"
    config.data.train_split = "train[:49000]"
    config.data.validation_split = "train[49000:]"
    config.data.crop_padding = 4
    return config


def make_cyclic(config: ConfigDict) -> None:
    """For two CPU cores: batch norm in the head, batches of 128, one cycle of the rate, feedback late, bfloat16."""
    config.model.network.head_batch_norm = True
    config.data.batch_size = 128
    config.train.feedback_from = 0.6  # share of the training after which feedback joins in; before it, K = 0
    config.train.checkpoint_every = 100
    config.train.optimizer.name = "sgd"
    config.train.optimizer.learning_rate = 0.1
    config.train.optimizer.weight_decay = 5e-4
    config.train.optimizer.clip_norm = 0.0
    _one_cycle(config)


def _one_cycle(config: ConfigDict) -> None:
    """One cycle of the learning rate, in bfloat16."""
    config.train.dtype_policy = "mixed_bfloat16"
    config.train.optimizer.schedule = "cyclic"
    config.train.optimizer.warmup_fraction = 0.3


def add_adversarial(config: ConfigDict, *, epsilon: float, step_size: float, clean_weight: float) -> None:
    """Makes it adversarial training by the authors' recipe: PGD-7 through the first pass, SGD with poly decay."""
    config.adversarial = ConfigDict()
    config.adversarial.epsilon = epsilon  # l-inf, on the [0, 1] pixel scale, also of the held-out attack
    config.adversarial.steps = 7
    config.adversarial.step_size = step_size
    config.adversarial.gradient_path = "first_pass"
    config.adversarial.clean_weight = clean_weight  # a, of the cross-entropy of the clean images
    config.adversarial.robust_images = 512  # of the validation split, attacked at each evaluation
    config.adversarial.robust_steps = 7  # of PGD through the full unroll
    config.adversarial.guard_steps = 0  # PGD steps to train on after catastrophic overfitting; 0: no guard
    config.adversarial.guard_drop = 0.04  # fall of the held-out robust accuracy, from above chance, that counts as such
    config.adversarial.guard_from = 1.0  # share of the training after which guard_steps are taken in any case

    config.model.network.rule = "reference"
    config.train.optimizer.name = "sgd"
    config.train.optimizer.learning_rate = 0.05
    config.train.optimizer.schedule = "poly"
    config.train.optimizer.momentum = 0.9
    config.train.optimizer.weight_decay = 5e-4
    config.train.optimizer.clip_norm = 0.5


def make_fast(config: ConfigDict) -> None:
    """The single-step attack with a random start (Wong et al., arXiv:2001.03994), one cycle of the learning rate.

    Clean images are only the targets of reconstruction (a = 0), which saves them all passes but one.
    """
    config.adversarial.clean_weight = 0.0
    config.adversarial.steps = 1
    config.adversarial.step_size = 1.25 * config.adversarial.epsilon
    config.adversarial.guard_steps = 3
    _one_cycle(config)


def shrink(config: ConfigDict) -> None:
    """Makes it a smoke run: two steps of 16 images."""
    config.data.train_split = "train[:64]"
    config.data.validation_split = "test[:32]"
    config.data.batch_size = 16
    config.train.epochs = 1
    config.train.steps_per_epoch = 2
    if "adversarial" in config:
        config.adversarial.robust_images = 8
