"""Reading the study of the talk's four claims: `results.json` of bin/study.py."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.numbers import Share, listed, minutes
from cnnf_tf.experiments.results.results import Results, Run

FOLDER = "study"
COMMANDS = ("python bin/study.py --config=configs/fashion_mnist_study.py --output=runs/study",)


@dataclasses.dataclass(frozen=True)
class Study:
    """Its record.

    Attributes:
      record: `results.json`.
    """

    record: Mapping[str, Any]

    @classmethod
    def read(cls, results: Results, name: str = "results.json") -> "Study | None":
        """None if it was not measured."""
        record = results.json(f"{FOLDER}/{name}")
        return None if record is None else cls(record)

    @property
    def options(self) -> Mapping[str, Any]:
        """`study` of its configuration."""
        return self.record["config"]["study"]

    @property
    def cells(self) -> list[dict[str, Any]]:
        """All measurements."""
        return self.record["cells"]

    def models(self, part: str) -> list[str]:
        """Names of the networks of a part, by K, the plain CNN first; those trained to run on come last."""
        names = list(self.options["models"] if part == "clean" else self.options[part]["models"])
        return sorted(names, key=lambda name: (self.horizon(name) > 0, self.trained(name), names.index(name)))

    def trained(self, model: str) -> int:
        """K of a network."""
        return self.options["models"][model]["iterations"]

    def horizon(self, model: str) -> int:
        """Training horizon of a network; 0 for none."""
        return self.options["models"][model].get("training_horizon", 0)

    def seeds(self, part: str, model: str) -> list[int]:
        """Training seeds that a part was measured for."""
        return sorted({cell["seed"] for cell in self.cells if cell["part"] == part and cell["model"] == model})

    def label(self, model: str) -> str:
        """How the page calls a network."""
        if not self.trained(model):
            return "CNN"
        name = f"CNN-F, K = {self.trained(model)}"
        return f"{name}, horizon {self.horizon(model)} (`{model}`)" if self.horizon(model) else name

    def values(self, part: str, model: str, **where: Any) -> dict[int, tuple[int, int]]:
        """Correct images and images of the cells that fit, by seed, for example `readout="last", radius=0.05`."""
        wanted = {"part": part, "model": model, **where}
        found = [cell for cell in self.cells if wanted.items() <= cell.items()]
        return {cell["seed"]: (cell["correct"], cell["num_images"]) for cell in sorted(found, key=lambda c: c["seed"])}

    def share(self, part: str, model: str, **where: Any) -> Share | None:
        """Accuracy over the seeds; None if there is no such cell."""
        found = self.values(part, model, **where).values()
        return Share.of([correct / count for correct, count in found], [count for _, count in found])

    def clean(self, model: str, *, iterations: int, readout: str) -> Share | None:
        """Clean accuracy after some iterations."""
        return self.share("clean", model, iterations=iterations, readout=readout)

    def facts(self, results: Results, part: str, models: Sequence[str] | None = None) -> list[str]:
        """Training, attack and time of a part, or of some networks of it, for the list under a section."""
        chosen = self.models(part) if models is None else models
        cells = [cell for cell in self.cells if cell["part"] == part and cell["model"] in chosen]
        networks = sorted({(cell["model"], cell["seed"]) for cell in cells})
        runs = [Run(results.folder / FOLDER / "models" / f"{model}-seed{seed}", seed) for model, seed in networks]
        times = [run.training_minutes for run in runs]
        training = minutes([None if None in times else sum(time for time in times if time is not None)])
        measuring = sum({cell["job"]: cell["seconds"] for cell in cells}.values()) / 60
        epochs = sorted({self.options["models"][model]["epochs"] for model, _ in networks})
        attack = self.options["attack"]
        paths = " and ".join(path.replace("_", " ") for path in attack.get("paths", ()))
        followed = "first pass" if part == "needed" else paths
        fixed = f"PGD-{attack['steps']}, l-inf, one random start, seed {attack['seed']}"
        facts = [
            f"networks: {len(networks)}, of {listed(epochs)} epoch{'s' * (epochs != [1])} of training",
            f"attack: {fixed}; gradients through {followed}",
            f"clean accuracy: {self.options['clean_split']} split",
            f"time: {training} to train, {minutes([measuring])} to measure",
        ]
        return [fact for fact in facts if part != "clean" or not fact.startswith("attack")]
