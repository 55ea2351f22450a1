"""The `sample_rationales` op: N chains of thought per question (SCoTD, arXiv 2306.14050)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from raygen.checks import AnswerClass, Verdict
from raygen.core import ColumnType, Reject, Row, Task, find_repeats
from raygen.core.answers import names_option
from raygen.engines import Completion
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.checking import (
    FreeHow,
    classes_of,
    several,
    what_decides,
)
from raygen.ops.common.completions import (
    ParsedCompletion,
    ReasoningSample,
    answer_words,
    extract_thoughts,
    gold_answer,
    parse_completion,
)
from raygen.ops.common.options import label_type, question_columns, training_label, view_columns
from raygen.ops.common.rationale_prompt import ReasoningParams
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams
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
    (how many answers the samples reach: how open the question is). Free answers are equal by the
    checker `how`, whatever their notation; `same_answers` are the forms in which this one was
    written. With several checkers the first one's verdict counts, and with `keep: correct`
    `correct_differs` says whether another disagrees.

    Rejects samples that are `empty` (also those with nothing but the answer), `truncated`,
    `refused`, have `no_answer` that reads as exactly one option, reach a `wrong_answer` (with
    `keep: correct`, or by arguing for another answer than the one shown), reach one that is
    `disputed` (wrong by the first checker of `how`, right by another), have `no_thinking` where
    the rationale comes from there, are a `duplicate` of an earlier sample, `not_picked`, or have
    `no_logprob` where the most likely are picked.

    `correct: true` (with `keep: all`) adds the column `correct`: whether a sample reaches the gold
    answer. A row of its rejects has `said`, `sample` and, as far as they could be read,
    `rationale`, `predicted` and `label`: the answer that it reached.

    Paper: symbolic chain-of-thought distillation (SCoTD), arXiv 2306.14050.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 768}

    n: int = Field(4, ge=1, le=MAX_SAMPLES, description="rationales per question, in one request")
    temperature: float | None = Field(1.0, ge=0, le=2)
    max_tokens: int = Field(128, ge=1)
    stop: tuple[str, ...] = Field(STOP, description="texts that end a completion")
    keep: Literal["all", "correct"] = Field(
        "all", description="correct: only samples that reach the gold answer"
    )
    correct: bool = Field(
        False,
        exclude_if=lambda correct: not correct,
        description="with keep: all, the column `correct`: whether a sample reaches the answer",
    )
    how: FreeHow | tuple[FreeHow, ...] | None = Field(
        None,
        exclude_if=lambda how: how is None,  # so that a plan without it keeps its hash
        description="free text: the checker that compares answers, or several; absent: math",
    )
    rationale_from: Literal["answer", "thinking"] = Field(
        "answer", description="thinking: a reasoning model's thoughts are the rationale"
    )
    pick: Pick | None = Field(None, description="which of a question's samples stay; absent: all")

    @property
    def needs_gold(self) -> bool:
        """Whether samples are held against the gold answer."""
        return self.keep == "correct" or self.correct or not self.hidden

    @property
    def counts_differences(self) -> bool:
        """Whether kept samples say if another checker disagrees with the first."""
        return self.keep == "correct" and isinstance(self.how, tuple) and len(self.how) > 1

    @model_validator(mode="after")
    def _an_answer_to_be_right(self) -> SampleRationalesParams:
        if self.label == "shown" and self.keep == "correct":
            raise ValueError("keep: correct needs label: hidden; a shown label is always reached")
        if self.correct and (self.label == "shown" or self.keep == "correct"):
            raise ValueError(
                "correct: true is for keep: all and label: hidden; else every sample that stays is"
            )
        return self


async def run(row: Row, params: SampleRationalesParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return n rows or rejects, in the engine's order."""
    prompt = params.render_prompt(row, ctx.task)
    answers = await ctx.generate(prompt, params.sampling(ctx.seed()))
    parsed = [
        parse_completion(answer, row.data, ctx.task, cut_off_counts=params.rejects_cut_off)
        for answer in answers
    ]
    hows = several(params.how, ctx.task)
    reached = await classes_of(
        [None if isinstance(each, Reject) else each.answer for each in parsed], ctx, hows[0]
    )
    gold = gold_answer(row.data, ctx.task) if params.needs_gold else None
    verdicts = [await _verdicts(each, gold, params, ctx) for each in parsed]
    outcomes = [
        each
        if isinstance(each, Reject)
        else _outcome(each, answer, row.data, params, ctx.task, _is_right(verdict))
        for each, answer, verdict in zip(parsed, answers, verdicts, strict=True)
    ]
    samples = [each for each in outcomes if isinstance(each, ReasoningSample)]
    spread = mean_distance([sample.rationale for sample in samples])
    if params.keep == "correct":
        outcomes = [
            _correct(each, verdict, row.data, ctx.task)
            for each, verdict in zip(outcomes, verdicts, strict=True)
        ]
    if params.pick is not None:
        outcomes = _picked(outcomes, params.pick, ctx.seed(1))
    figures: dict[str, Any] = {"diversity": spread}
    if params.hidden:
        figures["distinct_answers"] = len({each.indices for each in reached.values()})
    return [
        replace(each, columns=_rejected(parsed[k], answers[k], k, row.data, params, ctx.task))
        if isinstance(each, Reject)
        else row.child(
            ctx.node,
            k,
            {
                **_columns_of(each, row.data, params, ctx.task),
                **_agreement(each, reached.get(k), len(answers), params, ctx.task),
                **_difference(verdicts[k], params),
                **({"correct": _is_right(verdicts[k])} if params.correct else {}),
                **figures,
                "sample": k,
            },
        )
        for k, each in enumerate(outcomes)
    ]


async def _verdicts(
    parsed: ParsedCompletion | Reject,
    gold: int | str | None,
    params: SampleRationalesParams,
    ctx: Context,
) -> list[Verdict]:
    """Hold a sample's answer against the gold answer by each checker; none where none is asked."""
    if gold is None or isinstance(parsed, Reject) or parsed.answer is None:
        return []
    if not params.hidden and not parsed.announced:
        return []
    return [await ctx.check(parsed.answer, gold, how) for how in several(params.how, ctx.task)]


def _is_right(verdicts: Sequence[Verdict]) -> bool:
    return not verdicts or verdicts[0].correct


def _agreement(
    sample: ReasoningSample,
    reached: AnswerClass | None,
    n: int,
    params: SampleRationalesParams,
    task: Task,
) -> dict[str, Any]:
    """Return the sample's agreement columns; empty if the label was shown."""
    if not params.hidden or reached is None:
        return {}
    forms = {"same_answers": list(reached.members)} if task.name == "free_text" else {}
    return {
        "agreement": len(reached.indices) / n,
        "confidence": sample.confidence,
        **forms,
    }


def _difference(verdicts: Sequence[Verdict], params: SampleRationalesParams) -> dict[str, bool]:
    """Return whether another checker disagrees with the first, where several are asked."""
    if not params.counts_differences:
        return {}
    return {"correct_differs": len({verdict.correct for verdict in verdicts}) > 1}


def _outcome(
    parsed: ParsedCompletion,
    completion: Completion,
    data: Mapping[str, Any],
    params: SampleRationalesParams,
    task: Task,
    is_right: bool,
) -> ReasoningSample | Reject:
    text = completion.text.strip()
    if params.hidden and parsed.answer is None:
        what = "answer" if task.name == "free_text" else "option"
        return Reject("no_answer", f"names no single {what}: {text[-80:]!r}")
    if not params.hidden and not is_right:
        return Reject("wrong_answer", f"argues for {answer_words(parsed.answer, data, task)!r}")
    rationale = parsed.rationale if params.hidden or parsed.announced else text
    if params.rationale_from == "thinking":
        rationale = extract_thoughts(completion, data, task)
        if not rationale:
            return Reject("no_thinking", f"no thoughts before {text[:80]!r}")
    if not rationale:
        return Reject("empty", f"nothing but the answer: {text[:80]!r}")
    answer = parsed.answer if params.hidden else gold_answer(data, task)
    return ReasoningSample(
        rationale, answer, parsed.confidence if params.hidden else None, completion
    )


def _correct(
    each: ReasoningSample | Reject, verdicts: Sequence[Verdict], data: Mapping[str, Any], task: Task
) -> ReasoningSample | Reject:
    if isinstance(each, Reject) or _is_right(verdicts):
        return each
    disputed = any(verdict.correct for verdict in verdicts)
    reason = "disputed" if disputed else "wrong_answer"
    return Reject(reason, f"reached {answer_words(each.answer, data, task)!r}")


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


def _rejected(
    parsed: ParsedCompletion | Reject,
    completion: Completion,
    k: int,
    data: Mapping[str, Any],
    params: SampleRationalesParams,
    task: Task,
) -> dict[str, Any]:
    """Return what a rejected sample says, and the answer that it reached where that was read."""
    said = {"said": completion.text.strip(), "sample": k, **view_columns(data, "positive")}
    said |= params.thoughts(completion)
    if isinstance(parsed, Reject):
        return said
    answer = parsed.answer
    label = training_label(task, answer) if isinstance(answer, int) else answer
    reached = {"label": label, "predicted": label if params.hidden else None}
    return {**said, "rationale": parsed.rationale or None, **reached}


def columns(params: SampleRationalesParams, task: Task) -> Columns:
    """Declare that it needs the task's columns; a hidden label is hidden from templates, too."""
    params.check(task, "sample_rationales")
    is_free = task.name == "free_text"
    if params.how is not None and not is_free:
        raise ValueError(
            f"how is for free text; the answers of task {task.name} are options, which need none"
        )
    gold = task.answer or "answer"
    requires = question_columns(task) | ({gold} if params.needs_gold else set())
    added: dict[str, ColumnType] = {}
    if params.hidden:
        added = {"confidence": "number", "agreement": "number", "distinct_answers": "integer"}
        added |= {"same_answers": "strings"} if is_free else {}
    if params.correct:
        added["correct"] = "boolean"
    if params.counts_differences:
        added["correct_differs"] = "boolean"
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
        templates=params.templates(),
        reports=("correct",) * params.correct + ("correct_differs",) * params.counts_differences,
        environment=what_decides(several(params.how, task)),
        cost=params.cost(rows=float(stay)),
        rejects={
            "said": "string",
            "rationale": "string",
            "predicted": label_type(task),
            "label": label_type(task),
            "sample": "integer",
            "view": "string",
            "variant": "string",
            **params.thought_columns,
        },
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
