"""The `perturb_rationale` op: what of a rationale does a student need? (arXiv 2406.14511)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from raygen.core import Reject, Row, Task
from raygen.engines.models import Tokenizer, bundled_problem, load_tokenizer
from raygen.ops.base import Binding, Columns, Context, Op, OpParams
from raygen.ops.common.tokens import (
    column_texts,
    join_pieces,
    mask_piece,
    split_tokens,
    split_words,
)


class PerturbRationaleParams(OpParams):
    """Breaks a row's rationale on purpose, to see what of it a student needs.

    - `how: shuffle`: its pieces in a random order.
    - `how: mask`: a `fraction` of its pieces, drawn at random, replaced by `mask`.
    - `how: keep`: nothing but the words or tokens in the column `keep` (what `key_tokens` found, a
      list of words, or a text), in their `order`: as they stand, or shuffled. Tokens that stand
      together stay together, unless shuffled.
    - `how: unknown`: `count` times `unknown`, instead of the rationale or before it.

    Pieces are words, or with `unit: token` the tokens of `tokenizer` (the student's model), each
    with the space before it. All is drawn with the row's seed.

    Emits the row with `rationale`, `original_rationale` (but not with `how: unknown, place:
    instead`, which needs none) and `perturbation` (such as "masked 0.4"). Rejects a row without
    words to keep (`no_key_tokens`), and one whose rationale is `too_short` to be shuffled or masked
    (a single piece, or none that the fraction reaches).

    Paper: mysteries of CoT-augmented distillation, arXiv 2406.14511.
    """

    how: Literal["shuffle", "mask", "keep", "unknown"] = Field(description="what is done to it")
    unit: Literal["word", "token"] = Field("word", description="what is shuffled or masked")
    tokenizer: str | None = Field(None, description="unit: token; a hub id, folder or bundled:NAME")
    revision: str | None = Field(None, description="the tokenizer's revision on the hub")
    fraction: float | None = Field(None, gt=0, le=1, description="mask; the share to be masked")
    mask: str = Field("[MASK]", min_length=1, description="mask; what stands in place of a piece")
    keep: str | None = Field(None, min_length=1, description="keep; the column with what stays")
    order: Literal["kept", "shuffled"] = Field("kept", description="keep; in which order")
    count: int | None = Field(None, ge=1, description="unknown; how many times")
    unknown: str = Field("<unk>", min_length=1, description="unknown; the text to repeat")
    place: Literal["instead", "before"] = Field("instead", description="unknown; of the rationale")
    _loaded: Tokenizer | None = PrivateAttr(None)
    """The tokenizer that the plan is bound to: it comes with the plan, and no worker reads one."""

    @model_validator(mode="after")
    def _what_it_needs(self) -> PerturbRationaleParams:
        needs: dict[str, tuple[str, ...]] = {
            "shuffle": (),
            "mask": ("fraction",),
            "keep": ("keep",),
            "unknown": ("count",),
        }
        takes = {
            "shuffle": {"unit", "tokenizer", "revision"},
            "mask": {"unit", "tokenizer", "revision", "fraction", "mask"},
            "keep": {"keep", "order"},
            "unknown": {"count", "unknown", "place"},
        }
        for name in needs[self.how]:
            if getattr(self, name) is None:
                raise ValueError(f"how: {self.how} needs `{name}`")
        surplus = sorted(self.model_fields_set - takes[self.how] - {"how"})
        if surplus:
            raise ValueError(f"how: {self.how} takes no {', '.join(surplus)}; remove it")
        if (self.unit == "token") != (self.tokenizer is not None):
            raise ValueError("`unit: token` and `tokenizer` go together: the student's model")
        return self

    @property
    def needs_rationale(self) -> bool:
        """Whether the row must have one."""
        return not (self.how == "unknown" and self.place == "instead")

    def pieces(self, text: str) -> list[str]:
        """Cut a text as `unit` says. Raises EngineSetupError without the tokenizer."""
        if self.tokenizer is None:
            return split_words(text)
        return split_tokens(text, self._loaded or load_tokenizer(self.tokenizer, self.revision))

    def bound(self, tokenizer: Tokenizer) -> Self:
        """Return a copy with the tokenizer loaded."""
        bound = self.model_copy()
        bound._loaded = tokenizer
        return bound


async def run(row: Row, params: PerturbRationaleParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its rationale perturbed."""
    draw = random.Random(ctx.seed())
    new: dict[str, str] | Reject
    if params.how == "unknown":
        new = _unknown(row, params)
    elif params.how == "keep":
        new = _keep_words(row, params, draw)
    else:
        new = _rearranged(row, params, draw)
    if isinstance(new, Reject):
        return [new]
    before = {"original_rationale": row.data["rationale"]} if params.needs_rationale else {}
    return [row.child(ctx.node, 0, {**before, **new})]


def _rearranged(
    row: Row, params: PerturbRationaleParams, draw: random.Random
) -> dict[str, str] | Reject:
    text = row.data["rationale"]
    pieces = params.pieces(text)
    if params.how == "shuffle":
        if len(pieces) < 2:
            return Reject("too_short", f"nothing to shuffle in {text[:80]!r}")
        draw.shuffle(pieces)
        return {"rationale": join_pieces(pieces), "perturbation": f"shuffled {params.unit}s"}
    fraction = params.fraction or 0.0
    count = int(fraction * len(pieces) + 0.5)
    if count == 0:
        return Reject("too_short", f"{len(pieces)} {params.unit}s, of which {fraction} is none")
    for index in draw.sample(range(len(pieces)), count):
        pieces[index] = mask_piece(pieces[index], params.mask)
    return {"rationale": join_pieces(pieces), "perturbation": f"masked {fraction:g}"}


def _keep_words(
    row: Row, params: PerturbRationaleParams, draw: random.Random
) -> dict[str, str] | Reject:
    column = params.keep or ""
    try:
        tokens = column_texts(row.data.get(column) or [])
    except ValueError as error:
        return Reject("no_key_tokens", f"{column} is {error}")
    if not tokens:
        return Reject("no_key_tokens", f"{column} is {row.data.get(column)!r}")
    name = f"kept {column}"
    if params.order == "shuffled":
        draw.shuffle(tokens)
        pieces = [f" {token['text'].strip()}" for token in tokens]
        return {"rationale": join_pieces(pieces), "perturbation": f"{name}, shuffled"}
    tokens.sort(key=lambda token: -1 if token["start"] is None else token["start"])
    ends = [None, *(token["end"] for token in tokens)]
    pieces = [
        token["text"].strip() if end is not None and end == token["start"] else f" {token['text']}"
        for token, end in zip(tokens, ends, strict=False)
    ]
    return {"rationale": join_pieces(pieces), "perturbation": name}


def _unknown(row: Row, params: PerturbRationaleParams) -> dict[str, str]:
    repeated = " ".join([params.unknown] * (params.count or 0))
    text = repeated if params.place == "instead" else f"{repeated} {row.data['rationale']}"
    where = "" if params.place == "instead" else ", before the rationale"
    return {"rationale": text, "perturbation": f"{params.unknown} x {params.count}{where}"}


def columns(params: PerturbRationaleParams, task: Task) -> Columns:
    """Declare that it needs the rationale, and the column that says which words to keep."""
    requires = {"rationale"} if params.needs_rationale else set()
    if params.keep is not None:
        requires.add(params.keep)
    if params.tokenizer is not None and (problem := bundled_problem(params.tokenizer)) is not None:
        raise ValueError(f"tokenizer: {problem}")
    before: dict[str, Any] = {"original_rationale": "string"} if params.needs_rationale else {}
    return Columns(
        requires=frozenset(requires),
        provides={"rationale": "string", **before, "perturbation": "string"},
    )


def bind(params: PerturbRationaleParams, facts: Mapping[str, str] | None) -> Binding:
    """Load the tokenizer.

    Raises EngineSetupError if it can't be had, ValueError if it is another one than before.
    """
    if params.tokenizer is None:
        return Binding(params, {})
    tokenizer = load_tokenizer(params.tokenizer, params.revision)
    known = (facts or {}).get("tokenizer", tokenizer.content)
    if known != tokenizer.content:
        raise ValueError(f"the tokenizer of {params.tokenizer!r} has changed since its rows")
    return Binding(params.bound(tokenizer), {"tokenizer": tokenizer.content})


OP = Op(
    "perturb_rationale",
    1,
    PerturbRationaleParams,
    run,
    columns,
    paper="arXiv 2406.14511",
    bind=bind,
)
