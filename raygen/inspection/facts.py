"""What a dataset says of itself: its recipe, plan, counts and content, for its card.

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
    Dataset,
    DatasetError,
    DatasetStatus,
    last_record,
    newest_version,
    storage_errors,
)
from raygen.planning import stored_recipe
from raygen.recipe import Lock, RecipeSections, stored_lock

VIEW = "view"


@dataclass(frozen=True, slots=True)
class Facts:
    """A dataset in numbers and names. `frozen` is the recipe's text, `recipe` the same with its
    params filled in; `plan` is what plan.json says; `files` are those that hold the examples."""

    frozen: str
    recipe: RecipeSections
    plan: Mapping[str, Any]
    status: DatasetStatus
    content: str
    views: Mapping[str, int]
    files: tuple[str, ...]
    lock: Lock | None
    at: datetime
    """When its last rows were committed."""

    @property
    def rejects(self) -> Mapping[str, Mapping[str, int]]:
        """How many rows each node dropped, by reason."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for node, reason, count in self.status.rejects:
            found[node][reason] = count
        return found

    @property
    def commits(self) -> Mapping[str, str]:
        """The commits of the engines' models that the lock pins."""
        engines = self.lock.engines if self.lock else {}
        return {name: one.commit for name, one in engines.items() if one.commit}

    @property
    def missing(self) -> str | None:
        """The file that the recipe reads and others don't have; None where they can fetch it."""
        path = self.recipe.source.path
        return None if "://" in path else portable(path)


def portable(path: str) -> str:
    """A source's path as others may see it: of one outside the recipe's folder its name alone."""
    outside = path.startswith(("/", "~")) or ".." in path.split("/")
    return path.rpartition("/")[2] if outside else path


def facts_of(dataset: Dataset) -> Facts:
    """What a dataset's card is written from. Raises DatasetError where there is no row yet, and
    ProblemsError where its recipe or its lock can't be read as such."""
    status = dataset.status()
    folder = dataset.folder
    plan = dataset.plan(status.plan)
    if plan is None or not status.finished:
        raise DatasetError(
            f"{folder.uri} has no finished row of its newest recipe yet; run `raygen apply` first",
            exit_code=2,
        )
    frozen, document = stored_recipe(folder)
    with storage_errors("read the lock", folder.uri):
        lock = stored_lock(folder)
    entry = last_record(folder, newest_version(folder, ROWS), "rows")
    return Facts(
        frozen=frozen,
        recipe=parse_model(document, RecipeSections),
        plan=plan,
        status=status,
        content=dataset.content_hash(status.plan),
        views=dataset.counts(status.plan, VIEW) if VIEW in plan["columns"] else {},
        files=dataset.example_files(),
        lock=lock,
        at=datetime.fromtimestamp(entry.at if entry else 0, UTC),
    )
