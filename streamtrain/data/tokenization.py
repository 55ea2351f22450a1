"""Examples as token ids with a loss weight on each token.

Prompt tokens weigh nothing. Knows nothing of padding, models, losses or ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from raygen.engines import EngineSetupError, Message, RequestRefusedError
from raygen.engines.models import PromptTokenizer
from streamtrain.config import StudentConfig
from streamtrain.data.examples import Example
from streamtrain.data.top_k_targets import TopKTargets
from streamtrain.errors import InputError


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """One sequence: token ids, each token's weight in the loss, whether it was cut, and the part
    of the loss that it belongs to."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    cut: bool = False
    part: str = ""
    encoder_ids: tuple[int, ...] = ()
    """The input's ids where it isn't a part of the sequence: what an encoder reads."""
    top_k: TopKTargets | None = None
    soft_start: int = 0
    """What a teacher finds likely, from this place of the sequence on; its end may be cut off."""

    @property
    def weight(self) -> float:
        """The sum of the weights of its tokens."""
        return sum(self.weights)

    @property
    def tokens(self) -> int:
        """How many tokens it has, the input's included."""
        return self.read + len(self.ids)

    @property
    def read(self) -> int:
        """How many of them an encoder reads."""
        return len(self.encoder_ids)

    @property
    def predicted(self) -> int:
        """How many tokens the head predicts: all of a decoder, the learned ones of a sequence."""
        return len(self.ids) if self.encoder_ids else sum(weight > 0 for weight in self.weights)

    def scaled(self, factor: float) -> TokenizedExample:
        """The same with all weights multiplied."""
        return replace(self, weights=tuple(factor * weight for weight in self.weights))


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """Longest input and longest target in tokens; a longer one is cut and counted."""

    max_input: int
    max_target: int


class ExampleTokenizer:
    """Turns examples into tokens with one tokenizer.

    Every span is tokenized by itself, so that an input has the same tokens whatever follows it; so
    is the label in its span, which has the same tokens where options are compared.
    """

    def __init__(
        self,
        tokenizer: Any,
        limits: LengthLimits,
        weights: Mapping[str, float],
        per_span: bool = False,
        apart: bool = False,
        chat: bool = False,
    ) -> None:
        """`weights` says what a token of each kind of span weighs, with `per_span` what all the
        tokens of a span weigh together. `apart` keeps the input out of the sequence. With `chat`
        an input is a user's turn; raises InputError where the tokenizer has no template for it."""
        if chat:
            turn_ids(tokenizer, "?")
        self._chat = chat
        self._apart = apart
        self._per_span = per_span
        self._tokenizer = tokenizer
        self._limits = limits
        self._weights = weights

    @property
    def max_target(self) -> int:
        """The longest target in tokens."""
        return self._limits.max_target

    def prompt(self, text: str) -> tuple[list[int], bool]:
        """An input's ids, and whether it was cut; a long one loses its beginning."""
        ids = turn_ids(self._tokenizer, text) if self._chat else self._tokenizer(text)["input_ids"]
        longest = self._limits.max_input
        return ids[-longest:], len(ids) > longest

    def text(self, text: str) -> tuple[list[int], bool]:
        """The ids of a text to classify, and whether it was cut; a long one loses its end."""
        longest = self._limits.max_input
        ids = self._tokenizer(text, truncation=True, max_length=longest)["input_ids"]
        whole = len(ids) < longest or len(self._tokenizer(text)["input_ids"]) == len(ids)
        return list(ids), not whole

    def continuation(self, text: str) -> list[int]:
        """The ids of a text that follows an input."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def example(self, example: Example) -> TokenizedExample:
        """Input, spans and end of sequence; a long target loses its end.

        The end of sequence is a token of the last span.
        """
        prompt, cut = self.prompt(example.prompt)
        ids: list[int] = []
        weights: list[float] = []
        longest = self._limits.max_target
        told, told_at = None, 0
        for index, span in enumerate(example.target):
            tokens = [token for piece in span.pieces for token in self.continuation(piece)]
            if index == len(example.target) - 1:
                tokens.append(self._tokenizer.eos_token_id)
            kept = min(len(tokens), max(0, longest - len(ids)))
            weight = self._weights[span.kind] * example.weight
            if example.top_k is not None and span.kind == "rationale":
                told_at = len(ids) + example.top_k.place_in(tokens)
                told = example.top_k.first(max(0, longest - told_at))
            ids += tokens
            weights += [weight / max(1, kept) if self._per_span else weight] * len(tokens)
        cut = cut or len(ids) > longest
        target, weighed = tuple(ids[:longest]), tuple(weights[:longest])
        if self._apart:
            return TokenizedExample(target, weighed, cut, example.part, tuple(prompt))
        return TokenizedExample(
            (*prompt, *target),
            (*[0.0] * len(prompt), *weighed),
            cut,
            example.part,
            top_k=told if told and told.tokens else None,
            soft_start=len(prompt) + told_at,
        )


def make_example_tokenizer(config: StudentConfig, tokenizer: Any) -> ExampleTokenizer:
    """The encoder of a student: its limits and the weights of its spans.

    Raises InputError where the tokenizer lacks what the file asks of it.
    """
    form = config.data.form
    if form.placement == "after" and not form.end:
        line = tokenizer.decode(tokenizer("A\nB", add_special_tokens=False)["input_ids"])
        if "\n" not in line:
            raise InputError(
                "data.target: the label ends with its line, and the student's tokenizer has no "
                'line breaks; end it by a text, as in "{{ label }}. {{ rationale }}"'
            )
    weights = {**config.objective.weights.model_dump(), "given": 0.0}
    limits = LengthLimits(config.data.max_input, config.data.max_target)
    per_span, apart = config.objective.normalise == "span", config.kind == "seq2seq"
    return ExampleTokenizer(tokenizer, limits, weights, per_span, apart, config.data.chat)


def user_turn(text: str) -> tuple[Message, ...]:
    """The chat that a text is the only message of."""
    return (Message("user", text),)


def turn_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a user's turn up to where the answer begins.

    Raises InputError where the tokenizer has no chat template, or its template refuses the turn.
    """
    try:
        return PromptTokenizer("student", "the student's model", tokenizer, None).prompt(
            user_turn(text)
        )
    except EngineSetupError as error:
        raise InputError(
            "data.chat: the student's tokenizer has no chat template; set chat: false, or take an "
            "instruction-tuned model"
        ) from error
    except RequestRefusedError as error:
        raise InputError(f"data.chat: {error}; set chat: false") from error
