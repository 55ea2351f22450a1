"""Jinja for strangers' templates: reaches no Python, and makes only so much of one row.

Jinja's own sandbox keeps a template from Python's insides, and `template_language` keeps its words
few. What is added here ends a rendering: by the turns of its loops and calls, by what it has made,
and by the clock for what these two don't see. The first two are the same on every machine. What
this can't do is hold a process to a number of bytes: what isn't agreed to yet is rendered in a
process with limits (`raygen.core.limited`).

Knows nothing of rows or recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import wraps
from time import monotonic, thread_time
from types import BuiltinMethodType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.visitor import NodeTransformer
from markupsafe import escape

from raygen.core.template_language import (
    FILTERS,
    KEEPING,
    LIMITED,
    MAX_MADE,
    METHODS,
    check_language,
    growth,
    measure,
    turns_over,
)

MAX_TURNS = 100_000
"""Turns of loops and calls of macros and methods in one rendering."""
MAX_SECONDS = 5.0
"""Of computing in one rendering; by the clock it may be more."""
_MAX_LIST = 25_000_000
"""Characters in one list or mapping that a template makes."""
_MAX_BITS = 4096
_MAX_TOKENS = 20_000
"""Words and signs of one template; plain text between them is one."""

_OF_LOOPS = frozenset(
    ["changed", "cycle", "depth", "depth0", "first", "index", "index0", "last", "length",
     "nextitem", "previtem", "revindex", "revindex0"]
)  # fmt: skip
_OF_MAPPINGS = frozenset(dir(dict))


class _Rendering:
    """What one rendering may still do."""

    __slots__ = ("_began", "deadline", "left", "turns")

    def __init__(self) -> None:
        self.left = MAX_MADE
        self.turns = MAX_TURNS
        self._began = thread_time()
        self.deadline = monotonic() + MAX_SECONDS

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0 or monotonic() > self.deadline:
            self.stop()

    def turn(self, count: int = 1) -> None:
        self.turns -= count
        if self.turns < 0 or monotonic() > self.deadline:
            self.stop()

    def stop(self) -> None:
        """Raise SecurityError for what is used up; a machine's waiting for others isn't."""
        if self.left < 0:
            raise SecurityError(f"it makes more than {MAX_MADE:,} characters")
        if self.turns < 0:
            raise SecurityError(f"its loops and calls have more than {MAX_TURNS:,} turns")
        left = MAX_SECONDS - (thread_time() - self._began)
        if left <= 0:
            raise SecurityError(f"it takes more than {MAX_SECONDS:g} seconds")
        self.deadline = monotonic() + left


_RENDERING: ContextVar[_Rendering] = ContextVar("rendering")


def _concat(parts: Iterable[str]) -> str:
    """Join what a macro or a block wrote, counted before it is joined."""
    texts = list(parts)
    _RENDERING.get().spend(sum(map(len, texts)))
    return "".join(texts)


class Sandbox(ImmutableSandboxedEnvironment):
    """Templates see what they are given and `range`; an undefined name is an error."""

    intercepted_binops = frozenset({"+", "*", "%", "**"})
    concat = staticmethod(_concat)

    def __init__(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        """Take filters beside Jinja's own, which make little of whatever they are given."""
        # Nothing is computed while a template is compiled: no limit is there.
        super().__init__(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_written,
        )
        self.globals = {"range": safe_range}
        known = {name: self.filters[name] for name in FILTERS} | {"e": _escaped, "escape": _escaped}
        self.filters = {name: _bounded(name, run) for name, run in known.items()}
        self.filters |= {**filters, "_made": _made, "_turns": _turns, "_timed": _timed}
        self.tests = {name: _timed_test(run) for name, run in self.tests.items()} | {"in": _within}

    def render(self, template: jinja2.Template, data: Mapping[str, Any]) -> str:
        """Return a template filled with data; stops as soon as it has written too much."""
        rendering = _Rendering()
        token = _RENDERING.set(rendering)
        texts: list[str] = []
        try:
            for text in template.root_render_func(template.new_context(dict(data))):
                rendering.left -= len(text)
                if rendering.left < 0:
                    rendering.stop()
                texts.append(text)
            return "".join(texts)
        finally:
            _RENDERING.reset(token)

    def evaluate(self, expression: Callable[..., Any], data: Mapping[str, Any]) -> Any:
        """Return the value of a compiled expression over data."""
        token = _RENDERING.set(_Rendering())
        try:
            return expression(data)
        finally:
            _RENDERING.reset(token)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Tell whether a template may have this attribute."""
        if type(obj) is LoopContext:
            return attr in _OF_LOOPS
        if isinstance(value, BuiltinMethodType) and attr not in METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Give formats no way around `is_safe_attribute`."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return what `obj.attribute` stands for: of a mapping, most often a key."""
        if type(obj) is dict and attribute not in _OF_MAPPINGS:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what a key or a number stands for; no row has lists for keys."""
        if isinstance(argument, tuple):
            raise SecurityError("a list is no key")
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute `+`, `*` or `%`, unless what it makes is too large or a format."""
        if operator == "**":
            raise SecurityError("`**` is not available here")
        if operator == "%" and isinstance(left, str):
            raise SecurityError(
                "a format with `%` is not available here: put texts together by `~`"
            )
        if operator == "*":
            for value, times in ((left, right), (right, left)):
                if isinstance(value, str | list | tuple) and isinstance(times, int):
                    size = len(value) if isinstance(value, str) else 8 * len(value)
                    if size * times > MAX_MADE:
                        raise SecurityError(f"`*` makes more than {MAX_MADE:,} characters")
        return _made(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method, a macro or `range`, unless what it makes is too large."""
        rendering = _RENDERING.get()
        rendering.turn()
        if isinstance(obj, BuiltinMethodType):
            if obj.__name__ not in METHODS:
                raise SecurityError(f"`.{obj.__name__}()` is not available here")
            size = growth(obj.__name__, obj.__self__, [*args, *kwargs.values()])
            if size > rendering.left:
                raise SecurityError(f"`.{obj.__name__}()` makes more than {MAX_MADE:,} characters")
        elif isinstance(obj, LoopContext) and args:
            args = (_turns(args[0]), *args[1:])
        elif not isinstance(obj, Macro | jinja2.Undefined) and obj is not safe_range:
            owner = getattr(obj, "__self__", None)
            if not isinstance(owner, LoopContext):
                raise SecurityError(f"a {type(obj).__name__} can't be called here")
        return _made(super().call(context, obj, *args, **kwargs))

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        stream = super()._tokenize(source, name, filename, state)
        return TokenStream(_counted(stream), name, filename)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        check_language(source)
        return super()._generate(_Counted().visit(source), *args, **kwargs)


def _counted(tokens: Iterable[Token]) -> Iterator[Token]:
    for number, token in enumerate(tokens):
        if number > _MAX_TOKENS:
            raise jinja2.TemplateSyntaxError(
                f"a template has up to {_MAX_TOKENS:,} words and signs", token.lineno
            )
        yield token


class _Counted(NodeTransformer):
    """Puts counting filters where a template makes values that the environment isn't told of."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - jinja's own name
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_turns")
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        operand, *more = node.ops
        if more or not _is_literal(operand.expr):
            if not more and operand.op in ("in", "notin"):
                within = nodes.Test(node.expr, "in", [operand.expr], [], None, None)
                return within if operand.op == "in" else nodes.Not(within)
            return _filtered(node, "_timed")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_made") if isinstance(node.arg, nodes.Slice) else node

    def _make(self, node: nodes.Node) -> nodes.Node:
        self.generic_visit(node)
        is_target = getattr(node, "ctx", "load") != "load"
        return node if is_target or _is_literal(node) else _filtered(node, "_made")

    visit_Concat = visit_List = visit_Tuple = visit_Dict = _make  # noqa: N815


def _is_literal(node: nodes.Node) -> bool:
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(map(_is_literal, node.items))
    return isinstance(node, nodes.Const)


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)  # noqa: S101 - only expressions are visited
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@jinja2.pass_context
def _written(context: Context, value: Any) -> str:
    """Return a value as the text that is written."""
    if type(value) is str:
        return value
    text = str(value)
    _RENDERING.get().spend(len(text))
    return text


def _made(value: Any) -> Any:
    """Return a new value, counted; one that makes its items as they are read becomes a list."""
    rendering = _RENDERING.get()
    if isinstance(value, str):
        value = str(value)  # markup is a text like any other, which escapes nothing
        rendering.spend(len(value))
    elif type(value) is int:
        if value.bit_length() > _MAX_BITS:
            raise SecurityError("it computes with numbers of more than 1,200 digits")
    elif isinstance(value, list | tuple | Mapping):
        rendering.spend(measure(value, _MAX_LIST))
    elif isinstance(value, Iterator):
        value = list(_items(value))
        rendering.spend(measure(value, _MAX_LIST))
    return value


def _items(values: Iterable[Any]) -> Iterator[Any]:
    rendering = _RENDERING.get()
    for number, value in enumerate(values):
        if number % 1000 == 0:
            rendering.spend(8000)
        yield value


def _turns(values: Iterable[Any]) -> Iterator[Any]:
    rendering = _RENDERING.get()
    for value in values:
        rendering.turns -= 1
        if rendering.turns < 0 or monotonic() > rendering.deadline:
            rendering.stop()
        yield value


def _timed(value: Any) -> Any:
    """Return a value that may have taken its time."""
    _RENDERING.get().spend(0)
    return value


def _within(value: Any, values: Any) -> bool:
    """Return whether a value is in others; in many it counts as more turns of a loop."""
    found: bool = value in values
    if isinstance(values, list | tuple | str):
        _RENDERING.get().turn(len(values) // (10_000 if isinstance(values, str) else 100))
    return found


def _timed_test(run: Any) -> Callable[..., Any]:
    @wraps(run)
    def timed_test(*args: Any, **kwargs: Any) -> Any:
        return _timed(run(*args, **kwargs))

    return timed_test


def _escaped(value: Any) -> str:
    """Return a text with what HTML reads as markup replaced, as a text like any other."""
    return str(escape(value))


def _bounded(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter, unless what it makes is too large."""
    first = 1 if hasattr(run, "jinja_pass_arg") else 0
    finish = _timed if name in KEEPING else _made
    is_limited = name in LIMITED

    @wraps(run)
    def bounded_filter(*args: Any, **kwargs: Any) -> Any:
        if is_limited:
            rendering, given = _RENDERING.get(), (*args[first + 1 :], *kwargs.values())
            rendering.turn(turns_over(name, args[first]))
            if growth(name, args[first], given) > rendering.left:
                raise SecurityError(f"`{name}` makes more than {MAX_MADE:,} characters")
        return finish(run(*args, **kwargs))

    return bounded_filter
