"""The driver of the authors' code, on a stand-in with the same interface: small models that log how they are called."""

import dataclasses
import importlib.util
import json
import pathlib
import unittest
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.reference import check_checkout, compared
from cnnf_tf.experiments.benchmark.torch_process import TorchError, TorchProcess

# A tied linear layer each. Every call appends a line to the log: the protocol that the driver has to keep.
LAYERS = """
import pathlib
LOG = pathlib.Path(__file__).parent.parent / "log.txt"
def log(*words):
    with LOG.open("a") as file:
        print(*words, file=file)
"""
MODEL = """
import torch
import torch.nn as nn
import torchvision
from torchvision import datasets, transforms
import matplotlib.pyplot as plt
from tensorboardX import SummaryWriter
import cnnf.layers as layers

print("their code may print")

class {name}(nn.Module):
    def __init__({arguments}):
        super().__init__()
        layers.log("init", {values})
        self.taps, self.ready = {taps}, False
        self.weight = nn.Parameter(0.01 * torch.ones({inputs}, num_classes))

    def reset(self):
        layers.log("reset")
        self.ready = True

    def forward(self, out, step="forward", first=True, inter=False, inter_recon=False):
        assert self.ready, "reset comes first"
        mode = "train" if self.training else "eval"
        gradients = "grad" if torch.is_grad_enabled() else "no_grad"
        weights = "weights" if self.weight.requires_grad else "frozen"
        layers.log(step, "first" if first else "later", mode, len(out), gradients, weights)
        if step == "backward":
            result = (out @ self.weight.T).reshape(-1, {shape})
            return (result,) + (result,) * self.taps if inter_recon else result
        logits = out.reshape(len(out), -1) @ self.weight
        return (logits, out) + (2 * out,) * self.taps if inter else logits
"""
FASHION = {
    "name": "CNNF",
    "arguments": "self, num_classes, ind=0, cycles=2, res_param=0.1",
    "values": "num_classes, ind, cycles, res_param",
    "taps": 2,
    "inputs": 784,
    "shape": "1, 28, 28",
}
WIDE = {
    "name": "WideResNet",
    "arguments": "self, depth, num_classes, widen_factor=1, drop_rate=0.0, ind=0, cycles=2, res_param=0.1",
    "values": "depth, num_classes, widen_factor, drop_rate, ind, cycles, res_param",
    "taps": 3,
    "inputs": 3072,
    "shape": "3, 32, 32",
}
NEEDS_TORCH = unittest.skipIf(importlib.util.find_spec("torch") is None, "PyTorch is not installed")


def smoke(network, kind, **options):
    setup = setups.SMOKE_SETUPS[network]
    return setups.Case(
        kind,
        setup,
        **({"encoder_blocks": setup.encoder_blocks, "iterations": setup.iterations, "batch_size": 2} | options),
    )


class ReferenceTest(tf.test.TestCase, parameterized.TestCase):
    def checkout(self):
        folder = pathlib.Path(self.create_tempdir().full_path) / "CNNF"
        (folder / "cnnf").mkdir(parents=True)
        (folder / "cnnf" / "layers.py").write_text(LAYERS)
        (folder / "cnnf" / "model_mnist.py").write_text(MODEL.format(**FASHION))
        (folder / "cnnf" / "model_cifar.py").write_text(MODEL.format(**WIDE))
        return folder

    def log_of(self, case):
        folder = self.checkout()
        with TorchProcess(threads=1, checkout=folder) as worker:
            self.assertGreater(worker.run(case=case.to_dict())(), 0)
        return (folder / "log.txt").read_text().splitlines()

    @NEEDS_TORCH
    def test_builds_their_models(self):
        self.assertEqual(self.log_of(smoke("fashion_cnn", setups.INFERENCE))[0], "init 10 2 1 0.1")
        self.assertEqual(self.log_of(smoke("wide_resnet", setups.INFERENCE))[0], "init 10 10 1 0.0 1 2 0.1")

    @NEEDS_TORCH
    def test_inference(self):
        log = self.log_of(smoke("fashion_cnn", setups.INFERENCE, iterations=2))
        again = ["backward first eval 2 no_grad weights", "forward later eval 2 no_grad weights"]
        self.assertEqual(log[1:], ["reset", "forward first eval 2 no_grad weights", *again, *again])

    @NEEDS_TORCH
    @parameterized.parameters("fashion_cnn", "wide_resnet")
    def test_attacks_watch_no_weights(self, network):
        first = ["reset", "forward first eval 2 grad frozen"]
        self.assertEqual(self.log_of(smoke(network, setups.ATTACK_FIRST_PASS))[1:], first)
        again = ["backward first eval 2 grad frozen", "forward later eval 2 grad frozen"]
        log = self.log_of(smoke(network, setups.ATTACK_FULL_UNROLL, iterations=2))
        self.assertEqual(log[1:], [*first, *again, *again])

    @NEEDS_TORCH
    @parameterized.product(network=("fashion_cnn", "wide_resnet"), iterations=(0, 2))
    def test_training(self, network, iterations):
        def update(count):
            again = [f"backward first train {count} grad weights", f"forward later train {count} grad weights"]
            return ["reset", f"forward first train {count} grad weights", *again * iterations]

        log = self.log_of(smoke(network, setups.TRAINING, iterations=iterations))
        self.assertEqual(log[1:], update(2))
        log = self.log_of(smoke(network, setups.ADVERSARIAL_TRAINING, iterations=iterations))
        self.assertEqual(log[1:], ["reset", "forward first eval 2 grad frozen"] * 7 + update(4))

    @NEEDS_TORCH
    def test_a_worker_takes_many_cases_and_goes_on_after_an_error(self):
        folder = self.checkout()
        with TorchProcess(threads=1, checkout=folder) as worker:
            runs = [
                worker.run(case=smoke("fashion_cnn", kind).to_dict()) for kind in (setups.INFERENCE, setups.TRAINING)
            ]
            for run in runs * 2:
                self.assertGreater(run(), 0)
            about = {"threads": 1, "OMP_WAIT_POLICY": "PASSIVE", "torch": "", "onednn": True}
            self.assertEqual({**worker.about, "torch": ""}, about)
            with self.assertRaisesRegex(TorchError, "KeyError: 'sleep'"):
                worker.run(case=smoke("fashion_cnn", "sleep").to_dict())()
            self.assertGreater(runs[0](), 0)
            worker.forget()
            with self.assertRaisesRegex(TorchError, "KeyError"):
                runs[0]()
        # Models were made once for each case, and twice for the one that failed.
        self.assertLen([line for line in (folder / "log.txt").read_text().splitlines() if "init" in line], 3)

    @NEEDS_TORCH
    def test_their_code_raises(self):
        folder = self.checkout()
        (folder / "cnnf" / "layers.py").write_text("raise OSError('broken\\nsecond line')")
        with (
            TorchProcess(threads=1, checkout=folder) as worker,
            self.assertRaisesRegex(TorchError, "^OSError: broken$"),
        ):
            worker.run(case=smoke("fashion_cnn", setups.INFERENCE).to_dict())()

    @NEEDS_TORCH
    def test_the_worker_dies(self):
        folder = self.checkout()
        program = "import os, sys; print('last words', file=sys.stderr, flush=True); os._exit(3)"
        (folder / "cnnf" / "layers.py").write_text(program)
        with TorchProcess(threads=1, checkout=folder) as worker:
            run = worker.run(case=smoke("fashion_cnn", setups.INFERENCE).to_dict())
            for _ in range(2):
                with self.assertRaisesRegex(TorchError, "the worker ended: last words"):
                    run()

    def test_needs_their_files(self):
        with self.assertRaisesRegex(ValueError, "a checkout of https://.*'nowhere' has no cnnf/layers.py, cnnf/"):
            check_checkout("nowhere")
        check_checkout(self.checkout())

    def test_needs_torch(self):
        missing = mock.patch.object(importlib.util, "find_spec", return_value=None)
        with missing, self.assertRaisesRegex(ImportError, r"needs PyTorch: pip install 'cnnf_tf\[torch\]'"):
            TorchProcess(threads=1)

    @NEEDS_TORCH
    def test_first_results(self):
        folder = self.checkout()
        with TorchProcess(threads=1, checkout=folder) as worker:
            for kind in (setups.FIRST_ATTACK, setups.FIRST_PREDICTION, setups.INFERENCE, setups.FIRST_TRAINING):
                worker.run(case=smoke("fashion_cnn", kind).to_dict())()
        _, *logs = (folder / "log.txt").read_text().split("init 10 2 1 0.1\n")
        self.assertEqual(logs[0].count("reset"), 3)
        self.assertEqual(logs[0].count("grad frozen"), 3 * 3)
        self.assertEqual(logs[1], logs[2])
        self.assertIn("later train 2 grad weights", logs[3])

    def test_which_cases_are_compared(self):
        case = smoke("fashion_cnn", setups.TRAINING)
        self.assertTrue(compared(case))
        for change in (
            {"dtype": "bfloat16"},
            {"mode": "xla"},
            {"encoder_blocks": 0},
            {"batch_size": 1},
            {"kind": "export x"},
        ):
            self.assertFalse(compared(dataclasses.replace(case, **change)), change)
        sweep = [smoke("fashion_cnn", setups.INFERENCE, iterations=k) for k in range(11)]
        self.assertEqual([case.iterations for case in sweep if compared(case)], [0, 1, 5])

    def test_a_case_is_plain_json_to_the_worker(self):
        self.assertEqual(json.loads(json.dumps(smoke("wide_resnet", "x").to_dict()))["setup"]["network"], "wide_resnet")


if __name__ == "__main__":
    tf.test.main()
