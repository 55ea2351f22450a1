"""The `token_probabilities` op: what the teacher finds likely at each token of a rationale."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from raygen.core import Reject, Row, Task
from raygen.ops.base import Columns, Context, Cost, Op
from raygen.ops.common.rationale_prompt import ReasoningParams

DECIMALS = 4
"""Of a stored log-probability: more would be stored noise."""


class TokenProbabilitiesParams(ReasoningParams):
    """Records the teacher's most probable tokens at each token of a rationale that is there.

    A student that reads the same vocabulary learns from them with `loss: kd`, whatever the
    rationale's source: this teacher, another one, or people. The prompt is that of
    `sample_rationales`: give `prompt`, `label` and `demonstrations` the same values, and the
    teacher reads the rationale as it would write it.

    Emits the row with `token_probabilities` ({vocabulary, tokens, ids, logprobs}: a fingerprint of
    the vocabulary, the rationale's tokens by number, and for each the `top` most probable tokens
    with their natural log-probabilities at temperature 1) and `token_probabilities_teacher` (the
    model, which a student's recipe must name). Rejects nothing but texts that the engine can't take
    (`prompt_too_long`).

    The tokens are those of the rationale behind a space, of a chat without one, which is how
    streamtrain writes it; a student of another layout is told so when it starts.
    """

    top: int = Field(20, ge=1, le=1000, description="tokens at each place")


async def run(row: Row, params: TokenProbabilitiesParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its tokens' probabilities."""
    rationale = row.data["rationale"].strip()
    if not rationale:
        return [Reject("empty", "the rationale is empty")]
    prompt = params.render_prompt(row, ctx.task)
    text = f" {rationale}" if isinstance(prompt, str) else rationale
    top_tokens = await ctx.top_tokens(prompt, text, params.top)
    recorded = {
        "vocabulary": top_tokens.vocabulary,
        "tokens": list(top_tokens.tokens),
        "ids": [list(position) for position in top_tokens.ids],
        "logprobs": [
            [round(logprob, DECIMALS) for logprob in position] for position in top_tokens.logprobs
        ],
    }
    columns = {"token_probabilities": recorded, "token_probabilities_teacher": ctx.teacher()}
    return [row.child(ctx.node, 0, columns)]


def columns(params: TokenProbabilitiesParams, task: Task) -> Columns:
    """Declare that it needs the task's columns and the rationale, which its prompt can't read."""
    params.check(task, "token_probabilities")
    answer = {"answer"} if task.name == "free_text" and not params.hidden else set()
    return Columns(
        requires=frozenset({*task.columns, "rationale", *answer}),
        provides={"token_probabilities": "json", "token_probabilities_teacher": "string"},
        hides=params.hides | {"rationale"},
        given=params.prompt_fields,
        templates=params.templates(),
        abilities={"engine": frozenset({"top_tokens"})},
        cost=Cost(calls=1, completions=1),
    )


OP = Op("token_probabilities", 1, TokenProbabilitiesParams, run, columns, needs_engine=True)
