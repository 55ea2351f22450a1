"""Compare what two paths or references name: recipes, or the folders of datasets."""

from __future__ import annotations

from collections.abc import Mapping

from raygen.dataset import ROWS, Folder, newest_version
from raygen.inspection.diff.datasets import DatasetDiff, compare_datasets
from raygen.inspection.diff.description import RecipeDescription, describe_recipe, describe_stored
from raygen.inspection.diff.recipes import RecipeDiff, compare_recipes
from raygen.inspection.opened import OpenedDataset, open_dataset
from raygen.ops import Op

_RECIPES = ("git+", "hf://", "http://", "https://")
"""Prefixes of references that can't be a dataset that grows, but may be a recipe."""


def compare_named(a: str, b: str, ops: Mapping[str, Op]) -> RecipeDiff | DatasetDiff:
    """Compare what two paths or references name: recipes, or the folders of datasets.

    A recipe and a dataset are compared by their recipes. Raises UserError and ProblemsError.
    """
    left, right = _dataset(a), _dataset(b)
    if left is not None and right is not None:
        return compare_datasets(left, right, ops)
    described = (_described(a, left, ops), _described(b, right, ops))
    return compare_recipes(*described, stored=left is not right)


def _dataset(reference: str) -> OpenedDataset | None:
    if reference.startswith(_RECIPES):
        return None
    folder = Folder.at(reference)
    if folder.local is not None and not folder.local.is_dir():
        return None
    return open_dataset(folder) if newest_version(folder, ROWS) >= 0 else None


def _described(
    reference: str, dataset: OpenedDataset | None, ops: Mapping[str, Op]
) -> RecipeDescription:
    if dataset is None:
        return describe_recipe(reference, ops)
    return describe_stored(dataset, ops)
