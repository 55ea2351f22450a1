"""One recipe over another, key by key: what `extends` does with two documents.

Mappings are merged and everything else is replaced; nothing (`null`) removes what was there. Every
value keeps the mark of the file that says it. Knows nothing of how the other document is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from raygen.config import Document, did_you_mean
from raygen.core import Mark, Place, Problem

_REMOVED = object()
_NAMED = {"params": "param", "engines": "engine", "graph": "node", "variants": "variant"}


def merge_documents(below: Document, above: Document) -> tuple[Document, list[Problem]]:
    """The document `above` over `below`, and what it removes that isn't there."""
    merge = _Merge(below, above)
    data = merge.visit((), below.data, above.data)
    return Document(above.file, data, merge.marks), list(_nothing_to_remove(below, above))


class _Merge:
    def __init__(self, below: Document, above: Document) -> None:
        self.below = below
        self.above = above
        self.marks: dict[Place, Mark] = {}

    def visit(self, place: Place, below: Any, above: Any) -> Any:
        """What stands at a place of which both documents say something."""
        if above is None and place:
            return _REMOVED
        if not isinstance(below, dict) or not isinstance(above, dict):
            return self.copied(self.above, place, above)
        if _is_another(place, below, above):
            return self.copied(self.above, place, above)
        self.marks[place] = self.above.mark(place)
        found: dict[str, Any] = {}
        for key in {**below, **above}:
            at = (*place, key)
            if key not in above:
                value = self.copied(self.below, at, below[key])
            elif key not in below or (key == "args" and _is_another_backend(place, below, above)):
                value = self.copied(self.above, at, above[key])
            else:
                value = self.visit(at, below[key], above[key])
            if value is not _REMOVED:
                found[key] = value
        if _is_another_backend(place, below, above) and "args" not in above:
            found.pop("args", None)
        return found

    def copied(self, document: Document, place: Place, value: Any) -> Any:
        """A value with the marks of everything in it."""
        self.marks[place] = document.mark(place)
        if isinstance(value, dict):
            return {k: self.copied(document, (*place, k), child) for k, child in value.items()}
        if isinstance(value, list):
            return [self.copied(document, (*place, i), child) for i, child in enumerate(value)]
        return value


def _is_another(place: Place, below: dict[str, Any], above: dict[str, Any]) -> bool:
    """Whether the value above is a thing of its own, to which nothing below belongs.

    Parameters belong to their op, and what a `{file: ...}` stands for is one text.
    """
    if len(place) == 2 and place[0] == "graph":
        return "op" in above and above["op"] != below.get("op")
    return len(place) > 2 and place[0] == "graph" and ({"file"} in (set(below), set(above)))


def _is_another_backend(place: Place, below: dict[str, Any], above: dict[str, Any]) -> bool:
    """Whether an engine changes its backend, to which the arguments belong."""
    if len(place) != 2 or place[0] != "engines":
        return False
    return above.get("backend", below.get("backend")) != below.get("backend")


def _nothing_to_remove(below: Document, above: Document) -> Iterable[Problem]:
    for section, noun in _NAMED.items():
        there, said = below.data.get(section), above.data.get(section)
        there = there if isinstance(there, dict) else {}
        for name, value in said.items() if isinstance(said, dict) else ():
            if value is None and name not in there:
                hint = did_you_mean(name, there)
                message = f"there is no {noun} {name!r} to remove by null{hint}"
                yield above.problem((section, name), message)
