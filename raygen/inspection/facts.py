"""Collect what a dataset's card says: its recipe, plan, counts, content and lock.

Knows nothing of how a card reads or where it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from raygen.config import parse_model
from raygen.dataset import (
    ROWS,
    DatasetError,
    DatasetStatus,
    last_record,
    newest_version,
    storage_errors,
)
from raygen.inspection.opened import VIEW, OpenedDataset
from raygen.planning import stored_recipe
from raygen.recipe import Lock, RecipeSections, stored_lock


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A dataset in numbers and names.

    `frozen` is the recipe's text, `recipe` the same with its params filled in; `files` are those
    that hold the examples; `committed_at` is when the last rows were committed.
    """

    dataset: OpenedDataset
    frozen: str
    recipe: RecipeSections
    content: str
    views: Mapping[str, int]
    files: tuple[str, ...]
    lock: Lock | None
    committed_at: datetime

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan as plan.json has it."""
        return self.dataset.plan

    @property
    def status(self) -> DatasetStatus:
        """The counts of the source rows."""
        return self.dataset.status

    @property
    def rejects(self) -> Mapping[str, Mapping[str, int]]:
        """How many rows each node dropped, by reason."""
        by_node: dict[str, dict[str, int]] = defaultdict(dict)
        for node, reason, count in self.status.rejects:
            by_node[node][reason] = count
        return by_node

    @property
    def commits(self) -> Mapping[str, str]:
        """The commits of the engines' models that the lock pins."""
        engines = self.lock.engines if self.lock else {}
        return {name: engine.commit for name, engine in engines.items() if engine.commit}

    @property
    def missing(self) -> str | None:
        """The file that the recipe reads and others don't have; None where they can fetch it."""
        path = self.recipe.source.path
        return None if "://" in path else portable(path)


def portable(path: str) -> str:
    """Return a source's path for others: its name alone if it is outside the recipe's folder."""
    outside = path.startswith(("/", "~")) or ".." in path.split("/")
    return path.rpartition("/")[2] if outside else path


def card_facts(dataset: OpenedDataset) -> CardFacts:
    """Collect the facts of a dataset's card.

    Raises DatasetError where there is no row yet, and ProblemsError where its recipe or its lock
    can't be parsed.
    """
    folder, status = dataset.folder, dataset.status
    if not status.finished:
        raise DatasetError(
            f"{folder.uri} has no finished row of its newest recipe yet; run `raygen apply` first",
            exit_code=2,
        )
    frozen, document = stored_recipe(folder)
    with storage_errors("read the lock", folder.uri):
        lock = stored_lock(folder)
    entry = last_record(folder, newest_version(folder, ROWS), "rows")
    tables, plan_hash = dataset.tables, dataset.plan_hash
    return CardFacts(
        dataset=dataset,
        frozen=frozen,
        recipe=parse_model(document, RecipeSections),
        content=tables.content_hash(plan_hash),
        views=tables.counts(plan_hash, VIEW) if VIEW in dataset.columns else {},
        files=tables.example_files(),
        lock=lock,
        committed_at=datetime.fromtimestamp(entry.at if entry else 0, UTC),
    )
