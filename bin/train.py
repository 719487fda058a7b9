"""Trains a CNN-F from a configuration file.

Example:
  python bin/train.py --config=configs/fashion_mnist_standard.py \\
      --workdir=runs/standard
  python bin/train.py --config=configs/fashion_mnist_standard.py:cnn \\
      --workdir=runs/cnn        # a variant: the plain CNN
  python bin/train.py --config=configs/fashion_mnist_standard.py \\
      --workdir=runs/quick --config.train.epochs=1
  python bin/train.py --config=configs/cifar10_adversarial.py \\
      --workdir=runs/cifar10 --strategy=mirrored        # all GPUs

Any value of the configuration can be changed on the command line as --config.NAME=VALUE. A killed run goes on after its
newest checkpoint when the same command is given again, and ends with the same weights as if it had not been killed. The
workdir then holds best.keras and last.keras (for bin/evaluate.py), metrics.jsonl, config.json, run.json (command,
commit, versions, hardware), checkpoints and TensorBoard files (`tensorboard --logdir=WORKDIR`). Other trackers, such as
--tracker=tensorboard,mlflow: see docs/trackers.md.

Several machines: start the same command with --strategy=multi_worker on each, each with its own TF_CONFIG; see
docs/scaling.md.
"""

import _app
from absl import flags

import cnnf_tf

_CONFIG = _app.define_config("configs/fashion_mnist_standard.py", "seed", "model", "data", "train")
_WORKDIR = _app.define_output("Folder for checkpoints, metrics and TensorBoard files of this run.", name="workdir")
_app.define_strategy(
    "one_device", "mirrored", "multi_worker", note="The batch of the configuration is the whole batch, shared by all."
)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", True, "TensorFlow's deterministic ops: the same command gives the same weights, bit by bit."
)
_DATA_DIR = _app.define_data_dir()
_TRACKER = flags.DEFINE_list(
    "tracker",
    ["tensorboard"],
    "Where scalars, pictures and files go beside the workdir: tensorboard, mlflow, wandb (the last two are extras), or "
    "a class of yours as MODULE:CLASS; several with commas between them; `none`, or nothing, for none.",
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the resolved configuration and stop.")


def main() -> None:
    _app.require(_CONFIG)
    if _DRY_RUN.value:
        print(_CONFIG.value)
        return
    _app.require(_WORKDIR)
    trackers = [] if _TRACKER.value == ["none"] else _TRACKER.value
    if "none" in trackers:
        raise _app.UsageError(f"--tracker: none cannot stand beside others; got {','.join(trackers)!r}.")

    _app.start_tensorflow()
    import tensorflow as tf

    try:
        cnnf_tf.training.find_trackers(trackers)
    except ValueError as error:
        raise _app.UsageError(f"--tracker: {error}") from error
    if _DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()
    strategy = cnnf_tf.training.build_strategy(flags.FLAGS.strategy, devices=flags.FLAGS.devices)
    options = {"data_dir": _DATA_DIR.value, "strategy": strategy, "command": _app.command()}
    cnnf_tf.training.run(_CONFIG.value, _WORKDIR.value, trackers=trackers, **options)


if __name__ == "__main__":
    _app.run(main)
