"""Checkpoints of a run: everything that the next step depends on, in one file that appears at once or not at all.

A checkpoint is a NumPy archive (`checkpoints/step-00000120.npz`), a ZIP file with a checksum of each array: damage is
noticed on reading, and the next older file takes its place.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnf_tf.utils.archives import read_npz, write_npz


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The newest few checkpoints in a folder."""

    folder: pathlib.Path  # made with the first checkpoint
    keep: int = dataclasses.field(default=3, kw_only=True)  # how many are kept

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, oldest first."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.folder.glob("step-*.npz"))

    def path(self, step: int) -> pathlib.Path:
        """The file of a step."""
        return self.folder / f"step-{step:08d}.npz"

    def write(self, step: int, arrays: Sequence[np.ndarray], **extra: Any) -> None:
        """Writes a checkpoint, then removes those that are too many.

        Args:
          step: steps done.
          arrays: variables, in the order in which `read` gives them back.
          **extra: further arrays or numbers, by name.

        Raises:
          OSError: it could not be written, for instance because the disk is full; the older ones are untouched.
        """
        named = {f"variable_{index:05d}": array for index, array in enumerate(arrays)}
        named |= {f"extra_{name}": np.asarray(value) for name, value in extra.items()}
        named["count"] = np.asarray(len(named))
        try:
            write_npz(self.path(step), named)
        except OSError as error:
            kept = f"the newest checkpoint is that of step {self.steps()[-1]}" if self.steps() else "there is none yet"
            raise OSError(
                error.errno, f"the checkpoint of step {step} could not be written ({error.strerror}); {kept}"
            ) from error
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink()

    def read_newest(self) -> tuple[int, list[np.ndarray], dict[str, np.ndarray]] | None:
        """Reads the newest checkpoint that is intact, and says so where a newer one is damaged.

        Returns:
          The steps done, the variables and the rest; None where there is no checkpoint.

        Raises:
          ValueError: there are checkpoints, but all are damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                found = read_npz(self.path(step))
                if found.pop("count", None) != len(found):  # damage in the list of contents can hide an array
                    raise ValueError("arrays are missing")
            except ValueError as error:
                print(f"{self.path(step)} is damaged ({error}); trying the checkpoint before it.")
                continue
            variables = [found[name] for name in sorted(found) if name.startswith("variable_")]
            return step, variables, {name[6:]: found[name] for name in found if name.startswith("extra_")}
        if steps:
            raise ValueError(
                f"all checkpoints in {self.folder} are damaged ({', '.join(map(str, steps))}); remove them to start "
                "from nothing, or give another --workdir."
            )
        return None
