"""Answer calls from earlier transcripts, by what the engine saw.

Knows files and calls; knows nothing of engines, plans or what an answer means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from raygen.dataset.records import TRANSCRIPTS, Call
from raygen.dataset.storage import Folder, storage_errors

Recorded = Mapping[str, Sequence[Call]]
"""One source row's recorded calls: the id of a call -> its answers, newest first."""

_COLUMNS = ("key", *(field.name for field in fields(Call)))
_FILES_HELD = 8


class RecordedCalls:
    """The recorded calls of one row, handed out once each: two equal calls had two answers."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._taken: dict[str, int] = {}

    def take(self, call_id: str) -> Call | None:
        """Take the next recorded call of this id, None where there is none left."""
        calls = self._recorded.get(call_id, ())
        at = self._taken.get(call_id, 0)
        if at >= len(calls):
            return None
        self._taken[call_id] = at + 1
        return calls[at]


def read_recorded_calls(
    folder: Folder, files: Sequence[str], keys: Collection[str]
) -> dict[str, Recorded]:
    """Read the recorded calls of some rows from transcript files, given newest first.

    A file that is gone has none. Raises DatasetError when one can't be read.
    """
    known = set(keys)
    calls: dict[str, dict[str, list[Call]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        for key, call in _calls(folder.uri, tuple(folder.storage_options.items()), file):
            if key in known:
                calls[key][call.id].append(call)
    return {key: dict(by_id) for key, by_id in calls.items()}


@lru_cache(maxsize=_FILES_HELD)
def _calls(
    uri: str, options: tuple[tuple[str, str], ...], file: str
) -> tuple[tuple[str, Call], ...]:
    folder = Folder(uri, dict(options))
    path = f"{TRANSCRIPTS}/{file}"
    with storage_errors("read the transcript", folder.join(path)):
        try:
            table = folder.read_parquet(path, list(_COLUMNS))
        except FileNotFoundError:
            return ()
    rows: list[dict[str, Any]] = table.to_pylist()
    return tuple((row.pop("key"), Call(**row)) for row in rows)
