"""YAML text to plain data with marks, and back.

Scalars follow YAML 1.2: `yes`, `no`, `on` and dates are texts, and `3e-5` is a number. Only plain
data is accepted: no tags, no merge keys, no duplicate or non-text keys. Knows nothing of files,
models or recipes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import yaml

from raygen.config.messages import found
from raygen.core import Mark, Place, Problem, ProblemsError, problem_after

_MAX_DEPTH = 60
_MAX_NODES = 100_000
MAX_CHARACTERS = 10_000_000
"""A document's texts in all, with those that aliases repeat."""
_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    (
        "float",
        re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
        list("-+.0123456789"),
    ),
    ("merge", re.compile(r"^<<$"), ["<"]),
)


_FRAGILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff]")
"""Controls and exotic line breaks and blanks, which PyYAML writes raw outside double quotes."""


def read_text(text: str, file: str) -> tuple[Any, Mapping[Place, Mark]]:
    """Parse YAML into plain data, with the mark of each key and entry by its path.

    `file` is the name that marks and problems give. Raises ProblemsError.
    """
    if len(text) > MAX_CHARACTERS:
        raise ProblemsError([Problem(file, 1, 1, _too_long(len(text)))])
    control = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if control is not None:
        message = f"character U+{ord(control.group()):04X} is not allowed; write it as an escape"
        raise ProblemsError([problem_after(file, text[: control.start()], message)])
    loader = _Loader(text)
    try:
        _check_depth(text, file)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ProblemsError([_syntax_problem(error, text, file)]) from None
    finally:
        loader.dispose()
    if root is None:
        return None, {}
    builder = _Builder(file)
    data = builder.build(root, ())
    if builder.problems:
        raise ProblemsError(builder.problems)
    return data, builder.marks


def dump_text(data: Any) -> str:
    """Write YAML that `read_text` reads back as equal data; a text of several lines is a block."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Loader(yaml.CSafeLoader):
    """Parses and composes; `_Builder` constructs."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would take for something other than a text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _FRAGILE.search(text):
        style = '"'
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", _pattern, _first)
    _Dumper.add_implicit_resolver(f"{_TAG}{_name}", _pattern, _first)
_Dumper.add_representer(str, _represent_text)


class _Builder:
    """Turns composed nodes into plain data and marks, and collects problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.marks: dict[Place, Mark] = {}
        self.problems: list[Problem] = []
        self.characters = 0

    def build(self, node: yaml.Node, path: Place) -> Any:
        self.marks.setdefault(path, self._mark(node))
        if len(path) > _MAX_DEPTH:
            self._stop(node, "an alias stands inside what it names")
        if len(self.marks) > _MAX_NODES:
            self._stop(node, f"more than {_MAX_NODES} entries, with those that aliases unfold to")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        return self._refuse(node, f"tag {node.tag!r} is not allowed; write plain values")

    def _mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                self._refuse(key_node, "merge keys ('<<') are not supported; write the keys out")
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != f"{_TAG}str":
                hint = "; put it in quotes" if isinstance(key_node, yaml.ScalarNode) else ""
                self._refuse(key_node, f"a key must be a text{hint}")
                continue
            key = key_node.value
            if key in data:
                first = self.marks[(*path, key)].line
                self._refuse(key_node, f"duplicate key {key!r}, first on line {first}")
                continue
            self.marks[(*path, key)] = self._mark(key_node)
            data[key] = self.build(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            self._stop(node, _too_long(self.characters))
        kind = node.tag.removeprefix(_TAG)
        pattern = next((pattern for name, pattern, _ in _SCALARS if name == kind), None)
        if kind in ("str", "merge"):
            return text
        if pattern is None:
            return self._refuse(node, f"tag {node.tag!r} is not allowed; write plain values")
        if not pattern.match(text):
            return self._refuse(node, f"{text!r} is not of type {kind}")
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        # 4300 digits are Python's own limit; no count or seed has more than 64 bits anyway.
        if kind == "int" and len(text) <= 20:
            return int(text)
        number = float(text)
        if kind == "int" or not math.isfinite(number):
            return self._refuse(node, f"{found(text)} is too large a number")
        return number

    def _refuse(self, node: yaml.Node, message: str) -> None:
        mark = self._mark(node)
        self.problems.append(Problem(mark.file, mark.line, mark.column, message))

    def _stop(self, node: yaml.Node, message: str) -> NoReturn:
        self._refuse(node, message)
        raise ProblemsError(self.problems)

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _too_long(characters: int) -> str:
    return (
        f"at least {characters} characters, with those that aliases repeat; expected at most "
        f"{MAX_CHARACTERS}; put long texts into files of their own"
    )


def _check_depth(text: str, file: str) -> None:
    """Refuse deep nesting before the composer, which is recursive C, meets it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            mark = event.start_mark
            position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            message = f"nested more than {_MAX_DEPTH} levels deep"
            raise ProblemsError([Problem(file, *position, message)])


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    message = "not valid YAML: " + (", ".join(str(p) for p in parts if p) or str(error))
    if mark is None:
        return Problem(file, 1, 1, message)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        column = line.index("\t") + 1
        return Problem(file, mark.line + 1, column, "a tab indents this line; use spaces")
    return Problem(file, mark.line + 1, mark.column + 1, message)
