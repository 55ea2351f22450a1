"""Examples as tokens, and tokens as padded or packed tensors with a loss weight on each token.

Prompt tokens weigh nothing. A packed row holds several sequences whose attention stays inside
their own borders (block-diagonal) and whose positions start anew, on any attention kernel that
takes a 4-dimensional mask. Knows nothing of models, losses or ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from streamtrain.config import StudentConfig
from streamtrain.data.chat_template import turn_ids
from streamtrain.data.examples import Example
from streamtrain.data.soft_targets import SoftTargets, make_soft_targets
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
class Batch:
    """Tensors of one forward pass over R rows of T places.

    `ids`, `positions` and `weights` are (R, T). `mask` is (R, T), 1 where a token is, or for
    packed rows a boolean (R, 1, T, T), true where a token may look. A flat row has no such mask;
    `lengths` are those of its sequences, of which an attention kernel is told instead.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    mask: torch.Tensor
    lengths: tuple[int, ...] = ()
    soft: SoftTargets | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        parts = (self.ids, self.positions, self.weights, self.mask)
        ids, positions, weights, mask = (part.to(device) for part in parts)
        soft = self.soft and self.soft.to(device)
        return Batch(ids, positions, weights, mask, self.lengths, soft)


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


def group_by_length(lengths: Sequence[int], capacity: int) -> Iterator[list[int]]:
    """Numbers of similar lengths, the longest first, that padded take about `capacity` places."""
    left = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while left:
        count = max(1, capacity // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def split_micro_batches(
    sequences: Sequence[TokenizedExample], capacity: int, pack: bool
) -> Iterator[list[list[TokenizedExample]]]:
    """Micro-batches of rows, each row a list of sequences, of about `capacity` places at most, with
    those of inputs that stand apart.

    Sequences of similar length share a micro-batch, so that little is padded; packed, one row
    takes them all and nothing is padded. A sequence longer than `capacity` stands alone.
    """
    ordered = sorted(sequences, key=lambda sequence: sequence.tokens, reverse=True)
    while ordered:
        if pack:
            group = _fill(ordered, capacity)
            yield [group]
        else:
            count = max(1, capacity // ordered[0].tokens)
            group, ordered = ordered[:count], ordered[count:]
            yield [[sequence] for sequence in group]


def collate(rows: Sequence[Sequence[TokenizedExample]], pad: int, flat: bool = False) -> Batch:
    """Tensors of rows of one or more sequences each, padded on the right with the id `pad`.

    With `flat`, one row of several has its lengths in place of a mask.
    """
    width = max(sum(len(sequence.ids) for sequence in row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    weights = torch.zeros(len(rows), width)
    positions = torch.zeros(len(rows), width, dtype=torch.long)
    owner = torch.full((len(rows), width), -1)
    said = []
    for at, row in enumerate(rows):
        start = 0
        for number, sequence in enumerate(row):
            end = start + len(sequence.ids)
            ids[at, start:end] = torch.tensor(sequence.ids)
            weights[at, start:end] = torch.tensor(sequence.weights)
            positions[at, start:end] = torch.arange(end - start)
            owner[at, start:end] = number
            if sequence.top_k is not None:
                said.append((at, start + sequence.soft_start, sequence.top_k))
            start = end
    soft = make_soft_targets(said, len(rows), width)
    if all(len(row) == 1 for row in rows):
        return Batch(ids, positions, weights, (owner >= 0).long(), soft=soft)
    if flat and len(rows) == 1:
        lengths = tuple(len(sequence.ids) for sequence in rows[0])
        return Batch(ids, positions, weights, (owner >= 0).long(), lengths, soft)
    return Batch(ids, positions, weights, block_mask(owner), soft=soft)


def block_mask(owner: torch.Tensor) -> torch.Tensor:
    """The boolean mask (R, 1, T, T) of causal attention among places with the same owner (R, T).

    Padding, owned by -1, looks at itself alone, so that no softmax is empty.
    """
    width = owner.shape[1]
    same = owner[:, :, None] == owner[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool, device=owner.device).tril()
    own = torch.eye(width, dtype=torch.bool, device=owner.device)
    allowed = (same & causal & (owner >= 0)[:, :, None]) | own
    return allowed[:, None]


def _fill(ordered: list[TokenizedExample], capacity: int) -> list[TokenizedExample]:
    """Takes from `ordered` (longest first) what fits into one row, at least one sequence."""
    taken = [ordered.pop(0)]
    room = capacity - taken[0].tokens
    at = 0
    while at < len(ordered):
        if ordered[at].tokens <= room:
            room -= ordered[at].tokens
            taken.append(ordered.pop(at))
        else:
            at += 1
    return taken
