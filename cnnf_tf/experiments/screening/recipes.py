"""The recipes, in order of importance, each with what was predicted of it before any of them was run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

STANDARD_EPSILONS = (0.02, 0.03, 0.05, 0.1)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train; the defaults are those of configs/fashion_mnist_standard.py.

    Attributes:
      name: of the row and its file.
      prediction: one line, written before the run.
      iterations: K in training.
      encoder_blocks: blocks outside of the loop.
      rule: of the adaptive layers.
      network: of `cnnf_tf.models.NETWORKS`.
      options: further arguments of its function.
      soft: mean-field latents, see `loop.SoftAdaReLU`.
      start: what feedback starts from.
      readout: what attacks aim at, and are judged by: "last" or "average".
      loss_readout: "passes" is the mean of the losses of all passes, "average" the loss of their mean logits.
      eta: step size of the loop.
      reconstruction_weight: r.
      consistency: weight of the mean divergence of each pass from the mean logits.
      horizon: see `cnnf_tf.CNNF`; 0 for none.
      curriculum: pairs (share of the training from which, K), ascending.
      noise: of the images shown in training, "", "corruptions" or "gaussian"; targets stay clean.
      attack_steps: of PGD in training; 0 for standard training.
      attack_path: "first_pass" or "full_unroll".
      trades: weight of the divergence between clean and adversarial logits; 0 for adversarial cross-entropy alone.
      epsilon: of attacks in training.
      learning_rate: of Adam, at its peak.
      ema: decay of the moving average of the weights; 0 for none.
      rematerialize: whether gradients compute iterations once more, which saves memory.
      length: epochs, as a multiple of the budget's.
      attacked: K' under attack; by default 0, 1, K and 2 K.
    """

    name: str
    prediction: str
    iterations: int = 1
    encoder_blocks: int = 0
    rule: str = "map"
    network: str = "fashion_cnn"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    soft: bool = False
    start: str = "logits"
    readout: str = "last"
    loss_readout: str = "passes"
    eta: float = 0.1
    reconstruction_weight: float = 0.1
    consistency: float = 0.0
    horizon: int = 0
    curriculum: tuple[tuple[float, int], ...] = ()
    noise: str = ""
    attack_steps: int = 0
    attack_path: str = "first_pass"
    trades: float = 0.0
    epsilon: float = 0.1
    learning_rate: float = 2e-3
    ema: float = 0.0
    rematerialize: bool = False
    length: float = 1.0
    attacked: tuple[int, ...] = ()

    def iterations_at(self, done: float) -> int:
        """K after a share of the training."""
        return next((k for share, k in reversed(self.curriculum) if done >= share), self.iterations)

    @property
    def attacked_iterations(self) -> tuple[int, ...]:
        """K' under attack, ascending."""
        return self.attacked or tuple(sorted({0, min(self.iterations, 1), self.iterations, 2 * self.iterations}))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


_NOISE: dict[str, Any] = {"noise": "corruptions"}
_GAUSSIAN: dict[str, Any] = {"noise": "gaussian"}
_PIXELS: dict[str, Any] = {"options": {"taps": False}}
_RESTORE: dict[str, Any] = {**_PIXELS, "reconstruction_weight": 30.0, "eta": 0.5, "horizon": 10}
_ADVERSARIAL: dict[str, Any] = {"attack_steps": 3, "ema": 0.999, "learning_rate": 1e-3, "length": 1.5}

RECIPES = (
    # Standard training, clean images.
    Recipe("cnn", "The baseline: clean 92, about 25 % at 0.03.", iterations=0),
    Recipe("k1", "Shipped recipe: about 10 points above cnn at 0.03, of which K' = 0 has two thirds."),
    Recipe(
        "k5",
        "More passes trained: 5 points above k1 at 0.03, clean 1 to 3 below cnn.",
        iterations=5,
        attacked=(0, 1, 5),
    ),
    Recipe(
        "k1_r3", "Stronger reconstruction, taps included: 5 above k1 at 0.03, clean -0.5.", reconstruction_weight=3.0
    ),
    Recipe(
        "k1_h10_average",
        "Horizon and mean readout: level with k1 under attack, no collapse up to K' = 10.",
        horizon=10,
        readout="average",
        attacked=(0, 1, 2, 5),
    ),
    # Noisy images, clean targets, and the CNN with the same noise.
    Recipe("cnn_noise", "Noise alone: about 65 % at 0.03.", iterations=0, **_NOISE),
    Recipe("k1_noise_restore", "Shipped restoration: 3 points above cnn_noise at 0.03, 22 dB.", **_NOISE, **_RESTORE),
    Recipe("cnn_gaussian", "Wider Gaussian noise: above cnn_noise, about 70 % at 0.03.", iterations=0, **_GAUSSIAN),
    Recipe(
        "k1_gaussian",
        "Taps with r = 3 under noise: 3 points above cnn_gaussian.",
        reconstruction_weight=3.0,
        **_GAUSSIAN,
    ),
    # Adversarial training, epsilon 0.1.
    Recipe("cnn_adversarial", "Three steps: clean 87, 75 % at 0.1.", iterations=0, **_ADVERSARIAL),
    Recipe(
        "k1_adversarial",
        "First-pass attack in training: level with cnn_adversarial; loop adds nothing.",
        **_ADVERSARIAL,
    ),
    Recipe(
        "k1_adversarial_full",
        "Full-unroll attack in training: one point above k1_adversarial.",
        attack_path="full_unroll",
        **_ADVERSARIAL,
    ),
    # What of the loop matters, one change at a time.
    Recipe("k1_eta5", "A longer step: the loop itself gains, K' = 1 above K' = 0 by 5 at 0.03.", eta=0.5),
    Recipe(
        "k3_h10_r1",
        "K = 3, r = 1 and the horizon: best of the hard recipes, 15 above cnn at 0.03.",
        iterations=3,
        horizon=10,
        reconstruction_weight=1.0,
        readout="average",
        attacked=(0, 1, 3),
    ),
    Recipe("k1_soft", "Soft latents: attack sees the loop better, so less robust than k1.", soft=True),
    Recipe(
        "k1_pixels_r30",
        "Pixels alone, r = 30: closer to an autoencoder, level with k1_r3.",
        reconstruction_weight=30.0,
        **_PIXELS,
    ),
    Recipe("k1_r30", "Reconstruction wins over classes: clean -2, robust above k1_r3.", reconstruction_weight=30.0),
    Recipe("k1_softmax", "Softmax start: feedback no longer grows with logits, loop gains a little.", start="softmax"),
    Recipe("k1_consistent", "Passes agree: loop stabler, level under attack.", consistency=1.0),
    Recipe(
        "k3_noise_restore",
        "Three denoising passes: 5 above cnn_noise at 0.05, 22.5 dB.",
        iterations=3,
        attacked=(0, 1, 3),
        **_NOISE,
        **_RESTORE,
    ),
    Recipe(
        "k1_noise_taps",
        "Noise with taps, r = 3, eta 0.5: more robust than pixels alone, PSNR lower.",
        reconstruction_weight=3.0,
        eta=0.5,
        horizon=10,
        **_NOISE,
    ),
    Recipe(
        "k2_adversarial_full",
        "K = 2 with full attack: half a point above k1_adversarial_full.",
        iterations=2,
        attack_path="full_unroll",
        attacked=(0, 1, 2),
        **_ADVERSARIAL,
    ),
    Recipe(
        "k1_adversarial_ind2",
        "Shipped placement of the loop (block 3 up, reference rule): level with k1_adversarial.",
        encoder_blocks=2,
        rule="reference",
        **_ADVERSARIAL,
    ),
    Recipe(
        "cnn_trades", "TRADES: clean -1, robust +1 against cnn_adversarial.", iterations=0, trades=4.0, **_ADVERSARIAL
    ),
    Recipe("k1_trades", "TRADES: one point above cnn_trades.", trades=4.0, attack_path="full_unroll", **_ADVERSARIAL),
    Recipe(
        "k1_adversarial_r3",
        "r = 3 with clean targets: denoising features, +1 robust.",
        reconstruction_weight=3.0,
        **_ADVERSARIAL,
    ),
    Recipe("cnn_long", "Three times the epochs: clean +0.7, less robust.", iterations=0, length=3.0),
    Recipe(
        "k1_r3_long",
        "Three times the epochs: clean +0.7, the gap to cnn_long grows.",
        reconstruction_weight=3.0,
        length=3.0,
    ),
    Recipe(
        "k1_curriculum",
        "K = 0, then 1: level with k1 at two thirds of the time.",
        curriculum=((0.0, 0), (0.5, 1)),
    ),
    Recipe("k1_ema", "Averaged weights: clean +0.3.", ema=0.999),
    Recipe(
        "k5_r3_eta3",
        "K = 5, r = 3, eta 0.3: most robust without noise; clean -2.",
        iterations=5,
        eta=0.3,
        reconstruction_weight=3.0,
        attacked=(0, 1, 5),
    ),
    Recipe("k1_one_hot", "One-hot start: g carries the class alone; loop gains nothing.", start="one_hot"),
    Recipe(
        "k1_average_loss",
        "Loss of the mean logits: passes differ, loop gains.",
        loss_readout="average",
        readout="average",
    ),
    # Written once the first results were there, in which k5 stood out, and before these ran.
    Recipe(
        "k5_noise", "K = 5 on noisy images: 5 points above cnn_noise at 0.05.", iterations=5, attacked=(0, 5), **_NOISE
    ),
    Recipe(
        "k5_h10",
        "K = 5, horizon, mean readout: as robust as k5, no collapse.",
        iterations=5,
        horizon=10,
        readout="average",
        attacked=(0, 5),
    ),
    Recipe(
        "k5_softmax",
        "K = 5 from the softmax: as robust as k5, clean higher.",
        iterations=5,
        start="softmax",
        attacked=(0, 5),
    ),
)


def by_name(names: list[str]) -> list[Recipe]:
    """The recipes of these names, all of them for none.

    Raises:
      ValueError: an unknown name.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"recipes must be among {list(known)}, got {unknown}.")
    return [known[name] for name in names] if names else list(RECIPES)
