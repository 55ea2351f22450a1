"""The `key_tokens` op: which words of a rationale carry its label (arXiv 2406.14511)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from raygen.core import ColumnType, Reject, Row, Task, render
from raygen.engines import Ability
from raygen.ops.base import Columns, Context, Cost, Op, OpParams
from raygen.ops.common.options import require_options, template_row
from raygen.ops.common.prompts import default_prompt
from raygen.ops.common.tokens import column_texts

TARGET = " [FIN_LABEL] {{ label | letter }}"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

Key = Mapping[str, Any]


class KeyTokensParams(OpParams):
    """Finds the tokens of a rationale that matter for its label.

    - `by: gradients`: the `k` tokens with the highest integrated gradients (baseline zero) toward
      the label, in the model of the engine `student`: one that streamtrain trained with the
      rationale *before* the label (any other is refused before the run starts, since nothing flows
      back from a label that comes first). `prompt` is the student's input up to the rationale and
      `target` what follows it; the defaults are streamtrain's layout with letters (for a student
      trained with `label: text`, `target: " [FIN_LABEL] {{ label_text }}"`). Tokens are the
      student's own, parts of words among them, as in the paper.
    - `by: nearest`: the `k` words nearest to the longest word of the label's text, by the input
      embeddings of the engine `embeddings`. They don't come from the rationale; what keeps them
      (`perturb_rationale` with `how: keep`) replaces it.
    - `by: column`: the words of the rationale that stand in the column `words` too (people's
      choice: a list of words, or a text).

    The label is the row's `label`, or its gold answer where it has none. Emits the column `into`
    (`key_tokens`): a list of {text, start, end, score} in the order of the text, places in
    characters of the rationale, or none where a word isn't from there. With `compare` (a column
    with other key tokens, a list of words, or a text) also `overlap_precision`, the share of these
    words that are among the others, and `overlap_recall`, the share of the others among these:
    sets of words, parts of words counting as the word of the rationale that they lie in; null
    where the divisor is none. Rejects a row with `no_key_tokens`, and with `prompt_too_long` what
    the student can't take.

    Paper: mysteries of CoT-augmented distillation, arXiv 2406.14511.
    """

    by: Literal["gradients", "nearest", "column"] = Field(description="how they are found")
    k: int = Field(15, ge=1, description="gradients, nearest; how many")
    student: str | None = Field(None, description="gradients; the engine with the trained student")
    embeddings: str | None = Field(None, description="nearest; the engine with the embeddings")
    words: str | None = Field(None, min_length=1, description="column; the column with the words")
    compare: str | None = Field(None, min_length=1, description="a column to measure overlap with")
    into: str = Field("key_tokens", min_length=1, description="the column for what is found")
    prompt: str | None = Field(None, description="gradients; the input up to the rationale")
    target: str = Field(TARGET, description="gradients; what follows the rationale")

    @model_validator(mode="after")
    def _what_it_needs(self) -> KeyTokensParams:
        needed = {"gradients": "student", "nearest": "embeddings", "column": "words"}
        for by, name in needed.items():
            if by == self.by and getattr(self, name) is None:
                what = "a column" if by == "column" else "an engine"
                raise ValueError(f"by: {by} needs `{name}`: {what}")
            if by != self.by and getattr(self, name) is not None:
                raise ValueError(f"`{name}` is for by: {by}; remove it")
        return self

    def engines(self) -> Mapping[str, str]:
        """Return the engine that `by` looks into."""
        named = {"student": self.student, "embeddings": self.embeddings}
        return {parameter: name for parameter, name in named.items() if name is not None}

    def template(self) -> str:
        """Return the student's input, the recipe's or streamtrain's."""
        return self.prompt or default_prompt("key_tokens")


async def run(row: Row, params: KeyTokensParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its key tokens."""
    if params.by == "gradients":
        keys = await _by_gradients(row, params, ctx)
    elif params.by == "nearest":
        keys = await _by_embedding(row, params, ctx)
    else:
        keys = _by_column(row.data["rationale"], row.data.get(params.words or ""))
    if not keys:
        return [Reject("no_key_tokens", f"none in {str(row.data.get('rationale'))[:80]!r}")]
    new: dict[str, Any] = {params.into: keys}
    if params.compare is not None:
        new |= _overlap(keys, row.data.get(params.compare), row.data.get("rationale") or "")
    return [row.child(ctx.node, 0, new)]


async def _by_gradients(row: Row, params: KeyTokensParams, ctx: Context) -> list[Key]:
    fields = {**template_row(row, ctx.task), **_label(row.data, ctx.task)}
    prompt = render(params.template(), fields)
    rationale = row.data["rationale"]
    text = f"{prompt} {rationale.strip()}"
    target = render(params.target, fields)
    scores = await ctx.attribute(text, len(prompt) + 1, target, engine=params.student)
    shift = len(prompt) + 1 - (len(rationale) - len(rationale.lstrip()))
    scored = [
        {"text": s.text, "start": s.start - shift, "end": s.end - shift, "score": s.score}
        for s in sorted(scores, key=lambda s: (-s.score, s.start))[: params.k]
    ]
    return sorted(scored, key=lambda key: key["start"])


async def _by_embedding(row: Row, params: KeyTokensParams, ctx: Context) -> list[Key]:
    words = _WORD.findall(_label(row.data, ctx.task)["label_text"])
    if not words:
        return []
    near = await ctx.nearest(max(words, key=len), params.k, engine=params.embeddings)
    return [{"text": word, "start": None, "end": None, "score": None} for word in near]


def _by_column(rationale: str, words: Any) -> list[Key]:
    chosen = {
        word.casefold()
        for each in column_texts(words if words is not None else [])
        for word in _WORD.findall(each["text"])
    }
    return [
        {"text": match.group(), "start": match.start(), "end": match.end(), "score": None}
        for match in _WORD.finditer(rationale)
        if match.group().casefold() in chosen
    ]


def _label(data: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return the label's index and text; for free text the text alone."""
    label = data.get("label")
    if task.name == "free_text":
        return {"label": None, "label_text": str(data["answer"] if label is None else label)}
    options = task.options(data)
    if label is None:
        label = task.gold(data)
    index = label if isinstance(label, int) else options.index(label)
    return {"label": index, "label_text": options[index]}


def _overlap(keys: Sequence[Key], others: Any, rationale: str) -> dict[str, float | None]:
    ours = _whole_words(keys, rationale)
    other_words = _whole_words(column_texts(others if others is not None else []), rationale)
    both = len(ours & other_words)
    return {
        "overlap_precision": both / len(ours) if ours else None,
        "overlap_recall": both / len(other_words) if other_words else None,
    }


def _whole_words(keys: Sequence[Key], rationale: str) -> set[str]:
    """List the words of keys; a key with a position stands for the words that it touches there."""
    word_spans = [(m.start(), m.end(), m.group().casefold()) for m in _WORD.finditer(rationale)]
    words: set[str] = set()
    for key in keys:
        if key["start"] is None:
            words |= {word.casefold() for word in _WORD.findall(key["text"])}
        else:
            words |= {
                w for start, end, w in word_spans if start < key["end"] and key["start"] < end
            }
    return words


def columns(params: KeyTokensParams, task: Task) -> Columns:
    """Declare that it needs the rationale, or for the nearest words a label."""
    if task.name != "free_text":
        require_options(task, "key_tokens")
    elif params.by == "gradients" and params.target == TARGET:
        raise ValueError("by: gradients on free text needs a `target`: what follows the rationale")
    requires = set(task.columns) | ({"rationale"} if params.by != "nearest" else set())
    requires |= {name for name in (params.words, params.compare) if name is not None}
    provides: dict[str, ColumnType] = {params.into: "json"}
    if params.compare is not None:
        provides |= {"overlap_precision": "number", "overlap_recall": "number"}
    ability: dict[str, frozenset[Ability]] = {}
    if params.student is not None:
        ability = {"student": frozenset({"attribute"})}
    elif params.embeddings is not None:
        ability = {"embeddings": frozenset({"nearest"})}
    gradients = params.by == "gradients"
    return Columns(
        requires=frozenset(requires),
        optional=frozenset({"label"}),
        provides=provides,
        given=frozenset({"stem", "options", "label", "label_text"}),
        templates={"prompt": params.template(), "target": params.target} if gradients else {},
        abilities=ability,
        cost=Cost(),
    )


OP = Op("key_tokens", 1, KeyTokensParams, run, columns, paper="arXiv 2406.14511")
