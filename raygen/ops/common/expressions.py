"""Expressions of a recipe over a row, whose filter `equals` asks the checkers of answers.

Knows nothing of what an op does with the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from raygen.checks import How, settle
from raygen.core import TemplateError, evaluate_expression
from raygen.ops.base import Context
from raygen.ops.common.checking import answer_for, gold_for, what_decides

_HOWS: tuple[How, ...] = ("option", "math", "number", "exact", "regex")
"""The checkers that an expression may ask; the others run programs or models."""
_MOST_OPEN = 20
_EQUALS = re.compile(r"\|\s*equals\b")

_Pair = tuple[Any, Any, How, tuple[str, ...]]


class _OpenError(Exception):
    """Two answers that take another process to compare."""

    def __init__(self, pair: _Pair) -> None:
        super().__init__(pair)
        self.pair = pair


async def evaluate(expression: str, data: Mapping[str, Any], ctx: Context) -> Any:
    """Return the value of an expression over a row. Raises TemplateError.

    Where `equals` needs another process, as for algebra, the process is asked while other rows go
    on, and the expression is evaluated again.
    """
    known: dict[_Pair, bool] = {}

    def compare(answer: Any, gold: Any, how: str | None, options: Sequence[str]) -> bool:
        pair = _pair(answer, gold, how or ("option" if options else "math"), options)
        if pair not in known:
            verdict = settle(*pair)
            if verdict is None:
                raise _OpenError(pair)
            known[pair] = verdict.correct
        return known[pair]

    for _ in range(_MOST_OPEN):
        try:
            return evaluate_expression(expression, data, compare)
        except _OpenError as error:
            known[error.pair] = (await ctx.check(*error.pair)).correct
    raise TemplateError(
        f"{expression!r} compares more than {_MOST_OPEN} pairs of formulas; compare them by "
        "{op: check}"
    )


def _pair(answer: Any, gold: Any, how: str, options: Sequence[str]) -> _Pair:
    """Read both answers as the checker compares them. Raises ValueError for another checker."""
    checker = next((known for known in _HOWS if known == how), None)
    if checker is None:
        others = how in get_args(How)
        advice = "; {op: check} asks the others" if others else ""
        raise ValueError(f"how is {how!r}; `equals` takes one of {', '.join(_HOWS)}{advice}")
    return (
        answer_for(checker, answer, options),
        gold_for(checker, gold, options),
        checker,
        tuple(options),
    )


def libraries(expression: str) -> Mapping[str, str]:
    """Return the libraries whose version decides an expression. Raises ValueError without them."""
    return what_decides(("math",)) if _EQUALS.search(expression) else {}
