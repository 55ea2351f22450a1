"""What a stranger's recipe may not do: reach beyond what was fetched with it, or name a secret.

A value that the user's own recipe, profile or command line says is free. Knows where a recipe says
paths and keys; knows nothing of how they are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from raygen.config import Document, load_document
from raygen.core import Place, Problem, ProblemsError
from raygen.engines import OpenAIArgs
from raygen.recipe.origins import Origins
from raygen.recipe.remote.fetched import Fetched
from raygen.recipe.remote.hosts import private_host
from raygen.recipe.remote.inside import left
from raygen.recipe.remote.ref import stranger_may_name

_PATH = re.compile(r"(?:/|~|\.\.?/|file:|local:|[A-Za-z][A-Za-z0-9+.-]*:/|(?:.*/)?\.\.(?:/|$)).*")
"""A text that can be nothing but a path or a URL."""

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*::|[A-Za-z][A-Za-z0-9+.-]*://)")
_OUTPUT = "a fetched recipe writes under your current folder only"
_MODELS = "a fetched recipe takes its own files ('./...') and what is on the hub"
_OWN_KEYS = {"base_url", "api_key_env"}


def confined(document: Document, origins: Origins, allowed: Collection[str]) -> Iterator[Problem]:
    """What in the fetched parts of a recipe is refused; `allowed` are environment variables.

    `document` has its params filled in; its files aren't read yet.
    """
    if not origins.fetched:
        return
    check = _Check(document, origins, allowed)
    found = [
        *check.name(),
        *check.source(),
        *check.train(),
        *check.output(),
        *check.engines(),
    ]
    for place, message in found:
        mark = origins.mark(place)
        yield Problem(mark.file, mark.line, mark.column, message)
    yield from check.student()


def landing(origins: Origins, place: Place, text: str) -> Path:
    """The folder that an output path names: a stranger's lies under the current folder."""
    if origins.owner(place) is None:
        return (origins.folder(place) / text).resolve()
    inner = Path(os.path.normpath(f"/{text}")).relative_to("/")
    return Path.cwd() / inner


class _Check:
    """One recipe; each check gives what is refused by its place."""

    def __init__(self, document: Document, origins: Origins, allowed: Collection[str]) -> None:
        self.document = document
        self.origins = origins
        self.allowed = allowed

    def name(self) -> Iterator[tuple[Place, str]]:
        """Its name, which a folder may get."""
        owner, text = self._said(("recipe",))
        if owner is not None and ("/" in text or text.startswith(".")):
            yield ("recipe",), f"{text!r} is a path; the name of a fetched recipe has no '/' in it"

    def source(self) -> Iterator[tuple[Place, str]]:
        """The rows: what was fetched, or what anyone can fetch."""
        place: Place = ("source", "path")
        owner, text = self._said(place)
        if owner is None:
            return
        if "::" in text or _is_url(text):
            if (why := _refused(owner, text)) is not None:
                yield place, why
            return
        folder = self.origins.folder(place)
        why = left(owner, folder, text)
        # A folder would be a table, whose log may name files anywhere.
        if why is None and (folder / text).is_dir():
            why = f"{text!r} is a folder; of a fetched recipe expected a file or a glob"
        if why is None and any(sign in text for sign in "*?["):
            matches = (str(path) for path in _matches(folder, text))
            why = next((one for path in matches if (one := left(owner, folder, path))), None)
        if why is not None:
            yield place, why

    def output(self) -> Iterator[tuple[Place, str]]:
        """Where it writes: under the user's current folder."""
        for place in (("output", "path"), ("train", "output")):
            owner, text = self._said(place)
            if owner is not None and not _lands(owner, self.origins.folder(place), text):
                advice = f"--set {'.'.join(map(str, place))}=FOLDER"
                yield place, f"{text!r}: {_OUTPUT}; name another place yourself: {advice}"

    def train(self) -> Iterator[tuple[Place, str]]:
        """The student in the recipe: its models and its questions."""
        train = self.document.data.get("train")
        for place, text in _texts(train, ("train",)) if isinstance(train, dict) else ():
            owner = self.origins.owner(place)
            if owner is not None and place != ("train", "output"):
                yield from self._path(owner, self.origins.folder(place), place, text)

    def student(self) -> Iterator[Problem]:
        """The student in a file of its own."""
        owner, name = self._said(("train",))
        if owner is None or not name:
            return
        folder = self.origins.folder(("train",))
        if left(owner, folder, name) is not None or not (folder / name).is_file():
            return  # told where the file is read
        try:
            document = load_document(folder / name)
        except ProblemsError:
            return
        for place, text in _texts(document.data, ()):
            base = (folder / name).parent
            if place != ("output",):
                problems = [why for _, why in self._path(owner, base, place, text)]
            else:
                problems = [] if _lands(owner, base, text) else [f"{text!r}: {_OUTPUT}"]
            yield from (document.problem(place, why) for why in problems)

    def engines(self) -> Iterator[tuple[Place, str]]:
        """The models, what the backends are told, and the keys that they would use."""
        engines = self.document.data.get("engines")
        for name, engine in engines.items() if isinstance(engines, dict) else ():
            if not isinstance(engine, dict):
                continue
            at: Place = ("engines", name)
            owner, model = self._said((*at, "model"))
            if owner is not None:
                folder = self.origins.folder((*at, "model"))
                yield from self._path(owner, folder, (*at, "model"), model)
            args = engine.get("args")
            told = {} if engine.get("backend") == "fake" else args  # a fake reads nothing
            for place, text in _texts(told, (*at, "args")):
                owner = self.origins.owner(place)
                # An address is what an endpoint has; whether a key goes there is asked below.
                if owner is not None and place[-1] != "base_url":
                    yield from self._name(owner, place, text)
            if engine.get("backend") == "openai" and isinstance(args, dict | None):
                yield from self._key(at, args or {})

    def _key(self, at: Place, args: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
        """A key must not be sent to an address, nor under a name, of a stranger's choice."""
        said = [key for key in sorted(_OWN_KEYS & set(args))
                if self.origins.owner((*at, "args", key)) is not None]  # fmt: skip
        defaults = {key: OpenAIArgs.model_fields[key].default for key in _OWN_KEYS}
        changed = [key for key in said if args[key] != defaults[key]]
        variable = str(args.get("api_key_env", defaults["api_key_env"]))
        if changed and variable in os.environ and variable not in self.allowed:
            address = args.get("base_url", defaults["base_url"])
            why = f"a fetched recipe would send the environment variable {variable} to {address}"
            yield (*at, "args", changed[0]), f"{why}; --allow-env {variable} allows it"

    def _path(
        self, owner: Fetched, folder: Path, place: Place, text: str
    ) -> Iterator[tuple[Place, str]]:
        """What is wrong with a text that, if it is a path, starts in `folder`."""
        found = []
        if place[-1] == "model" and not text.startswith(("./", "../")):
            found = list(self._name(owner, place, text))
        yield from found
        if found:
            return
        why = None
        if _is_url(text):
            why = _refused(owner, text)
        elif _PATH.fullmatch(text) or os.path.lexists(folder / text):
            why = left(owner, folder, text)
        if why is not None:
            yield place, why

    def _name(self, owner: Fetched, place: Place, text: str) -> Iterator[tuple[Place, str]]:
        """What is wrong with a text that would be taken for a path from the current folder."""
        if _is_url(text):
            if (why := _refused(owner, text)) is not None:
                yield place, why
        elif _PATH.fullmatch(text):
            yield place, f"{text!r} is a path of this machine; {_MODELS}"
        elif (place[-1] == "model" or "/" in text) and os.path.lexists(text):
            yield place, f"{text!r} would be yours, in the current folder; {_MODELS}"

    def _said(self, place: Place) -> tuple[Fetched | None, str]:
        """What a text at a place was fetched with, and the text; none for the user's own."""
        value = self.document.data
        for part in place:
            value = value.get(part) if isinstance(value, dict) else None
        return (self.origins.owner(place), value) if isinstance(value, str) else (None, "")


def _is_url(text: str) -> bool:
    return _URL.match(text) is not None and not text.lower().startswith(("file:", "local:"))


def _refused(owner: Fetched, url: str) -> str | None:
    """Why what was fetched may not read from a URL."""
    return stranger_may_name(url) or private_host(url, owner.pinned)


def _lands(owner: Fetched, folder: Path, text: str) -> bool:
    """Whether an output path can be taken as one under the current folder."""
    if _URL.match(text) or text.startswith("~") or Path(text).is_absolute() or "\0" in text:
        return False
    inner = Path(os.path.normpath(f"/{text}")).parts[1:]
    if not inner or any(part.startswith(".") for part in inner):
        return False  # the current folder itself, or what is hidden in it
    return Path(os.path.normpath(folder / text)).is_relative_to(owner.root)


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    from fsspec.implementations.local import LocalFileSystem

    for found in LocalFileSystem().glob(str(folder / pattern)):
        yield Path(os.path.relpath(found, folder))


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _texts(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts(child, (*place, index))
    elif isinstance(value, str):
        yield place, value
