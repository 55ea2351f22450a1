"""Where the paths of a recipe point: one resolver, asked once for each path.

A path starts in the folder of the file that says it, its origin. One that is a param's value,
`${data}`, is said where the param gets its value: in a recipe, or on the command line. What the
user's own recipe, profile or command line says points anywhere. What was fetched is a stranger's:
it reads what was fetched with it and what anyone can fetch, and writes under the user's current
folder. Knows nothing of where in a recipe paths stand, or what other values mean.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from raygen.config import Document, nearest
from raygen.core import Mark, Place
from raygen.core.access import Anonymous, access_to
from raygen.engines import EngineSetupError
from raygen.engines.models import ADAPTER, adapter_base
from raygen.recipe.params import sole_reference
from raygen.recipe.remote.boundary import (
    alone_reason,
    escape_reason,
    link_reason,
    url_refusal,
)
from raygen.recipe.remote.ref import Fetched

_PATH = re.compile(r"(?:/|~|\.\.?/|file:|local:|[A-Za-z][A-Za-z0-9+.-]*:/|(?:.*/)?\.\.(?:/|$)).*")
"""A text that can be nothing but a path or a URL."""

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*::|[A-Za-z][A-Za-z0-9+.-]*://)")
_RELATIVE = ("./", "../")
_LONGEST_NAME = 200
"""In bytes: file systems take 255, and a variant and an ending follow the name."""

_OUTPUT = "a fetched recipe writes under your current folder only"
_MODELS = "a fetched recipe takes its own files ('./...') and what is on the hub"


class PathError(ValueError):
    """A path that may not be followed or that leads nowhere; str() says why."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The files that a recipe was read from, which tell where a value is said and by whom.

    `path` is the recipe's own file, `written` the document before its params were filled in.
    """

    path: Path
    files: Mapping[str, Fetched | None]
    """By the name that marks have: what each was fetched with, None for the user's own."""
    written: Document

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """Everything that was fetched, the recipe itself first."""
        return tuple(dict.fromkeys(filter(None, self.files.values())))

    def mark(self, place: Place) -> Mark:
        """Find where the value at a place is said; of a param's, where the param gets its value."""
        value = self.written.data
        for part in place:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return self.written.mark(place)
        name = sole_reference(value) if isinstance(value, str) else None
        return self.written.mark(place if name is None else ("params", name, "default"))

    def owner(self, place: Place) -> Fetched | None:
        """Find what the value at a place was fetched with; None where the user says it."""
        return self.files.get(self.mark(place).file)

    def is_option(self, place: Place) -> bool:
        """Tell whether the command line says the value at a place."""
        return self.mark(place).file not in self.files

    def folder(self, place: Place) -> Path:
        """Find the folder in which the path at a place starts."""
        return self._folder(self.mark(place).file)

    def folders(self, place: Place) -> Iterator[Path]:
        """Yield the folders of a file at a place: that of the param's value, that of its use."""
        yield from dict.fromkeys((self.folder(place), self._folder(self.written.mark(place).file)))

    def _folder(self, file: str) -> Path:
        if file in self.files:
            return Path(file).parent
        # What the command line says of a fetched recipe means the user's own files.
        return Path() if self.files[str(self.path)] is not None else self.path.parent


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolve the paths of one recipe. A method raises PathError for one that is refused."""

    origins: Origins
    as_me: tuple[str, ...] = ()
    """The addresses that are read with the user's credentials though a stranger says them."""

    def access(self, place: Place, url: str) -> Anonymous | None:
        """Say as whom the URL at a place is read: None stands for the user."""
        owner = self.origins.owner(place)
        return None if owner is None else access_to(url, owner.pinned, self.as_me)

    def name(self, place: Place, text: str) -> str:
        """Check the recipe's name, which may become that of a folder."""
        if self.origins.owner(place) is None:
            return text
        if "/" in text or text.startswith("."):
            raise PathError(f"{text!r} is a path; the name of a fetched recipe has no '/' in it")
        if (size := len(text.encode())) > _LONGEST_NAME:
            raise PathError(
                f"{text!r} is {size} bytes long; the name of a fetched recipe has at most "
                f"{_LONGEST_NAME}"
            )
        return text

    def rows(self, place: Place, text: str) -> str:
        """Resolve a path of the source rows to the folder in which it starts.

        One that the command line says is looked for in the current folder first. Those of a list
        all start in one, since one reader reads them as one user.
        """
        owner, folder = self._origin(place)
        if isinstance(place[-1], int) and self._origin((*place[:-1], 0)) != (owner, folder):
            raise PathError(
                f"{text!r} is said in another file than the first path; say all of a list in one"
            )
        if owner is not None:
            _check(_rows_refusal(owner, folder, text))
        elif self.origins.is_option(place) and _is_here(text):
            return str(Path.cwd())
        return str(folder)

    def output(self, place: Place, text: str) -> str:
        """Resolve the folder that is written to an absolute path or a URL."""
        owner, folder = self._origin(place)
        if owner is not None and (why := output_refusal(owner, folder, text)) is not None:
            advice = f"--set {'.'.join(map(str, place))}=FOLDER"
            raise PathError(f"{why}; name another place yourself: {advice}")
        return self.landing(place, text)

    def landing(self, place: Place, text: str) -> str:
        """Resolve an output path unchecked; a stranger's is put under the current folder."""
        owner, folder = self._origin(place)
        if "://" in text:
            return text
        if owner is None:
            return str((folder / text).resolve())
        return str(Path.cwd() / Path(os.path.normpath(f"/{text}")).relative_to("/"))

    def model(self, place: Place, text: str) -> str:
        """Resolve a model to what an engine loads: a folder's absolute path, or a name."""
        owner, folder = self._origin(place)
        if owner is not None:
            _check(text_refusal(owner, folder, text, is_model=True))
        return str((folder / text).resolve()) if text.startswith(_RELATIVE) else text

    def argument(self, place: Place, text: str) -> str:
        """Check an argument of a backend, which may be a path from the current folder."""
        owner, _ = self._origin(place)
        if owner is not None:
            _check(_name_refusal(owner, text))
        return text

    def student(self, place: Place, text: str) -> str:
        """Resolve a text of the student in the recipe, which may be a path."""
        owner, folder = self._origin(place)
        if owner is not None:
            _check(text_refusal(owner, folder, text, is_model=place[-1] == "model"))
        return self.absolute(place, text)

    def absolute(self, place: Place, text: str) -> str:
        """Make the name of a file absolute where it is said in another folder than the recipe's.

        Whatever names no file stays as it is.
        """
        folder = self.origins.folder(place)
        if not text or "\0" in text or folder == self.origins.path.parent:
            return text
        path = folder / text
        try:
            return str(path.absolute()) if path.exists() else text
        except OSError:  # a text that is too long for a path
            return text

    def attachment(self, place: Place, text: str) -> str:
        """Resolve a file to be attached, in the folder of the param's value or of its use."""
        *others, last = self.origins.folders(place)
        folder = next((other for other in others if (other / text).is_file()), last)
        owner = self.origins.owner(place)
        if owner is not None and folder.is_relative_to(owner.root):
            _check(alone_reason(owner, text))
        try:
            return str(_inside(folder, text))
        except OSError as error:
            raise PathError(str(error)) from error

    def _origin(self, place: Place) -> tuple[Fetched | None, Path]:
        """Find what the text at a place was fetched with, and where its paths start."""
        return self.origins.owner(place), self.origins.folder(place)


def _is_here(text: str) -> bool:
    """Tell whether a relative path, or a glob, names a file from the current folder."""
    if "://" in text or Path(text).is_absolute():
        return False
    return Path(text).exists() or any(Path().glob(text))


def output_refusal(owner: Fetched, folder: Path, text: str) -> str | None:
    """Say why an output path may not be written; None where it is under the current folder."""
    inner = Path(os.path.normpath(f"/{text}")).parts[1:] if "\0" not in text else ()
    if (
        not (_URL.match(text) or text.startswith("~") or Path(text).is_absolute())
        # The current folder itself, or what is hidden in it, is none.
        and inner
        and not any(part.startswith(".") for part in inner)
        and Path(os.path.normpath(folder / text)).is_relative_to(owner.root)
    ):
        return None
    return f"{text!r}: {_OUTPUT}"


def text_refusal(owner: Fetched, folder: Path, text: str, *, is_model: bool) -> str | None:
    """Say why a text may not be read as a path from `folder`; None where it may, or is none."""
    is_name = is_model and not text.startswith(_RELATIVE)
    if is_name and (why := _name_refusal(owner, text)) is not None:
        return why
    if _is_url(text):
        return url_refusal(owner, text)
    if _PATH.fullmatch(text) or os.path.lexists(folder / text):
        return escape_reason(owner, folder, text) or _folder_refusal(owner, folder / text)
    return None


def _folder_refusal(owner: Fetched, folder: Path) -> str | None:
    """Say why a folder that was fetched, as a rule a model's, leads to what is the user's."""
    if not folder.is_dir():
        return None
    if (why := link_reason(owner, folder.resolve())) is not None:
        return why
    try:
        base = adapter_base(folder)
    except EngineSetupError as error:
        return str(error)
    why = None if base is None else _name_refusal(owner, base.model)
    return why and f"{folder.name}/{ADAPTER}: base_model_name_or_path: {why}"


def _name_refusal(owner: Fetched, text: str) -> str | None:
    """Say why a text may not reach a library that reads paths from the current folder."""
    if _is_url(text):
        return url_refusal(owner, text)
    if _PATH.fullmatch(text):
        return f"{text!r} is a path of this machine; {_MODELS}"
    if text and os.path.lexists(text):
        return f"{text!r} would be yours, in the current folder; {_MODELS}"
    return None


def _rows_refusal(owner: Fetched, folder: Path, text: str) -> str | None:
    if "::" in text or _is_url(text):
        return url_refusal(owner, text)
    if (why := escape_reason(owner, folder, text)) is not None:
        return why
    if (why := alone_reason(owner, text)) is not None:
        return why
    if (folder / text).is_dir():
        # It would be a table, whose log may name files anywhere.
        return f"{text!r} is a folder; of a fetched recipe expected a file or a glob"
    for path in _matches(folder, text) if any(sign in text for sign in "*?[") else ():
        if (why := escape_reason(owner, folder, path)) is not None:
            return why
    return None


def _matches(folder: Path, pattern: str) -> Iterator[str]:
    from fsspec.implementations.local import LocalFileSystem

    for path in LocalFileSystem().glob(str(folder / pattern)):
        yield os.path.relpath(path, folder)


def _inside(base: Path, name: str) -> Path:
    """Find a file in the folder `base` or below it. Raises PathError and OSError."""
    if "\0" in name:
        raise PathError(f"file {name!r} is not a path")
    path = base / name
    try:
        inside = path.resolve().is_relative_to(base.resolve())
    except RuntimeError:  # what resolve() raises on a loop, in Python up to 3.12
        raise PathError(f"file {name!r} is a link to itself") from None
    if not inside:
        raise PathError(f"file {name!r} is outside the recipe's folder")
    if path.is_file():
        return path
    if path.is_dir():
        raise PathError(f"{name!r} is a folder, expected a file")
    folder = path.parent
    siblings = [p.name for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
    guess = nearest(path.name, siblings)
    hint = f"; did you mean {guess!r}?" if guess else ""
    raise PathError(f"no file {name!r} in the recipe's folder{hint}")


def _is_url(text: str) -> bool:
    return _URL.match(text) is not None and not text.lower().startswith(("file:", "local:"))


def _check(refusal: str | None) -> None:
    if refusal is not None:
        raise PathError(refusal)
