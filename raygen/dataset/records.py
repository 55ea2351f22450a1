"""The records of a dataset: what a row program returns, and what a block of rows consists of.

Plain frozen dataclasses that pickle small. Knows nothing of files, Arrow, Delta or Ray.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raygen.core import Status, UserError

FORMAT_VERSION = 3
"""The version of the three tables and of their commit metadata; 3 says `retryable` in the ledger
where 2 said `passing`. Format 2 is read too, and a start raises it to 3 in one commit."""

READABLE_FORMATS = (2, FORMAT_VERSION)

ROWS = "rows"
EXAMPLES = "examples"
TRANSCRIPTS = "transcripts"

IDENTITY = ("id", "key", "plan", "node")
"""The columns that every example has before the plan's own."""


_REPORTS = ('"cached_tokens"', '"cost"', '"counted_by"', '"thinking_tokens"')
"""Fields of a completion that only some engines fill."""

Tokens = Mapping[str, tuple[int, int]]
"""Prompt and output tokens that were paid for, by engine."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a provider reported beside the tokens, and what it didn't count.

    `cached` of the prompt tokens were read from its cache, and it charged `dollars`; None where it
    never said so. It counted no tokens for calls whose tokens, `estimated` in all, are a guess. Of
    the output tokens `thinking` were thoughts.
    """

    cached: int | None = None
    dollars: float | None = None
    estimated: int = 0
    thinking: int = 0

    def __add__(self, other: Reported) -> Reported:
        cached = [part.cached for part in (self, other) if part.cached is not None]
        dollars = [part.dollars for part in (self, other) if part.dollars is not None]
        return Reported(
            sum(cached) if cached else None,
            sum(dollars) if dollars else None,
            self.estimated + other.estimated,
            self.thinking + other.thinking,
        )


class DatasetError(UserError):
    """The dataset can't be read or written; str() says what, where and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message, exit_code)


class FencedError(DatasetError):
    """Another run has taken the output folder over; this one must stop without a retry."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One row that a node dropped on the way, and why."""

    node: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Call:
    """One engine call as it stands in `transcripts/`.

    `id` is the hash of all that the engine saw, `row` the id of the row that asked, `kind` is
    "generate", "score", "top_tokens" or "classify". `prompt` is the rendered text, a chat as JSON;
    `sampling` a JSON object and `completions` a JSON list of completions. `prompt_tokens` counts
    the shared prompt once. A `reused` call was answered from an older transcript: its tokens and
    seconds are those of then, and were not paid for again.
    """

    id: str
    node: str
    row: str
    engine: str
    model: str
    revision: str | None
    kind: str
    prompt: str
    sampling: str
    completions: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    reused: bool = False


@dataclass(frozen=True, slots=True)
class NodeCalls:
    """The recorded calls of a node to an engine. `seconds` are summed over the calls."""

    node: str
    engine: str
    calls: int
    reused: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    slowest: float


@dataclass(frozen=True, slots=True)
class RowResult:
    """The outcome of one source row.

    Each example has `id`, `node` and the plan's columns. `node_counts` gives, for each node, how
    many rows came in, were kept and were dropped. `retryable`: it failed for a reason that may
    pass, and is worth another try.
    """

    key: str
    status: Status
    examples: tuple[Mapping[str, Any], ...]
    rejects: tuple[RejectedRow, ...]
    calls: tuple[Call, ...]
    error: str | None
    seconds: float
    node_counts: Mapping[str, tuple[int, int, int]]
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of one table: its path inside that table, its size in bytes, its rows."""

    path: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One finished source row as it stands in the ledger, but for the plan and the run.

    `transcript` is the path of the row's file inside `transcripts/`, None for a row without calls;
    `nodes` is the JSON of `RowResult.node_counts`. Of its `calls`, `reused` were answered from an
    older transcript and saved `saved_tokens`; the other tokens were paid for.
    """

    key: str
    status: Status
    examples: int
    calls: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    rejects: tuple[RejectedRow, ...]
    error: str | None
    transcript: str | None
    nodes: str
    reused: int = 0
    saved_tokens: int = 0
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """Finished rows whose files are written but not yet committed, and what they cost.

    A worker makes it, the driver commits it; without a commit it doesn't exist and a later start
    sweeps its files.
    """

    plan: str
    examples: DataFile | None
    transcripts: DataFile | None
    lines: tuple[LedgerLine, ...]
    paid: Tokens = field(default_factory=dict)
    reported: Mapping[str, Reported] = field(default_factory=dict)


def paid_tokens(calls: Iterable[Call]) -> Tokens:
    """Sum the tokens of the calls that were not reused."""
    return sum_tokens(
        {call.engine: (call.prompt_tokens, call.output_tokens)} for call in calls if not call.reused
    )


def reported_usage(calls: Iterable[Call]) -> dict[str, Reported]:
    """Sum what providers reported of the calls that were not reused, by engine."""
    total: dict[str, Reported] = {}
    for call in calls:
        if not call.reused and any(word in call.completions for word in _REPORTS):
            total[call.engine] = total.get(call.engine, Reported()) + _reported(call)
    return total


def _reported(call: Call) -> Reported:
    reported = Reported()
    answers: list[Mapping[str, Any]] = json.loads(call.completions)
    for answer in answers:
        thinking = answer.get("thinking_tokens", 0)
        reported += Reported(answer.get("cached_tokens"), answer.get("cost"), thinking=thinking)
    if any(answer.get("counted_by") == "estimate" for answer in answers):
        reported += Reported(estimated=call.prompt_tokens + call.output_tokens)
    return reported


def charged_dollars(reported: Mapping[str, Reported]) -> float | None:
    """Sum what providers charged; None where none said so."""
    known = [each.dollars for each in reported.values() if each.dollars is not None]
    return sum(known) if known else None


def sum_reported(parts: Iterable[Mapping[str, Reported]]) -> dict[str, Reported]:
    """Sum what providers reported, by engine."""
    total: dict[str, Reported] = {}
    for part in parts:
        for engine, reported in part.items():
            total[engine] = total.get(engine, Reported()) + reported
    return total


def sum_tokens(parts: Iterable[Tokens]) -> Tokens:
    """Sum tokens by engine."""
    total: dict[str, tuple[int, int]] = {}
    for part in parts:
        for engine, (prompt, output) in part.items():
            before = total.get(engine, (0, 0))
            total[engine] = (before[0] + prompt, before[1] + output)
    return total
