"""Collect the facts of a dataset's card: its recipe, plan, counts, content and lock.

Knows nothing of the card's text, or of where it is written.
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
)
from raygen.inspection.opened import VIEW, OpenedDataset
from raygen.planning import stored_recipe
from raygen.recipe import Lock, RecipeSections, stored_lock
from raygen.sources import named_paths


@dataclass(frozen=True, slots=True)
class CardFacts:
    """The facts of a dataset's card.

    `frozen` is the recipe's text, `recipe` the same with its params filled in. `content` is the
    hash of the examples, `views` counts them by view, `files` are the Parquet files that hold
    them. `lock` is None for a dataset without one. `committed_at` is when the last rows were
    committed.
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
        """The content of plan.json."""
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
        """The commits of models that the lock pins, by engine."""
        engines = self.lock.engines if self.lock else {}
        return {name: engine.commit for name, engine in engines.items() if engine.commit}

    @property
    def missing(self) -> str | None:
        """The source files that others don't have; None where all are on the network."""
        paths = [portable(path) for path in self.recipe.source.paths if "://" not in path]
        return named_paths(paths) or None


def portable(path: str) -> str:
    """Strip a source's path for others: outside the recipe's folder only the file's name stays."""
    if "://" in path:
        return path
    outside = path.startswith(("/", "~")) or ".." in path.split("/")
    return path.rpartition("/")[2] if outside else path


def card_facts(dataset: OpenedDataset) -> CardFacts:
    """Collect the facts of a dataset's card.

    Raises DatasetError where no row has finished yet, and ProblemsError where the stored recipe or
    lock can't be parsed.
    """
    folder, status = dataset.folder, dataset.status
    if not status.finished:
        raise DatasetError(
            f"{folder.uri} has no finished row of its newest recipe yet; run `raygen apply` first",
            exit_code=2,
        )
    frozen, document = stored_recipe(folder)
    entry = last_record(folder, newest_version(folder, ROWS), "rows")
    tables, plan_hash = dataset.tables, dataset.plan_hash
    return CardFacts(
        dataset=dataset,
        frozen=frozen,
        recipe=parse_model(document, RecipeSections),
        content=tables.content_hash(plan_hash),
        views=tables.counts(plan_hash, VIEW) if VIEW in dataset.columns else {},
        files=tables.example_files(),
        lock=stored_lock(folder),
        committed_at=datetime.fromtimestamp(entry.at if entry else 0, UTC),
    )
