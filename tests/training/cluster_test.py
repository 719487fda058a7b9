"""Several workers: TF_CONFIG, waiting for each other, what the loss of one says. See also tests/bin/train_test.py."""

import json
import os
import socket
import threading
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training import cluster
from cnnf_tf.training.cluster import Cluster, read_cluster, wait_for_workers
from cnnf_tf.training.strategies import with_all_workers
from tests.limits import HANGING

WORKERS = ["127.0.0.1:2222", "127.0.0.1:2223"]


def environment(workers, index=0, kind="worker", **others):
    return json.dumps({"cluster": {"worker": workers, **others}, "task": {"type": kind, "index": index}})


def free_addresses(count):
    """Addresses that no process listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


class ClusterTest(tf.test.TestCase, parameterized.TestCase):
    def test_reads(self):
        with mock.patch.dict(os.environ, TF_CONFIG=environment(WORKERS, 1)):
            self.assertEqual(read_cluster(), Cluster(WORKERS, 1))

    @parameterized.parameters(
        None,
        "",
        "worker 0",
        "[]",
        "{}",
        environment(WORKERS, 2),
        environment(WORKERS, -1),
        environment(WORKERS, "first"),
        environment(WORKERS, kind="chief"),
        environment(WORKERS, chief=["127.0.0.1:2221"]),
        environment([]),
        environment("127.0.0.1:2222"),
        environment(["127.0.0.1", "127.0.0.1:2223"]),
        environment([2222, 2223]),
    )
    def test_refuses_a_tf_config_that_is_not_sound(self, text):
        found = {} if text is None else {"TF_CONFIG": text}
        with mock.patch.dict(os.environ, found):
            if text is None:
                os.environ.pop("TF_CONFIG", None)
            with self.assertRaisesRegex(ValueError, "'multi_worker' wants the environment variable TF_CONFIG, such as"):
                training.build_strategy("multi_worker")

    def test_workers_wait_for_each_other_in_any_order(self):
        addresses = free_addresses(3)
        done = []

        def wait(index):
            wait_for_workers(Cluster(addresses, index))
            done.append(index)
            # From here on TensorFlow listens.
            host, port = addresses[index].split(":")
            servers.append(socket.create_server((host, int(port)), backlog=8))

        servers = []
        threads = [threading.Thread(target=wait, args=(index,)) for index in range(3)]
        for thread in threads[1:]:
            thread.start()
        threads[1].join(0.5)
        self.assertEmpty(done)
        threads[0].start()
        for thread in threads:
            thread.join(HANGING)
        self.assertCountEqual(done, [0, 1, 2])
        for server in servers:
            server.close()
        wait_for_workers(Cluster(addresses[:1], 0))  # nobody to wait for

    def test_a_port_in_use(self):
        (address,) = free_addresses(1)
        port = int(address.split(":")[1])
        with (
            socket.create_server(("", port)),
            mock.patch.object(cluster, "_PATIENCE", 0.0),
            self.assertRaisesRegex(ConnectionError, f"this worker's port {port}, of its address {address} in"),
        ):
            wait_for_workers(Cluster([address, "127.0.0.1:1"], 0))

    def test_a_lost_worker_is_named(self):
        several, alone = mock.Mock(), mock.Mock(cluster_resolver=None)
        several.cluster_resolver.cluster_spec().as_dict.return_value = {"worker": WORKERS}
        wanted = (
            r"one of the 2 workers was lost \(Socket closed\)\. Start all workers again with the same command: the run "
            "goes on after its newest checkpoint"
        )
        for kind, message in (
            (tf.errors.UnavailableError, "Error: [[node]]\nOps is aborted by: Socket closed\nAdditional GRPC error"),
            (
                tf.errors.DeadlineExceededError,
                "aborted by: Socket\nclosed\nThe error could be ... reset.\n\t [[{{node}}]]",
            ),
            (tf.errors.FailedPreconditionError, "Socket closed [type.googleapis.com/tensorflow]"),
        ):
            with self.assertRaisesRegex(ConnectionError, wanted), with_all_workers(several):
                raise kind(None, None, message)
            with self.assertRaises(kind), with_all_workers(alone):
                raise kind(None, None, message)
        with self.assertRaises(tf.errors.ResourceExhaustedError), with_all_workers(several):
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")


if __name__ == "__main__":
    tf.test.main()
