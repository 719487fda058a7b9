"""Times the cases of the plan against the floor, and reads from the compiler what memory they take."""

import concurrent.futures
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax

from cnnf_tf.experiments.accelerator import lower_bound, plan, programs
from cnnf_tf.experiments.accelerator.plan import PRECISIONS, Scale, Timed
from cnnf_tf.experiments.accelerator.programs import Program
from cnnf_tf.experiments.accelerator.record import Record, one_line
from cnnf_tf.experiments.benchmark import linear_ops
from cnnf_tf.experiments.benchmark.linear_ops import LinearOp
from cnnf_tf.experiments.benchmark.timing import Timing, time_in_turns, timed

_MIB = 2**20
Compiled = Any
"""What JAX compiled, or the error."""


def run(scale: Scale, record: Record) -> None:
    """Measures group by group, and stops where another group would not be done in time."""
    record.measured_on(**programs.machine())
    floors: dict[tuple[LinearOp, str], float] = {}
    longest = 0.0
    for group in plan.groups(scale):
        wanted = [each for each in group if not record.done(each.name)]
        if wanted and record.left() < 1.2 * longest:
            record.report(f"no time left, from {wanted[0].name} on")
            return
        started = time.time()
        try:
            _run_group(wanted, scale, record, floors)
        except Exception as error:  # noqa: BLE001 - the next group goes on
            for each in wanted:
                if not record.done(each.name):
                    record.add(each.name, each.about() | {"error": one_line(error)})
        longest = max(longest, time.time() - started)
        record.write(memory_of_the_process=_memory_stats())


def _run_group(group: list[Timed], scale: Scale, record: Record, floors: dict[tuple[LinearOp, str], float]) -> None:
    works = {each: _work(each) for each in group}
    ops = {(op, each.precision) for each, work in works.items() for op in work} - set(floors)
    bare = {key: (lower_bound.program(key[0], scale.copies), key[1]) for key in sorted(ops)}
    for key, (compiled, program) in _compiled(bare.items()):
        found = _seconds(compiled, program, scale.repeats)
        floors[key] = found / scale.copies if isinstance(found, float) else float("nan")
    started = time.time()
    cases = {each: (programs.program(each), each.precision) for each in group}
    for each, (compiled, program) in _compiled(cases.items()):
        row = each.about() | {"ready_after_seconds": round(time.time() - started, 1)}
        row |= {"memory_MiB": _memory(compiled)}
        found = _seconds(compiled, program, scale.repeats)
        if isinstance(found, str):
            row["error"] = found
        else:
            floor = sum(count * floors[op, each.precision] for op, count in works[each].items())
            row["milliseconds"] = 1000 * found
            row["images_per_second"] = each.case.batch_size / found
            row["floor_milliseconds"] = 1000 * floor
            row["ratio"] = found / floor
        record.add(each.name, row)


def _work(each: Timed) -> linear_ops.Work:
    model = programs.model_of(each.case.setup, PRECISIONS[each.precision][0])
    return linear_ops.of_case(model.parts, each.case)


def _compiled(wanted: Iterable[tuple[Any, tuple[Program, str]]]) -> Iterator[tuple[Any, tuple[Compiled, Program]]]:
    """Traces one program after the other, compiles all at once, and yields them in their order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = []
        for key, (program, precision) in wanted:
            with jax.default_matmul_precision(PRECISIONS[precision][1]):
                try:
                    waiting.append((key, program, pool.submit(_lowered(program).compile)))
                except Exception as error:  # noqa: BLE001 - whatever fails becomes a row
                    waiting.append((key, program, pool.submit(_raise, error)))
        for _, _, future in waiting:
            future.exception()  # not to time one while others compile
    for key, program, future in waiting:
        yield key, (future.exception() or future.result(), program)


def _lowered(program: Program) -> Any:
    return jax.jit(program.function).lower(*jax.eval_shape(program.inputs))


def _raise(error: Exception) -> None:
    raise error


def _seconds(compiled: Compiled, program: Program, repeats: int) -> float | str:
    """The median of some runs, each waited for; or why there is none."""
    if isinstance(compiled, BaseException):
        return one_line(compiled)
    arguments = program.inputs()
    found = time_in_turns({"": timed(lambda: jax.block_until_ready(compiled(*arguments)))}, repeats=repeats)[""]
    return found.median if isinstance(found, Timing) else found.message


def _memory(compiled: Compiled) -> dict[str, float] | None:
    """What the compiler laid out: arguments, results, what is between them, and the sum."""
    found = None if isinstance(compiled, BaseException) else compiled.memory_analysis()
    if found is None:
        return None
    sizes = {
        "arguments": found.argument_size_in_bytes,
        "results": found.output_size_in_bytes - found.alias_size_in_bytes,
        "between": found.temp_size_in_bytes,
    }
    return {name: round(size / _MIB, 3) for name, size in (sizes | {"all": sum(sizes.values())}).items()}


def _memory_stats() -> dict[str, int]:
    """What the device's allocator counted, over all cases so far."""
    stats = jax.devices()[0].memory_stats() or {}
    return {name: stats[name] for name in ("peak_bytes_in_use", "bytes_limit") if name in stats}
