"""Prepare: from a recipe's path to a checked plan, with every problem found on the way.

What validate, plan, preview and apply share. Starts no engine and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raygen.document import Problem, ProblemsError
from raygen.engines.registry import abilities, check_engine
from raygen.errors import UserError
from raygen.ops.registry import all_ops
from raygen.plan import Plan, make_plan
from raygen.profile import load_profile
from raygen.recipe import Recipe, load_recipe
from raygen.sources import SourceError, scan_columns


@dataclass(frozen=True, slots=True)
class Reference:
    """A recipe as the user names it: its path, `--set`, `--profile`, `--limit` and `--trust`."""

    path: Path
    overrides: Mapping[str, str] = field(default_factory=dict)
    profile: Path | None = None
    limit: int | None = None
    trusted: tuple[Path, ...] = ()

    @property
    def words(self) -> list[str]:
        """The reference as the command line has it."""
        words = [str(self.path)]
        words += [word for pair in self.overrides.items() for word in ("--set", "=".join(pair))]
        words += ["--profile", str(self.profile)] if self.profile else []
        words += ["--limit", str(self.limit)] if self.limit is not None else []
        return words + [word for path in self.trusted for word in ("--trust", str(path))]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked recipe and its plan."""

    reference: Reference
    recipe: Recipe
    plan: Plan

    @property
    def output(self) -> str:
        """The output folder that the recipe names, resolved from the recipe's own folder."""
        path = self.recipe.output.path
        return path if "://" in path else str((self.recipe.base / path).resolve())


def prepare(
    reference: Reference, also: Callable[[Recipe], Sequence[Problem]] | None = None
) -> Prepared:
    """Load, plan and check. Raises ProblemsError with all problems, those of `also` among them."""
    path = reference.path / "recipe.yaml" if reference.path.is_dir() else reference.path
    if not path.is_file():
        raise UserError(f"{path}: no such recipe; expected a YAML file, or a folder with one")
    overrides = dict(reference.overrides)
    if reference.limit is not None:
        overrides["source.limit"] = str(reference.limit)
    profile = load_profile(reference.profile) if reference.profile else None
    ops = all_ops(reference.trusted)
    recipe = load_recipe(path, overrides, profile, ops)
    problems = [*_engine_problems(recipe), *(also(recipe) if also else ())]
    try:
        plan = make_plan(recipe, scan_columns(recipe.source, recipe.base), ops)
    except SourceError as error:
        problems.insert(0, recipe.document.problem(("source",), str(error)))
        raise ProblemsError(problems) from error
    except ProblemsError as error:
        raise ProblemsError([*error.problems, *problems]) from None
    problems += _ability_problems(recipe, plan)
    if problems:
        raise ProblemsError(problems)
    return Prepared(reference, recipe, plan)


def _ability_problems(recipe: Recipe, plan: Plan) -> Iterator[Problem]:
    for node in plan.nodes:
        for name, needed in node.abilities.items():
            spec = plan.engines[name]
            missing = needed - abilities(spec)
            if missing:
                message = (
                    f"node {node.name!r} asks engine {name!r} to {' and '.join(sorted(missing))}, "
                    f"which the backend {spec.backend!r} with this model can't do; name another "
                    "engine or backend"
                )
                yield recipe.document.problem(("graph", node.name), message)


def _engine_problems(recipe: Recipe) -> list[Problem]:
    return [
        recipe.document.problem(("engines", name), f"engine {name!r}: {problem}")
        for name, spec in recipe.engines.items()
        for problem in check_engine(spec)
    ]
