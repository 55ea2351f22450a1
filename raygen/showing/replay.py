"""Replay: a finished row run once more on its recorded calls, to see what each node was given.

Ops are pure, so a row that finds all its calls on record goes the way it went. No engine is there:
a call that isn't on record ends the replay. Knows nothing of what is shown of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from raygen.dataset.recorded import Recorded
from raygen.dataset.tables import Call, Rejected
from raygen.engines.base import Engine, EngineSetupError
from raygen.engines.stand_in import StandInEngine
from raygen.plan import Plan
from raygen.program import RowProgram, Step
from raygen.row import Reject


@dataclass(frozen=True, slots=True)
class Dropped:
    """A reject as it came about: the row that was dropped, and what a model had said for it."""

    data: Mapping[str, Any]
    said: tuple[str, ...]


async def replay(
    plan: Plan,
    key: str,
    data: Mapping[str, Any],
    recorded: Recorded,
    rejects: Sequence[Rejected],
) -> list[Dropped] | None:
    """How each of a row's `rejects` came about, in their order.

    None where the row can't be run from its record, or would end otherwise than the ledger says.
    """
    steps: list[Step] = []
    engines: Mapping[str, Engine] = {name: _NoEngine() for name in plan.engines}
    program = RowProgram(plan, engines, steps.append)
    try:
        result = await program.run(key, data, recorded)
    except EngineSetupError:
        return None
    if result.rejects != tuple(rejects):
        return None
    places = {node.name: index for index, node in enumerate(plan.nodes)}
    steps.sort(key=lambda step: (places[step.node], step.row.lineage))
    return [
        _dropped(step, index, result.calls)
        for step in steps
        for index, outcome in enumerate(step.outcomes)
        if isinstance(outcome, Reject)
    ]


def texts(calls: Iterable[Call]) -> tuple[str, ...]:
    """What a model wrote in some calls."""
    return tuple(
        answer["text"].strip()
        for call in calls
        if call.kind == "generate"
        for answer in json.loads(call.completions)
    )


def _dropped(step: Step, index: int, calls: Sequence[Call]) -> Dropped:
    """A group op, and one that judges each completion, gives as many outcomes in their order."""
    number = len(step.outcomes)
    asked = [call for call in calls if (call.node, call.row) == (step.node, step.row.id)]
    said = texts(asked)
    row = step.rows_in[index] if len(step.rows_in) == number else step.row
    one_each = len(asked) == 1 and len(said) == number
    return Dropped(row.data, said[index : index + 1] if one_each else said)


class _NoEngine(StandInEngine):
    """Stands where a plan's engine would, and refuses every request."""

    async def receive(self, *texts: str) -> NoReturn:
        raise EngineSetupError("the call isn't on record")
