"""Several workers: who they are (TF_CONFIG), how they meet, what the loss of one of them says."""

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

# What TensorFlow raises on the other workers, within half a minute, when one of them dies, freezes or is started anew.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
_PATIENCE = 10.0  # seconds, for the port of a process that was just killed


class Cluster(NamedTuple):
    """What TF_CONFIG says."""

    workers: list[str]  # addresses, `host:port`
    own: int  # the place of this process among them


def read_cluster() -> Cluster:
    """Reads the environment variable TF_CONFIG.

    Raises:
      ValueError: there is none, or it is not sound.
    """
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
    return Cluster(workers, int(task["index"]))


def wait_for_workers(cluster: Cluster) -> None:
    """Returns once every worker of the cluster answers at its address; each must call this.

    TensorFlow would wait as well, for an hour, but deaf to signals.

    Raises:
      ConnectionError: another process has this worker's port.
    """
    missing = [address for place, address in enumerate(cluster.workers) if place != cluster.own]
    if missing:
        print(f"Waiting for the other workers: {', '.join(missing)}.", flush=True)
    with _listening(cluster.workers[cluster.own], backlog=len(cluster.workers)):
        while missing:
            missing = [address for address in missing if not _answers(address)]
            time.sleep(0.2 if missing else 0.0)


def build_multi_worker() -> tf.distribute.Strategy:
    """Waits for all workers and makes the strategy.

    Raises:
      ValueError: see `read_cluster`.
      ConnectionError: see `wait_for_workers`; or a worker that was there is lost again.
    """
    cluster = read_cluster()
    wait_for_workers(cluster)
    with naming_lost_workers(len(cluster.workers)):
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with contextlib.suppress(ValueError):  # only the main thread may
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # TensorFlow made the process ignore it
    return strategy


@contextlib.contextmanager
def naming_lost_workers(workers: int) -> Iterator[None]:
    """Within, the loss of one of several workers raises ConnectionError, which says what to do."""
    try:
        yield
    except _LOST as error:
        if workers == 1:
            raise
        said = re.split(r"Additional GRPC|The error could|\[", str(error.message).split("aborted by:")[-1])[0]
        reason = " ".join(said.split()).rstrip(".")
        raise ConnectionError(
            f"one of the {workers} workers was lost ({reason}). Start all workers again with the same command: the run "
            "goes on after its newest checkpoint. Why that worker ended stands in its own output."
        ) from error


def _listening(address: str, *, backlog: int) -> socket.socket:
    port = int(address.rpartition(":")[2])
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return socket.create_server(
                ("", port), family=family, backlog=backlog, dualstack_ipv6=family == socket.AF_INET6
            )
        except OSError as error:
            if time.monotonic() > until:
                raise ConnectionError(
                    f"this worker's port {port}, of its address {address} in TF_CONFIG, is not free: {error.strerror}."
                ) from error
            time.sleep(0.2)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=1.0):
        return True
    return False
