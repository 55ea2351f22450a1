"""The `fill_counterfactual` op: masks filled so that another option is right (EMNLP 2024)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from raygen.core import Reject, Row, Task
from raygen.core.answers import names_option
from raygen.engines import Ability, Completion
from raygen.ops.base import Columns, Context, Cost, Op
from raygen.ops.common.completions import completion_reject
from raygen.ops.common.json_answers import TEXT, answer_schema, list_schema, read_fields
from raygen.ops.common.masking import MASK, extract_fills, fill_masks, restore_ending
from raygen.ops.common.options import OPTIONS_EXPECTED, require_options, template_row
from raygen.ops.common.prediction import PredictionParams, predict_options
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams
from raygen.ops.common.tokens import same_words

_LABEL = re.compile(r"\A\W*(?:new text|filled text|fills)\W*:\s*", re.IGNORECASE)
_MASK_LEFT = re.compile(r"(?i:[\[{<(]\s*mask\s*\d*\s*[\]}>)])|\bMASK\d*\b|_{2,}")
_QUOTED = re.compile(r"\A([\"“'*]+)([^\"“”*]+)[\"”'*]+\Z")
CHECKS = (
    "empty",
    "refused",
    "truncated",
    "invalid_json",
    "mask_left",
    "wrong_count",
    "text_changed",
    "unchanged",
    "answer_leaked",
)
"""The reasons by how far a candidate came: the farthest one tells most about a target."""


class FillCounterfactualParams(SamplingParams):
    """Fills the masks of a text so that another option becomes the right answer.

    The new answer is by `target` a wrong option drawn with the row's seed (random), the wrong
    option that the teacher holds most probable on the original text (hardest), or each of them in
    turn. The teacher's probabilities are those of `flip_check`'s `by: score`: for multiple choice
    of the options' letters, summed over their tokens; for a classification of the labels' texts,
    as the mean per token. With `form: text` the engine writes the new text; with `form: fills` it
    lists what stands for the masks, which small models do better. Of n candidates per target the
    first that passes all checks is taken.

    Emits a row per target: the new text in the question's (or text's) column, the target as its
    answer, `variant` (counterfactual), `original` (the old text), `original_answer` and `target`
    (indexes of options), and `fills` (what stands in the place of each mask). The status counts
    the targets. Rejects a target whose best candidate leaves a mask, or a blank that was not there
    (`mask_left`), changes words outside the masks (`text_changed`; white space, a for an, the first
    letter's case and the last punctuation don't count), lists more or fewer fills than masks
    (`wrong_count`), fills in what was there (`unchanged`), or names the target where the original
    didn't (`answer_leaked`), or is `empty`, `truncated`, `refused` or, in a chat, which is asked
    for JSON, `invalid_json`.

    Paper: counterfactual distillation with multi-view chain of thought, EMNLP 2024 main 333.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 512, "form": "fills"}

    n: int = Field(4, ge=1, le=MAX_SAMPLES, description="candidates per target, in one request")
    temperature: float | None = Field(0.8, ge=0, le=2)
    max_tokens: int = Field(128, ge=1)
    stop: tuple[str, ...] = Field(("\n",), description="texts that end a completion")
    target: Literal["random", "hardest", "each"] = Field(
        "random", description="which wrong option becomes the answer"
    )
    form: Literal["text", "fills"] = Field(
        "text", description='what the engine answers: the whole new text, or "fill; fill; fill"'
    )
    allow_answer: bool = Field(False, description="the new text may name the target")
    prompt: str | None = Field(None, description="a template in place of the default prompt")
    score_prompt: str | None = Field(
        None, description="target: hardest: a template in place of the default prompt for scoring"
    )

    @model_validator(mode="after")
    def _scored(self) -> Self:
        if self.score_prompt is not None and self.target != "hardest":
            raise ValueError(f"`score_prompt` is for target: hardest, not target: {self.target}")
        return self

    @property
    def default(self) -> str:
        """The name of the default prompt."""
        return "fill_counterfactual" + "_fills" * (self.form == "fills")

    def reply_schema(self, masked: str) -> dict[str, Any] | None:
        """Make the JSON schema of an answer for a masked text; None for a completion."""
        if not self.asks_chat:
            return None
        masks = masked.count(MASK)
        return answer_schema(
            **{"fills": list_schema(masks, masks)} if self.form == "fills" else {"text": TEXT}
        )

    @property
    def scoring(self) -> PredictionParams:
        """How the teacher scores the options."""
        prompt = self.score_prompt
        return PredictionParams(by="score", prompt=prompt, chat=self.chat, api=self.api)


@dataclass(frozen=True, slots=True)
class _Check:
    """What a candidate is checked against."""

    original: str
    masked: str
    target: str
    params: FillCounterfactualParams

    def outcome(self, answer: Completion) -> tuple[str, list[str]] | Reject:
        """Return the new text and its fills, or what is wrong with the candidate."""
        filled = self._read(answer)
        if isinstance(filled, Reject):
            return filled
        written = filled if isinstance(filled, str) else "; ".join(filled)
        if self._leaves_mask(written):
            return Reject("mask_left", written[:160])
        text = filled if isinstance(filled, str) else self._put_in(filled)
        if isinstance(text, Reject):
            return text
        return self._checked(restore_ending(self.masked, text), written)

    def _read(self, answer: Completion) -> str | list[str] | Reject:
        """Return the new text, or what is filled in, as the answer has it."""
        params, schema = self.params, self.params.reply_schema(self.masked)
        if schema is not None:
            fields = read_fields(answer, schema, cut_off_counts=params.rejects_cut_off)
            if isinstance(fields, Reject):
                return fields
            value: str | list[str] = fields["fills" if params.form == "fills" else "text"]
            return value.strip() if isinstance(value, str) else [fill.strip() for fill in value]
        fault = completion_reject(answer, cut_off_counts=params.rejects_cut_off)
        if fault is not None:
            return fault
        filled = _unwrapped(answer.text, self.masked)
        if params.form == "text" or self._leaves_mask(filled):
            return filled
        return [fill.strip() for fill in filled.rstrip(".;").split(";")]

    def _leaves_mask(self, filled: str) -> bool:
        """Tell whether a mask or a blank stands in `filled` that the original text doesn't have."""
        return any(left[0] not in self.original for left in _MASK_LEFT.finditer(filled))

    def _checked(self, text: str, filled: str) -> tuple[str, list[str]] | Reject:
        """Check a new text; `filled` is the answer, for the rejects' details."""
        fills = extract_fills(self.masked, text)
        if fills is None:
            return Reject("text_changed", f"{filled[:120]!r} is not {self.masked[:120]!r} filled")
        if same_words(text, self.original):
            return Reject("unchanged", filled[:160])
        leaks = names_option(text, self.target) and not names_option(self.original, self.target)
        if leaks and not self.params.allow_answer:
            return Reject("answer_leaked", f"names {self.target!r}: {filled[:120]!r}")
        return text, fills

    def _put_in(self, fills: Sequence[str]) -> str | Reject:
        """Put the listed fills into the masks."""
        masks = self.masked.count(MASK)
        if len(fills) != masks or not all(fills):
            listed = "; ".join(fills)[:120]
            return Reject("wrong_count", f"{len(fills)} fills for {masks} masks: {listed!r}")
        text = fill_masks(self.masked, fills)
        return text[0].upper() + text[1:] if self.original[0].isupper() else text


async def run(row: Row, params: FillCounterfactualParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return a row or a reject for each target."""
    targets = await _targets(row, params, ctx)
    filled = (_filled(row, target, k, params, ctx) for k, target in enumerate(targets))
    return await asyncio.gather(*filled)


async def _targets(row: Row, params: FillCounterfactualParams, ctx: Context) -> list[int]:
    options, gold = ctx.task.options(row.data), ctx.task.gold(row.data)
    wrong = [option for option in range(len(options)) if option != gold]
    if params.target == "each" or len(wrong) == 1:
        return wrong
    if params.target == "random":
        return [Random(ctx.seed()).choice(wrong)]
    prediction = await predict_options(row.data, row.data[ctx.task.stem], params.scoring, ctx)
    return [max(wrong, key=lambda option: prediction.probabilities[option])]


async def _filled(
    row: Row, target: int, k: int, params: FillCounterfactualParams, ctx: Context
) -> Row | Reject:
    options, gold = ctx.task.options(row.data), ctx.task.gold(row.data)
    original = row.data[ctx.task.stem]
    replaced = extract_fills(row.data["masked"], original) or []
    fields = {"gold": gold, "target": target, "replaced": replaced}
    prompt = params.make_prompt(params.default, {**template_row(row, ctx.task), **fields})
    schema = params.reply_schema(row.data["masked"])
    answers = await ctx.generate(prompt, params.sampling(ctx.seed(k)), schema)
    check = _Check(original, row.data["masked"], options[target], params)
    rejects: list[Reject] = []
    for answer in answers:
        outcome = check.outcome(answer)
        if isinstance(outcome, Reject):
            rejects.append(outcome)
            continue
        text, fills = outcome
        new: Mapping[str, Any] = {
            ctx.task.stem: text,
            **ctx.task.answered(target),
            "variant": "counterfactual",
            "original": original,
            "original_answer": gold,
            "target": target,
            "fills": fills,
            **params.thoughts(answer),
        }
        return row.child(ctx.node, k, new)
    return max(
        rejects or [Reject("empty", "the engine gave no answer")],
        key=lambda reject: CHECKS.index(reject.reason),
    )


def _unwrapped(text: str, masked: str) -> str:
    """Strip the prompt's label and quotation marks from the answer's first line."""
    line = _LABEL.sub("", text.strip()).split("\n", 1)[0].strip()
    quoted = _QUOTED.match(line)
    return quoted.group(2).strip() if quoted and masked[0] not in quoted.group(1) else line


def columns(params: FillCounterfactualParams, task: Task) -> Columns:
    """Declare that it reads the masked text and replaces the question and its answer."""
    require_options(task, "fill_counterfactual")
    params.scoring.check_leaks(task, "score_prompt", frozenset({"gold", "target", "replaced"}))
    scores = params.target == "hardest"
    abilities: frozenset[Ability] = frozenset({"generate", "score"} if scores else {"generate"})
    targets = 1 if params.target != "each" else (len(task.labels) or OPTIONS_EXPECTED) - 1
    templates = params.prompt_templates(params.default)
    if params.score_prompt is not None:
        templates["score_prompt"] = params.score_prompt
    return Columns(
        requires=frozenset({*task.columns, "masked"}),
        provides={
            **{name: task.columns[name] for name in (task.stem, task.answer) if name},
            "variant": "string",
            "original": "string",
            "original_answer": "integer",
            "target": "integer",
            "fills": "json",
            **params.thought_columns,
        },
        given=frozenset({"stem", "options", "gold", "target", "replaced"}),
        templates=templates,
        abilities={"engine": abilities},
        reports=("target",),
        cost=Cost(targets + scores, params.n, params.max_tokens, targets),
    )


OP = Op(
    "fill_counterfactual",
    2,
    FillCounterfactualParams,
    run,
    columns,
    needs_engine=True,
    paper="EMNLP 2024 main 333",
)
