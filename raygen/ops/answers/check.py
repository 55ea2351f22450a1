"""The `check` op: is an answer right, by which checker, and why?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from raygen.checks import (
    SAME_SCHEMA,
    How,
    ProgramLimits,
    SandboxError,
    Verdict,
    check_code,
    read_same,
)
from raygen.core import ColumnType, Reject, Row, Task
from raygen.engines import Api, Sampling
from raygen.ops.base import Binding, Columns, Context, Cost, Op
from raygen.ops.common.checking import answer_for, gold_for, several, what_decides
from raygen.ops.common.completions import completion_reject
from raygen.ops.common.options import require_options
from raygen.ops.common.prompts import PromptParams

_DEFAULT = "same_answer"
_MAX_TOKENS = 256


class CheckParams(PromptParams):
    """Decides whether an answer is right, by one checker or several.

    `column` is held against the column `against`. Either may be a whole completion or a worked
    solution: its answer is read first. Checkers: `option` (the option of the task that both name),
    `math` (numbers, units, fractions, roots, lists, tuples, intervals, sets, matrices, equations
    and texts, by math-verify where the cheap readings don't settle it), `number`, `exact` (texts,
    but for case, articles and punctuation), `regex` (the pattern is found in the text),
    `json_schema` (the text is JSON of the schema), `code` (the last Python block of the text passes
    the tests: asserts, {input, output}, or calls; in a sandbox), `model` (the engine `judge` is
    asked whether both say the same). With several the first one's verdict counts, and where
    another differs is recorded. By default `option` where the task has options, else `math`.

    Emits the row with `into` (is it right?) and `into`_detail (how, reason, seconds; with several
    checkers also `others`), and with several `into`_differs (does another disagree?). Rejects, with
    `keep: correct`, a `wrong_answer`, or one that is `disputed`: wrong by the first checker and
    right by another.
    """

    column: str = Field("predicted", description="the column with the answer")
    against: str | None = Field(
        None, description="the column that it is held against; by default the task's answer"
    )
    how: How | tuple[How, ...] | None = Field(None, description="the checker, or several")
    into: str = Field("correct", min_length=1, description="the column of the verdict")
    keep: Literal["all", "correct"] = Field("all", description="correct: reject what is wrong")
    pattern: str | None = Field(None, description="by regex: the pattern, in place of `against`")
    json_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="by json_schema: the schema, in place of `against`"
    )
    judge: str | None = Field(None, description="by model: the engine that is asked")

    @model_validator(mode="after")
    def _belongs(self) -> CheckParams:
        hows = () if self.how is None else (self.how,) if isinstance(self.how, str) else self.how
        if self.how is not None and (not hows or len(set(hows)) < len(hows)):
            raise ValueError(f"how is {list(hows)}; expected each checker once")
        for name, value, how in (
            ("pattern", self.pattern, "regex"),
            ("schema", self.json_schema, "json_schema"),
            ("judge", self.judge, "model"),
        ):
            if value is not None and how not in hows:
                raise ValueError(f"`{name}` is for how: {how}")
        if "model" in hows and self.judge is None:
            raise ValueError("how: model needs `judge`, the engine that is asked")
        return self

    @classmethod
    def with_api_defaults(
        cls, written: Mapping[str, Any], api_of: Callable[[str | None], Api]
    ) -> Mapping[str, Any]:
        judge = written.get("judge")
        return super().with_api_defaults(
            written, lambda _: api_of(judge) if judge else "completion"
        )

    def engines(self) -> Mapping[str, str]:
        return {} if self.judge is None else {"judge": self.judge}

    def gold_column(self, task: Task) -> str:
        """Return the column that the answer is held against."""
        return self.against or task.answer or "answer"


async def run(row: Row, params: CheckParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its verdict, or its reject."""
    first, *others = [
        await _verdict(how, row, params, ctx) for how in several(params.how, ctx.task)
    ]
    differs = any(other.correct is not first.correct for other in others)
    if params.keep == "correct" and not first.correct:
        words = [f"{verdict.how}: {verdict.reason}" for verdict in (first, *others)]
        return [Reject("disputed" if differs else "wrong_answer", "; ".join(words))]
    detail = _detail(first)
    columns: dict[str, Any] = {params.into: first.correct, f"{params.into}_detail": detail}
    if others:
        detail["others"] = [{"correct": each.correct, **_detail(each)} for each in others]
        columns[f"{params.into}_differs"] = differs
    return [row.child(ctx.node, 0, columns)]


def _detail(verdict: Verdict) -> dict[str, Any]:
    return {"how": verdict.how, "reason": verdict.reason, "seconds": round(verdict.seconds, 6)}


async def _verdict(how: How, row: Row, params: CheckParams, ctx: Context) -> Verdict:
    options = () if ctx.task.name == "free_text" else ctx.task.options(row.data)
    answer = answer_for(how, row.data[params.column], options)
    fixed = {"regex": params.pattern, "json_schema": params.json_schema}.get(how)
    gold = row.data[params.gold_column(ctx.task)] if fixed is None else fixed
    gold = gold if fixed is not None else gold_for(how, gold, options)
    if how == "model":
        return await _by_model(answer, gold, row, params, ctx)
    return await ctx.check(answer, gold, how, options)


async def _by_model(answer: Any, gold: Any, row: Row, params: CheckParams, ctx: Context) -> Verdict:
    if answer is None or answer == "":
        return Verdict(False, "model", "no answer")
    fields = {"stem": row.data[ctx.task.stem], "first": gold, "second": answer}
    prompt = params.make_prompt(_DEFAULT, fields)
    sampling = Sampling(n=1, temperature=0.0, max_tokens=_MAX_TOKENS, seed=ctx.seed())
    completions = await ctx.generate(prompt, sampling, SAME_SCHEMA, engine=params.judge)
    if not completions or completion_reject(completions[0]) is not None:
        return Verdict(False, "model", "no judgement")
    return read_same(completions[0].text)


def columns(params: CheckParams, task: Task) -> Columns:
    """Declare that it reads the two columns, and provides the verdict."""
    hows = several(params.how, task)
    if "option" in hows:
        require_options(task, "check by option")
    fixed = {"regex": params.pattern, "json_schema": params.json_schema}
    needs_gold = any(fixed.get(how) is None for how in hows)
    requires = {params.column, *({params.gold_column(task)} if needs_gold else ())}
    requires |= {"choices"} if "option" in hows and task.name == "multiple_choice" else set()
    requires |= {task.stem} if "model" in hows else set()
    provides: dict[str, ColumnType] = {params.into: "boolean", f"{params.into}_detail": "json"}
    if len(hows) > 1:
        provides[f"{params.into}_differs"] = "boolean"
    return Columns(
        requires=frozenset(requires),
        provides=provides,
        given=frozenset({"stem", "first", "second"}),
        templates=params.prompt_templates(_DEFAULT) if "model" in hows else {},
        abilities={"judge": frozenset({"generate"})} if "model" in hows else {},
        reports=tuple(name for name in provides if provides[name] == "boolean"),
        environment=what_decides(hows),
        cost=Cost(1, 1, _MAX_TOKENS) if "model" in hows else Cost(),
    )


def bind(params: CheckParams, facts: Mapping[str, str] | None) -> Binding:
    """Try the sandbox before a run that needs it. Raises ValueError where it can't hold."""
    hows = (params.how,) if isinstance(params.how, str) else params.how or ()
    if "code" in hows:
        try:
            check_code("pass", "pass", ProgramLimits(wall_s=60))
        except SandboxError as error:
            raise ValueError(str(error)) from error
    return Binding(params, {})


OP = Op("check", 1, CheckParams, run, columns, bind=bind)
