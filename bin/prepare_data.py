"""Makes a data set ready to load, without the network where its files are on this machine.

Example:
  python bin/prepare_data.py         # Fashion-MNIST, from a package of Debian's
  python bin/prepare_data.py --apt   # installs that package first, as root
  python bin/prepare_data.py --dataset=mnist --idx_dir=FOLDER
  python bin/prepare_data.py --dataset=cifar10 --archive=cifar-10-binary.tar.gz
  python bin/prepare_data.py --dataset=cifar10 --download

Run again, it only says that the data set is there. It may be killed at any time.
"""

import _app
from absl import flags

_DATASET = flags.DEFINE_string("dataset", "fashion_mnist", "TFDS name: fashion_mnist, mnist, cifar10, ...")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets. Default: $CNNF_TF_DATA_DIR, else ~/tensorflow_datasets."
)
_IDX_DIR = flags.DEFINE_string(
    "idx_dir",
    None,
    "Folder with the official files: for fashion_mnist and mnist the four IDX .gz files, for others the archives TFDS "
    "would download. Default for fashion_mnist: the folder of Debian's package dataset-fashion-mnist.",
)
_ARCHIVE = flags.DEFINE_string(
    "archive",
    None,
    "The official archive of a data set that has one, such as cifar-10-binary.tar.gz; its checksum is checked.",
)
_DOWNLOAD = flags.DEFINE_bool("download", False, "Fetch the files from the network where they are not on this machine.")
_APT = flags.DEFINE_bool(
    "apt",
    False,
    "Install Debian's package dataset-fashion-mnist where it is missing; needs root, only for fashion_mnist.",
)


def main() -> None:
    if not _DATASET.value:
        raise _app.UsageError("--dataset: wanted a TFDS name such as fashion_mnist, mnist or cifar10, got nothing.")
    if _APT.value and _DATASET.value != "fashion_mnist":
        raise _app.UsageError(f"--apt: Debian packages fashion_mnist only, got --dataset={_DATASET.value}.")
    given = [name for name, value in (("idx_dir", _IDX_DIR.value), ("archive", _ARCHIVE.value)) if value is not None]
    if len(given) > 1:
        raise _app.UsageError("--idx_dir and --archive: give either a folder or a file, got both.")
    if given and (_DOWNLOAD.value or _APT.value):
        raise _app.UsageError(f"--{given[0]}: give either files on this machine or --download / --apt, got both.")

    _app.start_tensorflow()
    from cnnf_tf.data.preparation import prepare as preparation

    preparation.prepare(
        _DATASET.value,
        data_dir=_DATA_DIR.value,
        idx_dir=_IDX_DIR.value,
        archive=_ARCHIVE.value,
        download=_DOWNLOAD.value,
        apt=_APT.value,
        report=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    _app.run(main)
