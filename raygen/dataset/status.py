"""Count what became of the source rows: nothing is lost.

Knows nothing of files: it counts ledger lines that a reader gives it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raygen.dataset.batches import SentBatch
from raygen.dataset.records import Reported, Tokens

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """Counts of one plan's source rows; kept + dropped + failed + pending = source always.

    `outside` counts finished rows that are no longer in the source, for example after `limit` was
    lowered; their examples are still in the dataset and in `examples`, calls and tokens.
    `rejects` are (node, reason, count) and `errors` (message, count), most frequent first;
    `nodes` are (in, kept, dropped) by node. `ended` is why the last run ended, None while it runs
    or when it was killed. `seconds` is the summed time of the rows, not of the wall clock.
    `reports` counts the examples by the values of the columns that ops report; `planned` is the
    estimate that was made before the first row, and `wall` the runs' time on the wall clock.
    Of the `calls`, `reused` were answered from earlier transcripts, which saved `saved_tokens`; the
    tokens are those that these rows paid for. `paid` is all that was ever paid for the dataset, by
    engine: rows that were replaced or tried again count too. `reported` is what providers said
    beside it. `learned` says how the last run's endpoints wanted to be asked, `batches` are those
    that were sent.
    """

    plan: str
    run: str
    ended: str | None
    source: int
    kept: int
    dropped: int
    failed: int
    pending: int
    outside: int
    examples: int
    calls: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    rejects: tuple[tuple[str, str, int], ...]
    errors: tuple[tuple[str, int], ...]
    nodes: Mapping[str, tuple[int, int, int]]
    reports: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    planned: Mapping[str, Any] | None = None
    wall: float | None = None
    reused: int = 0
    saved_tokens: int = 0
    paid: Tokens = field(default_factory=dict)
    learned: tuple[str, ...] = ()
    batches: tuple[SentBatch, ...] = ()
    reported: Mapping[str, Reported] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Count every row that has ended, also those that are no longer in the source."""
        return self.kept + self.dropped + self.failed + self.outside

    def to_json(self) -> dict[str, Any]:
        """Convert the counts to a JSON object; rejects and errors become lists of objects."""
        rejects = [dict(zip(("node", "reason", "count"), r, strict=True)) for r in self.rejects]
        errors = [dict(zip(("error", "count"), e, strict=True)) for e in self.errors]
        batches = [batch.to_json() for batch in self.batches]
        counts = asdict(replace(self, batches=()))
        return {**counts, "rejects": rejects, "errors": errors, "batches": batches}


def make_status(
    lines: pl.DataFrame, record: Mapping[str, Any], source_keys: Collection[str] | None
) -> DatasetStatus:
    """Count the ledger lines of the plan in `record`, the ledger's newest commit record."""
    inside = lines
    if source_keys is not None:
        known = set(source_keys)
        inside = lines.filter([key in known for key in lines["key"]])
    by_status = Counter(inside["status"].to_list())
    source = int(record["meta"]["source"])
    rejects = Counter(
        (reject["node"], reject["reason"]) for row in lines["rejects"].to_list() for reject in row
    )
    errors = Counter(error for error in lines["error"].to_list() if error is not None)
    return DatasetStatus(
        plan=record["plan"],
        run=record["run"],
        ended=record.get("reason"),
        source=source,
        kept=by_status["kept"],
        dropped=by_status["dropped"],
        failed=by_status["failed"],
        pending=source - len(inside),
        outside=len(lines) - len(inside),
        examples=int(lines["examples"].sum()),
        calls=int(lines["calls"].sum()),
        prompt_tokens=int(lines["prompt_tokens"].sum()),
        output_tokens=int(lines["output_tokens"].sum()),
        seconds=float(lines["seconds"].sum()),
        rejects=tuple((*key, count) for key, count in rejects.most_common()),
        errors=tuple(errors.most_common()),
        nodes=_node_totals(lines["nodes"].to_list()),
        reused=_sum(lines, "reused"),
        saved_tokens=_sum(lines, "saved_tokens"),
        paid={engine: tuple(tokens) for engine, tokens in record.get("paid", {}).items()},
        learned=tuple(record["meta"].get("learned", ())),
        reported={name: Reported(**values) for name, values in record.get("reported", {}).items()},
    )


def _sum(lines: pl.DataFrame, column: str) -> int:
    """Sum a column that format 1 didn't have."""
    return int(lines[column].sum()) if column in lines.columns else 0


def _node_totals(nodes: Collection[str]) -> dict[str, tuple[int, int, int]]:
    totals: dict[str, tuple[int, int, int]] = {}
    for text, rows in Counter(nodes).items():
        for node, counts in json.loads(text).items():
            old = totals.get(node, (0, 0, 0))
            entered, kept, dropped = (a + b * rows for a, b in zip(old, counts, strict=True))
            totals[node] = (entered, kept, dropped)
    return totals
