"""Published corruptions in small: arrays in 5 x N order."""

import numpy as np


def write_arrays(folder, kinds=("fog", "contrast"), count=4, shape=(6, 5, 3), seed=0, **others):
    """`kinds` as arrays of 5 `count` images, and labels; `others` are written instead of them."""
    rng = np.random.default_rng(seed)
    arrays = {kind: rng.integers(0, 256, (5 * count, *shape), dtype=np.uint8) for kind in kinds}
    arrays["labels"] = np.tile(rng.integers(0, 10, count), 5).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (arrays | others).items():
        np.save(folder / f"{name}.npy", array)
    return arrays
