"""Latency and memory of an exported model for each number of iterations, as the table of docs/serving.md.

    python tools/measure_serving.py /srv/models/cnnf cnnf

One client, one request at a time, over gRPC on loopback to TensorFlow Serving where it is on the PATH, else to the test
server. A fresh server for each row, so that the memory is its own. Run it on a machine that does nothing else.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402

from cnnf_tf.serving import transports  # noqa: E402
from tests.serving import server  # noqa: E402

ITERATIONS = (0, 1, 5, 10)
BATCH_SIZES = (1, 32, 128)
REPEATS = 15


def main(base: str, name: str) -> None:
    """Prints one row for each number of iterations, median of `REPEATS` requests."""
    titles = " | ".join(f"batch {size}, ms" for size in BATCH_SIZES)
    print(f"server: {server.KINDS[-1]}\n\n| K | {titles} | server memory, MB |\n|---|{'---|' * (len(BATCH_SIZES) + 1)}")
    for iterations in ITERATIONS:
        with server.running(pathlib.Path(base), name, server.KINDS[-1]) as running:
            transport = transports.GrpcTransport(running.grpc_address, name)
            shape = transport.image_shape(timeout=60)
            cells = []
            for size in BATCH_SIZES:
                images = np.random.default_rng(0).integers(0, 256, (size, *shape), np.uint8)
                inputs = {
                    "images": images,
                    "max_iterations": np.full(size, iterations, np.int32),
                    "tolerance": np.zeros(size, np.float32),
                }
                times = []
                for _ in range(REPEATS + 2):
                    start = time.perf_counter()
                    transport.predict("classify_uint8", inputs, timeout=600)
                    times.append(time.perf_counter() - start)
                cells.append(f"{1000 * np.median(times[2:]):.1f}")
            transport.close()
            print(f"| {iterations} | {' | '.join(cells)} | {running.resident_bytes() / 2**20:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
