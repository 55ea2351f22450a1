"""Check the contract of an op: what planning, replay and readers of rejects rely on.

Runs the op on a fake context. Knows nothing of what the op is for.
"""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from raygen.core import TASKS, ColumnType, Reject, Row, Task, run_coroutine, template_fields
from raygen.engines import Completion
from raygen.ops import Columns, Op, OpParams
from raygen.ops.common import SamplingParams
from raygen.testing.context import FakeContext, Script

_Ran = tuple[list[Row | Reject], FakeContext]
_HELD: Mapping[ColumnType, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "strings": (list, tuple),
}


class ContractError(AssertionError):
    """An op breaks the contract; str() names each fault and what to do."""


def check_op(
    op: Op,
    params: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    answers: Script | Sequence[str | Completion] = (),
    task: Task = TASKS["multiple_choice"],
) -> list[Row | Reject]:
    """Run an op on rows, check that it keeps the contract, and return its outcomes.

    Choose `rows` and `answers` so that something is kept and something is rejected.

    Args:
        op: The op.
        params: Its parameters, as in a recipe.
        rows: Rows as the task normalises them; a group op gets all of them together.
        answers: The script of the fake model, or its completions for every request.
        task: The task that the rows are of.

    Raises ContractError with all faults at once.
    """
    try:
        checked = op.params.model_validate(params)
    except ValidationError as error:
        raise ContractError(f"{op.name}: the parameters don't fit: {error}") from error
    declared = op.columns(checked, task)
    script = answers if isinstance(answers, Script) else Script(answers)
    check = _Check(op, checked, declared, task, script)
    runs = check.runs(rows)
    faults = [*_form(op, checked), *_declaration(op, checked, declared, task)]
    for before, ran in runs:
        faults += [*_outcomes(before, ran[0], declared), *_requests(len(before), ran, declared)]
    faults += check.purity(rows, runs)
    if faults:
        words = "".join(f"\n- {fault}" for fault in dict.fromkeys(faults))
        raise ContractError(f"{op.name} doesn't keep to the contract of an op:{words}")
    return [outcome for _, (outcomes, _) in runs for outcome in outcomes]


class _Check:
    """Runs an op with its parameters on variations of the same rows."""

    def __init__(
        self, op: Op, params: OpParams, declared: Columns, task: Task, script: Script
    ) -> None:
        self.op = op
        self.params = params
        self.declared = declared
        self.task = task
        self.script = script

    def runs(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[list[Row], _Ran]]:
        """Run on each row by itself; a group op on all, as rows of one source row."""
        if self.op.group:
            group = [Row("source", data, (("before", k),)) for k, data in enumerate(rows)]
            return [(group, self._run(group))]
        single = [[Row(f"source-{k}", data)] for k, data in enumerate(rows)]
        return [(row, self._run(row)) for row in single]

    def purity(
        self, rows: Sequence[Mapping[str, Any]], runs: Sequence[tuple[list[Row], _Ran]]
    ) -> Iterator[str]:
        """Yield faults of purity: rows changed in place, other outcomes, undeclared columns read.

        The op runs again on the same rows, on rows with declared columns only, and on rows with
        other values in the columns that it hides.
        """
        first = _observe(runs)
        before = copy.deepcopy(list(rows))
        repeated = self._try(rows)
        if [dict(row) for row in rows] != [dict(row) for row in before]:
            yield "it changes the row that it is given; make new ones with row.child()"
        if repeated != first:
            yield (
                "the same row gives something else the second time; draw with "
                "random.Random(ctx.seed(k)), and use no clock, file or global state"
            )
            return
        known = self._declared_columns()
        less = [{name: row[name] for name in row if name in known} for row in rows]
        if less != before and self._try(less, known) != _observe(runs, known):
            yield (
                "it reads columns that it doesn't declare; name them in Columns.requires (in "
                "Columns.optional where it can do without) or read them in a template"
            )
        for name in sorted(self.declared.hides):
            others = [changed(name, row, self.task) for row in before]
            if others != before and not _same_prompts(self._try(others), first):
                yield f"it hides {name!r}, and its prompts depend on it all the same"

    def _declared_columns(self) -> frozenset[str]:
        read = [template_fields(text) for text in self.declared.templates.values()]
        named = self.declared.requires.union(*read) - self.declared.given
        known = named | self.declared.optional | self.declared.hides
        return known | set(self.task.columns)  # every row has the task's

    def _try(self, rows: Sequence[Mapping[str, Any]], known: frozenset[str] | None = None) -> Any:
        """Run and observe; an error is observed as its text."""
        random.seed()
        try:
            return _observe(self.runs(rows), known)
        except (KeyError, LookupError, ValueError, TypeError, AttributeError) as error:
            return f"{type(error).__name__}: {error}"

    def _run(self, rows: list[Row]) -> _Ran:
        context = FakeContext(rows[0], self.script, self.task)
        run: Callable[..., Any] = self.op.run
        outcomes = run_coroutine(run(rows if self.op.group else rows[0], self.params, context))
        return list(outcomes), context


def _observe(runs: Sequence[tuple[list[Row], _Ran]], known: frozenset[str] | None = None) -> Any:
    """Collect outcomes and requests of runs; given `known`, omit other inherited columns."""
    observed = []
    for before, (outcomes, context) in runs:
        columns = set().union(*(row.data for row in before)) - (known or frozenset())
        left_out = columns if known is not None else set()
        made = [
            (outcome.id, {name: outcome.data[name] for name in outcome.data.keys() - left_out})
            if isinstance(outcome, Row)
            else outcome
            for outcome in outcomes
        ]
        observed.append((made, context.asked, context.scored))
    return observed


def _same_prompts(first: Any, second: Any) -> bool:
    """Tell whether the prompts of two observations agree, up to where the shorter one ends."""
    if isinstance(first, str):
        return True  # the op failed on other values, so no prompt shows them
    return all(
        a == b
        for (_, *requests_a), (_, *requests_b) in zip(first, second, strict=True)
        for pairs in map(zip, requests_a, requests_b)
        for (a, _), (b, _) in pairs
    )


def _form(op: Op, params: OpParams) -> Iterator[str]:
    """Yield faults of the op and its parameters that planning and `raygen ops` would hit."""
    if not op.doc or op.doc == (OpParams.__doc__ or "").strip():
        yield f"{op.params.__name__} has no docstring; say what the op does, emits and rejects"
    for name, field in op.params.model_fields.items():
        if not field.description and name not in SamplingParams.model_fields:
            yield f"parameter {name!r} has no description; give it Field(..., description=...)"
    if op.params.model_config.get("extra") != "forbid":
        yield "its parameters take unknown names; leave extra='forbid' as OpParams has it"
    written = params.model_dump(mode="json", by_alias=True)
    try:
        same = op.params.read_back(written) == params
    except ValidationError:
        same = False
    if not same:
        yield "its parameters, written as JSON and read again, are others; plan.json needs them"
    try:
        pickle.loads(pickle.dumps((op, params)))  # noqa: S301 - what was pickled a moment ago
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        yield f"it can't be pickled ({error}); make `run`, `columns` and `params` a module's own"


def _declaration(op: Op, params: OpParams, declared: Columns, task: Task) -> Iterator[str]:
    if op.columns(params, task) != declared:
        yield "`columns` says something else the second time"
    for name, kind in declared.provides.items():
        if kind not in get_args(ColumnType):
            known = ", ".join(get_args(ColumnType))
            yield f"column {name!r} is declared as {kind!r}; expected one of {known}"
    if op.needs_engine and not declared.cost.calls:
        yield "it needs an engine and declares no cost; give Columns(cost=params.cost())"
    if declared.cost.calls and not (op.needs_engine or params.engines()):
        yield "it declares calls and no engine; give Op(..., needs_engine=True)"


def _outcomes(
    before: Sequence[Row],
    outcomes: Sequence[object],  # whatever the op gave
    declared: Columns,
) -> Iterator[str]:
    if not outcomes:
        yield "it gives neither a row nor a reject; a row is dropped with Reject(reason)"
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, Row)]
    if len(set(ids)) < len(ids):
        yield "two rows have one id; number them, row.child(ctx.node, k, ...)"
    for outcome in outcomes:
        if isinstance(outcome, Reject):
            if not outcome.reason or outcome.reason.split() != [outcome.reason]:
                yield f"the reject reason {outcome.reason!r} isn't one short word like no_answer"
        elif isinstance(outcome, Row):
            yield from _row(before, outcome, declared)
        else:
            yield f"it gives {type(outcome).__name__}; expected Row or Reject"


def _row(before: Sequence[Row], row: Row, declared: Columns) -> Iterator[str]:
    parents = [
        old
        for old in before
        if row.key == old.key and row.lineage[: len(old.lineage)] == old.lineage
    ]
    if not parents:
        yield "a row descends from none that came in; make it with row.child(ctx.node, k, ...)"
    for name, value in row.data.items():
        inherited = any(name in old.data and old.data[name] == value for old in parents)
        if not inherited and name not in declared.provides:
            yield f"it sets column {name!r}, which isn't in Columns.provides"
    for name, kind in declared.provides.items():
        if name not in row.data:
            yield f"it provides {name!r}, and a row has no such column; None stands for nothing"
        elif kind in get_args(ColumnType) and not holds(kind, row.data[name]):
            yield f"column {name!r} is declared as {kind} and is {row.data[name]!r}"


def _requests(rows_in: int, ran: _Ran, declared: Columns) -> Iterator[str]:
    """Yield faults where the requests exceed the declared cost."""
    _, context = ran
    cost = declared.cost
    calls = len(context.asked) + len(context.scored)
    if calls > cost.calls * rows_in:
        yield f"it asks {calls} times for {rows_in} rows, above its declared cost of {cost.calls}"
    for _, sampling in context.asked:
        if sampling.n > cost.completions or sampling.max_tokens > cost.max_tokens:
            yield "it asks for more completions or tokens than its declared cost has"


def holds(kind: ColumnType, value: Any) -> bool:
    """Tell whether a column of this type can hold the value; every column can hold None."""
    if value is None:
        return True
    if kind == "json":
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            return False
        return True
    if isinstance(value, bool) and kind != "boolean":
        return False
    if kind == "strings":
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return isinstance(value, _HELD[kind])


def changed(name: str, row: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Copy a row with another value in a column; the task's answer becomes another option."""
    value = row.get(name)
    if name == task.answer and name in row:
        options = task.options(row)
        if len(options) > 1:
            return {**row, **task.answered((task.gold(row) + 1) % len(options))}
    if isinstance(value, bool):
        return {**row, name: not value}
    if isinstance(value, str):
        return {**row, name: f"{value} (changed)"}
    if isinstance(value, int | float):
        return {**row, name: value + 1}
    return dict(row)
