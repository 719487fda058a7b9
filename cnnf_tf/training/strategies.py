"""Distribution strategies by the names that `--strategy` takes."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.layers.base import one_of

STRATEGIES = ("one_device", "mirrored", "multi_worker")

# What TensorFlow raises on the other workers, within half a minute, when one of them dies, freezes or is started anew.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


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
      ConnectionError: the other workers of "multi_worker" did not come.
    """
    one_of("strategy", name, STRATEGIES)
    if isinstance(devices, bool) or not isinstance(devices, int) or devices < 0:
        raise ValueError(f"devices must be an integer >= 0 (0 for all), got {devices!r}.")
    if devices and name != "mirrored":
        raise ValueError(f"devices is for the strategy 'mirrored', got {devices} with {name!r}.")
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(_devices(devices))
    workers = _check_cluster()
    print(f"Waiting for all {workers} workers of TF_CONFIG.", flush=True)
    with _naming_lost_workers(workers, "did not come up"):
        return tf.distribute.MultiWorkerMirroredStrategy()


def with_all_workers(strategy: tf.distribute.Strategy) -> contextlib.AbstractContextManager[None]:
    """Within, the loss of another worker raises ConnectionError, which says what to do."""
    return _naming_lost_workers(_worker_count(strategy), "was lost")


@contextlib.contextmanager
def _naming_lost_workers(workers: int, what: str) -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        if workers == 1:
            raise
        reason = str(error.message).split("aborted by:")[-1].split("Additional GRPC")[0].strip().rstrip(".")
        raise ConnectionError(
            f"one of the {workers} workers {what} ({reason}). Start all workers again with the same command: the run "
            "goes on after its newest checkpoint. Why that worker ended stands in its own output."
        ) from error


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


def _check_cluster() -> int:
    """Checks TF_CONFIG and returns the number of workers."""
    text = os.environ.get("TF_CONFIG", "")
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        sound = (
            set(config["cluster"]) == {"worker"}
            and isinstance(workers, list)
            and all(isinstance(address, str) and re.fullmatch(r".+:\d+", address) for address in workers)
            and task["type"] == "worker"
            and 0 <= int(task["index"]) < len(workers)
        )
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise ValueError(
            f"the strategy 'multi_worker' wants the environment variable TF_CONFIG, such as {example}, with another "
            f"index for each process; got {text!r}."
        )
    return len(workers)
