"""Build the report of `raygen plan`: the estimate, from sampled rows and earlier runs, and reuse.

Knows nothing of how an estimate is made or shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from raygen.core import Problem
from raygen.dataset import Dataset, DatasetError, Folder
from raygen.planning.estimate import Estimate, estimate_run
from raygen.planning.history import last_preview, measure_dataset
from raygen.planning.outline import AnyPlan
from raygen.planning.plan import Plan
from raygen.planning.preparation import PreparedRecipe, source_rows
from raygen.planning.prompt_tokens import count_prompt_tokens
from raygen.planning.resources import Placement, placement_of
from raygen.planning.reuse import Reuse, find_reuse
from raygen.recipe import Recipe
from raygen.sources import KeyedSource
from raygen.trainer import training_of

_SAMPLE = 24
"""Rows whose prompts are counted."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a run would ask its engines and pay them; `dollars` is None where no price is known."""

    calls: float
    prompt_tokens: float
    output_tokens: float
    dollars: float | None


@dataclass(frozen=True, slots=True)
class PlanOverview:
    """What a recipe would run, what that would cost, and how much of it is done already.

    `done` counts the source rows that this plan has finished; `reuse` says which calls of an older
    plan can be reused. `hints` are settings that the recipe would better leave to a profile.
    `notes` say how the source was read, and `invalid` counts the rows that don't fit the task.
    """

    plan: AnyPlan
    estimate: Estimate
    done: int = 0
    reuse: Reuse | None = None
    placement: Placement | None = None
    hints: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    invalid: int = 0

    @property
    def to_pay(self) -> Payment:
        """What a run would pay now: neither for rows that are done nor for calls that come back."""
        estimate = self.estimate
        left = max(0.0, 1 - self.done / estimate.rows) if estimate.rows else 0.0
        shares = {}
        for name, node in estimate.nodes.items():
            same = self.reuse is not None and self.reuse.nodes.get(name) == "same"
            back = self.reuse.calls.get(name, 0) if self.reuse is not None and same else 0
            calls = max(0.0, node.calls * left - back)
            shares[name] = calls / node.calls if node.calls else 0.0
        dollars: float | None = None
        for name, engine in estimate.engines.items():
            if engine.dollars is not None:
                asks = [node.name for node in self.plan.nodes if name in node.all_engines]
                weights = {
                    node: estimate.nodes[node].prompt_tokens + estimate.nodes[node].output_tokens
                    for node in asks
                }
                whole = sum(weights.values())
                paid = sum(weights[node] * shares[node] for node in asks)
                dollars = (dollars or 0.0) + (engine.dollars * paid / whole if whole else 0.0)
        figures = estimate.nodes.items()
        return Payment(
            sum(node.calls * shares[name] for name, node in figures),
            sum(node.prompt_tokens * shares[name] for name, node in figures),
            sum(node.output_tokens * shares[name] for name, node in figures),
            dollars,
        )

    def to_json(self) -> dict[str, Any]:
        """Convert the plan and its estimate to JSON."""
        reuse = self.reuse
        answer = {
            **self.plan.to_json(),
            "estimate": self.estimate.to_json(),
            "to_pay": asdict(self.to_pay),
            "done": self.done,
            "placement": self.placement.to_json() if self.placement else None,
            "hints": [str(hint) for hint in self.hints],
            "source": {"invalid": self.invalid, "notes": list(self.notes)},
        }
        if reuse is None:
            return {**answer, "reuse": None}
        counts = {"recorded": reuse.recorded, "reusable": reuse.reusable}
        return {**answer, "reuse": {**counts, "nodes": dict(reuse.nodes)}}


def make_plan_overview(prepared: PreparedRecipe, out: str | None = None) -> PlanOverview:
    """Build the overview of a recipe; `out` is its dataset's folder, by default the recipe's.

    Reads the whole source. Raises SourceError, and ProblemsError where the student's file can't
    be read.
    """
    recipe, plan = prepared.recipe, prepared.plan
    folder = Folder.at(out or prepared.output)
    training = training_of(recipe, None, folder, moved=out is not None)
    placement = placement_of(recipe, plan, training.workers() if training else 0)
    with tempfile.TemporaryDirectory(prefix="raygen-plan-") as temporary:
        source = source_rows(prepared).copied(Folder.at(temporary))
        expected = estimate_of(recipe, plan, source, folder)
        keys, notes = set(source.keys), source.notes
        dropped = len(source.invalid)
    overview = PlanOverview(
        plan,
        expected,
        placement=placement,
        hints=tuple(prepared.hints),
        notes=notes,
        invalid=dropped,
    )
    try:
        done = Dataset(folder).done(plan.hash) if Dataset(folder).plans() else {}
        return replace(overview, done=len(keys & set(done)), reuse=find_reuse(folder, plan))
    except DatasetError:
        return overview  # apply will say what is wrong with the folder


def estimate_of(recipe: Recipe, plan: Plan, source: KeyedSource, folder: Folder) -> Estimate:
    """Estimate a plan over a keyed source, from its dataset's runs and the last preview."""
    fitting = source.fitting
    sample = source.read(fitting[:: max(1, len(fitting) // _SAMPLE)][:_SAMPLE])
    try:
        run = measure_dataset(folder)
    except DatasetError:
        run = None  # no measurements from a folder that can't be read; apply will say what is wrong
    known = [measured for measured in (run, last_preview(recipe.name)) if measured is not None]
    actors = placement_of(recipe, plan).high
    return estimate_run(
        plan, len(fitting), count_prompt_tokens(plan, sample), known, recipe.output.rows, actors
    )


def planned_estimate(
    recipe: Recipe, plan: Plan, source: KeyedSource, folder: Folder
) -> Mapping[str, Any]:
    """Estimate a run for the dataset to keep: from before the first row of this plan ran.

    A resumed run keeps the estimate; one over more rows makes a new one. Raises DatasetError.
    """
    written = Dataset(folder).plan(plan.hash) or {}
    earlier: Mapping[str, Any] = written.get("estimate") or {}
    if earlier.get("rows") == len(source.fitting):
        return earlier
    return estimate_of(recipe, plan, source, folder).to_json()
