"""The talk's four results for standard training on Fashion-MNIST: CNN against CNN-F, and what iterations do.

Command: python bin/study.py --config=configs/fashion_mnist_study.py --output=runs/study
Smoke:   python bin/study.py --config=configs/fashion_mnist_study.py:smoke --output=/tmp/study
Results of the first command are in docs/results/study; see docs/results.md.

`model`, `data` and `train` are those of bin/train.py and describe the first of `study.models`; the others differ from
it as `study.models` says. All are trained by the study itself, each in its own folder under OUTPUT/models.
"""

from ml_collections import ConfigDict

from configs import _base, _variants

VARIANTS = {
    "": "one epoch for each network, 500 images under attack; about an hour and a half on two busy CPU cores",
    "smoke": "under two minutes on two CPU cores, to see that everything runs",
}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the locked configuration of one of `VARIANTS`."""
    _variants.check(variant, VARIANTS, "fashion_mnist_study.py")
    config = _base.fashion_mnist()
    config.model.training_horizon = 0
    config.data.batch_size = 64
    config.train.epochs = 1

    study = config.study = ConfigDict()
    # By name: K, the training horizon (see CNNF), epochs, and the seeds it is trained with.
    study.models = ConfigDict(
        {
            "cnnf_1": {"iterations": 1, "training_horizon": 0, "epochs": 1, "seeds": (0, 1, 2)},
            "cnn": {"iterations": 0, "training_horizon": 0, "epochs": 1, "seeds": (0, 1, 2)},
            "cnnf_2": {"iterations": 2, "training_horizon": 0, "epochs": 1, "seeds": (0,)},
            "cnnf_3": {"iterations": 3, "training_horizon": 0, "epochs": 1, "seeds": (0,)},
            "cnnf_5": {"iterations": 5, "training_horizon": 0, "epochs": 1, "seeds": (0,)},
            "stable": {"iterations": 1, "training_horizon": 10, "epochs": 2, "seeds": (0,)},
        }
    )
    # PGD, l-inf, step 2.5 epsilon / steps, random start; an image must stand it along each path, judged by all passes.
    study.attack = ConfigDict({"steps": 40, "seed": 0, "paths": ("full_unroll", "first_pass")})
    study.clean_split = "test"  # of every clean accuracy

    # (a) CNN against CNN-F over a range of epsilons, on the [0, 1] pixel scale.
    study.epsilons = ConfigDict(
        {
            "models": ("cnn", "cnnf_1", "stable"),
            "readouts": ("last", "average"),
            "epsilons": (0.01, 0.02, 0.03, 0.05, 0.1),
            "num_images": 500,
        }
    )
    # (b) CNN-F trained with K iterations, and tested with as many.
    study.trained = ConfigDict(
        {"models": ("cnn", "cnnf_1", "cnnf_2", "cnnf_3", "cnnf_5"), "epsilons": (0.02, 0.05), "num_images": 300}
    )
    # (c) CNN-F tested with K' iterations: clean accuracy of every K' up to the largest, PGD at the K' named.
    study.tested = ConfigDict(
        {
            "models": ("cnnf_1", "stable"),
            "max_iterations": 10,
            "attacked_iterations": (0, 1, 2, 3, 5, 7, 10),
            "epsilon": 0.02,
            "num_images": 200,
        }
    )
    # (d) Iterations needed against difficulty.
    study.needed = ConfigDict(
        {
            "models": ("stable",),
            "max_iterations": 10,
            "epsilons": (0.0, 0.005, 0.01, 0.02, 0.03, 0.05),
            "corruptions": ("gaussian_noise", "shot_noise", "dotted_line"),
            "margin_bins": 5,
            "num_images": 1000,
        }
    )

    if variant == "smoke":
        for model in study.models.values():
            model.seeds = (0,)
            model.epochs = 1
        study.attack.steps = 2
        study.clean_split = "test[:32]"
        study.epsilons.epsilons = (0.05,)
        study.epsilons.num_images = study.trained.num_images = study.tested.num_images = 8
        study.trained.epsilons = (0.05,)
        study.trained.models = ("cnn", "cnnf_1", "cnnf_2")
        del study.models.cnnf_3, study.models.cnnf_5
        study.tested.max_iterations = study.needed.max_iterations = 3
        study.models.stable.training_horizon = 3
        study.tested.attacked_iterations = (0, 3)
        study.needed.epsilons = (0.0, 0.05)
        study.needed.corruptions = ("gaussian_noise",)
        study.needed.margin_bins = 2
        study.needed.num_images = 16
        _base.shrink(config)
    return config.lock()
