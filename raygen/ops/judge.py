"""The `judge` op: an engine scores a row by a rubric, or says which of two columns is better."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from raygen.core import ColumnType, Reject, Row, Task, option_letter
from raygen.engines import Completion
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.json_answers import object_schema, read_fields
from raygen.ops.common.request_params import SamplingParams

_OPTIONS = ("answer", "label", "predicted", "target", "original_answer")
"""Columns that hold an option's index, which a judge reads as its letter and text."""
_REASON = {"type": "string", "minLength": 1, "maxLength": 400}


class JudgeParams(SamplingParams):
    """Judges a row by a rubric: scores it, or says which of two of its columns is better.

    The judge reads the columns of `show`, the `rubric` and the meaning of each of the `criteria`,
    and answers with JSON, a reason first. With n > 1 the scores are means over the readable
    answers. With `compare: [a, b]` it is asked twice, the second time with the two swapped, since
    judges favour a place; a verdict that changes with the order is a tie, or rejected.

    Emits the row with `<into>_score` (the mean of the criteria), `<into>_scores` ({criterion:
    score}) and `<into>_reason`; when comparing, with `<into>_verdict` (a, b or tie),
    `<into>_consistent` (whether both orders agreed) and `<into>_reason`. The status counts the
    verdicts. Rejects `low_score` (under `min_score`), `inconsistent`, and answers that are
    `invalid_json`, `empty`, `truncated` or `refused`.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"max_tokens": 512}

    temperature: float | None = Field(0.0, ge=0, le=2)
    rubric: str = Field("", description="what a good one is, in words")
    criteria: dict[str, str] = Field(
        default_factory=dict, description="name: what it means; without any, one named `overall`"
    )
    show: tuple[str, ...] = Field((), description="the columns that the judge reads")
    scale: tuple[int, int] = Field((1, 5), description="the worst and the best score")
    min_score: float | None = Field(None, description="reject a row whose score is lower")
    compare: Annotated[list[str], Field(min_length=2, max_length=2)] | None = Field(
        None, description="the two columns to compare"
    )
    inconsistent: Literal["tie", "reject"] = Field(
        "tie", description="what a verdict is that changes with the order"
    )
    into: str = Field("judge", min_length=1, description="how the new columns' names begin")
    prompt: str | None = Field(None, description="a template in place of the default prompt")

    @model_validator(mode="after")
    def _makes_sense(self) -> JudgeParams:
        if not self.rubric and not self.criteria:
            raise ValueError("expected a `rubric`, `criteria`, or both")
        if not self.show and self.compare is None:
            raise ValueError("expected `show`: the columns to judge")
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale is {list(self.scale)}; expected the lower number first")
        if self.compare is not None and (self.n > 1 or self.min_score is not None):
            raise ValueError("`n` and `min_score` are for scores, not for `compare`")
        return self

    @property
    def scored(self) -> dict[str, str]:
        """The criteria, of which there is always one."""
        return self.criteria or {"overall": "how good it is on the whole"}

    @property
    def schema_of_scores(self) -> dict[str, Any]:
        """The JSON schema of an answer with scores."""
        low, high = self.scale
        score = {"type": "integer", "minimum": low, "maximum": high}
        return object_schema(
            {"reason": _REASON, "scores": object_schema(dict.fromkeys(self.scored, score))}
        )

    @property
    def default(self) -> str:
        """The name of the default prompt."""
        return "judge_pair" if self.compare else "judge_scores"


_SCHEMA_OF_PAIR = object_schema({"reason": _REASON, "better": {"enum": ["1", "2", "tie"]}})


async def run(row: Row, params: JudgeParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its scores or its verdict, or its reject."""
    fields: dict[str, Any] = {
        **row.data,
        "shown": [{"name": n, "value": _value(row.data, n, ctx.task)} for n in params.show],
        "rubric": params.rubric,
        "criteria": params.criteria if params.compare else params.scored,
        "low": params.scale[0],
        "high": params.scale[1],
    }
    outcome = await (_verdict if params.compare else _scores)(row, params, ctx, fields)
    return [outcome if isinstance(outcome, Reject) else row.child(ctx.node, 0, outcome)]


async def _scores(
    row: Row, params: JudgeParams, ctx: Context, fields: Mapping[str, Any]
) -> dict[str, Any] | Reject:
    answers = await _ask(params, ctx, fields, params.schema_of_scores)
    verdicts = [answer for answer in answers if not isinstance(answer, Reject)]
    if not verdicts:
        return next(answer for answer in answers if isinstance(answer, Reject))
    scores = {
        name: fmean(verdict.value["scores"][name] for verdict in verdicts) for name in params.scored
    }
    score, reason = fmean(scores.values()), verdicts[0].value["reason"]
    if params.min_score is not None and score < params.min_score:
        return Reject("low_score", f"{score:g} is under {params.min_score:g}: {reason}")
    return {
        f"{params.into}_score": score,
        f"{params.into}_scores": scores,
        f"{params.into}_reason": reason,
        **params.thoughts(verdicts[0].answer),
    }


async def _verdict(
    row: Row, params: JudgeParams, ctx: Context, fields: Mapping[str, Any]
) -> dict[str, Any] | Reject:
    a, b = (_value(row.data, name, ctx.task) for name in params.compare or ())
    verdicts: list[str] = []
    read: list[_Verdict] = []
    for first, second, names in (
        (a, b, {"1": "a", "2": "b"}),
        (b, a, {"1": "b", "2": "a"}),
    ):
        pair = {**fields, "first": first, "second": second}
        (answer,) = await _ask(params, ctx, pair, _SCHEMA_OF_PAIR)
        if isinstance(answer, Reject):
            return answer
        verdicts.append(names.get(answer.value["better"], "tie"))
        read.append(answer)
    consistent = verdicts[0] == verdicts[1]
    if not consistent and params.inconsistent == "reject":
        return Reject("inconsistent", f"{verdicts[0]}, and with the two swapped {verdicts[1]}")
    return {
        f"{params.into}_verdict": verdicts[0] if consistent else "tie",
        f"{params.into}_consistent": consistent,
        f"{params.into}_reason": read[0].value["reason"],
        **params.thoughts(read[0].answer),
    }


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A valid answer, parsed."""

    value: Mapping[str, Any]
    answer: Completion


async def _ask(
    params: JudgeParams, ctx: Context, fields: Mapping[str, Any], schema: Mapping[str, Any]
) -> list[_Verdict | Reject]:
    prompt = params.make_prompt(params.default, fields)
    answers = await ctx.generate(prompt, params.sampling(ctx.seed()), schema)
    return [_read(answer, schema, params) for answer in answers] or [Reject("empty", "no answer")]


def _read(answer: Completion, schema: Mapping[str, Any], params: JudgeParams) -> _Verdict | Reject:
    fields = read_fields(answer, schema, cut_off_counts=params.rejects_cut_off)
    return fields if isinstance(fields, Reject) else _Verdict(fields, answer)


def _value(data: Mapping[str, Any], name: str, task: Task) -> str:
    """Write a column as a judge reads it: options by letter and text."""
    value = data[name]
    if task.name == "multiple_choice":
        options = [f"({option_letter(k).lower()}) {text}" for k, text in enumerate(data["choices"])]
        if name in _OPTIONS and isinstance(value, int):
            return options[value]
        if name == "choices":
            return " ".join(options)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def columns(params: JudgeParams, task: Task) -> Columns:
    """Declare that it reads what it shows and compares, and provides the scores or the verdict."""
    added: dict[str, ColumnType] = (
        {"verdict": "string", "consistent": "boolean", "reason": "string"}
        if params.compare
        else {"score": "number", "scores": "json", "reason": "string"}
    )
    pair = frozenset({"first", "second"}) if params.compare else frozenset[str]()
    return Columns(
        requires=frozenset({*params.show, *(params.compare or ())}),
        provides={
            **{f"{params.into}_{name}": kind for name, kind in added.items()},
            **params.thought_columns,
        },
        given=pair | {"shown", "rubric", "criteria", "low", "high"},
        templates=params.prompt_templates(params.default),
        reports=(f"{params.into}_verdict",) if params.compare else (),
        cost=params.cost(2 if params.compare else 1, rows=1.0),
    )


OP = Op("judge", 1, JudgeParams, run, columns, needs_engine=True)
