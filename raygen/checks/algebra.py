"""Ask math-verify (sympy) whether two expressions are equal, in a process that can be ended.

An expression may take any time and memory to simplify (`9^{9^{9}}`): the process is killed at a
limit and starts again with the next question. Knows nothing of lists, units or texts.
"""

from __future__ import annotations

import re
from functools import lru_cache

from raygen.core.limited import LimitError, Limits, shared_process

_LIMITS = Limits(memory=1024 * 1024 * 1024, cpu_s=5.0, wall_s=20.0)
_DECIMAL = re.compile(r"(?<![\w.])(\d*)\.(\d+)(?![\w.])")
_PERCENT = re.compile(r"\\?%")


class AlgebraError(Exception):
    """A comparison that took more time or memory than it may."""


@lru_cache(maxsize=8192)
def same_expression(one: str, other: str) -> bool:
    """Tell whether two expressions are equal whatever their variables are.

    Raises AlgebraError where a limit ended it.
    """
    try:
        return shared_process("comparing two expressions", _LIMITS).call(
            _same, _exact(one), _exact(other)
        )
    except LimitError as error:
        raise AlgebraError(str(error.limit)) from error


def _exact(text: str) -> str:
    r"""Write decimals as fractions, so that nothing is rounded."""
    text = _PERCENT.sub(r"\\cdot\\frac{1}{100}", text)
    return _DECIMAL.sub(
        lambda decimal: rf"\frac{{{int(decimal[1] + decimal[2])}}}{{{10 ** len(decimal[2])}}}", text
    )


def _same(one: str, other: str) -> bool:
    """Run in the child: parse both and compare them."""
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import Basic, MatrixBase, nan, zoo

    config = [LatexExtractionConfig()]
    read = []
    for text in (one, other):
        found = parse(
            f"${text}$",
            config,
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )
        if len(found) != 1 or not isinstance(found[0], Basic | MatrixBase):
            return False
        if isinstance(found[0], Basic) and found[0].has(nan, zoo):
            return False
        read.append(found)
    return bool(verify(read[0], read[1], timeout_seconds=None, float_rounding=12))
