"""Follow a dataset while it grows: the commits of `examples/` in order, and whether more will come.

A follower reads the table's log, one JSON file for each version, and never a snapshot: a snapshot
says what the table holds, the log in which order it came.

    examples/_delta_log/   0      1          2          3         4         5
                           made   + a b      + c        a b c     - d       + e f
                                                        -> d
    handed out                    [a, b]     [c]        (merged)  removed   [e, f]

The order of rows is by version, within a version by path, within a file as it was written. None of
these ever changes, so two readers, or one that was killed, see the same rows in the same order
however late they look, which is what a cursor in a checkpoint counts on. A version that only merges
files (3) moves rows and changes none: it is empty here, and its small files stay on disk to be
read. A version that takes rows out (4) is the first commit of another plan: a reader that has older
rows must drop them, one that has none begins there. Whether more will come stands in the ledger,
whose record is read first: an end in it means that all commits are there to be polled.

Knows nothing of batches, shuffling or training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from raygen.dataset.control_files import read_heartbeat
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
    """A reader of the commits of a dataset, one after the other, also before it exists.

    A follower that starts from the beginning skips what was replaced before it looked.
    """

    def __init__(self, folder: Folder, after_version: int = -1) -> None:
        self._folder = folder
        self._version = after_version
        self._handed = after_version >= 0
        self._ledger = -1

    @property
    def version(self) -> int:
        """The newest version read; a follower made with it as `after_version` goes on here."""
        return self._version

    def poll(self) -> list[Commit]:
        """Read the commits since the last poll, in order; none where there are no new ones.

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
        """Read the rows of a commit, in path order and in-file order. Raises DatasetError."""
        with storage_errors("read the examples", self._folder.join(EXAMPLES)):
            tables = [
                self._folder.read_parquet(f"{EXAMPLES}/{file.path}", columns)
                for file in commit.files
            ]
        return pa.concat_tables(tables) if tables else pa.table({})

    def state(self) -> StreamState:
        """Read where the newest run stands now. Raises DatasetError."""
        newest = self._newest_entry()
        record = newest.record if newest else None
        if record is None:
            return StreamState(False, None, None, None, None)
        ended = record["kind"] == "finish"
        beat = read_heartbeat(self._folder)
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
    """Drop the commits whose rows a later commit took out, for a reader that has none yet."""
    first = max((i for i, commit in enumerate(commits) if commit.removed), default=0)
    left = [Commit(c.version, c.rows, c.files, removed=False) for c in commits[first:]]
    return [commit for commit in left if commit.files]
