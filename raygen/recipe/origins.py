"""Which file says a value of a recipe, and so where the paths in it start.

A path starts in the folder of the file that says it. One that is a param's value, `${data}`, is
said where the param gets its value: in a recipe, or on the command line. Knows nothing of what the
values mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from raygen.config import Document
from raygen.core import Mark, Place
from raygen.recipe.params import sole_reference
from raygen.recipe.remote.fetched import Fetched


@dataclass(frozen=True, slots=True)
class Origins:
    """The files that a recipe was read from. `written` is it before params were filled in."""

    path: Path
    files: Mapping[str, Fetched | None]
    """By the name that marks have: what each was fetched with, None for the user's own."""
    written: Document

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """All that was fetched, the recipe itself first."""
        return tuple(dict.fromkeys(one for one in self.files.values() if one is not None))

    def mark(self, place: Place) -> Mark:
        """Where the value at a place is said; for a param's, where that is."""
        value = self.written.data
        for part in place:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return self.written.mark(place)
        name = sole_reference(value) if isinstance(value, str) else None
        return self.written.mark(place if name is None else ("params", name, "default"))

    def owner(self, place: Place) -> Fetched | None:
        """What the value at a place was fetched with; None where the user says it."""
        return self.files.get(self.mark(place).file)

    def folder(self, place: Place) -> Path:
        """Where the path at a place starts."""
        return self._folder(self.mark(place).file)

    def folders(self, place: Place) -> Iterator[Path]:
        """Where the file at a place may lie: beside the param's value, or beside what uses it."""
        yield from dict.fromkeys((self.folder(place), self._folder(self.written.mark(place).file)))

    def _folder(self, file: str) -> Path:
        if file in self.files:
            return Path(file).parent
        # What the command line says of a fetched recipe means the user's own files.
        return Path() if self.files[str(self.path)] is not None else self.path.parent
