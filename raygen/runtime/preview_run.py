"""Preview a few source rows: through the whole graph, in this process, step by step.

Only the figures are stored, for the next estimate. Knows nothing of Ray or of datasets on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from raygen.core import Reject, Row, redirected_output, run_coroutine
from raygen.dataset import Folder, RowResult
from raygen.engines import Engine, Learner, assign_gpus, start_engine
from raygen.planning import Plan, PreparedRecipe, bind_plan, measure_rows, store_preview
from raygen.recipe import Recipe
from raygen.runtime.row_program import NodeStep, RowProgram
from raygen.runtime.worker import invalid_result
from raygen.sources import key_source


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    """A source row, normalised by the task, its steps in the order of the plan, and its result."""

    data: Mapping[str, Any]
    steps: tuple[NodeStep, ...]
    result: RowResult


@dataclass(frozen=True, slots=True)
class Preview:
    """A few rows of a plan; `seconds` is their wall-clock time without the start of engines."""

    plan: Plan
    rows: tuple[PreviewedRow, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    """How the source was read, and what was learned of endpoints."""

    def to_json(self) -> list[dict[str, Any]]:
        """Convert the rows to JSON: what came in, every call, every step, what came out."""
        return [_row_json(row) for row in self.rows]


def preview(
    prepared: PreparedRecipe, n: int, started: Callable[[Path], None] | None = None
) -> Preview:
    """Run the first n rows, also where an event loop is running in this thread.

    With `started`, what vLLM prints goes to a file, whose path it gets. Raises SourceError,
    EngineError, and UserError for what an op needs and this machine lacks.
    """
    plan = bind_plan(prepared.plan, anonymous=prepared.anonymous)
    keyed, dropped, notes = _first_rows(prepared.recipe, plan, n)
    with _quiet(plan, started):
        done = run_coroutine(run_rows(plan, keyed))
    done = replace(done, rows=(*done.rows, *dropped), notes=(*notes, *done.notes))
    results = [row.result for row in done.rows]
    store_preview(prepared.recipe.name, measure_rows(plan, results, done.seconds))
    return done


def first_rows(recipe: Recipe, plan: Plan, n: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Read those of the first n source rows that fit their task, with their keys.

    Raises SourceError.
    """
    return _first_rows(recipe, plan, n)[0]


def _first_rows(
    recipe: Recipe, plan: Plan, n: int
) -> tuple[list[tuple[str, Mapping[str, Any]]], list[PreviewedRow], tuple[str, ...]]:
    """Read the first n source rows with their keys: those that fit their task, what becomes of the
    others, and how the source was read. Raises SourceError."""
    spec = recipe.source
    if spec.sample is None:
        spec = spec.model_copy(update={"limit": min(n, spec.limit or n)})
    with tempfile.TemporaryDirectory(prefix="raygen-preview-") as folder:
        source = key_source(
            spec,
            plan.task,
            recipe.source_base,
            Folder.at(folder),
            recipe.max_source_bytes,
            recipe.source_access,
        )
        first = list(enumerate(source.read(range(min(n, source.total)))))
    dropped = [
        PreviewedRow(data, (), invalid_result(key, source.invalid[ordinal]))
        for ordinal, (key, data) in first
        if ordinal in source.invalid
    ]
    return [row for at, row in first if at not in source.invalid], dropped, source.notes


async def run_rows(plan: Plan, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Preview:
    """Run the plan for keyed rows, all at once, on engines that are started and closed here.

    Raises EngineError where an engine can't start or is lost.
    """
    engines: dict[str, Engine] = {}
    steps: dict[str, list[NodeStep]] = defaultdict(list)
    try:
        for spec, devices in assign_gpus(plan.engines.values()):
            engines[spec.name] = await start_engine(spec, devices)
        program = RowProgram(plan, engines, lambda step: steps[step.row.key].append(step))
        begun = time.monotonic()
        results = await asyncio.gather(*(program.run(key, data) for key, data in rows))
        seconds = time.monotonic() - begun
        learners = [engine for engine in engines.values() if isinstance(engine, Learner)]
    finally:
        for engine in engines.values():
            await engine.close()
    order = {node.name: index for index, node in enumerate(plan.nodes)}
    done = [
        PreviewedRow(
            data,
            tuple(sorted(steps[key], key=lambda step: (order[step.node], step.row.lineage))),
            result,
        )
        for (key, data), result in zip(rows, results, strict=True)
    ]
    learned = tuple(note for learner in learners for note in learner.notes)
    return Preview(plan, tuple(done), seconds, learned)


def chat_of(prompt: str) -> list[dict[str, str]] | None:
    """Parse the messages of a chat prompt; None for a completion prompt."""
    if not prompt.startswith('[{"role"'):
        return None
    try:
        turns: list[dict[str, str]] = json.loads(prompt)
    except ValueError:
        return None
    return turns


@contextlib.contextmanager
def _quiet(plan: Plan, started: Callable[[Path], None] | None) -> Iterator[None]:
    if started is None or not any(spec.backend == "vllm" for spec in plan.engines.values()):
        yield
        return
    with tempfile.NamedTemporaryFile(prefix="raygen-preview-", suffix=".log", delete=False) as file:
        log = Path(file.name)
    started(log)
    with redirected_output(log):
        yield


def _row_json(row: PreviewedRow) -> dict[str, Any]:
    result = asdict(row.result)
    for call in result["calls"]:
        call["prompt"] = chat_of(call["prompt"]) or call["prompt"]
        call["sampling"] = json.loads(call["sampling"])
        call["completions"] = json.loads(call["completions"])
    steps = [
        {
            "node": step.node,
            "row": step.row.id,
            "made": [outcome.data for outcome in step.outcomes if isinstance(outcome, Row)],
            "rejects": [
                {"outcome": index, "reason": outcome.reason, "detail": outcome.detail}
                for index, outcome in enumerate(step.outcomes)
                if isinstance(outcome, Reject)
            ],
        }
        for step in row.steps
    ]
    return {"data": dict(row.data), **result, "steps": steps}
