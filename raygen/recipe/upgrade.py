"""Rewrite a recipe of version 1 as one of version 2 that means the same.

Needed where recipes of both versions are put over each other: one of version 1 by itself stays as
it is written, so that its dataset goes on. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raygen.config import Document
from raygen.core import Problem, ProblemsError

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"self_consistency": {"original": "ignored"}}
"""By op, what a parameter that isn't written was in version 1 and no longer is."""


def upgrade_mixed(chain: Sequence[Document]) -> list[Document]:
    """Bring recipes that extend each other, the topmost first, to one version of the format.

    One without a version has that of the recipe below it. Raises ProblemsError.
    """
    versions: list[Any] = []
    for document in reversed(chain):
        versions.append(document.data.get("version", versions[-1] if versions else None))
    versions.reverse()
    if 2 not in versions:
        return list(chain)
    pairs = zip(chain, versions, strict=True)
    return [upgrade_document(each) if version == 1 else each for each, version in pairs]


def upgrade_document(document: Document) -> Document:
    """Rewrite one recipe. Raises ProblemsError for what version 2 says in another place."""
    problems = list(_chats(document))
    if problems:
        raise ProblemsError(problems)
    data = dict(document.data)
    if "version" in data:
        data["version"] = 2
    for section, change in (("engines", _engine), ("graph", _node)):
        if isinstance(data.get(section), dict):
            data[section] = {name: change(value) for name, value in data[section].items()}
    return Document(document.file, data, document.marks)


def _engine(value: Any) -> Any:
    if not isinstance(value, dict) or "model" not in value:
        return value
    return {"api": "completion", **value}


def _node(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        **_DEFAULTS.get(str(value.get("op")), {}),
        **{k: v for k, v in value.items() if k != "chat"},
    }


def _chats(document: Document) -> Iterator[Problem]:
    graph = document.data.get("graph")
    for name, node in graph.items() if isinstance(graph, dict) else ():
        if isinstance(node, dict) and node.get("chat") is True:
            message = (
                "`chat: true` of a version 1 recipe, which is put together with one of version 2; "
                "write `version: 2` here, and `api: chat` at the engine in place of `chat: true`"
            )
            yield document.problem(("graph", name, "chat"), message)
