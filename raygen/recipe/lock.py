"""A lock: what a recipe was when it was locked, as a file, and how something else differs from it.

Knows nothing of how any of it is found out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from raygen.config import Document, dump_text, load_document, parse_model, parse_text
from raygen.config import found as worded
from raygen.core import Change, ProblemsError, changes, digest
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


class LockedOptions(RecipeSection):
    """What the command line said beside the recipe."""

    variant: str | None = None
    set: dict[str, str] = Field(default_factory=dict)
    limit: int | None = None
    profile: str | None = Field(None, description="the name of its file")

    @property
    def words(self) -> str:
        """The options that change the recipe, as on the command line."""
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
        """Convert the lock to plain data, without what is not set."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_text(self) -> str:
        """Write the text of the lock file."""
        return _HEAD + dump_text(self.to_json())

    @property
    def digest(self) -> str:
        """The hash by which a dataset's commits name the lock."""
        return digest("lock", self.to_json())

    @property
    def unresolved(self) -> dict[str, str]:
        """Why the model of an engine, or its base, is only a name: engine -> why."""
        reasons = {name: engine.unresolved or (engine.base and engine.base.unresolved)
                   for name, engine in self.engines.items()}  # fmt: skip
        return {name: why for name, why in reasons.items() if why}


@dataclass(frozen=True, slots=True)
class LockDifference:
    """A key of a lock that isn't as it was locked, and what to do about it."""

    key: str
    locked: str
    found: str
    todo: str

    def __str__(self) -> str:
        return f"{self.key}: locked {self.locked}, found {self.found}; {self.todo}"


def is_lock(text: str) -> bool:
    """Tell whether a file's text is a lock, of any version and maybe spoilt."""
    return text.startswith(_HEAD.partition("\n")[0])


def read_lock(path: Path) -> Lock | None:
    """Read the lock in a file; None where there is no file. Raises ProblemsError."""
    return _parsed(load_document(path)) if path.is_file() else None


def stored_lock(folder: Folder) -> Lock | None:
    """Read the lock that a dataset carries; None where it has none.

    Raises ProblemsError and DatasetError.
    """
    path = folder.join(STORED)
    with storage_errors("read the lock", path):
        text = folder.read_text(STORED) if folder.exists(STORED) else None
    return None if text is None else _parsed(parse_text(text, path))


def lock_differences(locked: Lock, current: Lock) -> list[LockDifference]:
    """List what isn't as it was locked, without what only follows from another difference.

    Options, and what was fetched, come first where anything differs: alone they are no difference.
    """
    changed = _changed(_compared(locked, current), _compared(current, locked))
    if not changed:
        return []
    reasons = _changed(_reasons(locked), _reasons(current))
    return [
        LockDifference(key, _shown(change.before), _shown(change.after), _todo(change))
        for key, change in (reasons | changed).items()
        if not any(re.fullmatch(cause, other) for cause in _causes(key) for other in changed)
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


def _compared(lock: Lock, other: Lock) -> dict[str, Any]:
    """Select what is compared of a lock; an engine or node that `other` lacks by its name alone."""
    return {
        "plan": lock.plan,
        "source": {"rows": lock.source.rows, "content": lock.source.content},
        "stops": lock.stops,
        "engines": {
            name: engine.model_dump(mode="json") if name in other.engines else engine.model
            for name, engine in lock.engines.items()
        },
        "nodes": {
            name: node.model_dump(mode="json") if name in other.nodes else node.op
            for name, node in lock.nodes.items()
        },
        "packages": lock.packages,
        "files": lock.files,
    }


def _reasons(lock: Lock) -> dict[str, Any]:
    """Select what decides, apart from the recipe, what is compared."""
    options = lock.given
    return {"options": options.words or None, "profile": options.profile, "fetched": lock.fetched}


def _changed(before: Any, after: Any) -> dict[str, Change]:
    return {
        change.key: change
        for change in changes(before, after)
        if {} not in (change.before, change.after)  # the keys that the other has are listed
        and not (change.key.endswith(".unresolved") and change.before and change.after)
    }


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else worded(value)


def _causes(key: str) -> Iterator[str]:
    """Yield the keys, as patterns, whose change explains the change of a key."""
    for effect, cause in _FOLLOWS:
        if match := re.fullmatch(effect, key):
            yield match.expand(cause)


def _todo(change: Change) -> str:
    name = change.key.partition(".")[2]
    todo, *others = next(todo for key, *todo in _ADVICE if re.fullmatch(key, change.key))
    if change.before is None and others:
        todo = others[0]
    return todo.format(name=name, locked=change.before)


_FOLLOWS = (
    (r"source\.content", r"source\.rows"),
    (r"(engines\.[^.]+)\.args\..*", r"\1\.backend"),
    (r"(engines\..*)\.(?:commit|content)", r"\1\.(model|revision|unresolved)"),
    (r"(engines\..*)\.(?:unresolved|base\b.*)", r"\1\.(model|revision)"),
    (r"(nodes\.[^.]+)\.version", r"\1\.op"),
    (r"(nodes\.[^.]+)\.identity", r"\1\.(op|version|prompts\..*)"),
)
"""A key, and those that explain its change: it isn't listed where one of them changed too."""

_ADVICE = (
    (r"options", "give the options that it was locked with", "leave them out"),
    (r"profile", "run it with the profile that it was locked with", "run it without a profile"),
    (r"fetched\..*", "name {locked} in its place"),
    (r"plan", "the recipe, or one that it extends, was edited, or something above changes it"),
    (r"source\..*", "bring the source back to the rows that it had"),
    (r"stops\..*", "write what was locked into the recipe's `output`"),
    (r"(engines|nodes)\.[^.]+", "put it back", "take it out"),
    (r"engines\.[^.]+\.(backend|args\..*)", "write what was locked into the recipe or the profile"),
    (r"engines\..*\.(model|revision|base)", "name the locked one in the recipe"),
    (
        r"engines\..*\.commit",
        "the hub has a newer one; write `revision: {locked}` and lock again",
        "put the files back that were locked",
    ),
    (r"engines\..*\.content", "put the files back that were locked"),
    (
        r"engines\..*\.unresolved",
        "it can be looked up now: lock again",
        "it can't be looked up here",
    ),
    (r"nodes\..*\.prompts\..*", "undo the edit of it"),
    (r"nodes\..*\.op", "name the locked op"),
    (r"nodes\..*\.version", "install what it was locked with"),
    (r"nodes\..*\.identity", "its parameters or models were edited: undo that"),
    (r"packages\..*", "install {name}=={locked}", "run it without {name}"),
    (r"files\..*", "give the --trust that was locked"),
)
"""What to do about a key that changed; the last, if there are two, where nothing was locked."""
