"""The golden files, and how outputs are compared with them; on every backend."""

import functools

import numpy as np

from tests import reference_data

FILES = {
    "fashion_cnn_ind0": (reference_data.fashion_state, 0, 3),
    "fashion_cnn_ind1": (reference_data.fashion_state, 1, 3),
    "fashion_cnn_ind2": (reference_data.fashion_state, 2, 3),
    "wide_resnet_10_1_ind0": (functools.partial(reference_data.wide_resnet_state, 10, 1), 0, 2),
    "wide_resnet_16_2_ind1": (functools.partial(reference_data.wide_resnet_state, 16, 2), 1, 2),
    "wide_resnet_40_2_ind5": (functools.partial(reference_data.wide_resnet_state, 40, 2), 5, 2),
}
TOLERANCE = 1e-4


def channels_first(values):
    values = np.asarray(values)
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def named_arrays(trajectory):
    """The trajectory under the names of the golden files, in their layout."""
    arrays = {f"block{index}_0": tap for index, tap in enumerate(trajectory.taps[0], start=1)}
    for t, features in enumerate(trajectory.features):
        arrays |= {f"feature_{t}": features, f"logits_{t}": trajectory.logits[t]}
    for t, taps in enumerate(trajectory.tap_reconstructions, start=1):
        arrays[f"recon_{t}"] = trajectory.reconstructions[t - 1]
        arrays |= {f"block{index}_recon_{t}": tap for index, tap in enumerate(taps, start=1)}
    return {name: channels_first(values) for name, values in arrays.items()}


def relative_error(values, golden):
    return float(np.max(np.abs(values - golden)) / np.max(np.abs(golden)))


def load(name):
    """Images `[batch, height, width, channels]` in [0, 1], and the authors' outputs by name."""
    with np.load(reference_data.TESTDATA / "golden" / f"{name}.npz") as arrays:
        golden = dict(arrays)
    images = (golden.pop("x").transpose(0, 2, 3, 1) + 1) / 2
    return images, golden
