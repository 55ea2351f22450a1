"""Jinja for strangers' templates: reaches no Python, and makes only so much of one row.

Jinja's own sandbox keeps a template from Python's insides. What is added here bounds what a
template *makes*: texts, items of lists and turns of loops, counted together, so that it ends and
doesn't fill the memory. What it *reads* isn't counted: one that searches a long text over and over
takes its time. The count is of work, not of seconds, so it is the same on every machine.

Knows nothing of rows or recipes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

LIMIT = 200_000_000
"""Characters that one rendering may make, intermediate texts included."""
_ITEM = 200
"""What an item of a list, a turn of a loop or a call counts, in characters."""
_MAX_BITS = 10_000
"""Of a number that is computed with: Python's arithmetic on longer ones has no end."""

_DENIED = frozenset({"encode", "expandtabs", "maketrans", "to_bytes", "translate"})
"""Methods of plain values that no prompt needs, and that make much of little."""
_GROWING = dict.fromkeys(
    ["center", "indent", "join", "ljust", "replace", "rjust", "tojson", "wordwrap", "zfill"], 1
) | dict.fromkeys(["batch", "round", "slice"], _ITEM)
"""Filters and methods that make much of little: by the size of what they are given, times this."""
_SPLITTING = frozenset({"list", "rsplit", "split", "splitlines"})
_WIDE = re.compile(r"\d{5,}|%[^A-Za-z%]*\*|\{[^{}]*:[^{}]*\{")
"""A format that makes much of little: by a long width, or by one that a value gives."""


class _Budget:
    """How much may still be made."""

    def __init__(self) -> None:
        self.left = LIMIT

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise SecurityError("it does too much: its loops, or the texts it makes, have no end")

    def spend_size(self, value: Any) -> None:
        """Spend a value with all that is in it; a list that is in it twice counts twice."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, Mapping):
            self.spend(_ITEM * len(value))
            for pair in value.items():
                self.spend_size(pair)
        elif isinstance(value, list | tuple | set | frozenset):
            self.spend(_ITEM * len(value))
            for item in value:
                self.spend_size(item)
        elif isinstance(value, range):
            self.spend(_ITEM * len(value))


_BUDGET: ContextVar[_Budget] = ContextVar("budget")


@contextmanager
def bounded() -> Iterator[None]:
    """Give the templates that run inside a budget of their own; SecurityError ends them."""
    token = _BUDGET.set(_Budget())
    try:
        yield
    finally:
        _BUDGET.reset(token)


def _concat(parts: Iterable[str]) -> str:
    """Join what a template writes, counted before it is joined."""
    budget, texts = _BUDGET.get(), []
    for part in parts:
        budget.spend(len(part))
        texts.append(part)
    return "".join(texts)


class Sandbox(ImmutableSandboxedEnvironment):
    """Templates see what they are given and `range`; an undefined name is an error."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)
    concat = staticmethod(_concat)

    def __init__(self) -> None:
        # Nothing is computed while a template is compiled: no budget is there.
        super().__init__(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_unchanged,
        )
        self.globals = {"range": self.globals["range"]}
        self.filters = {name: _bounded_filter(name, run) for name, run in self.filters.items()}
        self.filters |= {"_made": _made, "_turns": _turns}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Tell whether a template may have this attribute."""
        return attr not in _DENIED and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute an arithmetic expression, unless what it makes is too large."""
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * right if operator == "**" else 0
            if max(bits, left.bit_length(), right.bit_length()) > _MAX_BITS:
                raise SecurityError("it computes with numbers of more than 3,000 digits")
        elif operator == "*":
            unit = 1 if isinstance(left, str) or isinstance(right, str) else _ITEM
            times = _length(left) * _count(right) + _length(right) * _count(left)
            _BUDGET.get().spend(unit * times)
        elif operator == "%" and isinstance(left, str):
            _BUDGET.get().spend(_growth("%", left, [right]))
        return _made(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method, a macro or `range`, unless what it makes is too large."""
        owner = getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
        given = [*args, *kwargs.values()]
        _BUDGET.get().spend(_ITEM + _growth(getattr(obj, "__name__", ""), owner, given))
        return _made(super().call(context, obj, *args, **kwargs))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.EvalContextModifier, nodes.Include, nodes.Extends)):
            word = type(node).__name__.removesuffix("ContextModifier").lower()
            self._refuse("autoescape" if word == "eval" else word, node.lineno)
        for node in tree.find_all((nodes.Import, nodes.FromImport)):
            self._refuse("import", node.lineno)
        return tree

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Counted().visit(source), *args, **kwargs)

    def _refuse(self, word: str, line: int) -> None:
        raise jinja2.TemplateSyntaxError(f"`{word}` is not available here", line)


class _Counted(NodeTransformer):
    """Puts counting filters where a template makes values that the environment isn't told of."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - jinja's own name
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_turns")
        return node

    def _make(self, node: nodes.Node) -> nodes.Node:
        self.generic_visit(node)
        is_target = getattr(node, "ctx", "load") != "load"
        is_slice = isinstance(getattr(node, "arg", None), nodes.Slice)
        if is_target or (isinstance(node, nodes.Getitem) and not is_slice):
            return node
        return _filtered(node, "_made")

    visit_Concat = visit_List = visit_Tuple = visit_Dict = visit_Getitem = _make  # noqa: N815


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)  # noqa: S101 - only expressions are visited
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@jinja2.pass_context
def _unchanged(context: Context, value: Any) -> Any:
    return value


def _made(value: Any) -> Any:
    """Return a new value, counted; one that makes its items as they are read becomes a list."""
    if isinstance(value, Iterator):
        value = list(_turns(value))
    _BUDGET.get().spend_size(value)
    return value


def _turns(values: Iterable[Any]) -> Iterator[Any]:
    budget = _BUDGET.get()
    for value in values:
        budget.spend(_ITEM)
        yield value


def _bounded_filter(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter, unless what it makes is too large."""
    first = 1 if hasattr(run, "jinja_pass_arg") else 0

    operation = "%" if name == "format" else name

    @wraps(run)
    def bounded_filter(*args: Any, **kwargs: Any) -> Any:
        given = [*args[first + 1 :], *kwargs.values()]
        _BUDGET.get().spend(_ITEM + _growth(operation, args[first], given))
        return _made(run(*args, **kwargs))

    return bounded_filter


def _growth(name: str, value: Any, given: list[Any]) -> int:
    """Return the characters that a filter or a method makes beyond those that it is given, at
    most."""
    if name in ("format", "format_map", "%") and isinstance(value, str):
        if _WIDE.search(value.replace("{{", "").replace("}}", "")):
            raise SecurityError("a width in a format is a number of at most four digits")
        values = [one for part in given for one in (part if isinstance(part, tuple) else [part])]
        longest = max(map(_length, values), default=0)
        return (value.count("%") + value.count("{")) * (10_000 + longest)
    if name in _SPLITTING:
        return _ITEM // 20 * _length(value)
    added = sum(_length(one) + _count(one) for one in given)
    return _GROWING.get(name, 0) * (_length(value) + 1) * added


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | Mapping | range) else 0


def _count(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0
