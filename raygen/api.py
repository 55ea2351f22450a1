"""Use raygen from Python: validate, plan, preview and apply a recipe.

These are the commands of the same names. Their results have attributes, and display as text in a
terminal and as HTML in a notebook.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.apply import ApplyRequest, confirm_first_use
from raygen.cli import TerminalUI
from raygen.core import Problem, ProblemsError, UserError, echo, plural
from raygen.dataset import Dataset, DatasetStatus
from raygen.planning import (
    AnyPlan,
    Estimate,
    PlanOverview,
    RecipeRequest,
    RunTerms,
    check_recipe,
    estimate_recipe,
    look_at,
    plan_recipe,
    prepare,
)
from raygen.recipe.remote import find_recipe
from raygen.runtime import Budget, Preview, PreviewedRow, preview
from raygen.views import (
    RunSummary,
    graph_view,
    plain_table,
    plan_view,
    preview_view,
    render_summary,
    status_view,
    to_html,
    to_text,
)

if TYPE_CHECKING:
    import polars as pl


class Displayable(ABC):
    """A result that displays itself: as text in a terminal, as HTML in a notebook."""

    @abstractmethod
    def view(self) -> RenderableType:
        """Render what the command prints, for `rich.print`."""

    def __repr__(self) -> str:
        return to_text(self.view())

    def _repr_html_(self) -> str:
        return to_html(self.view())


def load(
    path: str | Path,
    *,
    profile: str | Path | None = None,
    limit: int | None = None,
    variant: str | None = None,
    trust: Sequence[str | Path] = (),
    as_me: Sequence[str] = (),
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the name of the command's option
    **params: Any,
) -> LoadedRecipe:
    """Load a recipe.

    Args:
        path: A file, a folder with a recipe.yaml, or a reference to fetch.
        profile: The profile's file: where and how the recipe runs.
        limit: The most source rows.
        variant: One of the recipe's variants.
        trust: Python files whose ops the recipe may use.
        as_me: Addresses that a fetched recipe reads with your credentials.
        set: Values by dotted path, as in `{"engines.teacher.backend": "openai"}`.
        params: Values of the recipe's params, as in `n=30`.

    Every method reads the file again. Raises UserError where there is no recipe.
    """
    overrides = {name: json.dumps(value) for name, value in {**(set or {}), **params}.items()}
    local, fetched = find_recipe(path) if isinstance(path, str) else (path, None)
    reference = RecipeRequest(
        local,
        overrides,
        Path(profile) if profile is not None else None,
        limit,
        tuple(map(Path, trust)),
        variant,
        fetched,
        as_me=tuple(as_me),
    )
    _ = reference.file
    return LoadedRecipe(reference)


@dataclass(frozen=True, slots=True, repr=False)
class LoadedRecipe(Displayable):
    """A recipe with its overrides; displays its graph."""

    reference: RecipeRequest

    def validate(self) -> Validation:
        """Check everything without starting anything; problems are returned, not raised."""
        try:
            look_at(check_recipe, self.reference)
        except ProblemsError as error:
            return Validation(tuple(error.problems))
        return Validation(())

    def plan(self, out: str | None = None) -> PlanReport:
        """Plan what would run, and estimate its cost. Raises ProblemsError.

        `out` is the dataset's folder, in place of the recipe's.
        """
        return PlanReport(look_at(estimate_recipe, self.reference, out))

    def preview(self, n: int = 3, *, full: bool = False, yes: bool = False) -> PreviewReport:
        """Run the first `n` source rows in this process, without writing a dataset.

        `full` displays long texts in full; `yes` agrees to run a fetched recipe for the first time.
        Raises ProblemsError and EngineError.
        """
        terms = RunTerms(f"the calls of {plural(n, 'row')}", trains=False)
        with _PythonUI(yes) as ui:
            prepared = prepare(confirm_first_use(self.reference, terms, ui))
        models = ", ".join(spec.model for spec in prepared.plan.engines.values())

        def tell(log: Path) -> None:
            echo(f"starting {models}; log: {log}", err=True)

        return PreviewReport(preview(prepared, n, tell), full)

    def apply(
        self,
        *,
        out: str | None = None,
        train: str | Path | None = None,
        yes: bool = False,
        fresh: bool = False,
        **more: Any,
    ) -> Applied:
        """Generate what is left of the dataset and, with `train:`, train its student.

        Args:
            out: The dataset's folder, in place of the recipe's.
            train: The file of a student to train, in place of the recipe's.
            yes: Answer every question with yes; otherwise a question is an error.
            fresh: Start over, and replace what is there.
            more: `address` of a Ray cluster, `retry` (run failed rows once more), `locked` (refuse
                what isn't as the lock says), `calls` (folders of other datasets whose recorded
                calls are reused) and `budget`, as in `{"tokens": 1e6}`.

        Raises UserError and ProblemsError; how a run ended is in the result.
        """
        from raygen.apply import apply

        budget = Budget(**more.pop("budget", {}))
        student = Path(train) if train is not None else None
        request = ApplyRequest(
            self.reference.moved(out), out, student, fresh, budget=budget, **more
        )
        with _PythonUI(yes) as ui:
            return Applied(apply(request, ui))

    def view(self) -> RenderableType:
        try:
            return graph_view(look_at(plan_recipe, self.reference))
        except ProblemsError as error:
            return Validation(tuple(error.problems)).view()


@dataclass(frozen=True, slots=True, repr=False)
class Validation(Displayable):
    """The problems of a recipe; true if there are none."""

    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def __bool__(self) -> bool:
        return self.valid

    def view(self) -> RenderableType:
        if self.valid:
            return Text("valid", style="green")
        table = plain_table("line", "column", "problem")
        for problem in self.problems:
            table.add_row(str(problem.line), str(problem.column), Text(problem.message))
        files = ", ".join(dict.fromkeys(problem.file for problem in self.problems))
        head = Text(f"{plural(len(self.problems), 'problem')} in {files}", style="red")
        return Group(head, table)


@dataclass(frozen=True, slots=True, repr=False)
class PlanReport(Displayable):
    """A plan with its estimated cost, and how much of it is done already."""

    outlook: PlanOverview

    @property
    def plan(self) -> AnyPlan:
        """The plan: nodes, engines, columns and hash."""
        return self.outlook.plan

    @property
    def estimate(self) -> Estimate:
        """The estimate: rows, calls, tokens, time and money, by node and engine."""
        return self.outlook.estimate

    def to_json(self) -> dict[str, Any]:
        """Convert to what `raygen plan --json` prints."""
        return self.outlook.to_json()

    def view(self) -> RenderableType:
        return plan_view(self.outlook)


@dataclass(frozen=True, slots=True, repr=False)
class PreviewReport(Displayable):
    """A few rows, step by step."""

    preview: Preview
    full: bool = False

    @property
    def rows(self) -> tuple[PreviewedRow, ...]:
        """The rows with their data, steps and results."""
        return self.preview.rows

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The examples of all rows."""
        return [dict(example) for row in self.rows for example in row.result.examples]

    def to_json(self) -> list[dict[str, Any]]:
        """Convert to what `raygen preview --json` prints."""
        return self.preview.to_json()

    def view(self) -> RenderableType:
        return preview_view(self.preview, self.full)


@dataclass(frozen=True, slots=True, repr=False)
class Applied(Displayable):
    """How a run ended; true if it succeeded. Counts are in `summary`, rows in `examples()`."""

    summary: RunSummary

    @property
    def dataset(self) -> str:
        """The dataset's folder."""
        return self.summary.dataset

    def __bool__(self) -> bool:
        return self.summary.exit_code == 0

    def examples(self) -> pl.LazyFrame:
        """Scan the examples, in no particular order."""
        return Dataset.open(self.dataset).examples()

    def status(self) -> StatusReport:
        """Count the source rows by their fate."""
        return StatusReport(self.dataset, Dataset.open(self.dataset).status())

    def view(self) -> RenderableType:
        return render_summary(self.summary)


@dataclass(frozen=True, slots=True, repr=False)
class StatusReport(Displayable):
    """The counts of a dataset's source rows by their fate."""

    dataset: str
    status: DatasetStatus

    def view(self) -> RenderableType:
        return status_view(self.dataset, self.status)


class _PythonUI(TerminalUI):
    """Shows a run's progress where nobody can type: a question without `yes` is an error."""

    def confirm(self, question: str) -> bool:
        """Agree if `yes` was passed. Raises UserError otherwise."""
        if self._yes:
            return True
        raise UserError(f"{question} apply(yes=True) says yes")
