"""The part of Jinja that a recipe's templates are written in, and what each word may be given.

A template puts a row's texts together. What turns little into much at once is left out (formats,
powers, markup), and what grows a text is held to a size before it runs. Knows nothing of the
environment that renders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError

MAX_MADE = 50_000_000
"""Characters that one rendering may make, intermediate texts included; those of lists included."""
_MAX_TEXT = 10_000_000
"""Characters of a text that is split into words or lines."""
_MAX_ITERATED = 100_000
"""Characters of a text that is gone through one by one."""
_MAX_SLOW = 100_000
"""Characters of a text for what takes more than one pass over it."""
_MAX_SEARCH = 100_000_000
"""Characters of a text times those looked for, for what compares all with all."""
_MAX_DIGITS = 15
"""Of a number that is written in a template."""

_CONTAINERS = (list, tuple, Mapping, set, frozenset)

_STATEMENTS = (
    nodes.Block, nodes.EvalContextModifier, nodes.Extends, nodes.FromImport, nodes.Import,
    nodes.Include,
)  # fmt: skip

FILTERS = frozenset(
    ["abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e",
     "escape", "filesizeformat", "first", "float", "groupby", "indent", "int", "items", "join",
     "last", "length", "list", "lower", "map", "max", "min", "random", "reject", "rejectattr",
     "replace", "reverse", "round", "select", "selectattr", "slice", "sort", "string", "striptags",
     "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount", "wordwrap"]
)  # fmt: skip
"""Those of Jinja's own filters that a template may use."""
_REFUSED_FILTERS = frozenset(
    ["forceescape", "format", "pprint", "safe", "urlencode", "urlize", "xmlattr"]
)
METHODS = frozenset(
    ["capitalize", "casefold", "center", "count", "endswith", "find", "get", "index", "isalnum",
     "isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle",
     "isupper", "items", "join", "keys", "ljust", "lower", "lstrip", "partition", "removeprefix",
     "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip",
     "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "values", "zfill"]
)  # fmt: skip
"""Methods of texts, lists and mappings that a template may call."""
_REFUSED_METHODS = frozenset(["encode", "expandtabs", "format", "format_map", "translate"])
KEEPING = frozenset(["attr", "d", "default", "first", "last", "max", "min", "random"])
"""Filters that return what is there already."""

_ITERATING = frozenset(
    ["batch", "groupby", "list", "map", "max", "min", "reject", "rejectattr", "select",
     "selectattr", "slice", "sort", "sum", "title", "unique", "wordcount"]
)  # fmt: skip
_CALLING = frozenset(["groupby", "map", "reject", "rejectattr", "select", "selectattr"])
"""Those that run Python for each item, as the turn of a loop does."""
_SLOW = frozenset(["striptags", "wordwrap"])
_SPLITTING = frozenset(["rsplit", "split", "splitlines"])
_SEARCHING = frozenset(
    ["lstrip", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "strip", "trim"]
)
"""What Python searches by comparing every character with every other."""


def check_language(tree: nodes.Template) -> None:
    """Raise TemplateSyntaxError for the first thing in a template that its language hasn't."""
    for node in _all_nodes(tree):
        if word := _refused(node):
            raise TemplateSyntaxError(f"{word} is not available here", node.lineno)


def _all_nodes(tree: nodes.Node) -> Iterator[nodes.Node]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.iter_child_nodes())


def _refused(node: nodes.Node) -> str | None:
    """Return what a node is, in the words of its template, where the language hasn't got it."""
    if isinstance(node, _STATEMENTS):
        word = type(node).__name__.lower()
        words = {"fromimport": "import", "evalcontextmodifier": "autoescape"}
        return f"`{words.get(word, word)}`"
    if isinstance(node, nodes.Pow):
        return "`**`"
    if isinstance(node, nodes.Mod) and isinstance(node.left, nodes.Const | nodes.TemplateData):
        is_format = isinstance(node.left, nodes.Const) and isinstance(node.left.value, str)
        return "a format with `%` (put texts together with `~`)" if is_format else None
    if isinstance(node, nodes.Filter) and node.name in _REFUSED_FILTERS:
        return f"the filter `{node.name}`"
    if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and (
        node.dyn_args is not None or node.dyn_kwargs is not None
    ):
        return "`*` in a call"
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        method = node.node.attr
        hint = " (put texts together with `~`)" if method.startswith("format") else ""
        return f"`.{method}()`{hint}" if method in _REFUSED_METHODS else None
    if isinstance(node, nodes.Const) and isinstance(node.value, int | float):
        is_long = isinstance(node.value, int) and node.value >= 10**_MAX_DIGITS
        return f"a number of more than {_MAX_DIGITS} digits" if is_long else None
    return None


def turns_over(name: str, value: Any) -> int:
    """Return how many turns a filter's way through a value counts as."""
    return _length(value) // (1 if name in _CALLING else 10) if name in _ITERATING else 0


def growth(name: str, value: Any, given: Sequence[Any]) -> int:
    """Return how many characters a filter or a method adds to a value, at most.

    Raises SecurityError for a value that is too large for it.
    """
    if isinstance(value, str):
        _check_text(name, value, given)
    grow = _GROWING.get(name)
    return grow(value, given) if grow else 0


def _check_text(name: str, text: str, given: Sequence[Any]) -> None:
    length = len(text)
    if length <= _MAX_SLOW and name not in _SEARCHING:
        return
    most = MAX_MADE
    if name in _SLOW:
        most = _MAX_SLOW
    elif name in _ITERATING:
        most = _MAX_ITERATED
    elif name in _SPLITTING:
        most = _MAX_TEXT
    if length > most:
        raise SecurityError(
            f"`{name}` takes texts of up to {most:,} characters; this has {length:,}"
        )
    if name in _SEARCHING and length * max(map(_length, given), default=0) > _MAX_SEARCH:
        raise SecurityError(
            f"`{name}` is given {max(map(_length, given)):,} characters to look for"
        )


def _join(value: Any, given: Sequence[Any]) -> int:
    """The same for `items | join(separator)` and `separator.join(items)`."""
    if type(value) is list and len(given) == 1:
        return len(value) * _length(given[0])
    other = max(given, key=_length, default="")
    if isinstance(value, str) and isinstance(other, str):
        _check_text("list", max(value, other, key=len), ())
    return _length(value) * _length(other)


def _replace(value: Any, given: Sequence[Any]) -> int:
    old, new = [*map(str, given[:2]), "", ""][:2]
    return str(value).count(old) * len(new) if len(given) > 1 else 0


def _pad(value: Any, given: Sequence[Any]) -> int:
    return max([80, *map(_number, given)])


def _indent(value: Any, given: Sequence[Any]) -> int:
    width = max([4, *(_number(each) or _length(each) for each in given)])
    return (len(str(value).splitlines()) + 1) * width


def _repeat(value: Any, given: Sequence[Any]) -> int:
    """Lists of lists, which are filled up."""
    return 8 * max([0, *map(_number, given)])


def _round(value: Any, given: Sequence[Any]) -> int:
    if max([0, *map(_number, given)]) > 100:
        raise SecurityError("`round` takes up to 100 digits")
    return 0


def _tojson(value: Any, given: Sequence[Any]) -> int:
    indent = max([0, *map(_number, given), *map(_length, given)])
    if indent > 8:
        raise SecurityError("`tojson` indents by up to 8")
    size = measure(value, MAX_MADE, level=indent) if isinstance(value, _CONTAINERS) else 0
    return 12 * (size + (len(value) if isinstance(value, str) else 0))


def _wrap(value: Any, given: Sequence[Any]) -> int:
    return _length(value) * max([1, *map(_length, given)])


def _escape(value: Any, given: Sequence[Any]) -> int:
    return 5 * _length(value)


def _sum(value: Any, given: Sequence[Any]) -> int:
    if any(not isinstance(each, str | int | float | None) for each in given):
        raise SecurityError("`sum` adds up numbers")
    return 0


_GROWING: Mapping[str, Callable[[Any, Sequence[Any]], int]] = {
    "batch": _repeat, "center": _pad, "e": _escape, "escape": _escape, "indent": _indent,
    "join": _join, "ljust": _pad, "replace": _replace, "rjust": _pad, "round": _round,
    "slice": _repeat, "sum": _sum, "tojson": _tojson, "wordwrap": _wrap, "zfill": _pad,
}  # fmt: skip
LIMITED = _ITERATING | _SLOW | _SPLITTING | _SEARCHING | frozenset(_GROWING)
"""Filters and methods that `growth` has anything to say of."""


def measure(value: Any, most: int, level: int = 0) -> int:
    """Return the characters in a value, an item counted as 8, one of an inner list as 400.

    `level` more are counted for each list that an item lies in. Raises SecurityError above `most`.
    What lies in a value twice counts twice, since whatever goes through the value meets it twice.
    """
    size, waiting = 0, [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        items = (*one.keys(), *one.values()) if isinstance(one, Mapping) else one
        size += len(items) * ((400 if depth else 8) + level * depth)
        for item in items if size <= most else ():
            if isinstance(item, str):
                size += len(item)
            elif isinstance(item, _CONTAINERS):
                waiting.append((item, depth + 1))
        if size > most:
            raise SecurityError(f"it makes a list of more than {most:,} characters")
    return size


def _length(value: Any) -> int:
    try:
        return len(value)
    except TypeError:
        return 0


def _number(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0
