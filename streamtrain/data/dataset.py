"""A raygen dataset as a feed of a ShardStream: followed while it grows, or as it stands.

The only module that opens a dataset. Knows nothing of batches or training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from raygen.dataset import (
    Commit,
    Dataset,
    DatasetError,
    Folder,
    Follower,
    StreamState,
    request_stop,
    storage_errors,
)
from raygen.engines import model_name
from streamtrain.errors import InputError, StreamLostError

_BATCH = 4096
"""Examples that are in memory at a time where one is looked at after the other."""


class DatasetFeed:
    """The commits of a dataset. With `follow` it needn't exist yet and ends when its generator
    does; without, what it holds now counts as all."""

    def __init__(self, data: str, follow: bool) -> None:
        """Raises InputError where there must be a dataset and is none."""
        folder = Folder.at(data)
        self._follow = follow
        self._follower = Follower(folder)
        if not follow:
            try:
                Dataset.open(folder)
            except DatasetError as error:
                raise InputError(str(error)) from error

    def poll(self) -> Sequence[Commit]:
        """The commits since the last call. Raises StreamLostError, as the others do."""
        with _readable():
            return self._follower.poll()

    def read(self, commit: Commit) -> Any:
        """The rows of a commit as a pyarrow.Table."""
        with _readable():
            return self._follower.read(commit)

    def state(self) -> StreamState:
        """Where the generator stands."""
        with _readable():
            state = self._follower.state()
        return state if self._follow else replace(state, ended=True)


def dataset_facts(data: str, plan: str) -> DatasetFacts | None:
    """What a dataset says of itself; None where it isn't there any more or has another plan."""
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
    """A node's op, and of a filter what it asks."""
    where = node.get("params", {}).get("where")
    return node["op"] if where is None else f"{node['op']} (`{where}`)"


def dataset_examples(data: str, plan: str | None) -> Iterator[dict[str, Any]]:
    """The examples of a dataset's plan in the order of their ids, which says nothing of them.

    Raises InputError where they can't be read.
    """
    try:
        table = Dataset.open(data).examples().collect()
    except DatasetError as error:
        raise InputError(str(error)) from error
    for row in table.sort("id").iter_rows(named=True):
        if row.get("plan", plan) == plan:
            yield row


def each_example(data: str, plan: str) -> Iterator[dict[str, Any]]:
    """The examples of a dataset's plan, some at a time, so that few are in memory.

    Raises InputError where they can't be read.
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
    """Ask the generator of a dataset to stop. Raises StreamLostError where it can't be told."""
    with _readable():
        request_stop(Folder.at(data), reason)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        raise StreamLostError(str(error)) from error


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What a dataset says of itself: its recipe, models by engine, ops, and rows by their fate.

    An op of a filter has its condition. `content` is a hash of the examples; `rejects` are (node,
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
