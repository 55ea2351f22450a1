"""A reference to a recipe elsewhere, taken apart, and what was fetched by one. Reaches nothing.

git+https://host/repository@rev#path/to/recipe.yaml     also git+ssh:// and git+file://
hf://datasets/owner/name/path/recipe.yaml@rev           or hf://datasets/owner/name@rev/path
https://host/path/recipe.yaml, s3://bucket/path/, ...   a folder stands for its recipe.yaml
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from raygen.core import UserError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PIN = re.compile(r"@sha256:([0-9a-f]{64})$")
_GIT = ("git+https://", "git+http://", "git+ssh://", "git+file://")
_REPOSITORIES = ("datasets", "spaces")

Kind = Literal["git", "hub", "url"]


@dataclass(frozen=True, slots=True)
class RecipeRef:
    """The file `path` of a repository or a folder, `location`, at the revision `rev`.

    `location` is a repository's URL, `datasets/owner/name` on the hub, or a folder's URL.
    """

    kind: Kind
    location: str
    path: str
    rev: str | None = None

    def at(self, rev: str) -> str:
        """Write the reference as text, with this revision."""
        if self.kind == "git":
            return f"git+{self.location}@{rev}#{self.path}"
        if self.kind == "hub":
            return f"hf://{self.location}/{self.path}@{rev}"
        return f"{self.location}/{self.path}@{rev}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched recipe: `reference` as the user wrote it, `pinned` to exactly this content."""

    reference: str
    pinned: str
    pin: str
    """The commit, or the hash of the content where there is none."""
    root: Path
    """The folder in the cache with all of its files."""
    file: Path
    """The recipe's file in that folder."""

    @property
    def is_pinned(self) -> bool:
        """Whether the reference, as it was written, can mean no other content than this."""
        return parse_ref(self.reference).rev == self.pin

    @property
    def is_alone(self) -> bool:
        """Whether it came without the files that it names: the web has no listing of a folder."""
        return self.reference.startswith(("http://", "https://"))

    def to_json(self) -> dict[str, Any]:
        """Return what a dataset keeps of it."""
        return {"reference": self.reference, "pinned": self.pinned, "pin": self.pin}


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a fetched recipe may use: of the user's, and of what was fetched for it.

    - `environment`: variables, as keys.
    - `as_me`: addresses, with all below them, that are read with the user's credentials.
    - `known`: what it extends, where that is fetched already, or why it can't be; by reference and
      whether it was read as the user.
    - `fetches`: whether more may be fetched in this process.
    - `code`: whether it may run programs that a model wrote, in the sandbox.
    """

    environment: tuple[str, ...] = ()
    as_me: tuple[str, ...] = ()
    known: Mapping[tuple[str, bool], Fetched | str] = field(default_factory=dict)
    fetches: bool = True
    code: bool = False


NOTHING = Permissions()


class UnfetchedError(Exception):
    """A reference that a recipe extends and that this process may not fetch.

    `above` is the pinned reference of what says it.
    """

    def __init__(self, reference: str, above: str) -> None:
        super().__init__(reference, above)
        self.reference, self.above = reference, above


def is_remote(text: str) -> bool:
    """Tell whether a text is a reference rather than a path on this machine."""
    return _URL.match(text) is not None and not text.startswith("file://")


def parse_ref(text: str) -> RecipeRef:
    """Parse a reference. Raises UserError."""
    try:
        if not text.isprintable():
            raise ValueError("it has characters that can't be seen")
        return _parsed(text)
    except ValueError as error:
        scheme = text.partition("://")[0]
        raise UserError(f"{scheme}://... is no address: {error}; correct it") from None


def _parsed(text: str) -> RecipeRef:
    if text.startswith("git+"):
        return _git(text)
    parts = urlsplit(text)
    _no_secret(text)
    if parts.scheme == "hf":
        return _hub(text)
    if "#" in text:
        raise UserError(f"{text}: '#path' belongs to git+https:// and its kind")
    pin = _PIN.search(text)
    location, _, name = text.removesuffix(pin[0] if pin else "").rstrip("/").rpartition("/")
    if not name.lower().endswith((".yaml", ".yml")):
        location, name = f"{location}/{name}", "recipe.yaml"
    if not urlsplit(location).netloc:
        raise UserError(f"{text}: found no file in it, expected scheme://host/path/recipe.yaml")
    return RecipeRef("url", location, name, f"sha256:{pin[1]}" if pin else None)


def _git(text: str) -> RecipeRef:
    if not text.startswith(_GIT):
        raise UserError(f"{text}: expected one of {', '.join(_GIT)}")
    url, _, path = text.removeprefix("git+").partition("#")
    parts = urlsplit(url)
    _no_secret(url)
    # An '@' of the host's part, as in git+ssh://git@host/, names a user.
    inner, at, rev = parts.path.partition("@")
    if at and (not rev or rev.startswith("-") or ":" in rev):
        raise UserError(f"{text}: found the revision {rev!r}, expected a branch, tag or commit")
    if not inner.strip("/"):
        raise UserError(f"{text}: found no repository in it, as in git+https://host/name@rev#path")
    location = f"{parts.scheme}://{parts.netloc}{inner}"
    return RecipeRef("git", location, _file(text, path), rev or None)


def _hub(text: str) -> RecipeRef:
    path = text.removeprefix("hf://").rstrip("/")
    parts = path.split("/")
    depth = 3 if parts[0] in _REPOSITORIES else 2
    repository, at, rev = "/".join(parts[:depth]).partition("@")
    names = repository.split("/")
    if len(names) < depth or not all(names):
        raise UserError(f"{text}: expected hf://datasets/owner/name/recipe.yaml")
    rest = "/".join(parts[depth:])
    if not at:
        rest, at, rev = rest.rpartition("@") if "@" in rest else (rest, "", "")
    if at and not rev:
        raise UserError(f"{text}: a revision is missing after '@'")
    return RecipeRef("hub", repository, _file(text, rest), rev or None)


def _file(text: str, path: str) -> str:
    """Name the recipe's file in a repository; a folder stands for the `recipe.yaml` in it."""
    inner = PurePosixPath(path)
    if inner.is_absolute() or ".." in inner.parts or "\0" in path:
        raise UserError(f"{text}: found the path {path!r}, expected one inside the repository")
    is_file = inner.suffix.lower() in (".yaml", ".yml")
    return str(inner if is_file else inner / "recipe.yaml")


def _no_secret(url: str) -> None:
    parts = urlsplit(url)
    # A token can be the user's name too; in abfs://container@account it is no user.
    named = parts.username is not None and parts.scheme in ("http", "https")
    if named or parts.password is not None or "?" in url:
        raise UserError(
            f"{parts.scheme}://...: a user, a password or a '?...' in a reference would be written "
            "beside the dataset; leave it out, and let git, the hub's login or the object store's "
            "own settings say who you are"
        )
