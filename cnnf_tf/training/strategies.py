"""Distribution strategies by the names that `--strategy` takes."""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.training.cluster import build_multi_worker, naming_lost_workers
from cnnf_tf.utils.validation import integer, one_of

STRATEGIES = ("one_device", "mirrored", "multi_worker")


def build_strategy(name: str, *, devices: int = 0) -> tf.distribute.Strategy:
    """Makes a strategy; call it before anything else uses TensorFlow's devices.

    Args:
      name: "one_device": the first GPU, or the CPU. "mirrored": several devices of this machine. "multi_worker":
        several machines or processes, each started with its own environment variable TF_CONFIG, each with all its
        GPUs or its CPU.
      devices: of "mirrored": number of GPUs or, on a machine without, of logical CPU devices, which share the cores
        and are good for tests; 0 for all GPUs there are.

    Raises:
      ValueError: an unknown name, fewer devices than asked for, or no sound TF_CONFIG for "multi_worker".
      ConnectionError: another process has this worker's port, or a worker was lost.
    """
    one_of("strategy", name, STRATEGIES)
    if integer("devices", devices, note=" (0 for all)") and name != "mirrored":
        raise ValueError(f"devices is for the strategy 'mirrored', got {devices} with {name!r}.")
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return _mirrored(tuple(_devices(devices)))
    return build_multi_worker()


def with_all_workers(strategy: tf.distribute.Strategy) -> contextlib.AbstractContextManager[None]:
    """Within, the loss of another worker raises ConnectionError, which says what to do."""
    return naming_lost_workers(_worker_count(strategy))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run."""
    resolver = strategy.cluster_resolver
    return int(resolver.task_id or 0) == 0 if resolver else True


def from_chief(strategy: tf.distribute.Strategy, variables: Sequence[Any], numbers: Sequence[float]) -> np.ndarray:
    """Gives variables and a few numbers of the first worker to all others, which then need not share a disk with it.

    Args:
      strategy: of the training; with one worker nothing happens.
      variables: `tf.Variable`s, the same on every worker.
      numbers: each worker's own.

    Returns:
      The numbers of the first worker, float64.
    """
    own = np.asarray(numbers, np.float64)
    if _worker_count(strategy) == 1:
        return own

    @tf.function
    def share(value: tf.Tensor) -> Any:
        def replica(value: tf.Tensor) -> Any:
            context = tf.distribute.get_replica_context()
            first = tf.equal(context.replica_id_in_sync_group, 0)
            return context.all_reduce("SUM", tf.where(first, value, tf.zeros_like(value)))

        return strategy.run(replica, args=(value,))

    def local(value: Any) -> tf.Tensor:
        return strategy.experimental_local_results(share(tf.convert_to_tensor(value)))[0]

    for variable in variables:
        variable.assign(local(variable.numpy()))
    return local(own).numpy()


def _worker_count(strategy: tf.distribute.Strategy) -> int:
    resolver = strategy.cluster_resolver
    return len(resolver.cluster_spec().as_dict().get("worker", [None])) if resolver else 1


@functools.cache  # two strategies of the same devices give their collective operations the same numbers, and fail
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))


def _devices(wanted: int) -> list[str]:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if wanted > len(gpus):
            raise ValueError(f"{wanted} devices were asked for, but this machine has {len(gpus)} GPUs.")
        return [f"GPU:{index}" for index in range(wanted or len(gpus))]
    wanted = wanted or 1
    if wanted > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        if not tf.config.get_logical_device_configuration(cpu):
            with contextlib.suppress(RuntimeError):  # TensorFlow has started: it stays at the devices it has
                tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
    found = len(tf.config.list_logical_devices("CPU"))
    if wanted > found:
        raise ValueError(f"{wanted} devices were asked for, but this process has {found} logical CPU devices, no GPU.")
    return [f"CPU:{index}" for index in range(wanted)]
