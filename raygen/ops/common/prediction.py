"""The teacher's own prediction: which of a task's options it gives a text, and how surely.

Knows nothing of counterfactuals. No column that tells the answer reaches its prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from raygen.core import Task, literal_ending, option_letter, softmax, template_fields
from raygen.core.answers import read_answer
from raygen.engines import Ability, Completion, EngineSetupError, Prompt
from raygen.ops.base import Context, Cost
from raygen.ops.common.completions import was_cut_off
from raygen.ops.common.options import require_options
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams

By = Literal["classify", "score", "vote"]

HIDDEN = frozenset(
    {
        "answer",
        "label",
        "target",
        "rationale",
        "predicted",
        "said",
        "original",
        "original_answer",
        "probabilities",
        "original_probabilities",
        "soft_labels",
    }
)
"""Columns that no prompt of a prediction may read: they tell the answer, or what it should be."""

PREDICTION_FIELDS = frozenset({"stem", "options"})
"""What a prediction's prompt gets from here: the text, and the options' texts."""

_ABILITY: Mapping[By, Ability] = {"classify": "classify", "score": "score", "vote": "generate"}
_NUMBERED = re.compile(r"LABEL_(\d+)", re.IGNORECASE)


class PredictionParams(SamplingParams):
    """How the teacher predicts.

    `by: score` compares the log-probabilities of the options after a prompt: of their letters, as
    in " (a)", summed over the tokens (for multiple choice), or of their texts, as the mean per
    token, so that a long option has no handicap (for classification). In a chat they are single
    letters, as in "A", where the answer begins. `by: classify` asks a
    classifier, whose labels must be the task's. `by: vote` samples answers; an option's
    probability is its share of all of them, those that name no single option included.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 256}

    by: By = Field("score", description="where the probabilities come from")
    prompt: str | None = Field(None, description="a template in place of the default prompt")
    candidates: Literal["letters", "texts"] | None = Field(
        None, description="by score: what is scored; letters for multiple choice, else texts"
    )
    normalise: Literal["tokens", "sum"] | None = Field(
        None, description="by score: the mean or the sum over tokens; sum for letters, else tokens"
    )
    labels: dict[str, str] | None = Field(
        None, description="by classify: the classifier's label: the task's label"
    )
    n: int = Field(
        5, alias="samples", ge=1, le=MAX_SAMPLES, description="by vote: answers, in one request"
    )
    max_tokens: int = Field(64, ge=1)
    stop: tuple[str, ...] = Field(
        ("\n\n", "\nQ:", "\nText:"), description="by vote: texts that end an answer"
    )

    @model_validator(mode="after")
    def _belongs(self) -> PredictionParams:
        if self.labels is not None and self.by != "classify":
            raise ValueError(f"`labels` is for by: classify, and this is by: {self.by}")
        if (self.candidates or self.normalise) and self.by != "score":
            raise ValueError(f"`candidates` and `normalise` are for by: score, not by: {self.by}")
        if self.truncated == "keep" and self.by != "vote":
            raise ValueError(f"`truncated` is for by: vote, and this is by: {self.by}")
        return self

    @property
    def ability(self) -> frozenset[Ability]:
        """What the engine must be able to do."""
        return frozenset({_ABILITY[self.by]})

    def templates(self, task: Task, place: str = "") -> dict[str, str]:
        """Return the prompt's templates by parameter; a classifier has none.

        `place` is what stands before the parameters' names, as in `predict.`.
        """
        return {} if self.by == "classify" else self.prompt_templates(_default(task), place)

    def reads(self, task: Task) -> frozenset[str]:
        """Return the fields that the prompt's templates read. Raises TemplateError."""
        return frozenset().union(*map(template_fields, self.templates(task).values()))

    def scored(self, task: Task, options: Sequence[str], prompt: Prompt) -> list[str]:
        """Return the text that is scored for each option; a chat's are letters, one token each."""
        if (self.candidates or self._default_candidates(task)) == "texts":
            texts = list(options)
        elif self.asks_chat:
            texts = [option_letter(k) for k in range(len(options))]
        else:
            texts = [f"({option_letter(k).lower()})" for k in range(len(options))]
        return [f" {text}" for text in texts] if isinstance(prompt, str) else texts

    def scores_tokens(self, task: Task) -> bool:
        """Tell whether the mean of an option's tokens is scored, and not their sum."""
        letters = (self.candidates or self._default_candidates(task)) == "letters"
        return (self.normalise or ("sum" if letters else "tokens")) == "tokens"

    def _default_candidates(self, task: Task) -> Literal["letters", "texts"]:
        return "letters" if self.asks_chat or task.name == "multiple_choice" else "texts"

    def check(self, task: Task, op: str) -> None:
        """Raise ValueError if the task's options can't be predicted this way."""
        require_options(task, op)
        if task.name == "multiple_choice" and self.by == "classify":
            raise ValueError(
                "by: classify needs options that are the same for every row, as in task: "
                "classification; use by: score or by: vote"
            )
        if self.labels and set(self.labels.values()) != set(task.labels):
            raise ValueError(
                f"`labels` leads to {sorted(set(self.labels.values()))}; expected each of the "
                f"task's labels: {list(task.labels)}"
            )

    def check_leaks(self, task: Task, parameter: str, secret: frozenset[str]) -> None:
        """Raise ValueError if the prompt reads the answer, or one of the op's own `secret` fields.

        For an op with prompts that may read them; other ops hide them from all of their prompts.
        """
        leaks = self.reads(task) & (HIDDEN | secret) - PREDICTION_FIELDS
        if leaks:
            raise ValueError(
                f"{parameter} reads {' and '.join(map(repr, sorted(leaks)))}: it would tell the "
                "teacher the answer; take it out of the template"
            )

    def prediction_cost(self, task: Task, predictions: int) -> Cost:
        """Return the cost of this many predictions."""
        if self.by == "vote":
            return self.cost(predictions, rows=1.0)
        options = max(1, len(task.labels)) if self.by == "score" else 1
        return Cost(calls=predictions, completions=options)


@dataclass(frozen=True, slots=True)
class OptionProbabilities:
    """The probability of each option; they add up to 1, except for unreadable answers of a vote."""

    options: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def option(self) -> int | None:
        """The most probable option; None if two are level, or no answer could be read."""
        best = max(self.probabilities)
        if best == 0 or self.probabilities.count(best) > 1:
            return None
        return self.probabilities.index(best)

    @property
    def by_option(self) -> dict[str, float]:
        """The probabilities as a column holds them."""
        return dict(zip(self.options, self.probabilities, strict=True))

    def words(self) -> str:
        """Write the prediction for people: the option and its probability."""
        if self.option is None:
            return f"no single option ({max(self.probabilities):.2f} at most)"
        return f"{self.options[self.option]!r} ({self.probabilities[self.option]:.2f})"


async def predict_options(
    data: Mapping[str, Any],
    text: str,
    params: PredictionParams,
    ctx: Context,
    engine: str | None = None,
) -> OptionProbabilities:
    """Ask the teacher for the probability of each option of a row.

    `data` are the row's columns, of which those in HIDDEN reach no prompt, `text` is the question
    or the text to classify, which replaces the row's own, `params` say how to predict, and `engine`
    names another engine than the node's. Raises EngineSetupError if a classifier's labels don't
    fit.
    """
    options = tuple(ctx.task.options(data))
    if params.by == "classify":
        chances = await ctx.classify(text, engine=engine)
        return OptionProbabilities(options, _of_labels(chances, options, params.labels or {}))
    visible = {name: value for name, value in data.items() if name not in HIDDEN}
    fields = {**visible, ctx.task.stem: text, "stem": text, "options": list(options)}
    prompt = params.make_prompt(_default(ctx.task), fields)
    if params.by == "vote":
        answers = await ctx.generate(prompt, params.sampling(ctx.seed()), engine=engine)
        ending = (
            literal_ending(params.templates(ctx.task)["prompt"]) if isinstance(prompt, str) else ""
        )
        cut_off_counts = params.rejects_cut_off
        return OptionProbabilities(options, _shares(answers, ending, options, cut_off_counts))
    candidates = params.scored(ctx.task, options, prompt)
    scores = await ctx.score(prompt, candidates, engine=engine)
    per_token = params.scores_tokens(ctx.task)
    return OptionProbabilities(
        options, softmax([s.per_token if per_token else s.logprob for s in scores])
    )


def _default(task: Task) -> str:
    return f"predict_{task.name}"


def _shares(
    answers: Sequence[Completion], ending: str, options: Sequence[str], cut_off_counts: bool
) -> tuple[float, ...]:
    """Compute each option's share of the answers, unreadable ones counting in the divisor."""
    read = [
        _read(answer.text, ending, options, cut_off=cut_off_counts and was_cut_off(answer))
        for answer in answers
    ]
    return tuple(read.count(option) / max(1, len(answers)) for option in range(len(options)))


def _read(text: str, ending: str, options: Sequence[str], *, cut_off: bool) -> int | None:
    """Read the option that an answer names, by itself or as the end of the prompt's last words."""
    option = read_answer(text, options, cut_off=cut_off).option
    if option is None and ending:
        return read_answer(ending + text, options, cut_off=cut_off).option
    return option


def _of_labels(
    chances: Mapping[str, float], options: Sequence[str], labels: Mapping[str, str]
) -> tuple[float, ...]:
    """Order a classifier's probabilities by option. Raises EngineSetupError if labels don't fit."""
    numbers = [_NUMBERED.fullmatch(label) for label in chances]
    if labels:
        label_options = [labels.get(label) for label in chances]
    elif all(numbers) and len(numbers) == len(options):
        numbered = [int(number[1]) for number in numbers if number]
        label_options = [options[k] if k < len(options) else None for k in numbered]
    else:
        known = {option.strip().casefold(): option for option in options}
        label_options = [known.get(label.strip().casefold()) for label in chances]
    if set(label_options) != set(options):
        raise EngineSetupError(
            f"the classifier's labels are {list(chances)}, and the task's {list(options)}; "
            f"say which is which: labels: {{{next(iter(chances), '...')}: {options[0]}, ...}}"
        )
    total = sum(chances.values())
    return tuple(
        sum(p for p, index in zip(chances.values(), label_options, strict=True) if index == option)
        / total
        for option in options
    )
