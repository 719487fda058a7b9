"""How the binaries that evaluate share out their batches: over devices, over machines, and over what a kill left."""

import contextlib
import hashlib
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import _app
from absl import flags

import cnnf_tf
from cnnf_tf.utils import progress

flags.disclaim_key_flags()  # they belong to the binary that calls

# Flags that change nothing of what is found about an image; all others must be the same in all parts.
_FREE = {
    "output",
    "data_dir",
    "ood_data_dir",
    "strategy",
    "devices",
    "shard",
    "merge",
    "num_pictures",
    "name",
    "note",
    "architecture",
    "additional_data",
}
_FOLDER = "batches"


def define_batches() -> None:
    """Defines --strategy, --devices, --shard and --merge."""
    _app.define_strategy("one_device", "mirrored", note="Each GPU takes whole batches.")
    flags.DEFINE_string(
        "shard",
        "",
        "i/n, such as 2/3: work on part i of n only, which is every n-th batch, and keep what is found in --output for "
        "--merge. For several machines: the same command on each, but for --shard and --output.",
    )
    flags.DEFINE_list(
        "merge", [], "The --output folders of all n parts: writes what one run would, without working on their batches."
    )


def strategy() -> Any:
    """The strategy of --strategy, in whose scope models are to be loaded; checks the other flags as well."""
    found = flags.FLAGS
    if found.shard and found.merge:
        raise _app.UsageError("--shard makes a part, --merge puts parts together: give one of them, not both.")
    _shard()
    return cnnf_tf.training.build_strategy(found.strategy, devices=found.devices)


def is_part() -> bool:
    """Whether this run makes a part only: then there is nothing to sum up."""
    return bool(flags.FLAGS.shard)


class Batches:
    """Runs jobs and shows their progress; from `opened`."""

    def __init__(self, runner: Any):
        self._runner = runner

    def run(self, jobs: Sequence[Any]) -> dict[str, Any]:
        """The facts of jobs by their names: of all images, or those of the part."""
        return {job.name: self._run(job) for job in jobs}

    def _run(self, job: Any) -> Any:
        right = count = 0
        cardinality = int(job.batches.cardinality())
        total = sum(map(self._runner.shard.holds, range(cardinality))) if cardinality >= 0 else None
        with progress.Progress(job.name, total, "batches") as shown:

            def batch_done(facts: Mapping[str, Any]) -> None:
                nonlocal right, count
                if "predictions" in facts:  # an attack
                    right += int((facts["predictions"] == facts["labels"]).sum())
                    count += len(facts["labels"])
                shown.update(note=f"robust accuracy {100 * right / count:.1f} %" if count else "")

            return self._runner.run(job, batch_done)


def announce(part: str, count: int) -> None:
    """Shows what part of a long attack begins; for AutoAttack's `progress`."""
    progress.note(f"{part}: {count} images")


def fingerprint(dataset: Any) -> dict[str, Any]:
    """To know other data by: how many batches there are, and what is in them, whatever their size."""
    digests: dict[int, Any] = {}
    count = 0
    for batch in dataset:
        count += 1
        for place, part in enumerate(batch if isinstance(batch, tuple) else (batch,)):
            digests.setdefault(place, hashlib.sha256()).update(part.numpy().tobytes())
    return {"batches": count, "sha256": "-".join(digest.hexdigest()[:16] for digest in digests.values())}


@contextlib.contextmanager
def opened(strategy: Any, output: pathlib.Path | None, model: Any, dataset: Any, **more: Any) -> Iterator[Batches]:
    """What runs the jobs of a binary as its flags say, and goes on where the same command was cut off.

    Args:
      strategy: from `strategy`.
      output: folder of --output, where what was found so far lies until the end, or for --merge; None keeps nothing.
      model: of --model.
      dataset: its batches, to know other data by.
      **more: what else the results depend on, for JSON, that no flag tells.
    """
    from cnnf_tf.utils import batch_records, batches

    merge = flags.FLAGS.merge
    if output is None:
        if is_part() or merge:
            raise _app.UsageError("--shard and --merge want an --output.")
        yield Batches(batches.BatchRunner(strategy))
        return
    config = _config(model, dataset) | more
    if merge:
        parts = [pathlib.Path(folder) / _FOLDER for folder in merge]
        try:
            merged = batch_records.MergedRecord(parts, config)
        except ValueError as error:
            raise ValueError(f"--merge: {error}") from error
        yield Batches(batches.BatchRunner(record=merged))
        return
    shard = _shard()
    with _app.writing_to("output", output):
        (output / _FOLDER).mkdir(parents=True, exist_ok=True)
    with batch_records.open_record(output / _FOLDER, config, shard) as record:
        yield Batches(batches.BatchRunner(strategy, shard, record))
        if is_part():
            record.complete()
            print(
                f"part {shard} is done, in {record.folder}. When all are: the same command with "
                "--merge=FOLDER,FOLDER,... in place of --shard, naming the --output of each part."
            )
        else:
            record.remove()


def _shard() -> Any:
    from cnnf_tf.utils.batches import Shard

    try:
        return Shard.parse(flags.FLAGS.shard) if flags.FLAGS.shard else Shard()
    except ValueError as error:
        raise _app.UsageError(f"--shard {error}") from error


def _config(model: Any, dataset: Any) -> dict[str, Any]:
    """All that what is found depends on."""
    from cnnf_tf.utils import environment

    own: dict[str, Any] = {flag.name: flag.value for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])}
    settings = {name: value for name, value in own.items() if name not in {*_FREE, *_app.MODEL_FLAGS}}
    if isinstance(settings.get("iterations"), int):
        settings["iterations"] = _app.iterations_of(model)
    # A folder may have another path on another machine: what lies in it is told by its images.
    settings |= {name: own[name].partition(":")[0] for name in ("dataset", "ood_dataset") if name in own}
    files = {name: own[name] for name in _app.MODEL_FLAGS if own.get(name)}
    versions = environment.versions()
    return {
        "settings": settings,
        "sha256": {name: cnnf_tf.zoo.model_sha256(file) for name, file in files.items()},
        "data": fingerprint(dataset),
        "versions": {name: versions[name] for name in ("cnnf_tf", "tensorflow")},
    }
