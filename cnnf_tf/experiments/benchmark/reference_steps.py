"""The authors' PyTorch code on a case of the benchmark.

Only its models are used, from a copy of https://github.com/yjhuangcd/CNNF; its scripts want a GPU, so the protocol of
its steps is written here: inference and both attacks as in its `eval.py`, training as in its `train.py`. This file
imports nothing of cnnf_tf, so that the processes that run it by its path are without TensorFlow.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

_find = importlib.util.find_spec
Step = Callable[[], Any]
_CLASSES = 10
# What the authors' model files import and never use.
_UNUSED = ("torchvision", "tensorboardX", "matplotlib", "matplotlib.pyplot")


class Reference:
    """The steps of the authors' code on one case.

    Args:
      case: `setups.Case.to_dict()`.
      checkout: folder of their code.
      device: of PyTorch.
    """

    def __init__(self, case: dict[str, Any], checkout: str, device: str = "cpu"):
        import torch

        sys.path[:0] = [checkout]
        absent = [name for name in _UNUSED if name not in sys.modules and _find(name.partition(".")[0]) is None]
        sys.modules.update({name: mock.MagicMock() for name in absent})
        self._torch, self._case, self._setup = torch, case, case["setup"]
        torch.manual_seed(0)
        self._cycles = case["iterations"]
        self._model = self._build().to(device)
        height, width, channels = self._setup["image_shape"]
        # Their pixels are in [-1, 1], so their lengths are twice ours.
        self._images = 2 * torch.rand(case["batch_size"], channels, height, width, device=device) - 1
        self._labels = torch.randint(_CLASSES, (case["batch_size"],), device=device)
        self._epsilon, self._step_size = 2 * self._setup["epsilon"], 2 * self._setup["step_size"]
        self._optimizer = torch.optim.SGD(self._model.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)

    def step(self) -> Step:
        """What to time."""
        steps: dict[str, Step] = {
            "inference": self._infer,
            "attack step, first pass": lambda: self._attack(full_unroll=False, steps=1),
            "attack step, full unroll": lambda: self._attack(full_unroll=True, steps=1),
            "training": lambda: self._train(adversarial=False),
            "adversarial training": lambda: self._train(adversarial=True),
            "first prediction": self._infer,
            "first attack": lambda: self._attack(full_unroll=True, steps=3),
            "first training step": lambda: self._train(adversarial=False),
        }
        return steps[self._case["kind"]]

    def _build(self) -> Any:
        encoder_blocks, options = self._case["encoder_blocks"], dict(self._setup["options"])
        if self._setup["network"] == "fashion_cnn":
            model = importlib.import_module("cnnf.model_mnist").CNNF
            return model(_CLASSES, ind=encoder_blocks, cycles=self._cycles, res_param=0.1)
        model = importlib.import_module("cnnf.model_cifar").WideResNet
        depth, width = options.get("depth", 40), options.get("widen_factor", 2)
        return model(depth, _CLASSES, width, 0.0, encoder_blocks, self._cycles, 0.1)

    def _infer(self) -> Any:
        self._model.eval()
        with self._torch.no_grad():
            return self._unroll(self._images)

    def _unroll(self, images: Any) -> Any:
        """Their `run_cycles`, without moving anything to a GPU."""
        self._model.reset()
        logits, features, *_ = self._model(images, first=True, inter=True)
        for _ in range(self._cycles):
            reconstruction = self._model(logits, step="backward")
            features = features + 0.1 * (reconstruction - features)
            logits = self._model(features, first=False)
        return logits

    def _first_pass(self, images: Any) -> Any:
        self._model.reset()
        return self._model(images)

    def _attack(self, *, full_unroll: bool, steps: int, random_start: bool = False) -> Any:
        """What advertorch's LinfPGDAttack does to a model in evaluation mode without gradients of parameters."""
        torch, images = self._torch, self._images
        self._model.eval()
        self._model.requires_grad_(False)
        delta = torch.zeros_like(images)
        if random_start:
            delta.uniform_(-self._epsilon, self._epsilon)
            delta = torch.clamp(images + delta, -1, 1) - images
        for _ in range(steps):
            delta.requires_grad_(True)
            logits = (self._unroll if full_unroll else self._first_pass)(images + delta)
            loss = torch.nn.functional.cross_entropy(logits, self._labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, delta)
            with torch.no_grad():
                delta = torch.clamp(delta + self._step_size * gradient.sign(), -self._epsilon, self._epsilon)
                delta = torch.clamp(images + delta, -1, 1) - images
        self._model.requires_grad_(True)
        return (images + delta).detach()

    def _train(self, *, adversarial: bool) -> float:
        """One update of `train_adv`; without an attack, the same objective of the clean images alone."""
        torch, count, cycles = self._torch, len(self._images), self._cycles
        cross_entropy, mse = torch.nn.functional.cross_entropy, torch.nn.functional.mse_loss
        self._optimizer.zero_grad()
        images = self._images
        if adversarial:
            attacked = self._attack(full_unroll=False, steps=7, random_start=True)
            images = torch.cat((images, attacked), 0)

        def classification(logits: Any) -> Any:
            if not adversarial:
                return cross_entropy(logits, self._labels) / (cycles + 1)
            clean = self._setup["clean_weight"] * cross_entropy(logits[:count], self._labels)
            return (clean + cross_entropy(logits[count:], self._labels)) / (2 * (cycles + 1))

        self._model.train()
        self._model.reset()
        logits, *taps = self._model(images, first=True, inter=True)
        features, loss = taps[0], classification(logits)
        for _ in range(cycles):
            reconstructions = self._model(logits, step="backward", inter_recon=True)
            pairs = zip(reconstructions, taps, strict=True)
            errors = [mse(reconstruction[-count:], tap[:count]) for reconstruction, tap in pairs]
            loss = loss + sum(errors) * 0.1 / (len(errors) * cycles)
            features = features + 0.1 * (reconstructions[0] - features)
            logits = self._model(features, first=False)
            loss = loss + classification(logits)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 0.5)
        self._optimizer.step()
        return loss.item()
