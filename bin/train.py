"""Trains a CNN-F from a configuration file.

Example:
  python bin/train.py --config=configs/fashion_mnist_standard.py --workdir=runs/standard
  python bin/train.py --config=configs/fashion_mnist_standard.py:cnn --workdir=runs/cnn     (a variant: the plain CNN)
  python bin/train.py --config=configs/fashion_mnist_standard.py --config.train.epochs=1 --workdir=runs/quick

Any value of the configuration can be changed on the command line as --config.NAME=VALUE. A killed run goes on after its
newest finished epoch when the same command is given again. The workdir then holds best.keras and last.keras (for
bin/evaluate.py), metrics.jsonl, config.json and TensorBoard files (`tensorboard --logdir=WORKDIR`).
"""

import _app
from absl import flags
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Configuration file, FILE or FILE:VARIANT; see configs/.", lock_config=True
)
_WORKDIR: flags.FlagHolder = flags.DEFINE_string(
    "workdir", None, "Folder for checkpoints, metrics and TensorBoard files of this run."
)
_DATA_DIR = _app.define_data_dir()
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the resolved configuration and stop.")


def main() -> None:
    _app.require(_CONFIG)
    if _DRY_RUN.value:
        print(_CONFIG.value)
        return
    _app.require(_WORKDIR)

    _app.start_tensorflow()
    from cnnf_tf import training

    training.run(_CONFIG.value, _WORKDIR.value, data_dir=_DATA_DIR.value)


if __name__ == "__main__":
    _app.run(main)
