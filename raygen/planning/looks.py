"""What commands make of a recipe that they look at: problems, a plan, an estimate, a lock.

Each is run in this process for the user's own recipe, and in a limited one for a stranger's, where
what it returns is plain data. Knows nothing of which it is but that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from raygen.core import Problem
from raygen.core.limited import is_limited
from raygen.planning.lock_check import lock_path, make_lock
from raygen.planning.outline import AnyPlan, outline
from raygen.planning.plan import Plan
from raygen.planning.plan_report import PlanOverview, make_plan_overview
from raygen.planning.preparation import (
    RecipeRequest,
    prepare,
    prepare_each,
    source_fit,
    source_rows,
)
from raygen.recipe import Lock
from raygen.sources import SourceFit
from raygen.trainer import training_problems


@dataclass(frozen=True, slots=True)
class CheckedRecipe:
    """A recipe without problems: its file, its variant, the number of its nodes, and hints.

    `fit` says how many of the source's rows fit; None where the source wasn't read.
    """

    path: Path
    variant: str | None
    nodes: int
    hints: tuple[Problem, ...]
    fit: SourceFit | None


def check_recipe(request: RecipeRequest, offline: bool = False) -> list[CheckedRecipe]:
    """Check a recipe with its student, or each variant that is named. Raises ProblemsError.

    With `offline` all but the source is checked.
    """
    return [
        CheckedRecipe(
            each.recipe.path,
            each.recipe.variant,
            len(each.plan.nodes),
            tuple(each.hints),
            None if offline else source_fit(each),
        )
        for each in prepare_each(request, training_problems, offline=offline)
    ]


def plan_recipe(request: RecipeRequest) -> AnyPlan:
    """Plan a recipe. Raises ProblemsError."""
    plan = prepare(request).plan
    return outline(plan) if is_limited() else plan


def estimate_recipe(request: RecipeRequest, out: str | None = None) -> PlanOverview:
    """Plan a recipe and estimate its run; `out` is its dataset's folder. Raises ProblemsError."""
    overview = make_plan_overview(prepare(request), out)
    if isinstance(overview.plan, Plan) and is_limited():
        return replace(overview, plan=outline(overview.plan))
    return overview


def lock_recipe(request: RecipeRequest) -> list[tuple[Path, Lock]]:
    """Lock a recipe, or each variant that is named; returns the locks with their files.

    Raises UserError and ProblemsError.
    """
    return [(lock_path(each), make_lock(each, source_rows(each))) for each in prepare_each(request)]
