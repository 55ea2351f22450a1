"""The `drop_vacuous` op: drop rationales that say nothing which the question doesn't say already."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import Field
from raygen.core import Reject, Row, Task
from raygen.ops import Columns, Context, Op, OpParams

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SMALL_WORDS = """
a an the this that these those there here and or but nor so because since if then than as while when
of in on at to for from with without by about into onto over under up down out off between through
i you he she it we they me him her us them my your his its our their who whom whose which what where
why how one ones someone something anything nothing everything
is are was were be been being am do does did done has have had having can could will would shall
should may might must not no yes only also too very more most much many some any all each every
other such same answer answers option options choice choices question correct right wrong best
"""


class Params(OpParams):
    """Drops rationales that only repeat the question, its options and the answer.

    A rationale's own words are those that stand neither in the question nor in an option, and
    aren't among the small words that go with any question ("the", "because", "answer").

    Emits the row with its own words in the column `own_words`, each once, in their order. Rejects
    a row with fewer than `least` of them as `vacuous`.
    """

    column: str = Field("rationale", min_length=1, description="the column with the rationale")
    least: int = Field(3, ge=1, description="how many words of its own a rationale must have")
    small_words: tuple[str, ...] = Field((), description="more words that say nothing here")


async def run(row: Row, params: Params, ctx: Context) -> Sequence[Row | Reject]:
    """The row with its rationale's own words, or why it is dropped."""
    task = ctx.task
    known = {*_words(_SMALL_WORDS), *_words(" ".join(params.small_words))}
    known.update(_words(" ".join([row.data[task.stem], *task.options(row.data)])))
    own = [word for word in dict.fromkeys(_words(row.data[params.column])) if word not in known]
    if len(own) < params.least:
        found = ", ".join(own) or "none"
        return [Reject("vacuous", f"words of its own: {found}; expected at least {params.least}")]
    return [row.child(ctx.node, 0, {"own_words": own})]


def columns(params: Params, task: Task) -> Columns:
    """Reads the question, its options and the rationale."""
    return Columns(
        requires=frozenset(task.columns) | {params.column}, provides={"own_words": "strings"}
    )


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


OP = Op("drop_vacuous", 1, Params, run, columns)
