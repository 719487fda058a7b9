"""The sentences of the demo page, each a function of what was measured: none of them says more than the numbers do."""

from collections.abc import Mapping, Sequence

import numpy as np

from cnnf_tf.experiments.demo.measures import SHOWN, Contest, FineTuning, Repair
from cnnf_tf.utils.intervals import wilson_interval


def words(name: str) -> str:
    """A name such as shot_noise in words."""
    return name.replace("_", " ").replace("gaussian", "Gaussian")


def sentence_case(text: str) -> str:
    """With a capital at its start."""
    return text[:1].upper() + text[1:]


def passes_of(count: int) -> str:
    """1 pass, 2 passes."""
    return f"{count} pass" if count == 1 else f"{count} passes"


def percent(share: float) -> str:
    """A share in [0, 1] with one decimal; the space does not break."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def change(decibels: float) -> str:
    """With its sign."""
    return f"{decibels:+.1f}".replace("-", "\N{MINUS SIGN}")


def share_of(flags: np.ndarray) -> str:
    """How many of how many, with the 95 % interval."""
    low, high = wilson_interval(int(flags.sum()), len(flags))
    return f"{int(flags.sum())} of {len(flags)} ({100 * low:.0f}–{100 * high:.0f}\N{NO-BREAK SPACE}%)"


def gain(repair: Repair) -> tuple[int, float]:
    """The best of the iterations, and how many dB it is above the corrupted images."""
    scores = [found.psnr for found in repair.quality.restored[SHOWN]]
    best = int(np.argmax(scores))
    return repair.quality.iterations[best], scores[best] - repair.quality.corrupted.psnr


def repair_sentence(repair: Repair) -> str:
    """PSNR before and after."""
    step, better = gain(repair)
    name, noisy = sentence_case(words(repair.quality.corruption)), repair.quality.corrupted.psnr
    told = f"{name}: {noisy:.1f} dB as corrupted, at best {noisy + better:.1f} dB"
    if better > 0:
        return f"{told}, after {passes_of(step)} ({change(better)})."
    return f"{told} after feedback: not repaired."


def contest_sentence(contest: Contest) -> str:
    """How many images each network stands, and whether that tells them apart."""
    ours, theirs = contest.cnnf.standing, contest.cnn.standing
    bounds = [wilson_interval(int(flags.sum()), len(flags)) for flags in (ours, theirs)]
    if bounds[0][0] <= bounds[1][1] and bounds[1][0] <= bounds[0][1]:
        verdict = "The intervals overlap: so few images do not tell the two apart."
    else:
        verdict = f"The intervals do not overlap: {'CNN-F' if ours.sum() > theirs.sum() else 'the CNN'} stands more."
    return (
        f"Networks {contest.name}, radius {contest.radius:g}: CNN-F stands {share_of(ours)}, the CNN "
        f"{share_of(theirs)}. {verdict}"
    )


def passes_sentence(name: str, accuracy: Mapping[str, Sequence[float]]) -> str:
    """What passes do to the accuracy of the last one; `accuracy` as `PassAccuracy.accuracy`."""
    last = accuracy["last"]
    best = int(np.argmax(last))
    told = f"Network {name}: {percent(last[0])} for the first pass, the plain CNN inside"
    if len(last) > 1:
        told += f"; at best {percent(last[best])}, after {passes_of(best)}" if best else "; feedback adds nothing to it"
        told += f"; {percent(last[-1])} after {passes_of(len(last) - 1)}"
    return told + "."


def training_sentence(tuning: FineTuning) -> str:
    """Loss and accuracy before and after."""
    before, after = tuning.before, tuning.after
    return (
        f"On {tuning.num_images} noisy test images that it was not trained on, the loss went from {before['loss']:.2f} "
        f"to {after['loss']:.2f}, and the right answers from {percent(before['accuracy'])} to "
        f"{percent(after['accuracy'])}."
    )
