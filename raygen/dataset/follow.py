"""A dataset as a stream: the commits of `examples/` in order, and whether more will come.

Knows nothing of batches, shuffling or training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from raygen.dataset.control_files import last_beat
from raygen.dataset.log import LogEntry, last_record, newest_version, read_entries
from raygen.dataset.records import EXAMPLES, ROWS, DataFile
from raygen.dataset.storage import Folder, storage_errors


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of `examples/`: its files sorted by path, and their rows.

    `removed`: this version took out rows that were handed out before it (the dataset was
    replaced); its own files belong to the new plan.
    """

    version: int
    rows: int
    files: tuple[DataFile, ...]
    removed: bool


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where the newest run stands.

    `ended`: all that the run committed is in `examples/`; `reason` is "end", "stopped" or "failed".
    `run` and `plan_hash` are None, and so is `beat`, before the first run; a beat that
    changes says that the driver lives.
    """

    ended: bool
    reason: str | None
    run: str | None
    plan_hash: str | None
    beat: str | None


class Follower:
    """Hands out the commits of a dataset one after the other, also before it exists.

    A follower that starts from the beginning skips what was replaced before it looked.
    """

    def __init__(self, folder: Folder, after_version: int = -1) -> None:
        self._folder = folder
        self._version = after_version
        self._handed = after_version >= 0
        self._ledger = -1

    @property
    def version(self) -> int:
        """The newest version seen; a follower made with `after_version` of it goes on here."""
        return self._version

    def poll(self) -> list[Commit]:
        """The commits since the last poll, in order; empty where there are none.

        Versions that neither add nor take out rows are left out. After `state().ended`, one more
        poll gives the rest. Raises DatasetError.
        """
        entries = list(read_entries(self._folder, EXAMPLES, self._version + 1))
        if entries:
            self._version = entries[-1].version
        commits = [_commit(entry) for entry in entries if entry.added or entry.removed]
        if not self._handed:
            commits = _since_replacement(commits)
        self._handed = self._handed or bool(commits)
        return commits

    def read(self, commit: Commit, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a commit, in path order and in-file order. Raises DatasetError."""
        with storage_errors("read the examples", self._folder.join(EXAMPLES)):
            tables = [
                self._folder.read_parquet(f"{EXAMPLES}/{file.path}", columns)
                for file in commit.files
            ]
        return pa.concat_tables(tables) if tables else pa.table({})

    def state(self) -> StreamState:
        """Where the newest run stands now. Raises DatasetError."""
        newest = self._newest_entry()
        record = newest.record if newest else None
        if record is None:
            return StreamState(False, None, None, None, None)
        ended = record["kind"] == "finish"
        beat = last_beat(self._folder)
        return StreamState(ended, record.get("reason"), record["run"], record["plan"], beat)

    def _newest_entry(self) -> LogEntry | None:
        if self._ledger < 0:
            self._ledger = newest_version(self._folder, ROWS)
        for entry in read_entries(self._folder, ROWS, self._ledger + 1):
            self._ledger = entry.version
        return last_record(self._folder, self._ledger)


def _commit(entry: LogEntry) -> Commit:
    rows = sum(file.rows for file in entry.added)
    return Commit(entry.version, rows, entry.added, bool(entry.removed))


def _since_replacement(commits: list[Commit]) -> list[Commit]:
    """What is left for a reader that has seen nothing: no rows that a later commit took out."""
    first = max((i for i, commit in enumerate(commits) if commit.removed), default=0)
    left = [Commit(c.version, c.rows, c.files, removed=False) for c in commits[first:]]
    return [commit for commit in left if commit.files]
