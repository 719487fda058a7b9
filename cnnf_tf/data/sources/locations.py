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
    return pathlib.Path(chosen).expanduser().absolute()


def prepared_names(data_dir: pathlib.Path) -> list[str]:
    """Sorted names of the data sets that are prepared in `data_dir`, complete or not."""
    return sorted({_dataset_name(path, data_dir) for path in _info_files(data_dir, "*")})


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
    folders = sorted(path.parent for path in _info_files(data_dir, name))
    for folder in folders:
        _check_complete(folder)
    return folders


def split_counts(folder: pathlib.Path) -> dict[str, int]:
    """Number of examples per split, from the description of a prepared version."""
    return {split["name"]: sum(int(n) for n in split.get("shardLengths", ())) for split in _read_info(folder)["splits"]}


def _info_files(data_dir: pathlib.Path, name: str) -> list[pathlib.Path]:
    found: list[pathlib.Path] = []
    for pattern in (f"{name}/*/{_INFO_FILE}", f"{name}/*/*/{_INFO_FILE}"):  # without and with a configuration
        found += [path for path in data_dir.glob(pattern) if not _is_hidden(path.relative_to(data_dir))]
    return found


def _is_hidden(relative: pathlib.Path) -> bool:
    return any(part.startswith((".", "incomplete.")) for part in relative.parts)


def _dataset_name(info_file: pathlib.Path, data_dir: pathlib.Path) -> str:
    return info_file.relative_to(data_dir).parts[0]


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


def _check_complete(folder: pathlib.Path) -> None:
    info = _read_info(folder)
    missing = [
        name
        for split in info["splits"]
        if split.get("filepathTemplate") == "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        for name in _shard_names(info, split)
        if not (folder / name).is_file()
    ]
    if missing:
        raise ValueError(
            f"{folder}: the prepared data set is damaged, {len(missing)} of its files are missing (first: "
            f"{missing[0]}); delete the folder and prepare the data set again."
        )


def _shard_names(info: dict[str, Any], split: dict[str, Any]) -> list[str]:
    shards = len(split.get("shardLengths", ()))
    stem = f"{info.get('name')}-{split['name']}.{info.get('fileFormat', 'tfrecord')}"
    return [f"{stem}-{index:05d}-of-{shards:05d}" for index in range(shards)]
