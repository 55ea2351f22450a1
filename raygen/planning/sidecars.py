"""Write and read the files beside a dataset's tables: frozen recipe, plan and lock.

Knows nothing of tables or of when it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raygen.config import Document, found, parse_text
from raygen.core import ProblemsError
from raygen.dataset import PLAN, Dataset, Folder, storage_errors
from raygen.planning.preparation import PreparedRecipe
from raygen.recipe import STORED, params, stored_lock

RECIPE = "recipe.yaml"


def write_sidecars(folder: Folder, prepared: PreparedRecipe, estimate: Mapping[str, Any]) -> None:
    """Write the recipe, the plan with its estimate, and the lock.

    A stored lock under which not all rows were made is deleted. Raises DatasetError.
    """
    fetched = [origin.to_json() for origin in prepared.recipe.fetched]
    plan = {**prepared.plan.to_json(), "estimate": estimate, "fetched": fetched}
    with storage_errors("write the recipe and its plan", folder.uri):
        folder.write_text(RECIPE, prepared.recipe.frozen())
        folder.write_text(PLAN, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")
        if prepared.lock is not None:
            folder.write_text(STORED, prepared.lock.to_text())
        elif not _is_true(folder):
            folder.delete(STORED)


def stored_recipe(folder: Folder) -> tuple[str, Document]:
    """Read the frozen recipe: its text, and its document with the params filled in.

    Raises DatasetError where it can't be read, ProblemsError where it is no recipe.
    """
    with storage_errors("read the recipe", folder.uri):
        frozen = folder.read_text(RECIPE)
    document = parse_text(frozen, folder.join(RECIPE))
    if not isinstance(document.data, dict):
        message = f"found {found(document.data)}, expected the recipe that `raygen apply` wrote"
        raise ProblemsError([document.problem((), message)])
    values, _ = params.resolve_params(document)
    return frozen, params.substitute_params(document, values)[0]


def drop_lock(folder: Folder, prepared: PreparedRecipe) -> None:
    """Delete the dataset's lock where rows follow that are not made under one.

    Raises DatasetError.
    """
    if prepared.lock is None:
        with storage_errors("delete the lock", folder.join(STORED)):
            folder.delete(STORED)


def _is_true(folder: Folder) -> bool:
    """Tell whether all rows were made under the lock that the dataset carries."""
    try:
        stored = stored_lock(folder)
    except ProblemsError:
        return False  # somebody edited it
    return stored is not None and Dataset(folder).locks() == {stored.digest}
