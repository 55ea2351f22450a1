"""Prepare a recipe: from its path to a checked plan, with every problem found on the way.

Shared by validate, plan, preview and apply. Starts no engine and writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from raygen.config import ALL_VARIANTS
from raygen.core import ColumnType, Problem, ProblemsError, UserError
from raygen.core.limited import is_limited
from raygen.engines import abilities, check_engine
from raygen.engines.models import attribution_problem
from raygen.ops import all_ops
from raygen.planning.plan import Plan, assumed_columns, make_plan
from raygen.planning.resources import placement_hints
from raygen.planning.sampling import check_sampling, thinking_hints, with_model_sampling
from raygen.recipe import Lock, Recipe, load_profile, load_recipe, variants_of
from raygen.recipe.remote import Fetched, Permissions, recipe_in
from raygen.sources import (
    SourceError,
    SourceFit,
    TakenRows,
    check_source,
    scan_columns,
    take_rows,
)

_VOTE = ", or let it vote: `by: vote`"


@dataclass(frozen=True, slots=True)
class RecipeRequest:
    """A recipe as the user names it: its path and the options that change it.

    `fetched` is what the file was fetched with, `allowed` the environment variables that a fetched
    recipe may use, `as_me` the addresses that it may read with the user's credentials, `allow_code`
    whether it may run programs that a model wrote.
    """

    path: Path
    overrides: Mapping[str, str] = field(default_factory=dict)
    profile: Path | None = None
    limit: int | None = None
    trusted: tuple[Path, ...] = ()
    variant: str | None = None
    fetched: Fetched | None = None
    allowed: tuple[str, ...] = ()
    as_me: tuple[str, ...] = ()
    known: Mapping[tuple[str, bool], Fetched | str] = field(default_factory=dict)
    """What it extends, as far as that is fetched already; see `Permissions`."""
    allow_code: bool = False

    @property
    def file(self) -> Path:
        """The recipe's file; a folder stands for the `recipe.yaml` in it. Raises UserError."""
        return recipe_in(self.path)

    @property
    def all_fetched(self) -> list[Fetched]:
        """List what was fetched: its file, and what it extends as far as that is known."""
        below = [each for each in self.known.values() if isinstance(each, Fetched)]
        return list(dict.fromkeys([*([self.fetched] if self.fetched else []), *below]))

    @property
    def permissions(self) -> Permissions:
        """What a fetched recipe may use of the user's, and of what was fetched for it."""
        return Permissions(
            self.allowed, self.as_me, self.known, fetches=not is_limited(), code=self.allow_code
        )

    def each(self) -> list[RecipeRequest]:
        """List this request, or one for each variant where it names all of them.

        Raises UserError and ProblemsError.
        """
        if self.variant != ALL_VARIANTS:
            return [self]
        names = variants_of(self.file, self.fetched, self.permissions)
        if not names:
            raise UserError(f"{self.file}: the recipe has no variants")
        return [replace(self, variant=name) for name in names]

    def moved(self, out: str | None) -> RecipeRequest:
        """Set the dataset's folder to `out`, so that a fetched recipe may name any itself."""
        if out is None or self.fetched is None:
            return self
        return replace(self, overrides={**self.overrides, "output.path": json.dumps(out)})

    @property
    def words(self) -> list[str]:
        """The request as on the command line."""
        words = [self.fetched.pinned if self.fetched else str(self.path)]
        words += ["--variant", self.variant] if self.variant else []
        words += [word for pair in self.overrides.items() for word in ("--set", "=".join(pair))]
        words += ["--profile", str(self.profile)] if self.profile else []
        words += ["--limit", str(self.limit)] if self.limit is not None else []
        words += [word for name in self.allowed for word in ("--allow-env", name)]
        words += [word for address in self.as_me for word in ("--as-me", address)]
        words += ["--allow-code"] if self.allow_code else []
        return words + [word for path in self.trusted for word in ("--trust", str(path))]


@dataclass(frozen=True, slots=True)
class PreparedRecipe:
    """A checked recipe and its plan; `lock` is the one that was found to hold for both."""

    reference: RecipeRequest
    recipe: Recipe
    plan: Plan
    lock: Lock | None = None

    @property
    def output(self) -> str:
        """The output folder that the recipe names."""
        return self.recipe.output_folder

    @property
    def anonymous(self) -> bool:
        """Whether what its ops need of the hub is asked for without the user's token."""
        allowed = any(address.startswith("hf://") for address in self.reference.as_me)
        return bool(self.recipe.fetched) and not allowed

    @property
    def hints(self) -> list[Problem]:
        """What would better be written otherwise: settings of a profile, room for thoughts."""
        return [*placement_hints(self.recipe), *thinking_hints(self.recipe, self.plan)]


def prepare(
    reference: RecipeRequest,
    also: Callable[[Recipe], Sequence[Problem]] | None = None,
    *,
    offline: bool = False,
) -> PreparedRecipe:
    """Load, plan and check a recipe. Raises ProblemsError with all problems, those of `also` too.

    With `offline` the source isn't read: it is taken to have the columns that the graph reads. It
    all happens in this process; `look_at` does so in another for what a stranger wrote.
    """
    path = reference.file
    overrides = dict(reference.overrides)
    if reference.limit is not None:
        overrides["source.limit"] = str(reference.limit)
    profile = load_profile(reference.profile) if reference.profile else None
    ops = all_ops(reference.trusted)
    recipe = load_recipe(
        path, overrides, profile, ops, reference.variant, reference.fetched, reference.permissions
    )
    problems = [
        *_engine_problems(recipe),
        *_pairs_problems(recipe),
        *(also(recipe) if also else ()),
    ]
    try:
        recipe = with_model_sampling(recipe)
        plan = make_plan(
            recipe,
            assumed_columns(recipe, ops) if offline else source_columns(recipe),
            ops,
        )
    except SourceError as error:
        problems.insert(0, recipe.document.problem(("source",), str(error)))
        raise ProblemsError(problems) from error
    except ProblemsError as error:
        raise ProblemsError([*error.problems, *problems]) from None
    problems += _ability_problems(recipe, plan)
    problems += check_sampling(recipe, plan)
    if problems:
        raise ProblemsError(problems)
    return PreparedRecipe(reference, recipe, plan)


def prepare_each(
    reference: RecipeRequest,
    also: Callable[[Recipe], Sequence[Problem]] | None = None,
    *,
    offline: bool = False,
) -> list[PreparedRecipe]:
    """Prepare the request, or each variant that it names. Raises the problems of all together."""
    prepared: list[PreparedRecipe] = []
    problems: list[Problem] = []
    for variant in reference.each():
        try:
            prepared.append(prepare(variant, also, offline=offline))
        except ProblemsError as error:
            problems += error.problems
    if problems:
        raise ProblemsError(problems)
    return prepared


def source_columns(recipe: Recipe) -> dict[str, ColumnType]:
    """Look up the columns of a recipe's source and their types. Raises SourceError."""
    return scan_columns(
        recipe.source,
        recipe.source_base,
        recipe.max_source_bytes,
        recipe.source_access,
        recipe.task,
    )


def source_rows(prepared: PreparedRecipe) -> TakenRows:
    """Read the rows of a recipe's source. Raises SourceError."""
    recipe = prepared.recipe
    return take_rows(
        recipe.source,
        prepared.plan.task,
        recipe.source_base,
        recipe.max_source_bytes,
        recipe.source_access,
    )


def source_fit(prepared: PreparedRecipe) -> SourceFit:
    """Look at a sample of the source's rows. Raises ProblemsError for what a run would refuse."""
    recipe = prepared.recipe
    try:
        return check_source(
            recipe.source,
            prepared.plan.task,
            recipe.source_base,
            recipe.max_source_bytes,
            recipe.source_access,
        )
    except SourceError as error:
        raise ProblemsError([recipe.document.problem(("source",), str(error))]) from error


def check_distinct_outputs(variants: Sequence[PreparedRecipe], out: str | None) -> None:
    """Check that no two variants replace each other's dataset. Raises UserError."""
    owners: dict[str, PreparedRecipe] = {}
    for variant in variants:
        folder = out or variant.output
        other = owners.setdefault(folder, variant)
        if other.plan.hash != variant.plan.hash:
            raise UserError(
                f"the variants {other.recipe.variant!r} and {variant.recipe.variant!r} make "
                f"different datasets in one folder, {folder}, where each would replace the "
                "other's; give each variant an output.path of its own, or apply them one by one "
                "with --out"
            )


def _ability_problems(recipe: Recipe, plan: Plan) -> Iterator[Problem]:
    for node in plan.nodes:
        for name, needed in node.abilities.items():
            spec = plan.engines[name]
            missing = needed - abilities(spec)
            if missing:
                message = (
                    f"node {node.name!r} asks engine {name!r} to {' and '.join(sorted(missing))}, "
                    f"which the backend {spec.backend!r} with this model can't do; name another "
                    f"engine or backend{_VOTE if 'score' in missing else ''}"
                )
                yield recipe.document.problem(("graph", node.name), message)
            elif "attribute" in needed and (problem := attribution_problem(spec)) is not None:
                yield recipe.document.problem(
                    ("graph", node.name), f"node {node.name!r} asks engine {name!r}: {problem}"
                )


def _pairs_problems(recipe: Recipe) -> Iterator[Problem]:
    task = recipe.task
    has_classes = task.labels or task.name == "multiple_choice"
    if recipe.output.pairs is None or (has_classes and task.is_labelled):
        return
    missing = "name the classes in `labels`" if task.answer else f"task {task.name} has no classes"
    if not task.is_labelled:
        missing = "the source is unlabelled"
    message = f"pairs counts the kept rows of each class: {missing}"
    yield recipe.document.problem(("output", "pairs"), message)


def _engine_problems(recipe: Recipe) -> list[Problem]:
    return [
        recipe.document.problem(("engines", name), f"engine {name!r}: {problem}")
        for name, spec in recipe.engines.items()
        for problem in check_engine(spec)
    ]
