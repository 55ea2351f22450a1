"""The estimate of a prepared recipe: its keyed source sampled, what was measured before looked up.

Knows nothing of how an estimate is made or shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from raygen.dataset.folder import Folder
from raygen.dataset.reader import Dataset
from raygen.dataset.tables import DatasetError
from raygen.estimate import Estimate, estimate
from raygen.measured import last_preview, of_dataset
from raygen.plan import Plan
from raygen.prepare import Prepared
from raygen.probe import probe
from raygen.recipe import Recipe
from raygen.sources import KeyedSource, key_source

_SAMPLE = 24
"""Rows whose prompts are counted."""


def outlook(prepared: Prepared, out: str | None = None) -> Estimate:
    """The estimate of a recipe; `out` is where its dataset is, if not where the recipe says.

    Reads the whole source. Raises SourceError.
    """
    recipe, plan = prepared.recipe, prepared.plan
    with tempfile.TemporaryDirectory(prefix="raygen-plan-") as folder:
        source = key_source(recipe.source, plan.task, recipe.base, Folder.at(folder))
        return estimate_of(recipe, plan, source, Folder.at(out or prepared.output))


def estimate_of(recipe: Recipe, plan: Plan, source: KeyedSource, folder: Folder) -> Estimate:
    """The estimate of a plan over a keyed source, with what its folder and the cache know."""
    step = max(1, source.total // _SAMPLE)
    sample = source.read(range(0, source.total, step)[:_SAMPLE])
    try:
        run = of_dataset(folder)
    except DatasetError:
        run = None  # a folder that can't be read tells nothing; apply will say what is wrong
    known = [one for one in (run, last_preview(recipe.name)) if one is not None]
    return estimate(plan, source.total, probe(plan, sample), known, recipe.output.rows)


def planned(recipe: Recipe, plan: Plan, source: KeyedSource, folder: Folder) -> Mapping[str, Any]:
    """The estimate to keep beside a dataset: the one made before the first row of this plan ran.

    A resumed run keeps it; one over more rows makes a new one. Raises DatasetError.
    """
    written = Dataset(folder).plan(plan.hash) or {}
    kept: Mapping[str, Any] = written.get("estimate") or {}
    if kept.get("rows") == source.total:
        return kept
    return estimate_of(recipe, plan, source, folder).to_json()
