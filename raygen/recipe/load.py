"""Load a recipe: the stages from its file to what runs, in their order.

    read       the YAML of its file
    upgrade    to this version of the format
    extend     put over the recipes that it extends
    variant    the values of the variant put in
    override   the values of --set put in            a dataset keeps the recipe as it is here
    profile    the profile's conditions put under those of --set
    params     `${name}` filled in
    confine    its paths resolved; what a fetched recipe may not reach is a problem
    attach     the texts of the files that it names put in
    parse      its sections as typed models

Each stage takes the document that the one before left. Problems are gathered, so that the user
sees all at once; only a file that can't be read, or extended, ends the way early. What a stage does
is in the module that it calls; the order, and what passes from one to another, is here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raygen.config import (
    Document,
    apply_variant,
    load_document,
    variant_names,
)
from raygen.config import (
    override as apply_overrides,
)
from raygen.core import Mark, Place, Problem, ProblemsError
from raygen.ops import Op, all_ops
from raygen.recipe.extends import extended, upgraded
from raygen.recipe.files import put_texts, read_texts, with_files
from raygen.recipe.graph import resolve_graph
from raygen.recipe.params import resolve_params, substitute_params
from raygen.recipe.profile import Profile, apply_profile
from raygen.recipe.recipe import Recipe, name_problems, parse_sections
from raygen.recipe.remote.ref import NOTHING, Fetched, Permissions
from raygen.recipe.resolver import Origins, Resolver
from raygen.recipe.schema import RecipeSections, Scalar
from raygen.recipe.trust import refused_keys, refused_programs, resolve_paths


@dataclass(frozen=True, slots=True)
class Options:
    """What changes a recipe or how it is read; `load_recipe` describes each."""

    overrides: Mapping[str, str]
    profile: Profile | None
    ops: Mapping[str, Op] | None
    variant: str | None
    fetched: Fetched | None
    allowed: Permissions


@dataclass(frozen=True, slots=True)
class Loading:
    """A recipe between two stages."""

    path: Path
    options: Options
    document: Document
    before: Mapping[str, Document] = field(default_factory=dict)
    """The document that each stage got, by the stage's name."""
    problems: tuple[Problem, ...] = ()
    files: Mapping[str, Fetched | None] = field(default_factory=dict)
    """The files that it was read from, by their names in marks."""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    unfilled: frozenset[Mark] = frozenset()
    """Where a param without a good value is used; a problem there is only a consequence."""
    paths: Mapping[Place, str] = field(default_factory=dict)
    """The resolved paths, by place."""
    texts: Mapping[Place, Any] = field(default_factory=dict)
    """The content of the files that it names, by place."""
    sections: RecipeSections | None = None

    def after(self, document: Document, problems: Collection[Problem] = (), **more: Any) -> Loading:
        """Return the recipe after a stage: its document, and the problems that the stage found."""
        return replace(self, document=document, problems=(*self.problems, *problems), **more)

    @property
    def resolver(self) -> Resolver:
        """The resolver of its paths; there once all that it extends is read."""
        origins = Origins(self.path, self.files, self.before["params"])
        return Resolver(origins, self.options.allowed.as_me)


Stage = Callable[[Loading], Loading]


def read(loading: Loading) -> Loading:
    """Read the file."""
    return loading.after(load_document(loading.path))


def upgrade(loading: Loading) -> Loading:
    """Bring the document to this version of the format."""
    return loading.after(upgraded(loading.document))


def extend(loading: Loading) -> Loading:
    """Put the document over all that it extends, each read and upgraded by itself."""
    options = loading.options
    document, files = extended(loading.document, loading.path, options.fetched, options.allowed)
    return loading.after(document, files=files)


def variant(loading: Loading) -> Loading:
    """Put the values of the variant in."""
    if loading.options.variant is None:
        return loading
    name = loading.options.variant
    return loading.after(*apply_variant(loading.document, name, RecipeSections.model_fields))


def override(loading: Loading) -> Loading:
    """Put the values of --set in."""
    overrides = loading.options.overrides
    return loading.after(*apply_overrides(loading.document, overrides, RecipeSections.model_fields))


def profile(loading: Loading) -> Loading:
    """Put the conditions of the profile under the values of --set, which win over them.

    So they are put on the document as it was before those, which are put on top once more.
    """
    conditions = loading.options.profile
    if conditions is None:
        return loading
    document, problems = apply_profile(loading.before["override"], conditions)
    overrides = loading.options.overrides
    document, _ = apply_overrides(document, overrides, RecipeSections.model_fields)
    return loading.after(document, problems)


def params(loading: Loading) -> Loading:
    """Fill in `${name}`."""
    values, wrong_values = resolve_params(loading.document)
    document, wrong_uses, unfilled = substitute_params(loading.document, values)
    problems = [*wrong_values, *wrong_uses]
    return loading.after(document, problems, params=values, unfilled=frozenset(unfilled))


def confine(loading: Loading) -> Loading:
    """Resolve the paths; refuse what a fetched recipe may not reach or send."""
    resolver = loading.resolver
    document, paths, problems = resolve_paths(loading.document, resolver)
    allowed = loading.options.allowed
    problems += refused_keys(loading.document, resolver.origins, allowed.environment)
    if not allowed.code:
        problems += refused_programs(loading.document, resolver.origins)
    return loading.after(document, problems, paths=paths)


def attach(loading: Loading) -> Loading:
    """Put in the texts of the files that the graph names."""
    texts, problems = read_texts(loading.document, loading.paths)
    return loading.after(put_texts(loading.document, texts), problems, texts=texts)


def parse(loading: Loading) -> Loading:
    """Parse the sections. Raises ProblemsError with the problems of all stages.

    A recipe with problems is also held against the table of ops, so that the user sees all at once;
    for one without, that is the plan's to do.
    """
    document = loading.document
    problems = [*loading.problems, *name_problems(document)]
    sections, consequences = parse_sections(document)
    if sections is not None and not problems:
        return replace(loading, sections=sections)
    ops = loading.options.ops
    consequences += resolve_graph(document, all_ops() if ops is None else ops).problems
    # What still holds `${n}` is wrong only because n is; one place has one cause.
    known = loading.unfilled | {Mark(p.file, p.line, p.column) for p in problems}
    problems += [p for p in consequences if Mark(p.file, p.line, p.column) not in known]
    raise ProblemsError(problems)


STAGES: tuple[Stage, ...] = (
    read, upgrade, extend, variant, override, profile, params, confine, attach, parse,
)  # fmt: skip


def load_recipe(
    path: Path,
    overrides: Mapping[str, str] | None = None,
    profile: Profile | None = None,
    ops: Mapping[str, Op] | None = None,
    variant: str | None = None,
    fetched: Fetched | None = None,
    allowed: Permissions = NOTHING,
) -> Recipe:
    """Read a recipe. Raises ProblemsError with every problem that can be found without its source.

    Args:
        path: the recipe's file.
        overrides: those of `--set`: the name of a param, or a dotted path into the recipe, to a
            YAML value. They win over the profile, the profile over the variant, and that over the
            recipe.
        profile: where and how it runs.
        ops: the table of ops that a recipe with problems is held against, by default every
            installed one.
        variant: the name of one of its variants.
        fetched: what the file was fetched with; None for the user's own.
        allowed: what the user lets what was fetched use of theirs.
    """
    options = Options(overrides or {}, profile, ops, variant, fetched, allowed)
    loading = _run(STAGES, path, options)
    assert loading.sections is not None  # noqa: S101 - `parse` raises otherwise
    return Recipe(
        path=path,
        document=loading.document,
        sections=loading.sections,
        params=loading.params,
        profile=profile,
        variant=variant,
        written=with_files(loading.before["profile"].data, loading.texts),
        resolver=loading.resolver,
        paths=loading.paths,
    )


def variants_of(
    path: Path, fetched: Fetched | None = None, allowed: Permissions = NOTHING
) -> list[str]:
    """List a recipe's variants, with those of what it extends. Raises ProblemsError."""
    options = Options({}, None, None, None, fetched, allowed)
    return variant_names(_run((read, upgrade, extend), path, options).document)


def _run(stages: tuple[Stage, ...], path: Path, options: Options) -> Loading:
    loading = Loading(path, options, Document(str(path), None, {}))
    for stage in stages:
        before = {**loading.before, stage.__name__: loading.document}
        loading = stage(replace(loading, before=before))
    return loading
