"""Examples as token ids with a loss weight on each token.

Prompt tokens weigh 0. Knows nothing of padding, models, losses or ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from raygen.engines import EngineSetupError, Message, RequestRefusedError
from raygen.engines.models import PromptTokenizer, patterns_may_give_up
from streamtrain.config import StudentConfig
from streamtrain.data.examples import Example
from streamtrain.data.top_k_targets import TopKTargets
from streamtrain.errors import InputError


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """A sequence of N tokens: `ids` and `weights` (N,), whether it was truncated (`cut`), and the
    `part` of the loss that it belongs to.

    For a decoder-only student the sequence is input and target; for an encoder-decoder it is the
    target.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    cut: bool = False
    part: str = ""
    encoder_ids: tuple[int, ...] = ()
    """The input's ids for an encoder; empty for a decoder-only student."""
    top_k: TopKTargets | None = None
    soft_start: int = 0
    """The position in the sequence at which `top_k` begins; its end may be truncated."""

    @property
    def weight(self) -> float:
        """The sum of the weights of its tokens."""
        return sum(self.weights)

    @property
    def tokens(self) -> int:
        """The number of tokens, an encoder's included."""
        return self.read + len(self.ids)

    @property
    def read(self) -> int:
        """The number of tokens that an encoder reads."""
        return len(self.encoder_ids)

    @property
    def predicted(self) -> int:
        """The number of tokens that the head predicts: all that a decoder writes, or the weighted
        ones of a sequence."""
        return len(self.ids) if self.encoder_ids else sum(weight > 0 for weight in self.weights)

    def scaled(self, factor: float) -> TokenizedExample:
        """Return a copy with all weights multiplied by `factor`."""
        return replace(self, weights=tuple(factor * weight for weight in self.weights))


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """Maximum tokens of an input and of a target; longer ones are truncated and counted."""

    max_input: int
    max_target: int


class ExampleTokenizer:
    """Tokenizes examples.

    Every span is tokenized by itself, so that an input has the same tokens whatever follows it; so
    is the label in its span, which then has the same tokens where options are scored.
    """

    def __init__(
        self,
        tokenizer: Any,
        limits: LengthLimits,
        weights: Mapping[str, float],
        per_span: bool = False,
        separate_input: bool = False,
        chat: bool = False,
    ) -> None:
        """Wrap `tokenizer`, one of transformers.

        `limits` are in tokens. `weights` is the loss weight of a token by the kind of its span;
        with `per_span`, of all tokens of the span together. `separate_input` keeps an input out of
        the sequence, for an encoder. With `chat` an input is a user turn; raises InputError if the
        tokenizer has no chat template.
        """
        if chat:
            turn_ids(tokenizer, "?")
        self._chat = chat
        self._separate_input = separate_input
        self._per_span = per_span
        self._tokenizer = tokenizer
        self._limits = limits
        self._weights = weights

    @property
    def max_target(self) -> int:
        """The maximum tokens of a target."""
        return self._limits.max_target

    def prompt(self, text: str) -> tuple[list[int], bool]:
        """Tokenize an input; returns its ids, and whether its beginning was truncated."""
        ids = turn_ids(self._tokenizer, text) if self._chat else self._ids(text)
        longest = self._limits.max_input
        return ids[-longest:], len(ids) > longest

    def text(self, text: str) -> tuple[list[int], bool]:
        """Tokenize a text to classify; returns its ids, and whether its end was truncated."""
        longest = self._limits.max_input
        ids = self._ids(text, truncation=True, max_length=longest)
        complete = len(ids) < longest or len(self._ids(text)) == len(ids)
        return ids, not complete

    def continuation(self, text: str) -> list[int]:
        """Tokenize a text that follows an input, without special tokens."""
        return self._ids(text, add_special_tokens=False)

    def _ids(self, text: str, **options: Any) -> list[int]:
        try:
            with patterns_may_give_up():
                return list(self._tokenizer(text, **options)["input_ids"])
        except EngineSetupError as error:
            raise InputError(f"the student's tokenizer: {error}") from error

    def example(self, example: Example) -> TokenizedExample:
        """Tokenize input, spans and end of sequence; a long target loses its end.

        The end of sequence belongs to the last span.
        """
        prompt, cut = self.prompt(example.prompt)
        ids: list[int] = []
        weights: list[float] = []
        longest = self._limits.max_target
        top_k, soft_start = None, 0
        for index, span in enumerate(example.target):
            tokens = [token for piece in span.pieces for token in self.continuation(piece)]
            if index == len(example.target) - 1:
                tokens.append(self._tokenizer.eos_token_id)
            length = min(len(tokens), max(0, longest - len(ids)))
            weight = self._weights[span.kind] * example.weight
            if example.top_k is not None and span.kind == "rationale":
                soft_start = len(ids) + example.top_k.offset_in(tokens)
                top_k = example.top_k.first(max(0, longest - soft_start))
            ids += tokens
            weights += [weight / max(1, length) if self._per_span else weight] * len(tokens)
        cut = cut or len(ids) > longest
        target, weighed = tuple(ids[:longest]), tuple(weights[:longest])
        if self._separate_input:
            return TokenizedExample(target, weighed, cut, example.part, tuple(prompt))
        return TokenizedExample(
            (*prompt, *target),
            (*[0.0] * len(prompt), *weighed),
            cut,
            example.part,
            top_k=top_k if top_k and top_k.tokens else None,
            soft_start=len(prompt) + soft_start,
        )


def make_example_tokenizer(config: StudentConfig, tokenizer: Any) -> ExampleTokenizer:
    """Configure the tokenizer of a student: limits, span weights, chat.

    Raises InputError if the tokenizer lacks what the file requires: a chat template, or line breaks
    if a label ends with its line.
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
    per_span, separate_input = config.objective.normalise == "span", config.kind == "seq2seq"
    return ExampleTokenizer(tokenizer, limits, weights, per_span, separate_input, config.data.chat)


def user_turn(text: str) -> tuple[Message, ...]:
    """Make the chat whose only message is a text of the user."""
    return (Message("user", text),)


def turn_ids(tokenizer: Any, text: str) -> list[int]:
    """Tokenize a user turn up to where the answer begins, as an engine reads it.

    Raises InputError if the tokenizer has no chat template, or its template refuses the turn or
    doesn't end.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise InputError(
            "data.chat: the student's tokenizer has no chat template; set chat: false, or take an "
            "instruction-tuned model"
        )
    try:
        return PromptTokenizer("student", "the student's model", tokenizer, None).prompt(
            user_turn(text)
        )
    except (EngineSetupError, RequestRefusedError) as error:
        raise InputError(f"data.chat: {error}; set chat: false") from error
