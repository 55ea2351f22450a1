"""Commit groups of blocks into three tables, with the ledger as their write-ahead log.

Delta commits one table atomically; a group spans three. So the ledger's commit decides: it holds
the group's ledger lines and, in its metadata, names the group's files of the other two tables,
which workers have written already. Whatever happens after it, those two can be brought up to it.

    workers    write e7.parquet, t7.parquet, which belong to nothing yet
                    |
    driver     1. rows/         version 7: + r7.parquet,  wal = {examples: [e7], transcripts: [t7]}
               2. examples/     + e7.parquet,  transaction ("raygen", 7)
               3. transcripts/  + t7.parquet,  transaction ("raygen", 7)

    killed     before 1.  nothing of the group is there: its rows are pending, its files are swept
               before 2.  the next start finds 7 in the ledger, and 6 as the others' last
               before 3.  transaction, and does what is missing: no group is half done twice

A start is a commit to the ledger as well: it is the fence. Every commit must be the version after
the one that its handle has seen, so an older driver's next commit is refused and it stops, instead
of looking again and writing on. In order, a start lists the data files, fences, rolls the last
group forward, and deletes listed files that no version names: none can be a newer driver's, since
that one's workers write only after its own start. An end does the same around its own commit, for
the files of workers that were killed. Knows nothing of how blocks are made, or of Ray.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import pyarrow as pa

from raygen.core import ColumnType
from raygen.dataset.control_files import Heartbeat, clear_stop
from raygen.dataset.delta import GuardedTable
from raygen.dataset.log import last_record
from raygen.dataset.ownership import DATASET, check_writable
from raygen.dataset.reader import Dataset
from raygen.dataset.records import (
    EXAMPLES,
    FORMAT_VERSION,
    READABLE_FORMATS,
    ROWS,
    TRANSCRIPTS,
    DataFile,
    DatasetError,
    FencedError,
    LedgerLine,
    Reported,
    Tokens,
    WrittenBlock,
    sum_reported,
    sum_tokens,
)
from raygen.dataset.schema import LEDGER, TRANSCRIPT, example_schema, ledger_table
from raygen.dataset.storage import Folder
from raygen.dataset.sweep import list_data_files, sweep
from raygen.dataset.writer import write_table

log = logging.getLogger(__name__)

Reason = Literal["end", "stopped", "failed"]

_ATTEMPTS = 10
_PLANS_KEPT = 8


class Committer:
    """The only writer of a dataset's three tables while it holds the fence."""

    def __init__(
        self,
        folder: Folder,
        plan_hash: str,
        columns: Mapping[str, ColumnType],
        run_id: str,
    ) -> None:
        self._folder = folder
        self._plan = plan_hash
        self._columns = dict(columns)
        self._run = run_id
        self._heartbeat = Heartbeat(folder, run_id)
        self._state: Literal["new", "open", "closed"] = "new"
        self._meta: Mapping[str, Any] = {}
        self._keys: set[str] = set()
        self._replace = False
        self._fresh = False
        self._paid: Tokens = {}
        self._reported: Mapping[str, Reported] = {}
        self.recorded: tuple[int, ...] = ()
        """The versions of the ledger whose lines name transcripts to reuse, newest first."""

    @property
    def paid(self) -> Tokens:
        """Tokens that all runs together paid for; a fresh start begins anew."""
        return {} if self._replace and self._fresh else self._paid

    @property
    def reported(self) -> Mapping[str, Reported]:
        """What providers reported of all runs together, by engine."""
        return {} if self._replace and self._fresh else self._reported

    def start(self, meta: Mapping[str, Any], *, fresh: bool = False) -> None:
        """Create what is missing, fence off older drivers, complete their last group, sweep.

        `meta` goes into the ledger's commit metadata and must be JSON: `source` is the number of
        source rows and `source_file` the keyed copy's path in the folder. With `fresh` the first
        commit takes out the rows of this plan too, and nothing recorded is reused. Raises
        DatasetError.
        """
        check_writable(self._folder, DATASET, "--out DIR")
        self._meta = dict(meta)
        self._fresh = fresh
        schema = example_schema(self._columns)
        self._ledger = GuardedTable(self._folder, ROWS, LEDGER)
        self._examples = GuardedTable(self._folder, EXAMPLES, schema)
        self._transcripts = GuardedTable(self._folder, TRANSCRIPTS, TRANSCRIPT)
        tables = (self._ledger, self._examples, self._transcripts)
        clear_stop(self._folder)
        listed = list_data_files(tables)
        self._take_over()
        self._roll_forward()
        sweep(tables, listed)
        plans = Dataset(self._folder).plans()
        self._replace = bool(plans - {self._plan}) or (fresh and bool(plans))
        if not self._replace:
            self._keys = set(Dataset(self._folder).done(self._plan))
        self._state = "open"
        self._heartbeat.beat()

    def describe(self, **facts: Any) -> None:
        """Add facts to the metadata of the commits to come; they must be JSON."""
        self._meta = {**self._meta, **facts}

    def commit(self, blocks: Sequence[WrittenBlock]) -> tuple[LedgerLine, ...]:
        """Commit a group of blocks; return the lines of the rows that are new with it.

        Rows that this plan has committed already (a task that was run again) are left out. Raises
        FencedError when another run took over and DatasetError when the storage fails; after
        either this committer is closed, and a new start completes what it left.
        """
        self._check_open()
        self._state = "closed"
        new = [block for block in map(self._unseen, blocks) if block is not None]
        lines = tuple(line for block in new for line in block.lines)
        if lines:
            self._commit_group(new, lines)
        self._state = "open"
        return lines

    def requeue_failed(self, *, retryable: bool) -> frozenset[str]:
        """Take failed lines of this plan out of the ledger, so that their rows are pending again.

        With `retryable` only the lines of rows that are worth another try. Returns the rows' keys;
        their transcripts stay to be reused. Raises as commit does.
        """
        self._check_open()
        if self._replace:
            return frozenset()
        self._state = "closed"
        keys = Dataset(self._folder).failed(self._plan, retryable=retryable)
        if keys:
            self.recorded = (self._ledger.version, *self.recorded)
            where = "status = 'failed'" + (" AND retryable" if retryable else "")
            self._ledger.delete(self._ledger.version + 1, where, self._record("retry"))
            self._keys -= keys
        self._state = "open"
        return keys

    def finish(self, reason: Reason) -> None:
        """Record the end of the stream, sweep, and merge small files; no commit can follow.

        Raises as commit does where the end can't be recorded. Files that can't be swept or merged
        stay as they are, and only the log says so.
        """
        self._check_open()
        self._state = "closed"
        tables = (self._ledger, self._examples, self._transcripts)
        listed = list_data_files(tables)
        record = self._record("finish", reason=reason)
        self._ledger.commit(self._ledger.version + 1, [], schema=LEDGER, record=record)
        try:
            sweep(tables, listed)
        except DatasetError as error:
            log.warning("files that no commit names stay until the next start: %s", error)
        for table in tables:
            try:
                table.compact()
            except DatasetError as error:
                log.warning("the small files of %s stay as they are: %s", table.uri, error)

    def heartbeat(self) -> None:
        """Show readers that the driver lives; cheap to call often. Raises DatasetError."""
        self._heartbeat.beat()

    def _commit_group(self, new: Sequence[WrittenBlock], lines: Sequence[LedgerLine]) -> None:
        self._reported = sum_reported([self.reported, *(block.reported for block in new)])
        self._paid = sum_tokens([self.paid, *(block.paid for block in new)])
        ledger_file = write_table(self._folder, ROWS, ledger_table(lines, self._plan, self._run))
        group = {
            EXAMPLES: [asdict(block.examples) for block in new if block.examples],
            TRANSCRIPTS: [asdict(block.transcripts) for block in new if block.transcripts],
            "replace": self._replace,
            "columns": self._columns,
        }
        record = self._record("rows", **group)
        number = self._ledger.version + 1
        self._ledger.commit(
            number, [ledger_file], schema=LEDGER, record=record, replace=self._replace
        )
        self._apply(number, record, self._examples)
        self._apply(number, record, self._transcripts)
        self._replace = False

    def _record(self, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "format": FORMAT_VERSION,
            "kind": kind,
            "run": self._run,
            "plan": self._plan,
            "meta": dict(self._meta),
            "paid": self._paid,
            "reported": {name: asdict(each) for name, each in self._reported.items()},
            "recorded": self.recorded,
            **more,
        }

    def _check_open(self) -> None:
        if self._state != "open":
            raise DatasetError(
                f"run {self._run} no longer writes to {self._folder.uri}, it ended or failed; "
                "apply again: it goes on from here"
            )

    def _take_over(self) -> None:
        """Commit this run to the ledger: from here on an older driver's commit is refused."""
        for attempt in range(_ATTEMPTS):
            self._ledger.reopen()
            entry = last_record(self._folder, self._ledger.version)
            if entry and entry.record:
                self._check_format(entry.record)
                self._inherit(entry.record)
            try:
                self._commit_start(entry.record if entry else None)
            except FencedError:
                # An older driver committed in this instant: look again, the start comes after it.
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _commit_start(self, last: Mapping[str, Any] | None) -> None:
        """Commit the start of this run, and with it the ledger in today's format.

        One commit takes the lines of an older format out and puts them in again, so a driver that
        dies here leaves either format whole; one that writes the older format is fenced off.
        """
        files: list[DataFile] = []
        older = last is not None and last["format"] != FORMAT_VERSION
        if older:
            lines = Dataset(self._folder).ledger_lines(self._ledger.version)
            files = [write_table(self._folder, ROWS, lines)] if lines.num_rows else []
        number, record = self._ledger.version + 1, self._record("start")
        self._ledger.commit(number, files, schema=LEDGER, record=record, replace=older)

    def _check_format(self, last: Mapping[str, Any]) -> None:
        if last["format"] not in READABLE_FORMATS:
            raise DatasetError(
                f"{self._folder.uri} has dataset format {last['format']}, this version goes on "
                f"with {' and '.join(map(str, READABLE_FORMATS))}; choose another output folder "
                "or the raygen that wrote it"
            )

    def _inherit(self, last: Mapping[str, Any]) -> None:
        """Take over what the last run paid, and which versions lead to recorded calls."""
        self._paid = {engine: (prompt, out) for engine, (prompt, out) in last["paid"].items()}
        reported = last.get("reported", {})
        self._reported = {engine: Reported(**values) for engine, values in reported.items()}
        if self._fresh:
            self.recorded = ()
        elif last["plan"] == self._plan:
            self.recorded = tuple(last["recorded"])
        else:
            # The lines of the old plan leave with the first commit; this version still has them.
            self.recorded = (self._ledger.version, *last["recorded"])[:_PLANS_KEPT]

    def _roll_forward(self) -> None:
        entry = last_record(self._folder, self._ledger.version, "rows")
        if entry is None or entry.record is None:
            return
        for table in (self._examples, self._transcripts):
            for attempt in range(_ATTEMPTS):
                table.reopen()
                try:
                    self._apply(entry.version, entry.record, table)
                    break
                except FencedError:
                    # The driver that was fenced off completes the same group in this instant.
                    if attempt == _ATTEMPTS - 1:
                        raise

    def _apply(self, number: int, record: Mapping[str, Any], table: GuardedTable) -> None:
        """Bring one table up to a group that the ledger has; idempotent."""
        files = [DataFile(**file) for file in record[table.name]]
        if table.applied >= number or not (files or record["replace"]):
            return
        schema = TRANSCRIPT if table.name == TRANSCRIPTS else example_schema(record["columns"])
        table.commit(number, files, schema=schema, replace=record["replace"])

    def _unseen(self, block: WrittenBlock) -> WrittenBlock | None:
        """Leave out of a block the rows that are committed; None where nothing is left of it."""
        if block.plan != self._plan:
            raise ValueError(f"a block of plan {block.plan} in a run of plan {self._plan}")
        lines = {line.key: line for line in block.lines if line.key not in self._keys}
        self._keys.update(lines)
        if len(lines) == len(block.lines):
            return block
        if not lines:
            return None
        examples = self._only(EXAMPLES, block.examples, lines)
        transcripts = self._only(TRANSCRIPTS, block.transcripts, lines)
        path = transcripts.path if transcripts else None
        kept = tuple(replace(line, transcript=line.transcript and path) for line in lines.values())
        return replace(block, examples=examples, transcripts=transcripts, lines=kept)

    def _only(
        self, table: str, file: DataFile | None, keys: Mapping[str, LedgerLine]
    ) -> DataFile | None:
        """Write a copy of a block's file with the rows of some keys; the file is swept later."""
        if file is None:
            return None
        data = self._folder.read_parquet(f"{table}/{file.path}")
        data = data.filter(pa.array([key in keys for key in data["key"].to_pylist()]))
        return write_table(self._folder, table, data) if data.num_rows else None
