import json
from unittest import mock

import tensorflow as tf

from cnnf_tf.experiments.benchmark import memory as benchmark_memory
from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.timing import Failure

FASHION = setups.SMOKE_SETUPS["fashion_cnn"]


def case(kind=setups.TRAINING, batch_size=2):
    return setups.Case(kind, FASHION, 2, 1, batch_size)


class MemoryTest(tf.test.TestCase):
    def test_a_process_of_its_own(self):
        found = benchmark_memory.peak_memory(case())
        self.assertIsInstance(found, benchmark_memory.Memory)
        self.assertGreater(found.baseline, 2**20)
        # The weights alone are 3.3 million numbers of 4 bytes; the optimiser and the gradients come on top.
        self.assertGreater(found.needed, 4 * 3.3e6)
        self.assertEqual(found.needed_mib, found.needed / 2**20)

    def test_what_the_process_says_when_it_fails(self):
        found = benchmark_memory.peak_memory(case("sleep"))
        self.assertEqual(found, Failure("ValueError: there is no case of the kind 'sleep'."))

    def test_peak_grows_when_memory_is_taken(self):
        before = benchmark_memory._peak()
        held = bytearray(before // 2 + 2**28)
        held[:: 2**12] = b"\1" * len(held[:: 2**12])
        self.assertGreater(benchmark_memory._peak(), before)

    def test_program(self):
        with mock.patch("builtins.print") as printed:
            benchmark_memory.main([json.dumps(case(setups.INFERENCE).to_dict())])
        values = json.loads(printed.call_args.args[0])
        self.assertGreaterEqual(values["peak"], values["baseline"])


if __name__ == "__main__":
    tf.test.main()
