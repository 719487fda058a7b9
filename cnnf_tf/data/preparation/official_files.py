"""Puts a data set's official files, bit for bit, where TensorFlow Datasets takes them from instead of downloading.

TFDS knows the SHA-256 of every file it would download. Files that fit are linked; IDX files whose gzip header a
distributor stripped are restored; anything else is an error that names the file.
"""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

from cnnf_tf.data.sources import idx_files as idx

# Data sets in MNIST layout, with 10 classes, and the modification times in their official gzip headers (seconds since
# 1970) by first part of the file name; empty where no distributor is known to strip them.
IDX_MTIMES: dict[str, dict[str, int]] = {
    "fashion_mnist": {"train": 1504176606, "t10k": 1504176627},
    "mnist": {},
    "kmnist": {},
}


def stage(name: str, source: pathlib.Path, target: pathlib.Path, url_infos: Mapping[str, Any]) -> None:
    """Checks the official files in a folder and puts them into another one under their official names.

    Args:
      name: TFDS name of the data set.
      source: Folder with the files; it is not changed.
      target: Existing empty folder.
      url_infos: TFDS's table of downloads: values with `filename`, `size` and `checksum` (SHA-256).

    Raises:
      FileNotFoundError: If a file is missing.
      ValueError: If a file is damaged or is not the official one.
    """
    wanted = {info.filename: info for info in url_infos.values()}
    missing = [filename for filename in wanted if not (source / filename).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{source}: wanted the official files of {name}, {' '.join(sorted(wanted))}; missing: {' '.join(missing)}."
        )
    from tensorflow_datasets.core.download.checksums import compute_url_info

    # The checksum is looked at first: it proves a file sound; what fails it is then examined for a telling error.
    found = {filename: compute_url_info(source / filename) for filename in wanted}
    strays = [filename for filename, info in wanted.items() if found[filename].checksum != info.checksum]
    if strays and name in IDX_MTIMES:
        for split in idx.FILE_STEMS:
            idx.read_split(source, split)
    for filename, info in wanted.items():
        path = source / filename
        if filename not in strays:
            (target / filename).symlink_to(path.absolute())
            continue
        data = path.read_bytes()
        mtime = IDX_MTIMES.get(name, {}).get(filename.split("-")[0])
        if mtime is not None:
            data = idx.restore_gzip_header(data, filename.removesuffix(".gz"), mtime)
        if hashlib.sha256(data).hexdigest() != info.checksum:
            raise ValueError(
                f"{path}: this is not the official file of {name}; wanted {info.size:,} bytes with SHA-256 "
                f"{info.checksum}, got {found[filename].size:,} bytes with {found[filename].checksum}. Use the files "
                "of the authors or of Debian."
            )
        (target / filename).write_bytes(data)
