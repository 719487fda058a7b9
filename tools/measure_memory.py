"""Peak memory and time of a training step by K, with and without rematerialisation; prints a Markdown table.

Command: python tools/measure_memory.py [fashion_cnn|wide_resnet] [batch_size]
Each row is a process of its own: the growth of its resident set from before the first step to the peak of three.
"""

import json
import resource
import subprocess
import sys
import time

NETWORKS = {
    "fashion_cnn": ({"encoder_blocks": 0}, (28, 28, 1)),
    "wide_resnet": ({"encoder_blocks": 5, "depth": 40}, (32, 32, 3)),
}


def one(name: str, batch_size: int, iterations: int, rematerialize: bool) -> dict[str, float]:
    """Takes three steps of the standard objective; returns MiB and the seconds of the last step."""
    import keras
    import tensorflow as tf

    from cnnf_tf import CNNF

    network, shape = NETWORKS[name]
    keras.utils.set_random_seed(0)
    model = CNNF.from_name(name, image_shape=shape, network=network, iterations=iterations, rematerialize=rematerialize)
    model.compile(optimizer=keras.optimizers.SGD(1e-2), jit_compile=False)
    images = tf.random.uniform((batch_size, *shape), seed=1)
    labels = tf.random.uniform((batch_size,), 0, 10, tf.int32, seed=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        start = time.perf_counter()
        model.train_on_batch(images, labels)
        seconds = time.perf_counter() - start
    return {"MiB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, "seconds": seconds}


def main(name: str = "fashion_cnn", batch_size: str = "128") -> None:
    print(f"{name}, batch of {batch_size}\n\n| K | kept | rematerialised |\n|---|---|---|")
    for iterations in (0, 1, 2, 5, 10):
        cells = []
        for flag in ("0", "1"):
            command = [sys.executable, __file__, "--one", name, batch_size, str(iterations), flag]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            cells.append(f"{found['MiB']:.0f} MiB, {found['seconds']:.2f} s")
        print(f"| {iterations} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "1")))
    else:
        main(*sys.argv[1:])
