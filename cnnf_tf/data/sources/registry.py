"""The way from a name to a source.

| name | source |
|---|---|
| `idx:PATH` | folder with the four IDX files of MNIST layout (`idx.py`) |
| `image_folder:PATH[:HxW[xC]]` | `PATH/split/class/*.png` or `*.jpg` (`folder.py`) |
| anything else | a prepared TensorFlow Datasets name (`tfds.py`) |

To add a kind: subclass `Source` in a file of its own and give its prefix a line in `_KINDS`.
"""

import os
from collections.abc import Callable

from cnnf_tf.data.sources import folder, idx
from cnnf_tf.data.sources.base import Source
from cnnf_tf.data.sources.tfds import TfdsSource

_KINDS: dict[str, Callable[..., Source]] = {idx.PREFIX: idx.IdxSource, folder.PREFIX: folder.FolderSource}


def open_source(
    name: str,
    *,
    image_size: tuple[int, int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    must_be_prepared: bool = True,
) -> Source:
    """Finds the source a name stands for.

    Args:
      name: See the table of this module.
      image_size: Height and width to resize to, or None for the images' own size.
      data_dir: Folder of prepared TFDS data sets; see `locations.resolve_data_dir`.
      must_be_prepared: False lets a TFDS data set that is known but not prepared through, without examples.

    Returns:
      The source.

    Raises:
      ValueError: If no such data set is known, or the name or its files are not sound.
      FileNotFoundError: If the data set is known but not there; the message says how to prepare it.
    """
    for prefix, kind in _KINDS.items():
        if str(name).startswith(prefix):
            return kind(name, image_size=image_size)
    return TfdsSource(name, image_size=image_size, data_dir=data_dir, must_be_prepared=must_be_prepared)
