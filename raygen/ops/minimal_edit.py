"""The `minimal_edit` op: the smallest edit that flips the teacher's prediction (CoD)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from raygen.core import Reject, Row, Task
from raygen.engines import Ability, Api, Completion
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.common.completions import completion_reject
from raygen.ops.common.edits import character_distance, extract_edit, token_distance
from raygen.ops.common.json_answers import TEXT, answer_schema, read_fields
from raygen.ops.common.options import template_row
from raygen.ops.common.prediction import OptionProbabilities, PredictionParams, predict_options
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams
from raygen.ops.common.tokens import same_words

_PROMPT_FIELDS = frozenset({"stem", "options", "gold", "target", "demonstrations", "tries"})


class EditDemonstration(OpParams):
    """One worked edit for the prompt."""

    text: str
    label: str
    new_label: str
    edited: str


class MinimalEditParams(SamplingParams):
    """Edits a text as little as possible, so that the teacher predicts another option.

    The node's engine edits: it is shown one text, its label and an example, and returns the text
    only. `teacher` (by default the same engine) predicts the original and the edit, as `predict`
    says, without being told any answer. An edit that fails is shown to the editor with the verdict
    ("it is still positive"), for up to `attempts` tries, the first at `temperature`, the
    later ones at `retry_temperature`. Of several flips the smallest edit is kept.

    Emits a counterfactual: the edit in the text's (or question's) column, the target as its
    answer, `variant` (counterfactual), `original`, `original_answer` and `target` (indexes of
    options), `attempts` (how many were made), `edit_distance` (Levenshtein distance in words and
    punctuation marks, as a share of the longer text's), `character_distance` (the same in
    characters), `probabilities` and `original_probabilities` ({option: probability}). Rejects with
    `teacher_disagrees` (its prediction on the original is not the gold answer), and by the last
    attempt: `not_flipped`, `wrong_target` (a third option), `no_prediction` (two are level),
    `unchanged`, `too_far` (over `max_distance`), `empty`, `truncated`, `refused` or, in a chat,
    which is asked for JSON, `invalid_json`.

    Paper: few-shot distillation with counterfactual explanations (CoD), arXiv 2510.21631.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 1024}

    temperature: float | None = Field(0.0, ge=0, le=2, description="of the first attempt")
    retry_temperature: float = Field(0.7, ge=0, le=2, description="of the attempts after it")
    n: int = Field(1, ge=1, le=MAX_SAMPLES, description="edits per attempt, in one request")
    stop: tuple[str, ...] = Field(
        ("\nText:", "\nQuestion:", "\nLabel:", "\nAnswer:", "\nWrong,", "\nChanged "),
        description="texts that end an edit",
    )
    attempts: int = Field(3, ge=1, le=32, description="the most attempts")
    keep_trying: bool = Field(
        False, description="make all attempts, and keep the smallest edit that flips"
    )
    max_distance: float = Field(
        0.5, gt=0, le=1, description="the largest `edit_distance` that counts as a minimal edit"
    )
    target: Literal["random", "hardest", "next"] = Field(
        "random", description="which wrong option, where there are several: drawn with the row's "
        "seed, the one that the teacher finds most probable, or the one after the gold answer"
    )  # fmt: skip
    teacher: str | None = Field(None, description="the engine that predicts; default: the editor")
    predict: PredictionParams = Field(
        PredictionParams(), description="how the teacher predicts: the parameters of flip_check"
    )
    demonstrations: tuple[EditDemonstration, ...] | str = Field(
        (), description="worked edits in place of the default one: a list, or {file: edits.jsonl}"
    )
    prompt: str | None = Field(None, description="a template in place of the default prompt")

    @field_validator("demonstrations")
    @classmethod
    def _readable(cls, value: tuple[EditDemonstration, ...] | str) -> tuple[EditDemonstration, ...]:
        if isinstance(value, str):
            lines = [line for line in value.splitlines() if line.strip()]
            return tuple(EditDemonstration.model_validate_json(line) for line in lines)
        return value

    def engines(self) -> Mapping[str, str]:
        return {"teacher": self.teacher} if self.teacher else {}

    @classmethod
    def with_api_defaults(
        cls, written: Mapping[str, Any], api_of: Callable[[str | None], Api]
    ) -> Mapping[str, Any]:
        predict, teacher = written.get("predict", {}), written.get("teacher")
        if isinstance(predict, Mapping):
            asked = PredictionParams.with_api_defaults(predict, lambda _: api_of(teacher))
            written = {**written, "predict": asked} if asked else written
        return super().with_api_defaults(written, api_of)

    @property
    def reply_schema(self) -> dict[str, Any] | None:
        """The JSON schema of an answer; None for a completion, which is read as text."""
        return answer_schema(edited=TEXT) if self.asks_chat else None


@dataclass(frozen=True, slots=True)
class _Try:
    """An edit and its verdict: `reject` is None if it flips the prediction."""

    answer: Completion
    text: str
    verdict: str
    reject: Reject | None
    prediction: OptionProbabilities | None = None


@dataclass(frozen=True, slots=True)
class _Edit:
    """The edit of one row: from which option to which, and how attempts are judged."""

    row: Row
    params: MinimalEditParams
    ctx: Context
    gold: int
    target: int

    @property
    def original(self) -> str:
        return str(self.row.data[self.ctx.task.stem])

    @property
    def options(self) -> list[str]:
        return self.ctx.task.options(self.row.data)

    async def attempt(self, k: int, tries: Sequence[_Try]) -> list[_Try]:
        """Make the k-th attempt, which sees the earlier ones; equal edits are judged once."""
        params, task = self.params, self.ctx.task
        verdicts = {t.text: t.verdict for t in tries}
        fields = {
            **template_row(self.row, task),
            "gold": self.gold,
            "target": self.target,
            "demonstrations": [d.model_dump() for d in params.demonstrations
                               if isinstance(d, EditDemonstration)],
            "tries": [{"text": text, "verdict": fate} for text, fate in verdicts.items() if text],
        }  # fmt: skip
        prompt = params.make_prompt(_default(task), fields)
        sampling = params.sampling(self.ctx.seed(k))
        if k:
            sampling = replace(sampling, temperature=params.retry_temperature)
        answers = await self.ctx.generate(prompt, sampling, params.reply_schema)
        edits = {text: (answer, fault) for answer, text, fault in map(self._read, answers[::-1])}
        return [await self._judge(text, *edit) for text, edit in reversed(edits.items())]

    def _read(self, answer: Completion) -> tuple[Completion, str, Reject | None]:
        """Read the edit that an answer is, or has as JSON, and what is wrong with the answer."""
        params = self.params
        if params.reply_schema is not None:
            fields = read_fields(answer, params.reply_schema, cut_off_counts=params.rejects_cut_off)
            if isinstance(fields, Reject):
                return answer, "", fields
            return answer, " ".join(str(fields["edited"]).split()), None
        text = extract_edit(answer.text, self.original, self.options)
        # What is cut off after the edit's own end leaves the edit whole.
        cut_off_counts = params.rejects_cut_off and answer.text.rstrip().endswith(text)
        return answer, text, completion_reject(answer, cut_off_counts=cut_off_counts)

    async def _judge(self, text: str, answer: Completion, fault: Reject | None) -> _Try:
        params, new = self.params, self.options[self.target]
        if fault is not None or not text:
            nothing = Reject("empty", f"no text in {answer.text.strip()[:80]!r}")
            return _Try(answer, "", "", fault or nothing)
        if same_words(text, self.original):
            reject = Reject("unchanged", text[:160])
            return _Try(answer, text, "it is the same", reject)
        distance = token_distance(self.original, text)
        if distance > params.max_distance:
            reject = Reject("too_far", f"{distance:.2f} of the words differ: {text[:120]!r}")
            return _Try(answer, text, "it changes too much", reject)
        prediction = await predict_options(
            self.row.data, text, params.predict, self.ctx, params.teacher
        )
        if prediction.option == self.target:
            return _Try(
                answer, text, f"it is {new} but changes more than it must", None, prediction
            )
        detail = f"{prediction.words()}, but the target is {new!r}: {text[:120]!r}"
        if prediction.option is None:
            reject = Reject("no_prediction", detail)
            return _Try(answer, text, "it is not clear", reject, prediction)
        still = prediction.option == self.gold
        reject = Reject("not_flipped" if still else "wrong_target", detail)
        verdict = f"it is {'still ' if still else ''}{self.options[prediction.option]}"
        return _Try(answer, text, verdict, reject, prediction)


async def run(row: Row, params: MinimalEditParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the smallest edit that flips the prediction, or the reject of the last attempt."""
    original, gold = row.data[ctx.task.stem], ctx.task.gold(row.data)
    options = ctx.task.options(row.data)
    before = await predict_options(row.data, original, params.predict, ctx, params.teacher)
    if before.option != gold:
        return [Reject("teacher_disagrees", f"{before.words()}, but gold is {options[gold]!r}")]
    edit = _Edit(row, params, ctx, gold, _target(params, before, gold, ctx))
    tries: list[_Try] = []
    attempts = 0
    while attempts < params.attempts and (params.keep_trying or all(t.reject for t in tries)):
        tries += await edit.attempt(attempts, tries)
        attempts += 1
    flips = [(token_distance(original, t.text), t) for t in tries if t.reject is None]
    if not flips:
        last = tries[-1].reject if tries else None
        return [last or Reject("empty", "the engine gave no answer")]
    distance, best = min(flips, key=lambda flip: flip[0])
    return [
        row.child(
            ctx.node,
            0,
            {
                ctx.task.stem: best.text,
                **ctx.task.answered(edit.target),
                "variant": "counterfactual",
                "original": original,
                "original_answer": gold,
                "target": edit.target,
                "attempts": attempts,
                "edit_distance": distance,
                "character_distance": character_distance(original, best.text),
                "probabilities": best.prediction.by_option if best.prediction else None,
                "original_probabilities": before.by_option,
                **params.thoughts(best.answer),
            },
        )
    ]


def _target(params: MinimalEditParams, before: OptionProbabilities, gold: int, ctx: Context) -> int:
    wrong = [option for option in range(len(before.options)) if option != gold]
    if params.target == "next":
        return (gold + 1) % len(before.options)
    if params.target == "hardest":
        return max(wrong, key=lambda option: before.probabilities[option])
    return Random(ctx.seed()).choice(wrong)


def _default(task: Task) -> str:
    return f"minimal_edit_{task.name}"


def columns(params: MinimalEditParams, task: Task) -> Columns:
    """Declare that it needs the task's columns and replaces the text and its answer."""
    params.predict.check(task, "minimal_edit")
    params.predict.check_leaks(task, "predict.prompt", _PROMPT_FIELDS)
    generate, ability = frozenset[Ability]({"generate"}), params.predict.ability
    alone = {"engine": generate | ability}
    return Columns(
        requires=frozenset(task.columns),
        provides={
            **{column: task.columns[column] for column in (task.stem, task.answer) if column},
            "variant": "string",
            "original": "string",
            "original_answer": "integer",
            "target": "integer",
            "attempts": "integer",
            "edit_distance": "number",
            "character_distance": "number",
            "probabilities": "json",
            "original_probabilities": "json",
            **params.thought_columns,
        },
        given=_PROMPT_FIELDS,
        templates={
            **params.prompt_templates(_default(task)),
            **params.predict.templates(task, "predict."),
        },
        abilities={"engine": generate, "teacher": ability} if params.teacher else alone,
        reports=("target",),
        cost=params.cost(params.attempts, rows=1.0),
    )


OP = Op(
    "minimal_edit",
    2,
    MinimalEditParams,
    run,
    columns,
    needs_engine=True,
    paper="arXiv 2510.21631",
)
