"""A recipe: what a dataset is, resolved and checked by itself.

Ops, columns and the shape of the graph are the plan's to check; how a recipe is read is `load`'s to
say. Knows nothing of sources, engines or how anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.config import ALL_VARIANTS, Document, dump_text, parse_model, variant_names
from raygen.core import Place, Problem, ProblemsError, Task, make_task
from raygen.core.access import Anonymous
from raygen.engines import EngineSpec
from raygen.ops.common import EngineSampling
from raygen.recipe.graph import SOURCE
from raygen.recipe.profile import Profile
from raygen.recipe.remote.ref import Fetched
from raygen.recipe.resolver import Resolver
from raygen.recipe.schema import (
    EngineSection,
    NodeSection,
    Output,
    RecipeSections,
    Scalar,
    SourceSpec,
)

MAX_FETCHED_SOURCE_BYTES = 2**30
"""What a file may unpack to that a fetched recipe names as its source."""
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
    """The data before params were filled in and the profile applied, with its files' content."""
    resolver: Resolver
    """The resolver of its paths, which knows the origin of each value."""
    paths: Mapping[Place, str]
    """The resolved paths, by place."""

    @property
    def base(self) -> Path:
        """The recipe's folder."""
        return self.path.parent

    @property
    def source_base(self) -> Path:
        """The folder in which a relative path of the source starts."""
        place = self._source_places[0]
        return Path(self.paths[place])

    @property
    def max_source_bytes(self) -> int | None:
        """What a file of the source may unpack to; None, no limit, for the user's own recipe."""
        return MAX_FETCHED_SOURCE_BYTES if self.fetched else None

    @property
    def source_access(self) -> Anonymous | None:
        """As whom the source is read: None stands for the user."""
        by_path = zip(self._source_places, self.source.paths, strict=True)
        accesses = [self.resolver.access(place, path) for place, path in by_path]
        return next(filter(None, accesses), None)

    @property
    def _source_places(self) -> list[Place]:
        """Where the paths of the source are said."""
        place: Place = ("source", "path")
        is_list = not isinstance(self.source.path, str)
        return [(*place, index) for index in range(len(self.source.paths))] if is_list else [place]

    @property
    def output_folder(self) -> str:
        """The folder, absolute or a URL, that the dataset is written into."""
        return self.paths["output", "path"]

    @property
    def files(self) -> Mapping[str, Fetched | None]:
        """The files that it was read from, and what each was fetched with."""
        return self.resolver.origins.files

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """What of the recipe was fetched by reference."""
        return self.resolver.origins.fetched

    @property
    def name(self) -> str:
        """The recipe's own name."""
        return self.sections.recipe

    @property
    def version(self) -> int:
        """The version of the format that it is written in."""
        return self.sections.version

    @property
    def task(self) -> Task:
        """The task and its columns."""
        return make_task(
            self.sections.task, self.sections.labels, is_labelled=not self.source.unlabelled
        )

    @property
    def source(self) -> SourceSpec:
        """Where the rows come from."""
        return self.sections.source

    @property
    def engines(self) -> Mapping[str, EngineSpec]:
        """The engines by name, with the profile's conditions."""
        return {
            name: EngineSpec(
                name=name,
                model=self.paths["engines", name, "model"],
                revision=engine.revision,
                backend=engine.backend,
                gpus=engine.gpus,
                price=engine.price.model_dump(exclude_none=True) if engine.price else None,
                args=engine.args,
                api=engine.api if self.version > 1 else "completion",
                anonymous=self._asks_as_anybody(("engines", name, "model")),
                template_args=engine.template_args,
                sampling=_written_settings(engine),
            )
            for name, engine in self.sections.engines.items()
        }

    def _asks_as_anybody(self, place: Place) -> bool:
        """Tell whether the hub is asked without the user's token for the model at a place."""
        return self.resolver.access(place, f"hf://{self.paths[place]}") is not None

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
        """The path of a student's file, as the recipe says it, or the student itself."""
        return self.sections.train

    def frozen(self) -> str:
        """Write the recipe as YAML that loads by itself: overrides applied, files put in.

        A profile's conditions and the variants are no part of it; its params can still be set.
        """
        return dump_text({k: v for k, v in self.written.items() if k != "variants"})


def _written_settings(engine: EngineSection) -> dict[str, Any]:
    """Return what an engine says of sampling and thinking, as far as it is resolved."""
    settings: dict[str, Any] = {}
    if isinstance(engine.sampling, EngineSampling):
        settings |= engine.sampling.model_dump(mode="json", exclude_unset=True)
    if engine.thinking is not None:
        thinking = engine.thinking.model_dump(mode="json", exclude_unset=True)
        settings["thinking"] = " ".join(f"{name}: {value}" for name, value in thinking.items())
    return settings


def parse_sections(document: Document) -> tuple[RecipeSections | None, list[Problem]]:
    """Parse the sections of a whole recipe; None and the problems where they are wrong."""
    try:
        return parse_model(document, RecipeSections), []
    except ProblemsError as error:
        return None, error.problems


def name_problems(document: Document) -> Iterator[Problem]:
    """Refuse names that can't be written where a name is used."""
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
