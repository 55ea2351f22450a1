"""The sandbox: a Jinja environment that reaches no Python, and does only so much work for one text.

Work is counted, never timed: what a text does is the same on every machine. Knows nothing of rows
or recipes.
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

WORK = 200_000_000
"""What one text may cost: a unit is about a character that is read or written."""
_STEP = 200
"""The cost of one turn of a loop, one call, or one item of a list."""

_DENIED = frozenset({"encode", "expandtabs", "maketrans", "to_bytes", "translate"})
"""Methods of plain values that no prompt needs, and that make much of little."""
_NUMBER = re.compile(r"\d{1,18}")


class _Meter:
    """How much work is left."""

    def __init__(self) -> None:
        self.left = WORK

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise SecurityError("it does too much: its loops, or the texts it makes, have no end")

    def read(self, value: Any) -> None:
        """Spend the size of a value, with all that is in it."""
        if isinstance(value, str | bytes):
            self.spend(len(value))
        elif isinstance(value, int):
            self.spend(value.bit_length() // 8)
        elif isinstance(value, Mapping):
            for pair in value.items():
                self.read(pair)
        elif isinstance(value, range):
            self.spend(_STEP * len(value))
        elif isinstance(value, list | tuple | set | frozenset):
            self.spend(_STEP * len(value))
            for item in value:
                self.read(item)


_METER: ContextVar[_Meter] = ContextVar("meter")


@contextmanager
def metered() -> Iterator[None]:
    """While it lasts, what templates do is counted, from zero; too much raises SecurityError."""
    token = _METER.set(_Meter())
    try:
        yield
    finally:
        _METER.reset(token)


def taken(value: Any) -> Any:
    """A lazy value as a list, so that its work is done and counted here."""
    return _stepped(value, list) if isinstance(value, Iterator) else value


class Sandbox(ImmutableSandboxedEnvironment):
    """Templates see what they are given and `range`; an undefined name is an error."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        # Nothing is computed while a template is compiled: there is nobody to count it.
        super().__init__(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_written,
        )
        self.globals = {"range": self.globals["range"]}
        self.filters = {name: _counted(name, run) for name, run in self.filters.items()}
        self.filters |= {"_read": _passed, "_step": _stepped}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have this attribute."""
        return attr not in _DENIED and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The value of an arithmetic expression, unless it is too large to be computed."""
        meter = _METER.get()
        if operator == "*":
            meter.spend(max(_length(left) * _count(right), _length(right) * _count(left)))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            meter.spend(left.bit_length() * max(right, 0))
        elif operator == "%" and isinstance(left, str):
            _format(meter, left, [right])
        meter.spend(_length(left) + _length(right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The result of a call, both counted."""
        meter = _METER.get()
        owner = getattr(getattr(obj, "__wrapped__", obj), "__self__", None)
        name = getattr(obj, "__name__", "")
        given = [*args, *kwargs.values()]
        meter.read(owner)
        _forecast(meter, name, owner if isinstance(owner, str) else "", given)
        result = super().call(context, obj, *args, **kwargs)
        meter.read(result)
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.EvalContextModifier, nodes.Include, nodes.Extends)):
            word = type(node).__name__.removesuffix("ContextModifier").lower()
            self._refuse("autoescape" if word == "eval" else word, node.lineno)
        for node in tree.find_all((nodes.Import, nodes.FromImport)):
            self._refuse("import", node.lineno)
        return tree

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Counting().visit(source), *args, **kwargs)

    def _refuse(self, word: str, line: int) -> None:
        raise jinja2.TemplateSyntaxError(f"`{word}` is not available here", line)


class _Counting(NodeTransformer):
    """Puts the filters that count around what the environment sees nothing of."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - jinja's own name
        self.generic_visit(node)
        node.iter = _around(node.iter, "_step")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Concat:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_around(part, "_read") for part in node.nodes]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802
        self.generic_visit(node)
        node.expr = _around(node.expr, "_read")
        for operand in node.ops:
            operand.expr = _around(operand.expr, "_read")
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:  # noqa: N802
        self.generic_visit(node)
        node.args = [_around(part, "_read") for part in node.args]
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Pair:  # noqa: N802
        self.generic_visit(node)
        node.key = _around(node.key, "_read")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Getitem:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Const | nodes.Slice):
            node.arg = _around(node.arg, "_read")
        return node


def _around(node: nodes.Node, name: str) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)  # noqa: S101 - what jinja iterates is an expression
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _passed(value: Any) -> Any:
    meter = _METER.get()
    meter.spend(_STEP)
    meter.read(value)
    return value


def _stepped(values: Iterable[Any], into: Callable[[Iterable[Any]], Any] = iter) -> Any:
    meter = _METER.get()

    def each() -> Iterator[Any]:
        for value in values:
            meter.spend(_STEP)
            yield value

    return into(each())


@jinja2.pass_context
def _written(context: Context, value: Any) -> Any:
    return _passed(taken(value))


def _counted(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with its values and its result counted."""
    behind = 1 if hasattr(run, "jinja_pass_arg") else 0

    @wraps(run)
    def counted(*args: Any, **kwargs: Any) -> Any:
        meter = _METER.get()
        value, *given = args[behind:]
        value = taken(value)
        meter.read(value)
        _forecast(meter, name, value if isinstance(value, str) else "", [*given, *kwargs.values()])
        if name == "join" and given:
            meter.spend(_length(given[0]) * _length(value))
        result = taken(run(*args[:behind], value, *given, **kwargs))
        meter.read(result)
        return result

    return counted


def _forecast(meter: _Meter, name: str, text: str, given: list[Any]) -> None:
    """Spend what a filter or a method will cost, before it is called."""
    meter.spend(_STEP)
    for value in given:
        meter.read(value)
        meter.spend(_count(value))
    texts = [value for value in given if isinstance(value, str)]
    if name == "replace" and len(texts) > 1:
        meter.spend((text.count(texts[0]) if texts[0] else len(text) + 1) * len(texts[1]))
    elif name in ("indent", "wordwrap"):
        # By the lines that there are, or may be.
        most = text.count("\n") + 1 if name == "indent" else len(text)
        wide = sum(map(_count, given)) if name == "indent" else 0
        meter.spend(most * (wide + sum(map(len, texts))))
    elif name in ("format", "format_map"):
        _format(meter, text, given)
    elif name == "join" and given:
        meter.spend(len(text) * _length(given[0]))
    elif name == "round":
        meter.spend(sum(map(_count, given)) ** 2)


def _format(meter: _Meter, text: str, given: list[Any]) -> None:
    """Spend the widths that a format asks for, in itself or by its values."""
    for value in given:
        meter.read(value)
        meter.spend(sum(map(_count, value)) if isinstance(value, tuple) else _count(value))
    meter.spend(sum(int(number) for number in _NUMBER.findall(text)))
    meter.spend(text.count("*") * sum(_count(v) for v in given))


def _length(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list | tuple):
        return _STEP * len(value)
    return value.bit_length() // 8 if isinstance(value, int) else 0


def _count(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0
