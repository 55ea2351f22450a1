"""The `sample_rationales` op: N chains of thought per question (SCoTD, arXiv 2306.14050)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from raygen.core import ColumnType, Reject, Row, Task, find_repeats
from raygen.core.answers import names_option
from raygen.engines import Completion
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.completions import (
    ParsedCompletion,
    ReasoningSample,
    answer_words,
    comparison_key,
    extract_thoughts,
    gold_answer,
    parse_completion,
)
from raygen.ops.common.options import label_type, training_label, view_columns
from raygen.ops.common.rationale_prompt import ReasoningParams
from raygen.ops.common.request_params import SamplingParams
from raygen.ops.common.selection import Pick, mean_distance, select_samples

STOP = ("\nQ:", "\n\n")


class SampleRationalesParams(ReasoningParams, SamplingParams):
    """Samples n diverse rationales per question.

    With `label: hidden` the teacher reasons to its own answer, which becomes the example's label;
    with `label: shown` it explains the gold answer. Works for multiple choice, for classifications
    with `labels:`, and for free text, whose gold answer is the column `answer` where one is needed.

    `pick` narrows the samples of a question down, after `keep`: near duplicates out, then at most
    so many of them, the most diverse, the most likely, a random few or the first.

    Emits one row per sample with `rationale` (the answer phrase stripped), `said` (the whole
    completion as it came), `predicted` (its own answer, null when shown), `label` (an option's
    index; a class or a free answer as text), `names_answer` (the rationale has the label's words),
    `logprob` and `logprob_per_token` (of all sampled tokens, where the engine gives it), `sample`,
    `view`, `variant` and `diversity` (per question: the mean distance between the rationales of the
    readable samples, of the first 64, from 0 to 1; null where there is one only). Distance is one
    minus the share of pieces of five characters that two texts have in common. With the label
    hidden also `confidence` (how sure the answer's reading is, 0 to 1), and per question
    `agreement` (the share of all n samples that reach this one's answer) and `distinct_answers`
    (how many answers the samples reach: how open the question is).

    Rejects samples that are `empty` (also those with nothing but the answer), `truncated`,
    `refused`, have `no_answer` that reads as exactly one option, reach a `wrong_answer` (with
    `keep: correct`, or by arguing for another answer than the one shown), have `no_thinking` where
    the rationale comes from there, are a `duplicate` of an earlier sample, `not_picked`, or have
    `no_logprob` where the most likely are picked.

    Paper: symbolic chain-of-thought distillation (SCoTD), arXiv 2306.14050.
    """

    n: int = Field(4, ge=1, le=1024, description="rationales per question, in one request")
    temperature: float = Field(1.0, ge=0, le=2)
    max_tokens: int = Field(128, ge=1)
    stop: tuple[str, ...] = Field(STOP, description="texts that end a completion")
    keep: Literal["all", "correct"] = Field(
        "all", description="correct: only samples that reach the gold answer"
    )
    rationale_from: Literal["answer", "thinking"] = Field(
        "answer", description="thinking: a reasoning model's thoughts are the rationale"
    )
    pick: Pick | None = Field(None, description="which of a question's samples stay; absent: all")

    @model_validator(mode="after")
    def _an_answer_to_be_right(self) -> SampleRationalesParams:
        if self.label == "shown" and self.keep == "correct":
            raise ValueError("keep: correct needs label: hidden; a shown label is always reached")
        return self


async def run(row: Row, params: SampleRationalesParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return n rows or rejects, in the engine's order."""
    prompt = params.prompt_of(params.render_prompt(row, ctx.task))
    answers = await ctx.generate(prompt, params.sampling(ctx.seed()))
    parsed = [
        parse_completion(answer, row.data, ctx.task, cut_off_counts=params.rejects_cut_off)
        for answer in answers
    ]
    read = [
        each.answer
        for each in parsed
        if isinstance(each, ParsedCompletion) and each.answer is not None
    ]
    reached = Counter(comparison_key(answer) for answer in read)
    outcomes = [
        each if isinstance(each, Reject) else _outcome(each, answer, row.data, params, ctx.task)
        for each, answer in zip(parsed, answers, strict=True)
    ]
    samples = [each for each in outcomes if isinstance(each, ReasoningSample)]
    spread = mean_distance([sample.rationale for sample in samples])
    if params.keep == "correct":
        gold = gold_answer(row.data, ctx.task)
        outcomes = [_correct(each, gold, row.data, ctx.task) for each in outcomes]
    if params.pick is not None:
        outcomes = _picked(outcomes, params.pick, ctx.seed(1))
    figures: dict[str, Any] = {"diversity": spread}
    if params.hidden:
        figures["distinct_answers"] = len(reached)
    return [
        each
        if isinstance(each, Reject)
        else row.child(
            ctx.node,
            k,
            {
                **_columns_of(each, row.data, params, ctx.task),
                **_agreement(each, reached, len(answers), params),
                **figures,
                "sample": k,
            },
        )
        for k, each in enumerate(outcomes)
    ]


def _agreement(
    sample: ReasoningSample, reached: Counter[Any], n: int, params: SampleRationalesParams
) -> dict[str, Any]:
    """Return the sample's agreement columns; empty if the label was shown."""
    if not params.hidden:
        return {}
    return {
        "agreement": reached[comparison_key(sample.answer)] / n,
        "confidence": sample.confidence,
    }


def _outcome(
    parsed: ParsedCompletion,
    completion: Completion,
    data: Mapping[str, Any],
    params: SampleRationalesParams,
    task: Task,
) -> ReasoningSample | Reject:
    text = completion.text.strip()
    if params.hidden and parsed.answer is None:
        what = "answer" if task.name == "free_text" else "option"
        return Reject("no_answer", f"names no single {what}: {text[-80:]!r}")
    gold = None if params.hidden else gold_answer(data, task)
    if (
        gold is not None
        and parsed.announced
        and comparison_key(parsed.answer) != comparison_key(gold)
    ):
        return Reject("wrong_answer", f"argues for {answer_words(parsed.answer, data, task)!r}")
    rationale = parsed.rationale if params.hidden or parsed.announced else text
    if params.rationale_from == "thinking":
        rationale = extract_thoughts(completion, data, task)
        if not rationale:
            return Reject("no_thinking", f"no thoughts before {text[:80]!r}")
    if not rationale:
        return Reject("empty", f"nothing but the answer: {text[:80]!r}")
    answer = parsed.answer if gold is None else gold
    return ReasoningSample(
        rationale, answer, parsed.confidence if params.hidden else None, completion
    )


def _correct(
    each: ReasoningSample | Reject, gold: int | str, data: Mapping[str, Any], task: Task
) -> ReasoningSample | Reject:
    if isinstance(each, Reject) or comparison_key(each.answer) == comparison_key(gold):
        return each
    return Reject("wrong_answer", f"reached {answer_words(each.answer, data, task)!r}")


def _picked(
    outcomes: Sequence[ReasoningSample | Reject], pick: Pick, seed: int
) -> list[ReasoningSample | Reject]:
    """Replace each sample that doesn't stay by a reject."""
    done = list(outcomes)
    usable = {k: each for k, each in enumerate(outcomes) if isinstance(each, ReasoningSample)}
    if pick.near is not None:
        indices, texts = list(usable), [each.rationale for each in usable.values()]
        for k, earlier in zip(indices, find_repeats(texts, pick.near), strict=True):
            if earlier is not None:
                done[k] = Reject("duplicate", f"repeats sample {indices[earlier]}")
                del usable[k]
    samples = list(usable.values())
    likelihoods = [sample.per_token for sample in samples]
    stay = select_samples([sample.rationale for sample in samples], likelihoods, pick, seed)
    for index, k in enumerate(usable):
        if index not in stay:
            unknown = pick.by == "likely" and likelihoods[index] is None
            reason = "no_logprob" if unknown else "not_picked"
            done[k] = Reject(reason, f"{pick.by}, {len(stay)} of {len(usable)} samples stay")
    return done


def _columns_of(
    sample: ReasoningSample, data: Mapping[str, Any], params: SampleRationalesParams, task: Task
) -> dict[str, Any]:
    """Return the columns of a sample that don't depend on the other samples."""
    answer = sample.answer
    label = training_label(task, answer) if isinstance(answer, int) else answer
    return {
        "rationale": sample.rationale,
        "said": sample.completion.text.strip(),
        "predicted": label if params.hidden else None,
        "label": label,
        "names_answer": names_option(sample.rationale, answer_words(answer, data, task)),
        "logprob": sample.completion.logprob,
        "logprob_per_token": sample.per_token,
        **view_columns(data, "positive"),
        **params.thoughts(sample.completion),
    }


def columns(params: SampleRationalesParams, task: Task) -> Columns:
    """Declare that it needs the task's columns; a hidden label is hidden from templates, too."""
    params.check(task, "sample_rationales")
    requires = set(task.columns)
    if task.name == "free_text" and (params.keep == "correct" or not params.hidden):
        requires.add("answer")
    added: dict[str, ColumnType] = {
        "confidence": "number",
        "agreement": "number",
        "distinct_answers": "integer",
    }
    if not params.hidden:
        added = {}
    stay = params.n if params.pick is None else min(params.n, params.pick.at_most or params.n)
    return Columns(
        requires=frozenset(requires),
        optional=frozenset({"variant"}),
        provides={
            "rationale": "string",
            "said": "string",
            "predicted": label_type(task),
            "label": label_type(task),
            "names_answer": "boolean",
            "logprob": "number",
            "logprob_per_token": "number",
            "diversity": "number",
            **added,
            "sample": "integer",
            "view": "string",
            "variant": "string",
            **params.thought_columns,
        },
        hides=params.hides,
        given=params.prompt_fields,
        templates={"prompt": params.template()},
        cost=params.cost(rows=float(stay)),
    )


OP = Op(
    "sample_rationales",
    3,
    SampleRationalesParams,
    run,
    columns,
    needs_engine=True,
    paper="arXiv 2306.14050",
)
