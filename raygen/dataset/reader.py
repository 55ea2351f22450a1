"""A dataset as a reader sees it: lazy tables, the keys that are done, the status.

Works at any instant, also while a driver commits. Knows nothing of writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raygen.dataset.folder import Folder, storage_errors
from raygen.dataset.log import last_record, newest_version
from raygen.dataset.status import DatasetStatus, make_status
from raygen.dataset.tables import EXAMPLES, ROWS, TRANSCRIPTS, DatasetError
from raygen.row import Status

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Dataset:
    """The dataset in an output folder."""

    folder: Folder

    @classmethod
    def open(cls, folder: Folder | str) -> Dataset:
        """The dataset in a folder. Raises DatasetError where there is none."""
        dataset = cls(folder if isinstance(folder, Folder) else Folder.at(folder))
        if newest_version(dataset.folder, ROWS) < 0:
            raise DatasetError(
                f"no dataset in {dataset.folder.uri}: expected the table {ROWS}/ there; "
                "give the folder that `raygen apply` wrote",
                exit_code=2,
            )
        return dataset

    def ledger(self, version: int | None = None) -> pl.LazyFrame:
        """One line per finished source row. Raises DatasetError."""
        return self._scan(ROWS, version)

    def examples(self, version: int | None = None) -> pl.LazyFrame:
        """The examples, in no particular order. Raises DatasetError."""
        return self._scan(EXAMPLES, version)

    def transcripts(self, version: int | None = None) -> pl.LazyFrame:
        """Every engine call. Raises DatasetError."""
        return self._scan(TRANSCRIPTS, version)

    def plans(self) -> frozenset[str]:
        """The hashes of the plans whose rows are in the ledger: one, or none yet."""
        if newest_version(self.folder, ROWS) < 0:
            return frozenset()
        return frozenset(self._collect(self.ledger().select("plan").unique())["plan"].to_list())

    def done(self, plan_hash: str) -> dict[str, Status]:
        """The finished rows of a plan: key -> status."""
        import polars as pl

        lines = self.ledger().filter(pl.col("plan") == plan_hash).select("key", "status")
        return dict(self._collect(lines).iter_rows())

    def status(self) -> DatasetStatus:
        """Counts of the newest plan's rows, all of one instant. Raises DatasetError."""
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
        return make_status(self._collect(lines), record, keys)

    def _scan(self, table: str, version: int | None) -> pl.LazyFrame:
        import polars as pl

        uri = self.folder.join(table)
        with storage_errors("read the table", uri):
            return pl.scan_delta(
                uri, version=version, storage_options=dict(self.folder.storage_options) or None
            )

    def _collect(self, frame: pl.LazyFrame) -> Any:
        with storage_errors("read the table", self.folder.uri):
            return frame.collect()
