"""The `generate` op: a free prompt, one row per completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

from pydantic import Field, field_validator, model_validator

from raygen.core import Reject, Row, Task
from raygen.engines import Completion, Message
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.completions import InvalidJsonError, completion_reject, parse_json_answer
from raygen.ops.common.prompts import Messages
from raygen.ops.common.request_params import SamplingParams

_TURNS = 2.0
"""How many turns of its assistant a conversation is assumed to have, for an estimate."""


class GenerateParams(SamplingParams):
    """Asks the engine a free prompt and puts each answer into a column.

    Emits n rows per row, with `into` and, where n > 1, `sample` (0 to n - 1). With `schema` the
    answer is a JSON value of that schema: the engine is held to it where it can be, and the answer
    is validated in any case; a fenced block of it is read too. Rejects an answer that is empty
    (`empty`), cut off (`truncated`), a refusal (`refused`), not of the schema (`invalid_json`), and
    a prompt that the engine can't take (`prompt_too_long`).

    With `each_turn` the assistant's turns of the conversation `messages` are answered anew in their
    order, each after the new answers before it, and `into` is the new conversation, up to the last
    of them (with thoughts kept, as `reasoning_content` of their turns). One turn that can't be used
    rejects the row; so does a conversation without such a turn (`no_turn`).
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
    each_turn: bool = Field(
        False,
        exclude_if=lambda each_turn: not each_turn,
        description="`messages` is a conversation: answer each turn of its assistant anew",
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
        if self.each_turn and (self.messages is None or self.n > 1 or self.json_schema is not None):
            raise ValueError(
                "each_turn is for `messages`, one answer a turn: n is 1, and there is no `schema`"
            )
        return self


async def run(row: Row, params: GenerateParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return n rows or rejects, in the engine's order."""
    if params.each_turn:
        return [await _answered_turns(row, params, ctx)]
    sampling = params.sampling(ctx.seed())
    answers = await ctx.generate(params.make_prompt("", row.data), sampling, params.json_schema)
    return [_outcome(row, params, ctx, k, answer) for k, answer in enumerate(answers)]


async def _answered_turns(row: Row, params: GenerateParams, ctx: Context) -> Row | Reject:
    """Answer each turn of a conversation's assistant in order, after the new answers before it.

    What follows its last turn is left out.
    """
    turns: list[Message] = []
    made: list[dict[str, Any]] = []
    last = 0
    for turn in params.make_prompt("", row.data):
        if not isinstance(turn, Message) or turn.role != "assistant":
            turns.append(cast("Message", turn))
            made.append({"role": turns[-1].role, "content": turns[-1].content})
            continue
        if not turns:
            return Reject("no_turn", "the conversation begins with its assistant")
        (answer,) = await ctx.generate(tuple(turns), params.sampling(ctx.seed(last)))
        fault = completion_reject(answer, cut_off_counts=params.rejects_cut_off)
        if fault is not None:
            return replace(fault, detail=f"turn {len(made)}: {fault.detail}")
        turns.append(Message("assistant", answer.text.strip()))
        thoughts = {"reasoning_content": answer.thinking} if params.keeps_thoughts else {}
        made.append({"role": "assistant", "content": answer.text.strip(), **thoughts})
        last = len(made)
    if not last:
        return Reject("no_turn", "the conversation has no turn of an assistant")
    return row.child(ctx.node, 0, {params.into: made[:last]})


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
    is_text = params.json_schema is None and not params.each_turn
    answer: dict[str, Any] = {params.into: "string" if is_text else "json"}
    if params.n > 1:
        answer["sample"] = "integer"
    if not params.each_turn:
        answer |= params.thought_columns
    return Columns(
        provides=answer,
        templates=params.prompt_templates(""),
        cost=params.cost(calls=_TURNS if params.each_turn else 1.0, rows=float(params.n)),
    )


OP = Op("generate", 2, GenerateParams, run, columns, needs_engine=True)
