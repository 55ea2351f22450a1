"""List a dataset's rejects from the ledger, and replay source rows to recover what was dropped.

Knows nothing of examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from raygen.core import digest, run_coroutine
from raygen.dataset import Call, RejectedRow, TranscriptFile, read_recorded_calls
from raygen.inspection.browse.item import Item, ItemRef
from raygen.inspection.browse.replay import (
    DroppedRow,
    UnknownPlanError,
    rebuild_plan,
    replay,
    texts,
)
from raygen.inspection.opened import OpenedDataset
from raygen.ops import Op
from raygen.planning import Plan

_ROWS_HELD = 256


class Rejects:
    """The rejects of a dataset's newest plan."""

    def __init__(self, opened: OpenedDataset, ops: Mapping[str, Op]) -> None:
        """Read the ledger. Raises DatasetError."""
        self._opened = opened
        self._transcripts: dict[str, str | None] = {}
        self._rejects: dict[str, tuple[RejectedRow, ...]] = {}
        frame = opened.collect(opened.ledger().select("key", "transcript", "rejects"))
        for key, transcript, rejects in frame.iter_rows():
            self._transcripts[key] = transcript
            self._rejects[key] = tuple(RejectedRow(**reject) for reject in rejects)
        self.unknown = ""
        """Why rows can't be replayed; empty where they can."""
        self._plan: Plan | None = None
        try:
            self._plan = rebuild_plan(opened.plan, ops)
        except UnknownPlanError as error:
            self.unknown = str(error)
        self._replayed = lru_cache(_ROWS_HELD)(self._replay)

    def find(self) -> list[ItemRef]:
        """List all rejects, in the order of the source, then of the graph."""
        plan = self._opened.plan_hash
        return [
            ItemRef(digest("reject", plan, key, index), key, r.node, r.reason, r.detail, index)
            for key in sorted(self._rejects, key=self._opened.source.order)
            for index, r in enumerate(self._rejects[key])
        ]

    def read(self, ref: ItemRef) -> Item:
        """Read a reject: the row as it was dropped, or its source row where that can't be replayed.

        Raises DatasetError.
        """
        source = self._source_row(ref.key)
        replayed = self._replayed(ref.key)
        if replayed is None:
            calls = (call for call in self._calls(ref.key) if call.node == ref.node)
            return Item(ref, source, source, texts(calls), exact=False)
        dropped = replayed[ref.index]
        return Item(ref, dropped.data, source, dropped.completions)

    def _replay(self, key: str) -> list[DroppedRow] | None:
        source = self._source_row(key)
        if self._plan is None or not source:
            return None
        recorded: dict[str, list[Call]] = {}
        for call in self._calls(key):
            recorded.setdefault(call.id, []).append(call)
        return run_coroutine(replay(self._plan, key, source, recorded, self._rejects[key]))

    def _source_row(self, key: str) -> Mapping[str, Any]:
        return self._opened.source.read([key]).get(key, {})

    def _calls(self, key: str) -> list[Call]:
        """Read the recorded calls of a source row."""
        file = self._transcripts[key]
        folder = self._opened.folder
        files = [TranscriptFile(file)] if file else []
        by_id = read_recorded_calls([folder], files, [key]).get(key, {})
        return [call for calls in by_id.values() for call in calls]
