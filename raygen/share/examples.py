"""Select the examples of a dataset for export: by view, and without repeats.

Reads a folder written by `apply` or by `pull`. Knows nothing of formats.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.config import did_you_mean
from raygen.core import TASKS, UserError, column_text, find_repeats
from raygen.dataset import IDENTITY, PLAN, DatasetError, Folder, read_plan, storage_errors
from raygen.inspection import VIEW, open_dataset
from raygen.share.layout import MANIFEST, read_manifest, read_shards

if TYPE_CHECKING:
    import polars as pl

_RATIONALE = "rationale"
_DISTINCTIVE = ("choices", "answer", "label", "refuted", VIEW)
"""Columns that tell two examples with the same question apart."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples, sorted by id, and their plan as stored in plan.json."""

    plan: Mapping[str, Any]
    frame: pl.DataFrame

    def of_views(self, views: Sequence[str]) -> Examples:
        """Select the examples of these views. Raises UserError for a view that no example has."""
        existing = sorted(set(self.frame[VIEW])) if VIEW in self.frame.columns else []
        for view in views:
            if view not in existing:
                raise UserError(
                    f"--view {view}: no example has that view{did_you_mean(view, existing)}"
                )
        return replace(self, frame=self.frame.filter([v in views for v in self.frame[VIEW]]))

    def alike(self) -> list[str]:
        """List the views whose examples share a prompt: all but those that refute an option."""
        if VIEW not in self.frame.columns:
            return []
        rows = self.frame.iter_rows(named=True)
        return sorted({row[VIEW] for row in rows if row[VIEW] and not row.get("refuted")})

    def without_repeats(self, near: float | None) -> Examples:
        """Leave out examples that repeat an earlier one.

        A repeat has the same question, answer and view, and the same rationale up to case and white
        space. `near`, above 0 and at most 1, is the similarity from which on rationales count as
        the same.
        """
        columns = self.plan["columns"]
        stem = TASKS[self.plan["task"]].stem
        compared = [name for name in (stem, *_DISTINCTIVE) if name in columns]
        if _RATIONALE not in columns:
            compared = [name for name in columns if name not in IDENTITY]
        texts: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for index, row in enumerate(self.frame.iter_rows(named=True)):
            question = " ".join(column_text([row[name] for name in compared]).casefold().split())
            texts[question].append((index, column_text(row.get(_RATIONALE))))
        unique = [
            index
            for group in texts.values()
            for (index, _), earlier in zip(
                group, find_repeats([text for _, text in group], near), strict=True
            )
            if earlier is None
        ]
        return replace(self, frame=self.frame[sorted(unique)])


def read_examples(folder: str) -> Examples:
    """Read the examples of a dataset's newest plan. Raises DatasetError."""
    path = Path(folder) / MANIFEST
    if path.is_file():
        pulled = Folder.at(folder)
        with storage_errors("read the copy", folder):
            manifest = read_manifest(pulled.read_text(MANIFEST), str(path))
        plan = read_plan(pulled)
        if plan is None:
            raise DatasetError(f"{folder} has no {PLAN}, which its list names; pull it again", 2)
        with storage_errors("read the copy", folder):
            return Examples(plan, read_shards(Path(folder), manifest).sort("id").collect())
    dataset = open_dataset(folder)
    return Examples(dataset.plan, dataset.collect(dataset.examples().sort("id")))
