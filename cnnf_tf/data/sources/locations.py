"""Where prepared data sets live, and which are there; needs no TensorFlow, so that looking is fast."""

import json
import os
import pathlib
from typing import Any

DATA_DIR_VARIABLE = "CNNF_TF_DATA_DIR"
_INFO_FILE = "dataset_info.json"


def resolve_data_dir(data_dir: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """The folder of prepared TFDS data sets.

    Args:
      data_dir: An explicit folder, or None for the environment variable CNNF_TF_DATA_DIR, else TFDS's own default
        (TFDS_DATA_DIR, else `~/tensorflow_datasets`).

    Returns:
      Its absolute path; it need not exist.
    """
    chosen = data_dir or os.environ.get(DATA_DIR_VARIABLE) or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(os.path.expanduser(chosen)).absolute()


def prepared_names(data_dir: pathlib.Path) -> list[str]:
    """Sorted names of the data sets that are prepared in `data_dir`, complete or not."""
    return sorted({folder.relative_to(data_dir).parts[0] for folder in _version_folders(data_dir, "*")})


def prepared_versions(name: str, data_dir: pathlib.Path) -> list[pathlib.Path]:
    """Folders of the prepared versions (of all configurations) of one data set.

    Args:
      name: Name of the data set, without configuration and version.
      data_dir: Folder of prepared data sets.

    Returns:
      Sorted folders that hold a TFDS description and every file it promises.

    Raises:
      ValueError: If a description cannot be read or a promised file is missing: somebody damaged the folder.
    """
    folders = _version_folders(data_dir, name)
    for folder in folders:
        info = _read_info(folder)
        missing = []
        for split in info["splits"]:
            if split.get("filepathTemplate") == "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}":
                stem = f"{info.get('name')}-{split['name']}.{info.get('fileFormat', 'tfrecord')}"
                shards = len(split.get("shardLengths", ()))
                files = [f"{stem}-{index:05d}-of-{shards:05d}" for index in range(shards)]
                missing += [file for file in files if not (folder / file).is_file()]
        if missing:
            raise ValueError(
                f"{folder}: the prepared data set is damaged, {len(missing)} of its files are missing (first: "
                f"{missing[0]}); delete the folder and prepare the data set again."
            )
    return folders


def split_counts(folder: pathlib.Path) -> dict[str, int]:
    """Number of examples per split, from the description of a prepared version."""
    return {split["name"]: sum(map(int, split.get("shardLengths", ()))) for split in _read_info(folder)["splits"]}


def _version_folders(data_dir: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Sorted folders with a description, without and with a configuration; none that is hidden or unfinished."""
    found = (path.parent for depth in ("*", "*/*") for path in data_dir.glob(f"{name}/{depth}/{_INFO_FILE}"))
    return sorted(
        folder
        for folder in found
        if not any(part.startswith((".", "incomplete.")) for part in folder.relative_to(data_dir).parts)
    )


def _read_info(folder: pathlib.Path) -> dict[str, Any]:
    try:
        info = json.loads((folder / _INFO_FILE).read_text(encoding="utf-8"))
        if not isinstance(info, dict) or not info.get("splits"):
            raise ValueError("it lists no splits")
    except ValueError as error:
        raise ValueError(
            f"{folder / _INFO_FILE}: wanted the description of a prepared data set, got something unreadable "
            f"({error}); delete {folder} and prepare the data set again."
        ) from None
    return info
