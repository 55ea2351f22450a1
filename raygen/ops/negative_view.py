"""The `negative_view` op: why each wrong option is wrong (EMNLP 2024 main 333)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from raygen.core import Reject, Row, Task
from raygen.core.answers import names_option, read_answer
from raygen.engines import Completion
from raygen.ops.base import Columns, Context, Cost, Op
from raygen.ops.common.completions import completion_reject
from raygen.ops.common.json_answers import TEXT, answer_schema, read_fields
from raygen.ops.common.options import (
    OPTIONS_EXPECTED,
    label_type,
    require_options,
    template_row,
    training_label,
    view_columns,
)
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams

_STATED = 0.7
"""From this confidence on a text states its answer, and doesn't just happen to name an option."""


class NegativeViewParams(SamplingParams):
    """Refutes every wrong option: one rationale for each, which says why it is wrong.

    Each wrong option is one call; of its n answers the first that passes the checks is taken.
    With `emit: joined` a row's refutations, in the order of the options, make one rationale (one
    that doesn't name its option is led by it), and the example's label is the right option. With
    `emit: each` every refutation is an example of its own: `refuted` names the option, for the
    input, and there is no label, unless the other of two options is all that is left.

    Emits `rationale`, `label` (the right option's index, for a classification its class; or null),
    `refuted` (the option's text; null when joined), `said` (the answers as they came), `view`
    (negative, counterfactual_negative) and `variant`. Rejects a refutation that states that its
    option is the answer (`argues_for_it`) or that another wrong one is (`other_answer`), or that is
    `empty`, `truncated`, `refused` or, in a chat, which is asked for JSON, `invalid_json`; joined,
    one option without a refutation drops the row, and the detail names it.

    Paper: counterfactual distillation with multi-view chain of thought, EMNLP 2024 main 333.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 512}

    n: int = Field(1, ge=1, le=MAX_SAMPLES, description="answers to try per wrong option")
    temperature: float | None = Field(0.7, ge=0, le=2)
    max_tokens: int = Field(96, ge=1)
    stop: tuple[str, ...] = Field(("\n",), description="texts that end a completion")
    emit: Literal["joined", "each"] = Field(
        "joined", description="one example of all refutations, or one for each"
    )
    prompt: str | None = Field(None, description="a template in place of the default prompt")

    @property
    def reply_schema(self) -> dict[str, Any] | None:
        """The JSON schema of an answer; None for a completion, which is read as text."""
        return answer_schema(refutation=TEXT) if self.asks_chat else None


@dataclass(frozen=True, slots=True)
class _Refutation:
    """Why the option of this index is wrong, all that was said, and a model's thoughts."""

    option: int
    text: str
    said: str
    thoughts: Mapping[str, Any]


async def run(row: Row, params: NegativeViewParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return one row, or one per wrong option, or rejects."""
    options, gold = ctx.task.options(row.data), ctx.task.gold(row.data)
    wrong = [option for option in range(len(options)) if option != gold]
    refutations = await asyncio.gather(
        *(_refutation(row, option, k, params, ctx) for k, option in enumerate(wrong))
    )
    if params.emit == "joined":
        return [_joined(row, refutations, params, ctx)]
    label = training_label(ctx.task, gold) if len(options) == 2 else None
    return [
        outcome
        if isinstance(outcome, Reject)
        else row.child(
            ctx.node,
            k,
            {
                "rationale": outcome.text,
                "label": label,
                "refuted": options[outcome.option],
                "said": outcome.said,
                **view_columns(row.data, "negative"),
                **outcome.thoughts,
            },
        )
        for k, outcome in enumerate(refutations)
    ]


async def _refutation(
    row: Row, option: int, k: int, params: NegativeViewParams, ctx: Context
) -> _Refutation | Reject:
    """Return the first usable refutation of one option, or the reject of its last answer."""
    options, gold = ctx.task.options(row.data), ctx.task.gold(row.data)
    fields = {**template_row(row, ctx.task), "gold": gold, "refuted": options[option]}
    prompt = params.make_prompt("negative_view", fields)
    outcome: _Refutation | Reject = Reject("empty", "the engine gave no answer")
    for answer in await ctx.generate(prompt, params.sampling(ctx.seed(k)), params.reply_schema):
        text = _answered(answer, params)
        if isinstance(text, str):
            text = _refuting(text, option, options, gold)
        if isinstance(text, str):
            return _Refutation(option, text, answer.text.strip(), params.thoughts(answer))
        outcome = Reject(text.reason, f"{options[option]!r}: {text.detail}")
    return outcome


def _answered(answer: Completion, params: NegativeViewParams) -> str | Reject:
    """Return the refutation that an answer is, or has as JSON."""
    if params.reply_schema is not None:
        fields = read_fields(answer, params.reply_schema, cut_off_counts=params.rejects_cut_off)
        return fields if isinstance(fields, Reject) else str(fields["refutation"]).strip()
    fault = completion_reject(answer, cut_off_counts=params.rejects_cut_off)
    return answer.text.strip() if fault is None else fault


def _refuting(text: str, option: int, options: Sequence[str], gold: int) -> str | Reject:
    """Strip a final answer from a refutation, or return what is wrong with it."""
    read = read_answer(text, options)
    if read.option is None or read.confidence < _STATED:
        return text
    if read.option != gold:
        reason = "argues_for_it" if read.option == option else "other_answer"
        return Reject(reason, f"states that the answer is {options[read.option]!r}: {text[:120]!r}")
    return read.rationale or Reject("empty", f"nothing but the right answer: {text[:80]!r}")


def _joined(
    row: Row, refutations: Sequence[_Refutation | Reject], params: NegativeViewParams, ctx: Context
) -> Row | Reject:
    options = ctx.task.options(row.data)
    texts, thoughts = [], []
    for outcome in refutations:
        if isinstance(outcome, Reject):
            return outcome
        option = options[outcome.option]
        named = names_option(outcome.text, option)
        texts.append(outcome.text if named else f"{option}: {outcome.text}")
        thoughts += [str(thought) for thought in outcome.thoughts.values() if thought]
    return row.child(
        ctx.node,
        0,
        {
            "rationale": " ".join(texts),
            "label": training_label(ctx.task, ctx.task.gold(row.data)),
            "refuted": None,
            "said": "\n\n".join(each.said for each in refutations if isinstance(each, _Refutation)),
            **view_columns(row.data, "negative"),
            **({"thinking": "\n\n".join(thoughts) or None} if params.thought_columns else {}),
        },
    )


def columns(params: NegativeViewParams, task: Task) -> Columns:
    """Declare that it reads the question, its options and its answer."""
    require_options(task, "negative_view")
    wrong = (len(task.labels) or OPTIONS_EXPECTED) - 1
    rows = 1.0 if params.emit == "joined" else float(wrong)
    return Columns(
        requires=frozenset(task.columns),
        optional=frozenset({"variant"}),
        provides={
            "rationale": "string",
            "label": label_type(task),
            "refuted": "string",
            "said": "string",
            "view": "string",
            "variant": "string",
            **params.thought_columns,
        },
        given=frozenset({"stem", "options", "gold", "refuted"}),
        templates=params.prompt_templates("negative_view"),
        cost=Cost(wrong, params.n, params.max_tokens, rows),
    )


OP = Op(
    "negative_view",
    2,
    NegativeViewParams,
    run,
    columns,
    needs_engine=True,
    paper="EMNLP 2024 main 333",
)
