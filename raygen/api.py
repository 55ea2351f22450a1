"""raygen from Python: a recipe that is validated, planned, previewed and applied.

The same as the commands do; what comes back has attributes, and shows itself as text in a terminal
and as HTML in a notebook. Knows nothing of how any of it is done.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.apply import ApplyRequest, confirm_first_use
from raygen.cli import TerminalUI
from raygen.core import Problem, ProblemsError, UserError, plural
from raygen.dataset import Dataset, DatasetStatus
from raygen.planning import (
    Estimate,
    Plan,
    PlanOverview,
    PreparedRecipe,
    RecipeRequest,
    make_plan_overview,
    prepare,
)
from raygen.recipe.remote import find_recipe
from raygen.runtime import Budget, Preview, PreviewedRow, preview
from raygen.trainer import training_problems
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
    """An answer that shows itself: as text in a terminal, as HTML in a notebook."""

    @abstractmethod
    def view(self) -> RenderableType:
        """Return what the command would print, for `rich.print`."""

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
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the name of the command's option
    **params: Any,
) -> LoadedRecipe:
    """Load a recipe by a path, a folder or a reference; `params` are its own, as in `n=30`.

    `set` changes anything in it by a dotted path, `{"engines.teacher.backend": "openai"}`. The
    file is read anew by every method. Raises UserError where there is no recipe.
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
    )
    _ = reference.file
    return LoadedRecipe(reference)


@dataclass(frozen=True, slots=True, repr=False)
class LoadedRecipe(Displayable):
    """A recipe with its overrides; it shows its graph."""

    reference: RecipeRequest

    def validate(self) -> Validation:
        """Check everything without starting anything; the problems are in the answer."""
        try:
            prepare(self.reference, training_problems)
        except ProblemsError as error:
            return Validation(tuple(error.problems))
        return Validation(())

    def plan(self, out: str | None = None) -> PlanReport:
        """Plan what would run, and estimate its cost. Raises ProblemsError."""
        return PlanReport(make_plan_overview(self._prepared(), out))

    def preview(self, n: int = 3, *, full: bool = False, yes: bool = False) -> PreviewReport:
        """Run the first n rows in this process. Raises ProblemsError and EngineError.

        `yes` agrees to run a fetched recipe that has never run here.
        """
        with _PythonUI(yes) as ui:
            prepared = prepare(
                self.reference,
                agree=lambda recipe: confirm_first_use(recipe, self.reference.trusted, ui.confirm),
            )
        models = ", ".join(spec.model for spec in prepared.plan.engines.values())

        def tell(log: Path) -> None:
            print(f"starting {models}; log: {log}", file=sys.stderr)

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

        `yes` answers every question; without it, one is an error. `more` are `address` (a Ray
        cluster), `retry` (failed rows once more) and `budget`, as in `{"tokens": 1e6}`. Raises
        UserError and ProblemsError; how a run ended is in the answer.
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
            return graph_view(self._prepared().plan)
        except ProblemsError as error:
            return Validation(tuple(error.problems)).view()

    def _prepared(self) -> PreparedRecipe:
        return prepare(self.reference)


@dataclass(frozen=True, slots=True, repr=False)
class Validation(Displayable):
    """What is wrong with a recipe; true where nothing is."""

    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
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
    """A plan, what it would cost, and what of it is there already."""

    outlook: PlanOverview

    @property
    def plan(self) -> Plan:
        """Nodes, engines, columns and hash."""
        return self.outlook.plan

    @property
    def estimate(self) -> Estimate:
        """Rows, calls, tokens, time and money, by node and engine."""
        return self.outlook.estimate

    def to_json(self) -> dict[str, Any]:
        """Return what `raygen plan --json` prints."""
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
        """Each row: its data, its steps, its result."""
        return self.preview.rows

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The examples that came out."""
        return [dict(example) for row in self.rows for example in row.result.examples]

    def to_json(self) -> list[dict[str, Any]]:
        """Return what `raygen preview --json` prints."""
        return self.preview.to_json()

    def view(self) -> RenderableType:
        return preview_view(self.preview, self.full)


@dataclass(frozen=True, slots=True, repr=False)
class Applied(Displayable):
    """How a run ended: the counts are in `summary`, the rows in `examples()`."""

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
        """Count the fate of every source row."""
        return StatusReport(self.dataset, Dataset.open(self.dataset).status())

    def view(self) -> RenderableType:
        return render_summary(self.summary)


@dataclass(frozen=True, slots=True, repr=False)
class StatusReport(Displayable):
    """What has become of every source row of a dataset."""

    dataset: str
    status: DatasetStatus

    def view(self) -> RenderableType:
        return status_view(self.dataset, self.status)


class _PythonUI(TerminalUI):
    """The progress of a run where nobody types: a question without `yes` is an error."""

    def confirm(self, question: str) -> bool:
        """Agree with `yes`; raise UserError without."""
        if self._yes:
            return True
        raise UserError(f"{question} apply(yes=True) says yes")
