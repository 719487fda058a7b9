"""Which cases a benchmark times, and which of them take turns."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from cnnf_tf.experiments.benchmark import setups as known
from cnnf_tf.experiments.benchmark.setups import BenchmarkNetwork, Case
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.validation import positive_int

PARTS: dict[str, tuple[str, ...]] = {
    "inference": (known.INFERENCE,),
    "attack": known.ATTACKS,
    "training": known.TRAININGS,
    "export": (known.EXPORT,),
    "memory": (),
    "first_result": (),
}
"""The parts of a benchmark, and the kinds of case in each that take turns in one process."""
SHORT_PARTS = tuple(name for name in PARTS if name != "first_result")
"""Those of the short plan."""
FIRST_BATCH = 8
"""Images of a first result, which is to be told from the work itself."""
LINE_ITERATIONS = 10
"""The K that is compared with the straight line through the smaller ones."""


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """What to measure.

    Attributes:
      cases: of `PARTS`.
      networks: of `setups.SETUPS`.
      dtypes: of `setups.POLICIES`; the first is the one that everything is timed in.
      modes: of `setups.MODES`; likewise.
      iterations: values of K of inference.
      batch_size: images; None for each network's own (256 and 32).
      repeats: rounds; the medians are taken over them.
      full: whether to time every combination. The short plan times everything in the first dtype and mode, and the
        other dtypes and modes only with the authors' K and split and only of inference, attacks and training; of the
        wide network it leaves out what takes minutes: h = the image outside of inference, and gradients in other modes.
      smoke: whether to replace the networks by tiny ones.

    Raises:
      ValueError: an unknown name, an empty list, or a number out of its range.
    """

    cases: tuple[str, ...] = SHORT_PARTS
    networks: tuple[str, ...] = tuple(known.SETUPS)
    dtypes: tuple[str, ...] = tuple(known.POLICIES)
    modes: tuple[str, ...] = known.MODES
    iterations: tuple[int, ...] = (0, 1, 2, 5)
    batch_size: int | None = None
    repeats: int = 5
    full: bool = False
    smoke: bool = False

    def __post_init__(self) -> None:
        names: dict[str, Collection[str]] = {
            "cases": PARTS,
            "networks": known.SETUPS,
            "dtypes": known.POLICIES,
            "modes": known.MODES,
        }
        for name, allowed in names.items():
            values = getattr(self, name)
            if not values or {*values} - {*allowed} or len({*values}) < len(values):
                raise ValueError(
                    f"{name} wants some of {list(allowed)}, each once and at least one, got {list(values)}."
                )
        if not self.iterations or len(set(self.iterations)) < len(self.iterations):
            raise ValueError(f"iterations wants values of K, each once and at least one, got {self.iterations}.")
        for count in self.iterations:
            check_iterations(count)
        positive_int("repeats", self.repeats)
        if self.batch_size is not None:
            positive_int("batch_size", self.batch_size)

    def setups(self) -> Iterator[BenchmarkNetwork]:
        """The networks to time, at the batch size to time them with."""
        for name in self.networks:
            setup = (known.SMOKE_SETUPS if self.smoke else known.SETUPS)[name]
            yield setup if self.batch_size is None else dataclasses.replace(setup, batch_size=self.batch_size)


def timed_groups(options: BenchmarkOptions, *, exporters: Sequence[str]) -> list[list[Case]]:
    """The cases to time; those of one group take turns.

    Args:
      options: what to measure.
      exporters: names of the exporters.
    """
    parts = PARTS | {"export": tuple(f"{known.EXPORT} {name}" for name in exporters)}
    groups = [
        [case for kind in kinds for case in _cases(options, setup, encoder_blocks, kind)]
        for setup in options.setups()
        for encoder_blocks in dict.fromkeys((setup.encoder_blocks, 0))
        for part, kinds in parts.items()
        if part in options.cases
    ]
    return [group for group in groups if group]


def _cases(options: BenchmarkOptions, setup: BenchmarkNetwork, encoder_blocks: int, kind: str) -> Iterator[Case]:
    """The cases of one kind on one network."""
    own, inference, exported = (
        encoder_blocks == setup.encoder_blocks,
        kind == known.INFERENCE,
        kind.startswith(known.EXPORT),
    )
    if not options.full and not own and (exported or (setup.heavy and not inference)):
        return
    counts = [setup.iterations]
    if inference:
        counts = _counts(options) if own or options.full else [*options.iterations]
    first = (options.dtypes[0], options.modes[0])
    for dtype in options.dtypes:
        for mode in options.modes[:1] if exported else options.modes:
            main = (dtype, mode) == first
            if main or options.full or (own and _also(options, setup, kind, dtype, mode)):
                for count in counts if main or options.full else [setup.iterations]:
                    yield Case(kind, setup, encoder_blocks, count, setup.batch_size, dtype, mode)
    if own and _grows(options, setup, kind):
        for batch_size in _smaller(setup.batch_size):
            yield Case(kind, setup, encoder_blocks, setup.iterations, batch_size, *first)


def _counts(options: BenchmarkOptions) -> list[int]:
    """The values of K, and the one beyond them where there are enough to look from."""
    counts = [*options.iterations]
    return [*counts, LINE_ITERATIONS] if len(counts) >= 3 and max(counts) < LINE_ITERATIONS else counts


def _also(options: BenchmarkOptions, setup: BenchmarkNetwork, kind: str, dtype: str, mode: str) -> bool:
    """Whether the short plan has this kind in a dtype and mode other than the first ones."""
    if dtype != options.dtypes[0]:
        return mode == options.modes[0] and kind in (known.INFERENCE, known.TRAINING)
    return kind == known.INFERENCE or (not setup.heavy and kind in (known.ATTACK_FULL_UNROLL, known.TRAINING))


def _grows(options: BenchmarkOptions, setup: BenchmarkNetwork, kind: str) -> bool:
    """Whether growth with the batch and, for memory, with K is looked at."""
    return kind in (known.INFERENCE, known.TRAINING) and (options.full or not setup.heavy)


def _smaller(batch_size: int) -> list[int]:
    """A quarter and a half of a batch."""
    return sorted({batch_size // 4, batch_size // 2} - {0, batch_size})


def memory_cases(options: BenchmarkOptions) -> list[Case]:
    """The cases whose memory is measured: every kind, and its growth with K and with the batch.

    All are in the first dtype, as a `tf.function`, and at the authors' `encoder_blocks`.
    """
    found = []
    for setup in options.setups() if "memory" in options.cases else ():
        for kind in (known.INFERENCE, known.ATTACK_FULL_UNROLL, *known.TRAININGS):
            sizes = [(setup.iterations, setup.batch_size)]
            if _grows(options, setup, kind):
                ends = options.iterations if options.full else (min(options.iterations), max(options.iterations))
                sizes += [(count, setup.batch_size) for count in ends]
                sizes += [(setup.iterations, batch_size) for batch_size in _smaller(setup.batch_size)]
            for count, batch_size in dict.fromkeys(sizes):
                found.append(Case(kind, setup, setup.encoder_blocks, count, batch_size, options.dtypes[0]))
    return found[:1] if options.smoke and not options.full else found


def first_cases(options: BenchmarkOptions) -> list[Case]:
    """The cases whose first result is waited for, at every K: h is the image where there is a pretrained network."""
    found = []
    for setup in options.setups() if "first_result" in options.cases else ():
        encoder_blocks = 0 if setup.network in known.PRETRAINED else setup.encoder_blocks
        batch_size = options.batch_size or min(FIRST_BATCH, setup.batch_size)
        found += [
            Case(kind, setup, encoder_blocks, count, batch_size)
            for kind in known.FIRST_RESULTS
            for count in _counts(options)
        ]
    return found[:1] if options.smoke and not options.full else found
