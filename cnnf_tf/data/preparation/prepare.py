"""Makes a TFDS data set ready to load: from local official files where there are some, else by download if allowed.

The unmodified official TFDS builder does the work and verifies the checksums it ships with. It works in a folder of
its own inside the data directory, and the finished version is moved into place by one rename: a preparation that fails
or is killed leaves nothing that a later run would trust, and the next run clears its leftovers away.
"""

import contextlib
import functools
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator

from absl import logging

from cnnf_tf.data.preparation import official_files
from cnnf_tf.data.sources import locations
from cnnf_tf.utils.files import locked


def prepare(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    idx_dir: str | os.PathLike[str] | None = None,
    archive: str | os.PathLike[str] | None = None,
    download: bool = False,
    apt: bool = False,
    report: Callable[[str], None] = print,
) -> pathlib.Path:
    """Prepares a TFDS data set; does nothing where that is done already.

    Files are looked for in `archive` or `idx_dir`, else (Fashion-MNIST) in the folder of Debian's package, which `apt`
    may install; where there are none, `download` fetches them.

    Args:
      name: TFDS name, such as `fashion_mnist`, `mnist` or `cifar10`.
      data_dir: Folder of prepared data sets, made if need be; see `locations.resolve_data_dir`.
      idx_dir: Folder with the official files: the four IDX `.gz` files for the MNIST family (for Fashion-MNIST those
        of Debian will do), for others the archives that TFDS would download.
      archive: The one archive that TFDS would download, under any name: `cifar-10-binary.tar.gz` for `cifar10`.
      download: Whether the network may be used.
      apt: Whether Debian's package may be installed, for which the user must be root.
      report: Told what goes on, one line at a time.

    Returns:
      Folder of the prepared version.

    Raises:
      ValueError: If the name is unknown or lacks the configuration, or a file is damaged or not the official one.
      OSError: If there is no way to get the files (the message lists them), or reading, writing or the network fails.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z]\w*(/[\w.-]+)?", name):
        raise ValueError(f"dataset: wanted a TFDS name such as fashion_mnist, mnist or cifar10, got {name!r}.")
    root = locations.resolve_data_dir(data_dir)
    ready = _find_ready(name, root)
    if ready is None:
        if root.exists() and not root.is_dir():
            raise NotADirectoryError(f"data_dir: wanted a folder, got the file {root}.")
        root.mkdir(parents=True, exist_ok=True)
        prefix = f".prepare_{name.replace('/', '_')}."
        wait = functools.partial(report, f"Another process is preparing {name}; waiting for it ...")
        with locked(root / f"{prefix}lock", waiting=wait):
            ready = _find_ready(name, root)  # another process may have done it while this one waited
            if ready is None:
                source = _find_files(name, archive, idx_dir, apt, download, report)
                for leftover in root.glob(f"{prefix}*.tmp"):  # of killed runs, since this one holds the lock
                    shutil.rmtree(leftover, ignore_errors=True)
                # On the file system of `root`.
                with tempfile.TemporaryDirectory(".tmp", prefix, root, ignore_cleanup_errors=True) as staging:
                    folder = _build(name, root, source, pathlib.Path(staging), report)
                report(f"Prepared {_describe(folder)}.")
                return folder
    report(f"Already prepared: {_describe(ready)}.")
    return ready


def _find_ready(name: str, root: pathlib.Path) -> pathlib.Path | None:
    base, _, config = name.partition("/")
    versions = [v for v in locations.prepared_versions(base, root) if not config or v.parent.name == config]
    if not config and any(version.parent.name != base for version in versions):
        _check_configuration(name)
    return versions[-1] if versions else None


def _check_configuration(name: str) -> None:
    from cnnf_tf.data.sources.tfds import check_configuration  # TFDS takes seconds to load

    check_configuration(name)


def _describe(folder: pathlib.Path) -> str:
    counts = ", ".join(f"{split} {count:,}" for split, count in locations.split_counts(folder).items())
    return f"{folder} ({counts} examples)"


def _find_files(
    name: str,
    archive: str | os.PathLike[str] | None,
    idx_dir: str | os.PathLike[str] | None,
    apt: bool,
    download: bool,
    report: Callable[[str], None],
) -> pathlib.Path | None:
    """The official file, or a folder with the official files, or None to download them."""
    if archive is not None:
        file = pathlib.Path(os.path.expanduser(archive))
        if not file.is_file():
            raise FileNotFoundError(f"archive: there is no file {file}.")
        return file
    if idx_dir is not None:
        folder = pathlib.Path(os.path.expanduser(idx_dir))
        if not folder.is_dir():
            raise FileNotFoundError(f"idx_dir: there is no folder {folder}.")
        return folder
    if name == "fashion_mnist":
        if not official_files.DEBIAN_IDX_DIR.is_dir() and apt:
            try:
                official_files.install_debian_package(report)
            except OSError as error:
                if not download:
                    raise
                report(f"{error} Downloading instead.")
        if official_files.DEBIAN_IDX_DIR.is_dir():
            return official_files.DEBIAN_IDX_DIR
    if download:
        return None
    ways = [
        "--idx_dir=FOLDER with its official files",
        "--archive=FILE where it is one file",
        "--download to fetch them from the network",
    ]
    if name == "fashion_mnist":
        package = official_files.DEBIAN_PACKAGE
        ways.insert(0, f"`sudo apt-get install {package}` first (or --apt, as root), which needs no other network")
    raise FileNotFoundError(f"{name}: its files are not on this machine. Ways to get them: {'; '.join(ways)}.")


def _build(
    name: str, root: pathlib.Path, source: pathlib.Path | None, staging: pathlib.Path, report: Callable[[str], None]
) -> pathlib.Path:
    """Runs the official builder inside `staging` and moves the finished version into `root`; returns its folder."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    _check_configuration(name)
    try:
        builder = tfds.builder(name, data_dir=staging / "data")
    except (tfds.core.registered.DatasetNotFoundError, ValueError):
        raise ValueError(f"dataset: TFDS knows no data set {name!r}; wanted one such as fashion_mnist.") from None
    downloads = builder.url_infos or {}
    manual = staging / "manual"
    manual.mkdir()
    if source is not None:
        if not downloads:
            raise ValueError(
                f"{name}: TFDS publishes no checksums for its files, so they cannot be taken from {source}."
            )
        report(f"Checking {source} ...")
        official_files.stage(name, source, manual, downloads)
    elif downloads:
        size = sum(info.size or 0 for info in downloads.values())
        report(f"Downloading {len(downloads)} files ({size / 1e6:,.1f} MB) ...")
        official_files.check_reachable(next(iter(downloads)))
    time = " (less than a minute)" if name in official_files.IDX_MTIMES else ""
    report(f"Writing {name} as TFRecord files{time} ...")
    # Downloads outlive a failed preparation; nothing else does.
    download_dir = (root if source is None else staging) / "downloads" / name
    config = tfds.download.DownloadConfig(
        manual_dir=manual,
        # TFDS reuses an extracted file by its name alone, and all of the MNIST family have the same file names.
        extract_dir=staging / "extracted",
        try_download_gcs=False,
    )
    try:
        with _calm_tfds():
            builder.download_and_prepare(download_dir=download_dir, download_config=config)
    except (tfds.download.DownloadError, NonMatchingChecksumError) as error:
        raise OSError(f"{name}: the download failed: {error}") from None
    finished = pathlib.Path(builder.data_path)
    target = root / finished.relative_to(staging / "data")
    target.parent.mkdir(parents=True, exist_ok=True)
    return finished.rename(target)


@contextlib.contextmanager
def _calm_tfds() -> Iterator[None]:
    """Keeps of TFDS's chatter the progress bars, where somebody can watch them; the rest names staging folders."""
    import tensorflow_datasets as tfds

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        tfds.enable_progress_bar()
        logging.set_verbosity(verbosity)
