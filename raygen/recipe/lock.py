"""A lock: what a recipe was when it was locked, as a file, and how something else differs from it.

Knows nothing of how any of it is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from raygen.config import Document, dump_text, load_document, parse_model, parse_text
from raygen.config import found as worded
from raygen.core import ProblemsError, digest
from raygen.dataset import Folder, storage_errors
from raygen.engines import model_name
from raygen.recipe.schema import RecipeSection

LOCK_VERSION = 1

STORED = "recipe.lock.yaml"
"""The lock in a dataset's folder."""

_HEAD = """\
# What the recipe was when it was locked: `raygen apply --locked` refuses anything else.
# Written by `raygen lock`; keep it where it lies, and don't edit it.
"""
_NOTHING = "nothing"
_EDITED = "the recipe, or one that it extends, was edited: undo that"


class LockedOptions(RecipeSection):
    """What the command line said beside the recipe."""

    variant: str | None = None
    set: dict[str, str] = Field(default_factory=dict)
    limit: int | None = None
    profile: str | None = Field(None, description="the name of its file")

    @property
    def words(self) -> str:
        """What changes the recipe, as the command line has it."""
        words = [f"--variant {self.variant}"] if self.variant else []
        words += [f"--set {name}={value}" for name, value in self.set.items()]
        return " ".join([*words, *([f"--limit {self.limit}"] if self.limit is not None else [])])


class LockedSource(RecipeSection):
    """The source rows: how many, and a hash of what is in them, in their order."""

    path: str
    rows: int
    content: str


class LockedModel(RecipeSection):
    """A model: one of its commit on the hub, a hash of its content, or why it is unresolved."""

    model: str
    revision: str | None = None
    commit: str | None = None
    content: str | None = None
    unresolved: str | None = None
    base: LockedModel | None = Field(None, description="the model that an adapter was made for")

    @property
    def name(self) -> str:
        """The model as the recipe has it."""
        return model_name(self.model, self.revision)

    @property
    def state(self) -> str:
        """Which model it is, for people."""
        if self.commit:
            return f"commit {self.commit}"
        return f"content {self.content}" if self.content else "unresolved"


class LockedEngine(LockedModel):
    """An engine: its model, and those of its conditions that may change what it says."""

    backend: str
    args: dict[str, Any] = Field(default_factory=dict)


class LockedNode(RecipeSection):
    """A node: the version of its op, hashes of its prompts, and of all that decides it."""

    op: str
    version: int
    prompts: dict[str, str] = Field(default_factory=dict)
    identity: str


class Lock(RecipeSection):
    """The whole lock file."""

    lock: Literal[1]
    recipe: str
    given: LockedOptions = LockedOptions()
    fetched: dict[str, str] = Field(
        default_factory=dict,
        description="what was fetched, the recipe or one that it extends: reference -> its pin",
    )
    plan: str
    source: LockedSource
    stops: dict[str, int] = Field(default_factory=dict, description="output.rows, output.pairs")
    engines: dict[str, LockedEngine] = Field(default_factory=dict)
    nodes: dict[str, LockedNode]
    packages: dict[str, str]
    files: dict[str, str] = Field(default_factory=dict, description="those of --trust")

    def to_json(self) -> dict[str, Any]:
        """The lock as plain data, without what is not set."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_text(self) -> str:
        """The lock file."""
        return _HEAD + dump_text(self.to_json())

    @property
    def digest(self) -> str:
        """What a dataset's commits name the lock by."""
        return digest("lock", self.to_json())

    @property
    def unresolved(self) -> dict[str, str]:
        """Why the model of an engine, or its base, is only a name: engine -> why."""
        told = {name: one.unresolved or (one.base and one.base.unresolved)
                for name, one in self.engines.items()}  # fmt: skip
        return {name: why for name, why in told.items() if why}


@dataclass(frozen=True, slots=True)
class LockDifference:
    """One thing that isn't as it was locked, and what to do about it."""

    what: str
    locked: str
    found: str
    todo: str

    def __str__(self) -> str:
        return f"{self.what}: locked {self.locked}, found {self.found}; {self.todo}"


def read_lock(path: Path) -> Lock | None:
    """The lock in a file, None where there is no file. Raises ProblemsError."""
    return _parsed(load_document(path)) if path.is_file() else None


def stored_lock(folder: Folder) -> Lock | None:
    """The lock that a dataset carries, None where it has none.

    Raises ProblemsError and DatasetError.
    """
    place = folder.join(STORED)
    with storage_errors("read the lock", place):
        text = folder.read_text(STORED) if folder.exists(STORED) else None
    return None if text is None else _parsed(parse_text(text, place))


def lock_differences(locked: Lock, found: Lock) -> list[LockDifference]:
    """All that isn't as it was locked."""
    return [
        *_plan(locked, found),
        *_source(locked, found),
        *_values("output", locked.stops, found.stops, "write what was locked into the recipe"),
        *_engines(locked, found),
        *_nodes(locked.nodes, found.nodes),
        *_packages(locked.packages, found.packages),
        *_values("file", locked.files, found.files, "give the --trust that was locked"),
    ]


def _parsed(document: Document) -> Lock:
    data = document.data
    version = data.get("lock") if isinstance(data, dict) else None
    if version != LOCK_VERSION or isinstance(version, bool):
        message = (
            f"lock version {worded(version)}: this raygen reads version {LOCK_VERSION}; "
            "write the file anew with `raygen lock`"
        )
        raise ProblemsError([document.problem(("lock",), message)])
    return parse_model(document, Lock)


def _plan(locked: Lock, found: Lock) -> Iterator[LockDifference]:
    if locked.plan == found.plan:
        return
    todo = [
        f"{reference} was {pinned} then: name that in its place"
        for reference, pinned in locked.fetched.items()
        if found.fetched.get(reference) != pinned
    ]
    if locked.given.words != found.given.words:
        todo.append(_options(locked.given, found.given))
    yield LockDifference("plan", locked.plan, found.plan, "; ".join(todo) or _EDITED)


def _options(locked: LockedOptions, found: LockedOptions) -> str:
    if locked.words:
        return f"it was locked with `{locked.words}`: give the same"
    return f"it was locked without `{found.words}`: leave that out"


def _source(locked: Lock, found: Lock) -> Iterator[LockDifference]:
    old, new = locked.source, found.source
    todo = f"bring {old.path} back to the rows that it had"
    if locked.given.limit != found.given.limit:
        todo = _options(locked.given, found.given)
    if old.rows != new.rows:
        yield LockDifference("source rows", f"{old.rows:,}", f"{new.rows:,}", todo)
    elif old.content != new.content:
        yield LockDifference("source content", old.content, new.content, todo)


def _engines(locked: Lock, found: Lock) -> Iterator[LockDifference]:
    yield from _missing("engine", locked.engines, found.engines)
    profile = locked.given.profile
    todo = f"run it with the profile {profile}" if profile else "run it without a profile"
    if profile == found.given.profile:
        todo = "write what was locked into the recipe or the profile"
    for name in [name for name in locked.engines if name in found.engines]:
        old, new = locked.engines[name], found.engines[name]
        what = f"engine {name}"
        if old.backend != new.backend:
            yield LockDifference(f"{what}, backend", old.backend, new.backend, todo)
        else:
            yield from _values(f"{what}, args", old.args, new.args, todo)
        yield from _models(what, old, new)


def _models(what: str, old: LockedModel, new: LockedModel) -> Iterator[LockDifference]:
    if (old.model, old.revision) != (new.model, new.revision):
        todo = "name the locked one in the recipe"
        yield LockDifference(f"{what}, model", old.name, new.name, todo)
        return
    if old.state != new.state:
        todo = "put the files back that were locked"
        if new.unresolved:
            todo = f"it can't be looked up here: {new.unresolved}"
        elif old.commit:
            todo = f"the hub has a newer one; write `revision: {old.commit}` and lock again"
        yield LockDifference(f"{what}, model {old.model}", old.state, new.state, todo)
    if old.base is not None and new.base is not None:
        yield from _models(f"{what}, base", old.base, new.base)


def _nodes(
    locked: Mapping[str, LockedNode], found: Mapping[str, LockedNode]
) -> Iterator[LockDifference]:
    yield from _missing("node", locked, found)
    for name in [name for name in locked if name in found]:
        old, new = locked[name], found[name]
        what = f"node {name}"
        told = list(_values(f"{what}, prompt", old.prompts, new.prompts, "undo the edit of it"))
        if (old.op, old.version) != (new.op, new.version):
            was, now = (f"{one.op} version {one.version}" for one in (old, new))
            todo = "name the locked op" if old.op != new.op else "install what it was locked with"
            told.append(LockDifference(f"{what}, op", was, now, todo))
        if not told and old.identity != new.identity:
            todo = "its parameters or models were edited: undo that"
            told.append(LockDifference(what, old.identity, new.identity, todo))
        yield from told


def _packages(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[LockDifference]:
    for name in sorted(locked.keys() | found.keys()):
        old, new = locked.get(name, _NOTHING), found.get(name, _NOTHING)
        todo = f"install {name}=={old}" if name in locked else f"run it without {name}"
        if old != new:
            yield LockDifference(f"package {name}", old, new, todo)


def _missing(
    what: str, locked: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[LockDifference]:
    for name in [name for name in locked if name not in found]:
        yield LockDifference(f"{what} {name}", "one", _NOTHING, "put it back")
    for name in [name for name in found if name not in locked]:
        yield LockDifference(f"{what} {name}", _NOTHING, "one", "take it out")


def _values(
    what: str, locked: Mapping[str, Any], found: Mapping[str, Any], todo: str
) -> Iterator[LockDifference]:
    for name in dict.fromkeys([*locked, *found]):
        old, new = locked.get(name), found.get(name)
        if old != new:
            yield LockDifference(f"{what} {name}", worded(old), worded(new), todo)
