from __future__ import annotations

import asyncio
from typing import Any

import pytest

from raygen.core import TASKS, Row, TemplateError, render
from raygen.core.template import evaluate_expression
from raygen.ops.common.expressions import evaluate, libraries
from raygen.testing import FakeContext, Script

ROW = {
    "predicted": "So 36 / 2 = 18. The answer is 18.",
    "answer": "#### 18",
    "root": "2\\sqrt{3}",
    "other": "\\sqrt{12}",
    "choices": ["tree", "river bank"],
    "said": "It can only be (b).",
    "nested": {},
}


def value(expression: str, row: dict[str, Any] = ROW) -> Any:
    return asyncio.run(
        evaluate(expression, row, FakeContext(Row("k", {}), Script(), TASKS["free_text"]))
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("predicted | equals(answer)", True),
        ("predicted | equals('17')", False),
        ("'18 apples' | equals(answer, how='number')", True),
        ("'the tree' | equals('Tree', how='exact')", True),
        ("'a1' | equals('[a-z][0-9]', how='regex')", True),
        ("said | equals(1, options=choices)", True),
        ("said | equals('tree', options=choices)", False),
        ("none | equals(answer)", False),
        ("not predicted | equals('17') and 1 < 2", True),
    ],
)
def test_a_filter_compares_answers(expression: str, expected: bool) -> None:
    assert value(expression) is expected


def test_algebra_is_asked_outside_the_expression() -> None:
    assert value("root | equals(other) and other | equals(root)") is True
    assert value("root | equals('\\\\sqrt{13}')") is False


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("predicted | equals(answer, how='code')", "{op: check} asks the others"),
        ("predicted | equals(answer, how='maths')", "takes one of option, math"),
        ("nested.x | equals(answer)", "has no attribute 'x'"),
        ("answer | equals(nested.x)", "has no attribute 'x'"),
    ],
)
def test_what_cannot_be_compared_says_why(expression: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        value(expression)


def test_only_expressions_compare() -> None:
    with pytest.raises(TemplateError, match="expressions of the ops `filter` and `map`"):
        render("{{ predicted | equals(answer) }}", ROW)
    with pytest.raises(TemplateError, match="expressions of the ops"):
        evaluate_expression("predicted | equals(answer)", ROW)


def test_too_many_formulas_are_an_error() -> None:
    row = {"xs": [f"x+{n}+\\sqrt{{{n}}}" for n in range(30)]}
    with pytest.raises(TemplateError, match="more than 20 pairs of formulas"):
        asyncio.run(evaluate("xs | map('equals', '\\\\sqrt{y}') | list", row, Slow()))


class Slow(FakeContext):
    """A context whose checkers always say no, at once."""

    def __init__(self) -> None:
        super().__init__(Row("k", {}), Script(), TASKS["free_text"])

    async def check(self, answer: Any, gold: Any, how: Any, options: Any = ()) -> Any:
        from raygen.checks import Verdict

        return Verdict(False, how, "no")


def test_the_library_that_decides_is_part_of_the_plan() -> None:
    assert set(libraries("predicted|equals(answer)")) == {"math-verify"}
    assert libraries("equals == 3") == {}
