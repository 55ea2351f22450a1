"""The `generate` op: a free prompt, one row per completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from raygen.core import Reject, Row, Task
from raygen.engines import Completion
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.completions import InvalidJsonError, completion_reject, parse_json_answer
from raygen.ops.common.prompts import Messages
from raygen.ops.common.request_params import SamplingParams


class GenerateParams(SamplingParams):
    """Asks the engine a free prompt and puts each answer into a column.

    Emits n rows per row, with `into` and, where n > 1, `sample` (0 to n - 1). With `schema` the
    answer is a JSON value of that schema: the engine is held to it where it can be, and the answer
    is validated in any case; a fenced block of it is read too. Rejects an answer that is empty
    (`empty`), cut off (`truncated`), a refusal (`refused`), not of the schema (`invalid_json`), and
    a prompt that the engine can't take (`prompt_too_long`).
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"max_tokens": 1024}

    prompt: str | None = Field(None, min_length=1, description="a Jinja template")
    messages: Messages = Field(
        None,
        description="a chat, instead of `prompt`: a list of {role, content} with templates, or an "
        'expression that gives a list, as "{{ messages[:-1] }}"',
    )
    into: str = Field(min_length=1, description="the column for the answer")
    json_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="a JSON schema that the answer must have"
    )
    truncated: Literal["reject", "keep"] = Field(
        "reject", description="what to do with an answer that max_tokens cut off"
    )

    @field_validator("json_schema")
    @classmethod
    def _valid_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            from raygen.checks import find_schema_fault

            if (fault := find_schema_fault(value)) is not None:
                raise ValueError(f"not a JSON schema: {fault}")
        return value

    @model_validator(mode="after")
    def _one_prompt(self) -> GenerateParams:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("expected exactly one of `prompt` and `messages`")
        return self


async def run(row: Row, params: GenerateParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return n rows or rejects, in the engine's order."""
    sampling = params.sampling(ctx.seed())
    answers = await ctx.generate(params.make_prompt("", row.data), sampling, params.json_schema)
    return [_outcome(row, params, ctx, k, answer) for k, answer in enumerate(answers)]


def _outcome(
    row: Row, params: GenerateParams, ctx: Context, k: int, answer: Completion
) -> Row | Reject:
    fault = completion_reject(answer, cut_off_counts=params.rejects_cut_off)
    if fault is not None:
        return fault
    text = answer.text.strip()
    value: Any = text
    if params.json_schema is not None:
        try:
            value = parse_json_answer(text, params.json_schema)
        except InvalidJsonError as error:
            return error.reject
    new = {params.into: value, **params.thoughts(answer)}
    if params.n > 1:
        new["sample"] = k
    return row.child(ctx.node, k, new)


def columns(params: GenerateParams, task: Task) -> Columns:
    """Declare that it reads what the prompt reads and provides the answer's column."""
    answer: dict[str, Any] = {params.into: "string" if params.json_schema is None else "json"}
    if params.n > 1:
        answer["sample"] = "integer"
    return Columns(
        provides={**answer, **params.thought_columns},
        templates=params.prompt_templates(""),
        cost=params.cost(),
    )


OP = Op("generate", 2, GenerateParams, run, columns, needs_engine=True)
