"""Gets a data set's official files and puts them, bit for bit, where TensorFlow Datasets takes them from.

They come from Debian's package, a folder, or a network that answers quickly.

TFDS knows the SHA-256 of every file it would download. Files that fit are linked; IDX files whose gzip header a
distributor stripped are restored; anything else is an error that names the file.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from cnnf_tf.data.sources import idx

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_IDX_DIR = pathlib.Path("/usr/share/datasets/fashion-mnist")

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
      source: Folder with the files, or the one file of a data set that has one; it is not changed.
      target: Existing empty folder.
      url_infos: TFDS's table of downloads: values with `filename`, `size` and `checksum` (SHA-256).

    Raises:
      FileNotFoundError: If a file is missing.
      ValueError: If a file is damaged or is not the official one.
    """
    wanted = {info.filename: info for info in url_infos.values()}
    if source.is_file():
        if len(wanted) != 1:
            raise ValueError(
                f"archive: {name} has {len(wanted)} official files and no single archive: {' '.join(sorted(wanted))}. "
                "Give the folder that holds them (--idx_dir)."
            )
        paths = dict.fromkeys(wanted, source)
    else:
        paths = {filename: path for filename in wanted if (path := _find(source, filename))}
    missing = [filename for filename in wanted if filename not in paths]
    if missing:
        raise FileNotFoundError(
            f"{source}: wanted the official files of {name}, {' '.join(sorted(wanted))}; missing: {' '.join(missing)}."
        )
    from tensorflow_datasets.core.download.checksums import compute_url_info

    # The checksum is looked at first: it proves a file sound; what fails it is then examined for a telling error.
    found = {filename: compute_url_info(path) for filename, path in paths.items()}
    strays = [filename for filename, info in wanted.items() if found[filename].checksum != info.checksum]
    if strays and name in IDX_MTIMES:
        for split in idx.FILE_STEMS:
            idx.read_split(source, split)
    for filename, info in wanted.items():
        path = paths[filename]
        if filename not in strays:
            try:
                (target / filename).symlink_to(path.absolute())
            except OSError:  # Windows allows links only to some
                shutil.copyfile(path, target / filename)
            continue
        data = path.read_bytes()
        mtime = IDX_MTIMES.get(name, {}).get(filename.split("-")[0])
        if mtime is not None:
            data = idx.restore_gzip_header(data, filename.removesuffix(".gz"), mtime)
        if hashlib.sha256(data).hexdigest() != info.checksum:
            raise ValueError(
                f"{path}: this is not the official file of {name}; wanted {info.size:,} bytes with SHA-256 "
                f"{info.checksum}, got {found[filename].size:,} bytes with {found[filename].checksum}. Use the files "
                f"{'of the authors or of Debian' if name == 'fashion_mnist' else 'of the authors'}."
            )
        (target / filename).write_bytes(data)


def _find(folder: pathlib.Path, filename: str) -> pathlib.Path | None:
    return next(filter(pathlib.Path.is_file, (folder / name for name in idx.spellings(filename))), None)


def install_debian_package(report: Callable[[str], None], timeout_s: float = 300.0) -> None:
    """Installs Debian's package with Fashion-MNIST's IDX files.

    Args:
      report: Told what goes on.
      timeout_s: Seconds each apt-get command may take.

    Raises:
      FileNotFoundError: If this is not a Debian or Ubuntu system.
      PermissionError: If the user is not root.
      OSError: If apt-get fails or takes too long.
    """
    if shutil.which("apt-get") is None:
        raise FileNotFoundError(
            f"apt-get is not on this machine, so the Debian package {DEBIAN_PACKAGE} cannot be installed."
        )
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        raise PermissionError(
            f"only root may install packages; run `sudo apt-get install {DEBIAN_PACKAGE}` and try again."
        )
    report(f"Installing the Debian package {DEBIAN_PACKAGE} ...")
    install = ["install", "-y", "--no-install-recommends", DEBIAN_PACKAGE]
    if _apt_get(install, timeout_s) is not None:  # no package lists yet, or outdated ones
        _apt_get(["update"], timeout_s)
        problem = _apt_get(install, timeout_s)
        if problem is not None:
            raise OSError(f"`apt-get install {DEBIAN_PACKAGE}` failed: {problem}")
    if not DEBIAN_IDX_DIR.is_dir():
        raise FileNotFoundError(f"{DEBIAN_PACKAGE} is installed, but its folder {DEBIAN_IDX_DIR} is not there.")


def check_reachable(url: str, timeout_s: float = 5.0) -> None:
    """Asks for the head of a URL, through the proxy of the environment if there is one.

    Args:
      url: Any answer of its server will do, errors included.
      timeout_s: Seconds to wait, name resolution included.

    Raises:
      ConnectionError: If no answer comes.
    """
    answers: list[str | None] = []
    # Name resolution heeds no timeout, hence the thread; a daemon, so that it cannot keep the program alive.
    thread = threading.Thread(target=lambda: answers.append(_ask(url, timeout_s)), daemon=True)
    thread.start()
    thread.join(timeout_s)
    problem = answers[0] if answers else "no answer"
    if problem is not None:
        raise ConnectionError(f"{url} cannot be reached within {timeout_s:g} s ({problem}); is there a network?")


def _ask(url: str, timeout_s: float) -> str | None:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return None


def _apt_get(arguments: list[str], timeout_s: float) -> str | None:
    """Runs apt-get; the end of its output where it fails, else None."""
    options = ["-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15", "-o", "DPkg::Lock::Timeout=60"]
    try:
        done = subprocess.run(
            ["apt-get", *options, *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {timeout_s:g} s."
    return None if done.returncode == 0 else " ".join(done.stdout.split()[-60:])
