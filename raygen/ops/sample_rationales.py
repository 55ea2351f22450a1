"""The `sample_rationales` op: N chains of thought per question (SCoTD, arXiv 2306.14050)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from raygen.answers import names_option, read_answer
from raygen.engines.base import Completion
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.prompt import default_prompt
from raygen.ops.sampling import SamplingParams
from raygen.row import Reject, Row
from raygen.task import TASKS, Task
from raygen.template import render

STOP = ("\nQ:", "\n\n")


class Demonstration(OpParams):
    """One worked question for the few-shot prompt; `answer` as in a source row."""

    question: str
    choices: tuple[str, ...]
    answer: int | str
    rationale: str

    def rendered(self) -> dict[str, Any]:
        """The demonstration as templates see it, its answer a zero-based index."""
        return TASKS["multiple_choice"].normalise(self.model_dump())


class SampleRationalesParams(SamplingParams):
    """Samples n diverse rationales per question.

    With `label: hidden` the teacher reasons to its own answer, which becomes the example's
    `label`; with `label: shown` it explains the gold answer. Emits one row per sample with
    `rationale` (the answer phrase stripped), `predicted` (its own answer, null when shown),
    `label`, `names_answer` (the rationale names the label's option), `logprob` (of the sampled
    tokens, where the engine gives it), `sample`, `view` and `variant`. Rejects samples that are
    `empty`, `truncated`, have `no_answer` that reads as exactly one option, or, with
    `keep: correct`, a `wrong_answer`.

    Paper: symbolic chain-of-thought distillation (SCoTD), arXiv 2306.14050.
    """

    n: int = Field(4, ge=1, le=1024, description="rationales per question, in one request")
    temperature: float = Field(1.0, ge=0, le=5)
    max_tokens: int = Field(128, ge=1)
    stop: tuple[str, ...] = Field(STOP, description="texts that end a completion")
    label: Literal["hidden", "shown"] = "hidden"
    keep: Literal["all", "correct"] = Field(
        "all", description="correct: only samples that reach the gold answer"
    )
    demonstrations: tuple[Demonstration, ...] | str = Field(
        (), description="worked questions: a list, or {file: demos.jsonl}"
    )
    prompt: str | None = Field(None, description="a template in place of the default prompt")

    @field_validator("demonstrations")
    @classmethod
    def _readable(cls, value: tuple[Demonstration, ...] | str) -> tuple[Demonstration, ...]:
        if isinstance(value, str):
            lines = [line for line in value.splitlines() if line.strip()]
            value = tuple(Demonstration.model_validate_json(line) for line in lines)
        for demonstration in value:
            demonstration.rendered()
        return value

    @property
    def worked(self) -> list[dict[str, Any]]:
        """The demonstrations as templates see them."""
        return [d.rendered() for d in self.demonstrations if isinstance(d, Demonstration)]

    def template(self) -> str:
        """The recipe's prompt, or the default one for the label mode."""
        return self.prompt or default_prompt(f"sample_rationales_{self.label}")


async def run(row: Row, params: SampleRationalesParams, ctx: Context) -> Sequence[Row | Reject]:
    """n rows or rejects, in the engine's order."""
    text = render(params.template(), _visible(row.data, params))
    answers = await ctx.generate(params.prompt_of(text), params.sampling(ctx.seed()))
    return [_outcome(row, params, ctx, k, answer) for k, answer in enumerate(answers)]


def _visible(data: Mapping[str, Any], params: SampleRationalesParams) -> dict[str, Any]:
    hidden = {"answer"} if params.label == "hidden" else set()
    shown = {name: value for name, value in data.items() if name not in hidden}
    return {**shown, "demonstrations": params.worked}


def _outcome(
    row: Row, params: SampleRationalesParams, ctx: Context, k: int, answer: Completion
) -> Row | Reject:
    text = answer.text.strip()
    if not text:
        return Reject("empty", "the rationale is empty")
    choices, gold = row.data["choices"], row.data["answer"]
    read = read_answer(text, choices)
    if params.label == "hidden" and read.option is None:
        if answer.finish_reason == "length":
            return Reject("truncated", f"cut off before an answer: {text[-80:]!r}")
        return Reject("no_answer", f"names no single option: {text[-80:]!r}")
    if params.label == "hidden" and params.keep == "correct" and read.option != gold:
        return Reject("wrong_answer", f"reached {choices[read.option or 0]!r}")
    if params.label == "shown" and answer.finish_reason == "length":
        return Reject("truncated", f"cut off after {params.max_tokens} tokens: {text[-80:]!r}")
    rationale = read.rationale if params.label == "hidden" else text
    if not rationale:
        return Reject("empty", f"nothing but the answer: {text[:80]!r}")
    label = read.option if params.label == "hidden" else gold
    counterfactual = row.data.get("variant") == "counterfactual"
    return row.child(
        ctx.node,
        k,
        {
            "rationale": rationale,
            "predicted": read.option if params.label == "hidden" else None,
            "label": label,
            "names_answer": names_option(rationale, choices[label]),
            "logprob": answer.logprob,
            "sample": k,
            "view": "counterfactual_positive" if counterfactual else "positive",
            "variant": "counterfactual" if counterfactual else "original",
        },
    )


def columns(params: SampleRationalesParams, task: Task) -> Columns:
    """Needs a multiple-choice row; with the label hidden, no template may read it."""
    return Columns(
        requires=frozenset({"question", "choices", "answer"}),
        provides={
            "rationale": "string",
            "predicted": "integer",
            "label": "integer",
            "names_answer": "boolean",
            "logprob": "number",
            "sample": "integer",
            "view": "string",
            "variant": "string",
        },
        hides=frozenset({"answer"}) if params.label == "hidden" else frozenset(),
        given=frozenset({"demonstrations"}),
        templates={"prompt": params.template()},
    )


OP = Op(
    "sample_rationales",
    1,
    SampleRationalesParams,
    run,
    columns,
    needs_engine=True,
    paper="arXiv 2306.14050",
)
