"""Keep record of the batches of requests that engines have sent to an endpoint.

Each batch is a file of `batches/`, written before the batch is created and again when its id is
known, so that a run that was killed at any moment finds what it has sent and asks for no answer
twice. Knows nothing of endpoints or of what a request says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder, storage_errors

BATCHES = "batches"
BATCH_FORMAT = 1
_NAME = re.compile(r"[0-9a-f]{32}\.json")

BatchState = Literal["creating", "waiting", "ended"]


@dataclass(frozen=True, slots=True)
class SentBatch:
    """One batch: its requests by their own ids, and what is known of it.

    `address` and `path` say where it was sent, `created` is a Unix time of this machine. `upload`
    and `id` are the endpoint's names of the file of requests and of the batch, None until they are
    known. Of its requests `answered` have an answer and `refused` have none.
    """

    name: str
    engine: str
    address: str
    path: str
    model: str
    requests: tuple[str, ...]
    created: float
    state: BatchState = "creating"
    upload: str | None = None
    id: str | None = None
    answered: int = 0
    refused: int = 0

    def to_json(self) -> dict[str, Any]:
        """Convert the batch to JSON, with its requests counted."""
        return {**asdict(self), "requests": len(self.requests)}


@dataclass(frozen=True, slots=True)
class BatchLog:
    """The record of batches of one dataset."""

    folder: Folder

    def read(self) -> tuple[SentBatch, ...]:
        """Read all batches, the oldest first. Raises DatasetError, also for a damaged file."""
        with storage_errors("read the record of batches", self.folder.join(BATCHES)):
            return tuple(sorted(self._read(), key=lambda batch: (batch.created, batch.name)))

    def write(self, batch: SentBatch) -> None:
        """Write a batch, in the place of what was known of it before. Raises DatasetError."""
        with storage_errors("write the record of a batch", self.folder.join(BATCHES)):
            text = json.dumps({"format": BATCH_FORMAT, **asdict(batch)})
            self.folder.write_text(_path(batch), text)

    def delete(self, batch: SentBatch) -> None:
        """Forget a batch: nothing of it can be had any more. Raises DatasetError."""
        with storage_errors("delete the record of a batch", self.folder.join(BATCHES)):
            self.folder.delete(_path(batch))

    def _read(self) -> Iterator[SentBatch]:
        try:
            entries = self.folder.entries(BATCHES)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.kind == "file" and _NAME.fullmatch(entry.name):
                path = f"{BATCHES}/{entry.name}"
                yield _batch(self.folder.read_text(path), self.folder.join(path))


def _path(batch: SentBatch) -> str:
    return f"{BATCHES}/{batch.name}.json"


def _batch(text: str, where: str) -> SentBatch:
    try:
        fields: dict[str, Any] = json.loads(text)
        if fields.pop("format") != BATCH_FORMAT:
            raise DatasetError(f"{where} was written by a newer raygen; go on with that one")
        return SentBatch(**{**fields, "requests": tuple(map(str, fields["requests"]))})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"{where} is damaged ({error}); delete it: its requests are sent again"
        ) from None
