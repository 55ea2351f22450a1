"""A recipe: one YAML file that says what a dataset is, resolved and checked by itself.

Put over what it extends, params filled in, overrides and profile applied, prompt files read. Ops,
columns and the shape of the graph are the plan's to check. Knows nothing of sources, engines or how
anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.config import (
    ALL_VARIANTS,
    Document,
    apply_variant,
    dump_text,
    override,
    parse_model,
    variant_names,
)
from raygen.core import Mark, Problem, ProblemsError, Task, task_of
from raygen.engines import EngineSpec
from raygen.ops import Op, all_ops
from raygen.recipe import params as params_
from raygen.recipe.extends import load_extended
from raygen.recipe.files import attach, rebased
from raygen.recipe.graph import SOURCE, resolve_graph
from raygen.recipe.origins import Origins
from raygen.recipe.profile import Profile, apply_profile
from raygen.recipe.remote.fetched import Fetched
from raygen.recipe.schema import (
    EngineSection,
    NodeSection,
    Output,
    RecipeSections,
    Scalar,
    SourceSpec,
)
from raygen.recipe.trust import confined, landing

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as it will run. `document` is the resolved one, for the positions of problems."""

    path: Path
    document: Document
    sections: RecipeSections
    params: Mapping[str, Scalar]
    profile: Profile | None
    variant: str | None
    """The variant that was asked for."""
    written: Any
    """The data before params were filled in and the profile applied, with its files inside."""
    origins: Origins
    """Which file says what, and what of it was fetched."""

    @property
    def base(self) -> Path:
        """The recipe's folder."""
        return self.path.parent

    @property
    def source_base(self) -> Path:
        """Where a relative path of the source starts."""
        return self.origins.folder(("source", "path"))

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """What of the recipe was fetched by reference."""
        return self.origins.fetched

    def folder_of(self, path: str, *place: str) -> str:
        """The folder, absolute or a URL, that an output path at a place of the recipe names."""
        return path if "://" in path else str(landing(self.origins, place, path))

    @property
    def name(self) -> str:
        """The recipe's own name."""
        return self.sections.recipe

    @property
    def task(self) -> Task:
        """The task and its columns."""
        return task_of(self.sections.task, self.sections.labels)

    @property
    def source(self) -> SourceSpec:
        """Where the rows come from."""
        return self.sections.source

    @property
    def engines(self) -> Mapping[str, EngineSpec]:
        """The engines by name, with the profile's conditions."""
        return {
            name: _spec(name, engine, self.origins.folder(("engines", name, "model")))
            for name, engine in self.sections.engines.items()
        }

    @property
    def graph(self) -> Mapping[str, NodeSection]:
        """The nodes by name."""
        return self.sections.graph

    @property
    def output(self) -> Output:
        """Which rows become examples, and where they go."""
        return self.sections.output

    @property
    def train(self) -> str | Mapping[str, Any] | None:
        """The path of a student's file, relative to `base`, or the student itself."""
        return self.sections.train

    def frozen(self) -> str:
        """The recipe as YAML that loads by itself: overrides applied, its files' texts inside.

        A profile's conditions and the variants are no part of it; its params can still be set.
        """
        return dump_text({k: v for k, v in self.written.items() if k != "variants"})


def load_recipe(
    path: Path,
    overrides: Mapping[str, str] | None = None,
    profile: Profile | None = None,
    ops: Mapping[str, Op] | None = None,
    variant: str | None = None,
    fetched: Fetched | None = None,
    allowed: Collection[str] = (),
) -> Recipe:
    """Read a recipe. Raises ProblemsError with every problem that can be found without its source.

    `overrides` are `--set`: the name of a param, or a dotted path into the recipe, to a YAML value.
    They win over the profile, the profile over the variant, and that over the recipe. A recipe with
    problems of its own is also held against the table of ops (by default every installed one), so
    that the user sees all at once; for one without, that is the plan's to do. `fetched` is what the
    file was fetched with, `allowed` the environment variables that what was fetched may use.
    """
    extended = load_extended(path, fetched)
    document = extended.document
    problems: list[Problem] = []
    if variant is not None:
        document, problems = apply_variant(document, variant, RecipeSections.model_fields)
    written, more = override(document, overrides or {}, RecipeSections.model_fields)
    problems += more
    if profile is not None:
        document, more = apply_profile(document, profile)
        problems += more
    document, _ = override(document, overrides or {}, RecipeSections.model_fields)
    origins = Origins(path, extended.files, document)
    values, more = params_.resolve(document)
    problems += more
    document, more, unfilled = params_.substitute(document, values)
    problems += more
    problems += confined(document, origins, allowed)
    document, written, more = attach(document, written, origins.folders)
    document = rebased(document, origins.folder, path.parent)
    problems += [*more, *_name_problems(document)]
    try:
        sections = parse_model(document, RecipeSections)
        if not problems:
            return Recipe(path, document, sections, values, profile, variant, written.data, origins)
        consequences = []
    except ProblemsError as error:
        consequences = error.problems
    consequences += resolve_graph(document, all_ops() if ops is None else ops).problems
    # What still holds `${n}` is wrong only because n is; one place has one cause.
    known = unfilled | {Mark(p.file, p.line, p.column) for p in problems}
    problems += [p for p in consequences if Mark(p.file, p.line, p.column) not in known]
    raise ProblemsError(problems)


def _name_problems(document: Document) -> Iterator[Problem]:
    for section in ("params", "engines", "graph", "variants"):
        names = document.data.get(section)
        for name in names if isinstance(names, dict) else ():
            if not _NAME.fullmatch(name):
                message = (
                    f"{name!r} is no name: expected letters, digits, '_' and '-', no digit first"
                )
                yield document.problem((section, name), message)
    if isinstance(document.data.get("graph"), dict) and SOURCE in document.data["graph"]:
        message = f"a node can't be named {SOURCE!r}, which stands for the source rows"
        yield document.problem(("graph", SOURCE), message)
    if ALL_VARIANTS in variant_names(document):
        message = f"a variant can't be named {ALL_VARIANTS!r}, which stands for all of them"
        yield document.problem(("variants", ALL_VARIANTS), message)


def _spec(name: str, engine: EngineSection, base: Path) -> EngineSpec:
    beside = engine.model.startswith(("./", "../"))
    return EngineSpec(
        name=name,
        model=str((base / engine.model).resolve()) if beside else engine.model,
        revision=engine.revision,
        backend=engine.backend,
        gpus=engine.gpus,
        price=engine.price.model_dump() if engine.price else None,
        args=engine.args,
    )
