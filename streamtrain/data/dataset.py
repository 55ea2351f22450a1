"""A raygen dataset as a feed of a ShardStream: followed while it grows, or read as it is.

The only module that opens a dataset. Knows nothing of batches or training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from raygen.dataset import (
    DATASET,
    Commit,
    Dataset,
    DatasetError,
    Folder,
    Follower,
    StreamState,
    check_writable,
    request_stop,
    storage_errors,
)
from raygen.engines import model_name
from streamtrain.errors import InputError, StreamLostError

_BATCH = 4096
"""Examples held in memory at a time while iterating over a dataset."""


class DatasetFeed:
    """The commits of a dataset. With `follow` the dataset need not exist yet, and the feed ends
    when its generator does; without, it ends with what is there now."""

    def __init__(self, data: str, follow: bool) -> None:
        """Open a dataset by path or URL. Raises InputError without `follow` if there is none."""
        folder = Folder.at(data)
        self._follow = follow
        self._follower = Follower(folder)
        if not follow:
            try:
                Dataset.open(folder)
            except DatasetError as error:
                raise InputError(str(error)) from error

    def poll(self) -> Sequence[Commit]:
        """Return the commits since the last call. This and the other methods raise
        StreamLostError."""
        with _readable():
            return self._follower.poll()

    def read(self, commit: Commit) -> Any:
        """Read the rows of a commit as a pyarrow.Table."""
        with _readable():
            return self._follower.read(commit)

    def state(self) -> StreamState:
        """Read the state of the generator."""
        with _readable():
            state = self._follower.state()
        return state if self._follow else replace(state, ended=True)


def dataset_facts(data: str, plan: str) -> DatasetFacts | None:
    """Read the facts of a dataset; None if it is gone or has another plan."""
    try:
        dataset = Dataset.open(data)
        known, status = dataset.plan(plan), dataset.status()
        content = dataset.content_hash(plan)
    except DatasetError:
        return None
    if known is None:
        return None
    return DatasetFacts(
        known["recipe"],
        {
            name: model_name(engine["model"], engine.get("revision"))
            for name, engine in known["engines"].items()
        },
        tuple(map(_op, known["nodes"])),
        status.source,
        status.kept,
        status.dropped,
        status.failed,
        status.examples,
        content,
        status.rejects,
    )


def _op(node: Mapping[str, Any]) -> str:
    """Format a node's op, with the condition of a filter."""
    where = node.get("params", {}).get("where")
    return node["op"] if where is None else f"{node['op']} (`{where}`)"


def dataset_examples(data: str, plan: str | None) -> Iterator[dict[str, Any]]:
    """Yield the examples of a dataset's plan by id, an order that says nothing of their content.

    Raises InputError if they can't be read.
    """
    try:
        with storage_errors("read the examples", data):
            table = Dataset.open(data).examples().collect()
    except DatasetError as error:
        raise InputError(str(error)) from error
    for row in table.sort("id").iter_rows(named=True):
        if row.get("plan", plan) == plan:
            yield row


def each_example(data: str, plan: str) -> Iterator[dict[str, Any]]:
    """Yield the examples of a dataset's plan in batches, so that few are in memory.

    Raises InputError if they can't be read.
    """
    import polars as pl

    try:
        examples = Dataset.open(data).examples().filter(pl.col("plan") == plan)
        with storage_errors("read the examples", data):
            for batch in examples.collect_batches(chunk_size=_BATCH, maintain_order=True):
                yield from batch.iter_rows(named=True)
    except DatasetError as error:
        raise InputError(str(error)) from error


def ask_to_stop(data: str, reason: str) -> None:
    """Request the generator of a dataset to stop. Raises StreamLostError if that fails."""
    with _readable():
        check_writable(Folder.at(data), DATASET, "--data")
        request_stop(Folder.at(data), reason)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        raise StreamLostError(str(error)) from error


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What a dataset is made of: its recipe, model names by engine, ops, and rows by status.

    A filter op comes with its condition. `content` is a hash of the examples; `rejects` are (node,
    reason, count).
    """

    recipe: str
    engines: Mapping[str, str]
    ops: tuple[str, ...]
    source: int
    kept: int
    dropped: int
    failed: int
    examples: int
    content: str
    rejects: tuple[tuple[str, str, int], ...] = ()
