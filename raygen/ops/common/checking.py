"""Answers of a row held against its gold answer by the checkers, and read first where they need it.

Knows nothing of engines or of what an op does with a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator

from raygen.checks import AnswerClass, How, group_equal
from raygen.core import Task
from raygen.core.answers import read_answer, read_free_answer, read_gold
from raygen.ops.base import Context


def _compares_alone(how: Any) -> Any:
    """Refuse a checker that can't group a question's answers, and say which op asks it."""
    if isinstance(how, str) and how in set(get_args(How)) - {"math", "number", "exact"}:
        judge = ", judge: ENGINE" if how == "model" else ""
        raise ValueError(
            f"{how} doesn't compare a question's answers with each other; hold them against the "
            f"gold answer by a node after this one: {{op: check, how: {how}{judge}, keep: correct}}"
        )
    return how


FreeHow = Annotated[Literal["math", "number", "exact"], BeforeValidator(_compares_alone)]
"""The checkers that compare two free answers by themselves."""

_SURE = 0.9
"""From this confidence on a text states its answer, or is nothing but one."""
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[^}]*\}|\\[A-Za-z]+")
_PROSE = re.compile(r"[^\W\d_]{4,}")
_READ: frozenset[How] = frozenset({"math", "number", "exact", "model"})
"""Checkers that compare an answer; the others look into all of a text."""


def default_how(task: Task) -> How:
    """Return the checker that decides for a task where a recipe names none."""
    return "math" if task.name == "free_text" else "option"


def several(how: How | Sequence[How] | None, task: Task) -> tuple[How, ...]:
    """List the checkers that a recipe names; the first one's verdict counts."""
    if how is None:
        return (default_how(task),)
    return (how,) if isinstance(how, str) else tuple(how)


def what_decides(hows: Sequence[How]) -> Mapping[str, str]:
    """Return the libraries whose version decides the verdicts. Raises ValueError without them."""
    if "math" not in hows:
        return {}
    try:
        return {"math-verify": version("math-verify")}
    except PackageNotFoundError as error:
        raise ValueError("how: math needs the package math-verify; install it") from error


def answer_for(how: How, value: Any, options: Sequence[str]) -> Any:
    """Return what a checker compares of a column: the answer that a text states, or all of it."""
    if not isinstance(value, str):
        return value if how in ("option", "json_schema", "code") or value is None else str(value)
    if how == "option":
        return _option_in(value, options)
    return stated_answer(value) if how in _READ else value


def gold_for(how: How, value: Any, options: Sequence[str]) -> Any:
    """Return what a checker holds an answer against: the answer of a worked solution, or all."""
    if isinstance(value, str) and how in _READ:
        return read_gold(value).text
    return answer_for(how, value, options)


def stated_answer(text: str) -> str:
    """Return the answer that a text states; all of a text that states none and is no prose.

    So a completion or a worked solution is read, and a matrix is no prose with numbers in it.
    """
    read = read_free_answer(text)
    if read.text is None or (
        read.confidence < _SURE and not _PROSE.search(_COMMAND.sub(" ", text))
    ):
        return text.strip()
    return read.text


async def classes_of(
    answers: Sequence[int | str | None], ctx: Context, how: How
) -> dict[int, AnswerClass]:
    """Map the position of each answer that there is to the class of those equal to it."""

    async def equal(one: str, other: str) -> bool:
        return how != "option" and (await ctx.check(one, other, how)).correct

    texts = [None if answer is None else str(answer) for answer in answers]
    classes = await group_equal(texts, equal)
    return {index: each for each in classes for index in each.indices}


def _option_in(text: str, options: Sequence[str]) -> int | str | None:
    if text in options:
        return options.index(text)
    option = read_answer(text, options).option
    return text if option is None else option
