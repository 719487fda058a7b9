"""Corrupted data sets as they were published: which `load` has, by corruption and severity."""

import os
import re
from collections.abc import Sequence

from cnnf_tf.data.corruptions import CORRUPTION_SETS, benchmark_corruptions
from cnnf_tf.data.sources import locations, npy
from cnnf_tf.data.sources.tfds import configurations

PREMADE = ("cifar10_corrupted", "imagenet2012_corrupted", "mnist_corrupted")
"""The TFDS names that `premade_corruptions` takes."""

# What TFDS calls otherwise than the authors; and what is no corruption.
_NAMES = {"frosted_glass_blur": "glass_blur", "elastic": "elastic_transform"}
_CLEAN = "identity"


def premade_corruptions(
    name: str,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> dict[tuple[str, int], str]:
    """What `load` calls the parts of a published set of corrupted images, each of which is checked to be there.

    Args:
      name: a name of `PREMADE`, prepared for TFDS; or `npy:PATH`, a folder with an array KIND.npy for each corruption
        (uint8 `[5 N, height, width, 1 or 3]`, N images of each severity one after the other) and labels.npy.
      corruptions: names as in the authors' code ("glass_blur", "elastic_transform"); None for those of the benchmark,
        which leaves out the extras of CIFAR-10-C and ImageNet-C.
      severities: from 1 to 5, of MNIST-C only 1; None for all.
      data_dir: as in `load`.

    Returns:
      By corruption and severity a name for `load`.

    Raises:
      ValueError: an unknown name, corruption or severity; arrays of another kind or length.
      FileNotFoundError: a folder or file is missing, or a part is not prepared; the message says how to get it.
    """
    if str(name).startswith(npy.PREFIX):
        folder = npy.folder_of(name)
        kinds = npy.kinds_in(folder)
        places = {(kind, level): f"{name}/{kind}_{level}" for kind in kinds for level in range(1, 6)}
    elif name in PREMADE:
        places = {_place(config): f"{name}/{config}" for config in configurations(name) if config != _CLEAN}
    else:
        raise ValueError(f"{name}: no such set of published corruptions; wanted {', '.join(PREMADE)} or npy:PATH.")
    if not places:
        raise FileNotFoundError(f"{name}: wanted KIND.npy files, got a folder without any.")
    known = list(dict.fromkeys(kind for kind, _ in places))
    if corruptions is None:
        order = benchmark_corruptions("cifar10_c")
        extras = [kind for kind in CORRUPTION_SETS["cifar10_c"] if kind not in order]
        if name == "mnist_corrupted":  # its spatter is no extra
            extras = []
        usual = [kind for kind in known if kind not in extras] or known
        corruptions = sorted(usual, key=lambda kind: order.index(kind) if kind in order else len(order))
    levels = sorted({level for _, level in places})
    severities = levels if severities is None else severities
    if not corruptions or not severities or set(corruptions) - set(known) or set(severities) - set(levels):
        raise ValueError(
            f"{name}: wanted corruptions among {known} and severities among {levels}, at least one each, got "
            f"{list(corruptions)} and {list(severities)}."
        )
    chosen = {(kind, level): places[kind, level] for kind in corruptions for level in severities}
    if name in PREMADE:
        _check_prepared(name, list(chosen.values()), data_dir)
    else:
        counts = {kind: len(npy.read(folder, kind)[0]) for kind in corruptions}
        if len({*counts.values()}) > 1:
            raise ValueError(f"{name}: wanted equally many images of each corruption, got {counts}.")
    return chosen


def _place(config: str) -> tuple[str, int]:
    """The corruption and severity of a TFDS configuration, such as "fog_3" or "fog"."""
    kind, level = re.fullmatch(r"(.+?)(?:_([1-5]))?", config).groups()  # type: ignore[union-attr]
    return _NAMES.get(kind, kind), int(level or 1)


def _check_prepared(name: str, wanted: Sequence[str], data_dir: str | os.PathLike[str] | None) -> None:
    root = locations.resolve_data_dir(data_dir)
    ready = {f"{name}/{folder.parent.name}" for folder in locations.prepared_versions(name, root)}
    missing = [part for part in wanted if part not in ready]
    if missing:
        raise FileNotFoundError(
            f"{name}: {len(missing)} of its {len(wanted)} parts are not prepared in {root}: {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}. For each, run once with a network: `python bin/prepare_data.py "
            f"--dataset={missing[0]} --download`."
        )
