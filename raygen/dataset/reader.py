"""Read a dataset: lazy tables, the keys that are done, the status.

Works at any instant, also while a driver commits. `scan_table` reads any Delta table, whatever it
holds. Knows nothing of writing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raygen.core import Status, named_option
from raygen.dataset.batches import BatchLog
from raygen.dataset.call_cache import TranscriptFile
from raygen.dataset.log import last_record, newest_version, read_entries
from raygen.dataset.records import EXAMPLES, ROWS, TRANSCRIPTS, DatasetError, NodeCalls
from raygen.dataset.schema import LEDGER, upgrade_ledger
from raygen.dataset.status import DatasetStatus, make_status
from raygen.dataset.storage import Folder, path_inside, storage_errors
from raygen.dataset.stored_plan import read_plan

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from deltalake import DeltaTable

SHARED = "raygen.json"
"""The list of files in what was pushed."""
_BATCH = 4096
_READERS = 16


@dataclass(frozen=True, slots=True)
class Dataset:
    """The dataset in an output folder."""

    folder: Folder

    @classmethod
    def open(cls, folder: Folder | str) -> Dataset:
        """Open the dataset in a folder. Raises DatasetError where there is none."""
        dataset = cls(folder if isinstance(folder, Folder) else Folder.at(folder))
        with storage_errors("look for a dataset", dataset.folder.uri):
            has_ledger = newest_version(dataset.folder, ROWS) >= 0
            shared = not has_ledger and dataset.folder.exists(SHARED)
        if not has_ledger:
            if shared:
                raise DatasetError(
                    f"{dataset.folder.uri} is a copy that `raygen pull` brought, which has no "
                    f"{ROWS}/: `raygen export` and `raygen diff` read it, and `datasets`; the rest "
                    "needs the folder that `raygen apply` wrote",
                    exit_code=2,
                )
            raise DatasetError(
                f"no dataset in {dataset.folder.uri}: expected the table {ROWS}/ there; "
                "give the folder that `raygen apply` wrote",
                exit_code=2,
            )
        return dataset

    def ledger(self, version: int | None = None) -> pl.LazyFrame:
        """Scan the ledger: one line per finished source row. Raises DatasetError."""
        return upgrade_ledger(self._scan(ROWS, version))

    def ledger_lines(self, version: int) -> pa.Table:
        """Read one version of the ledger, in today's schema. Raises DatasetError."""
        lines: pa.Table = self._collect(self.ledger(version)).to_arrow()
        return lines.cast(LEDGER)

    def examples(self, version: int | None = None) -> pl.LazyFrame:
        """Scan the examples, in no particular order. Raises DatasetError."""
        return self._scan(EXAMPLES, version)

    def transcripts(self, version: int | None = None) -> pl.LazyFrame:
        """Scan every engine call. Raises DatasetError."""
        return self._scan(TRANSCRIPTS, version)

    def plans(self) -> frozenset[str]:
        """List the hashes of the plans whose rows are in the ledger: none yet, or one."""
        if newest_version(self.folder, ROWS) < 0:
            return frozenset()
        return frozenset(self._collect(self.ledger().select("plan").unique())["plan"].to_list())

    def locks(self) -> frozenset[str | None]:
        """List the digests of the locks that the ledger's rows were made under; None for none."""
        locks: set[str | None] = set()
        for entry in read_entries(self.folder, ROWS, 0):
            record = entry.record
            if record and record["kind"] == "rows":
                locks = set() if record["replace"] else locks
                locks.add(record["meta"].get("lock"))
        return frozenset(locks)

    def extent(self) -> tuple[int, int]:
        """Count the rows of the ledger, and the examples that they gave."""
        import polars as pl

        sums = self._collect(self.ledger().select(pl.len(), pl.col("examples").sum()))
        rows, examples = sums.row(0)
        return int(rows), int(examples)

    def done(self, plan_hash: str) -> dict[str, Status]:
        """List the finished rows of a plan: key -> status."""
        import polars as pl

        lines = self.ledger().filter(pl.col("plan") == plan_hash).select("key", "status")
        return dict(self._collect(lines).iter_rows())

    def failed(self, plan_hash: str, *, retryable: bool) -> frozenset[str]:
        """List the keys of a plan's failed rows; with `retryable` of those worth another try."""
        import polars as pl

        lines = self.ledger().filter((pl.col("plan") == plan_hash) & (pl.col("status") == "failed"))
        lines = lines.filter(pl.col("retryable")) if retryable else lines
        return frozenset(self._collect(lines.select("key"))["key"].to_list())

    def transcript_files(
        self, versions: Sequence[int], dataset: int = 0
    ) -> dict[str, tuple[TranscriptFile, ...]]:
        """List the transcript files of each row, by the ledger's lines of some versions, in order.

        A file of the ledger that was vacuumed has no lines any more and is passed over. Whatever
        else keeps one from being read raises DatasetError: taken for vacuumed, it would have every
        call of its rows paid for again. `dataset` is what the files count this one as.
        """
        transcripts: dict[str, tuple[TranscriptFile, ...]] = {}
        for version in versions:
            with ThreadPoolExecutor(_READERS) as pool:
                parts = list(pool.map(self._transcripts_in, self._files(ROWS, version)))
            for key, path in (line for part in parts for line in part):
                file, files = TranscriptFile(path, dataset), transcripts.get(key, ())
                transcripts[key] = files if file in files else (*files, file)
        return transcripts

    def recorded_versions(self) -> tuple[int, ...]:
        """List the ledger's versions whose lines name transcripts, newest first: of this plan, and
        of those before it. Raises DatasetError."""
        entry = last_record(self.folder, newest_version(self.folder, ROWS))
        if entry is None or entry.record is None:
            return ()
        earlier = entry.record.get("recorded") or ()
        if not all(isinstance(version, int) for version in earlier):
            raise DatasetError(
                f"{self.folder.join(ROWS)} names its earlier versions as {str(earlier)[:80]}; "
                "expected numbers, as `raygen apply` writes them"
            )
        return (newest_version(self.folder, ROWS), *earlier)

    def _transcripts_in(self, path: str) -> list[tuple[str, str]]:
        """Read each key with its transcript from one file of the ledger; none if it is gone."""
        with storage_errors("read the ledger", self.folder.join(ROWS, path)):
            try:
                lines = self.folder.read_parquet(f"{ROWS}/{path}", ["key", "transcript"])
            except FileNotFoundError:
                return []
        pairs = zip(lines["key"].to_pylist(), lines["transcript"].to_pylist(), strict=True)
        return [(key, file) for key, file in pairs if file is not None]

    def status(self) -> DatasetStatus:
        """Count the newest plan's rows, all of one instant. Raises DatasetError."""
        import polars as pl

        version = newest_version(self.folder, ROWS)
        entry = last_record(self.folder, version)
        if entry is None or entry.record is None:
            raise DatasetError(
                f"{self.folder.uri} has a ledger without a run; no run has started there yet"
            )
        record = entry.record
        lines = self.ledger(version).filter(pl.col("plan") == record["plan"])
        source = record["meta"].get("source_file")
        with storage_errors("read the keyed source", self.folder.uri):
            keys = self.folder.read_parquet(source, ["key"])["key"].to_pylist() if source else None
        status = make_status(self._collect(lines), record, keys)
        status = replace(status, batches=BatchLog(self.folder).read())
        plan = self.plan(status.plan)
        if plan is None:
            return status
        planned = plan.get("estimate") or None
        wall = self.wall_seconds(status.plan) if planned else None
        return replace(status, reports=self.reports(plan), planned=planned, wall=wall)

    def plan(self, plan_hash: str) -> Mapping[str, Any] | None:
        """Read plan.json; None if it is of another plan. Raises DatasetError."""
        plan = read_plan(self.folder)
        return plan if plan and plan["hash"] == plan_hash else None

    def calls(self, plan_hash: str) -> tuple[NodeCalls, ...]:
        """Sum a plan's calls by node and engine. Raises DatasetError."""
        import polars as pl

        frame = self.transcripts().filter(pl.col("plan") == plan_hash)
        sums = frame.group_by("node", "engine").agg(
            pl.len(),
            pl.col("reused", "prompt_tokens", "output_tokens", "seconds").sum(),
            pl.col("seconds").max().alias("slowest"),
        )
        lines = self._collect(sums.sort("node", "engine"))
        return tuple(NodeCalls(*line) for line in lines.iter_rows())

    def counts(self, plan_hash: str, column: str) -> dict[Any, int]:
        """Count a plan's examples by a column's values, in their order. Raises DatasetError."""
        import polars as pl

        frame = self.examples().filter(pl.col("plan") == plan_hash)
        return dict(
            self._collect(frame.group_by(column).len().drop_nulls().sort(column)).iter_rows()
        )

    def example_files(self) -> tuple[str, ...]:
        """List the files that hold the examples now, by their paths in the folder.

        Others may lie beside them: of replaced rows, of rows not yet committed, and the small ones
        that were merged. Raises DatasetError.
        """
        return tuple(sorted(f"{EXAMPLES}/{path}" for path in self._files(EXAMPLES)))

    def content_hash(self, plan_hash: str) -> str:
        """Hash the content of a plan's examples, whatever their order and files."""
        import polars as pl

        examples = self.examples().filter(pl.col("plan") == plan_hash)
        with storage_errors("read the table", self.folder.uri):
            return content_hash(examples)

    def wall_seconds(self, plan_hash: str) -> float:
        """Sum the seconds that the runs of a plan took, each from its start to its last rows."""
        return sum(seconds for seconds, _ in self.runs(plan_hash))

    def runs(self, plan_hash: str) -> list[tuple[float, Mapping[str, Any]]]:
        """List the seconds of each run of a plan that wrote rows, and its driver's metadata.

        A clock that is set back in between costs the time from one commit to the next.
        """
        last: dict[str, float] = {}
        took: dict[str, float] = {}
        runs: dict[str, tuple[float, Mapping[str, Any]]] = {}
        for entry in read_entries(self.folder, ROWS, 0):
            record = entry.record
            if record and record["plan"] == plan_hash and record["kind"] in ("start", "rows"):
                run = record["run"]
                since = max(0.0, entry.at - last.get(run, entry.at))
                took[run], last[run] = took.get(run, 0.0) + since, entry.at
                if record["kind"] == "rows":
                    runs[run] = (took[run], record["meta"])
        return list(runs.values())

    def reports(self, plan: Mapping[str, Any]) -> dict[str, dict[str, int]]:
        """Count the examples of a plan (its JSON) by each column that its ops report.

        Raises DatasetError.
        """
        names = [
            name
            for name in dict.fromkeys(n for node in plan["nodes"] for n in node.get("reports", ()))
            if name in plan["columns"]
        ]
        reports = {}
        for name in names:
            values = self.counts(plan["hash"], name)
            labels = plan.get("labels") or ()
            counts = {named_option(name, value, labels): n for value, n in values.items()}
            if counts:
                reports[name] = counts
        return reports

    def _files(self, table: str, version: int | None = None) -> list[str]:
        """List the files of a table, by their paths in it."""
        from deltalake import DeltaTable

        uri, options = self.folder.join(table), dict(self.folder.storage_options)
        with storage_errors("read the table", uri):
            opened = DeltaTable(uri, version=version, storage_options=options)
            paths: list[str] = opened.get_add_actions().column("path").to_pylist()
        return paths

    def _scan(self, table: str, version: int | None) -> pl.LazyFrame:
        with storage_errors("read the table", self.folder.join(table)):
            return scan_table(self.folder, table, version)

    def _collect(self, frame: pl.LazyFrame) -> Any:
        with storage_errors("read the table", self.folder.uri):
            return frame.collect()


def content_hash(examples: pl.LazyFrame) -> str:
    """Hash the content of examples, whatever their order and files. Raises OSError.

    They are read in batches; of each row only a short hash stays in memory.
    """
    import polars as pl

    rows = examples.select(pl.struct(pl.all()).struct.json_encode())
    batches = rows.collect_batches(chunk_size=_BATCH, maintain_order=False)
    hashes = sorted(
        hashlib.sha256(row.encode()).digest()[:16] for batch in batches for row in batch.to_series()
    )
    return hashlib.sha256(b"".join(hashes)).hexdigest()[:16]


def scan_table(folder: Folder, table: str = "", version: int | None = None) -> pl.LazyFrame:
    """Scan a table in the folder, or the folder itself. Raises DeltaError, OSError.

    On this machine no file of the table may be a link, or have a name, that leads out of it.
    """
    import polars as pl

    uri, own = folder.join(table) if table else folder.uri, None
    if folder.local is not None:
        own = folder.local / table
        _check_log(folder.local, f"{table}/_delta_log" if table else "_delta_log")
    options = None if folder.local is not None else dict(folder.storage_options) or None
    return pl.scan_delta(_table(uri, version, options, own), storage_options=options)


def _check_log(root: Path, log: str) -> None:
    """Raise OSError where a table's log, or an entry of it, is a link to elsewhere."""
    with suppress(FileNotFoundError), os.scandir(path_inside(root, log, to_read=True)) as entries:
        for entry in entries:
            if entry.is_symlink():
                path_inside(root, f"{log}/{entry.name}", to_read=True)


def _table(
    uri: str, version: int | None, options: dict[str, str] | None, own: Path | None
) -> DeltaTable:
    """Open the table so that it names its files as their store does.

    In a table that lies in the folder `own`, each file must lie there too. deltalake names them as
    in a URL, where a space is `%20`, and polars opens what it is told.
    """
    from deltalake import DeltaTable

    class NamedTable(DeltaTable):  # type: ignore[misc]
        """A table whose files have their own names."""

        def file_uris(self, *args: object, **kwargs: object) -> list[str]:
            url = urlsplit(self.table_uri)
            root = (url.path if url.scheme == "file" else self.table_uri).rstrip("/") + "/"
            names = (name.removeprefix(root) for name in super().file_uris(*args, **kwargs))
            if own is None:
                return [f"{uri}/{name}" for name in names]
            return [str(path_inside(own, name, to_read=True)) for name in names]

    return NamedTable(uri, version=version, storage_options=options)
