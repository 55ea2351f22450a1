"""The `mask_topic_words` op: a text with its topic words and noun phrases masked (EMNLP 2024)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from raygen.core import Reject, Row, Task
from raygen.engines import Completion
from raygen.ops.base import Binding, Columns, Context, Op
from raygen.ops.common.completions import completion_reject
from raygen.ops.common.json_answers import answer_schema, list_schema, read_fields
from raygen.ops.common.masking import (
    MASK,
    Kind,
    TextSpan,
    mask_spans,
    merge_spans,
    occurrences,
    spans_touch,
)
from raygen.ops.common.noun_phrases import (
    MISSING,
    installed_pipeline,
    noun_phrases,
    pipeline_version,
)
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams
from raygen.ops.common.tokens import count_words

_LABEL = re.compile(r"\A\W*topic words?\W*:", re.IGNORECASE)
_PHRASES_LABEL = re.compile(r"^[^\w\n]*noun phrases?\W*:", re.IGNORECASE | re.MULTILINE)
_SEPARATOR = re.compile(r"[;,\n]")
_AROUND_NAME = re.compile(r"\A[\W_]+|\A\d+[.)]\s+|(?<![\W_])[\W_]+\Z")
_QUESTION_WORDS = frozenset(
    {"what", "which", "who", "whom", "whose", "where", "when", "why", "how"}
)
_FUNCTION_WORDS = """
a an the and or but if so than then of in on at to for from with by as into about
i you he she it we they me him her us them my your his its our their this that these those
there here is are was were be been being am do does did has have had can could will would shall
should may might must
"""
_NO_TOPIC = frozenset(_FUNCTION_WORDS.split())


class MaskTopicWordsParams(SamplingParams):
    """Replaces the topic words of the question or text, and its noun phrases, by [MASK].

    The engine names the topic words. The noun phrases, determiners included, come from spaCy
    (`pip install 'raygen[nlp]'`), or from the same answer of the engine. What is named is masked
    wherever it stands in the text as whole words, whatever its case; spans that overlap, or with
    nothing but white space between them, become one [MASK]. Of n answers the first usable counts.

    Emits `masked` (the text with a [MASK] for each span), `masked_spans` (a list of text, start,
    end and kind: topic or phrase; offsets in characters of the text), and `phrases_by` (library or
    engine). Rejects a text in which none of the named topic words stands (`no_span`; what holds a
    question word, or only words such as "the" and "is", is no topic), of which more than
    `max_share` of the words would be masked (`all_masked`), or which has a [MASK] already
    (`mask_in_text`), and an answer that is `empty`, `truncated`, `refused` or, in a chat, which is
    asked for JSON, `invalid_json`.

    Paper: counterfactual distillation with multi-view chain of thought, EMNLP 2024 main 333.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 512}

    n: int = Field(1, ge=1, le=MAX_SAMPLES, description="answers to try, in one request")
    temperature: float | None = Field(0.0, ge=0, le=2)
    max_tokens: int = Field(96, ge=1)
    stop: tuple[str, ...] = Field(("\n\n", "\nText:"), description="texts that end a completion")
    phrases: Literal["auto", "library", "engine"] = Field(
        "auto",
        description="who names the noun phrases; auto: the library where it is installed on the "
        "machine that plans, for all workers alike (and so another plan than without it)",
    )
    which: Literal["all", "around"] = Field(
        "all", description="mask all noun phrases, or those that touch a topic word"
    )
    max_share: float = Field(0.7, gt=0, lt=1, description="most of a text's words to mask")
    prompt: str | None = Field(None, description="a template in place of the default prompt")
    _pipeline: str | None = PrivateAttr(None)
    """The pipeline, with its version, that the plan is bound to."""

    @property
    def reply_schema(self) -> dict[str, Any] | None:
        """The JSON schema of an answer; None for a completion, which is read as text."""
        if not self.asks_chat:
            return None
        phrases = {} if self.by_library else {"noun_phrases": list_schema(0, 30)}
        return answer_schema(topic_words=list_schema(1, 8), **phrases)

    @property
    def by_library(self) -> bool:
        """Whether spaCy names the noun phrases."""
        if self.phrases == "auto":
            return installed_pipeline() is not None
        return self.phrases == "library"

    @property
    def pipeline(self) -> str | None:
        """The pipeline, with its version, that every worker must have; None if any will do."""
        return self._pipeline

    def bound(self, by: Literal["library", "engine"], pipeline: str | None) -> Self:
        """Return a copy with the source of noun phrases resolved."""
        bound = self.model_copy(update={"phrases": by})
        bound._pipeline = pipeline
        return bound


async def run(row: Row, params: MaskTopicWordsParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the masked row, or the reject of the last answer if none is usable."""
    text = str(row.data[ctx.task.stem])
    if MASK in text:
        return [Reject("mask_in_text", f"the text has a {MASK} already: {text[:80]!r}")]
    fields = {"stem": text, "options": ctx.task.options(row.data), "phrases": not params.by_library}
    prompt = params.make_prompt("mask_topic_words", {**row.data, **fields})
    outcome: Row | Reject = Reject("empty", "the engine gave no answer")
    for answer in await ctx.generate(prompt, params.sampling(ctx.seed()), params.reply_schema):
        outcome = _outcome(row, text, answer, params, ctx)
        if isinstance(outcome, Row):
            break
    return [outcome]


def _outcome(
    row: Row, text: str, answer: Completion, params: MaskTopicWordsParams, ctx: Context
) -> Row | Reject:
    named = _named(answer, params)
    if isinstance(named, Reject):
        return named
    topics, phrases = named
    topic_spans = _spans(text, topics, "topic")
    if not topic_spans:
        return Reject("no_span", f"no topic word stands in the text: {answer.text.strip()[:80]!r}")
    if params.by_library:
        phrase_ends = noun_phrases(text, params.pipeline)
        phrase_spans = [TextSpan(start, end, "phrase") for start, end in phrase_ends]
    else:
        phrase_spans = _spans(text, phrases, "phrase")
    if params.which == "around":
        phrase_spans = [
            span
            for span in phrase_spans
            if any(spans_touch(text, span, topic) for topic in topic_spans)
        ]
    spans = merge_spans(text, [*topic_spans, *phrase_spans])
    masked = mask_spans(text, spans)
    share = 1 - count_words(masked.replace(MASK, " ")) / max(1, count_words(text))
    if share > params.max_share:
        return Reject("all_masked", f"{share:.0%} of the words would be masked: {masked[:80]!r}")
    return row.child(
        ctx.node,
        0,
        {
            "masked": masked,
            "masked_spans": [{"text": text[s.start : s.end], **asdict(s)} for s in spans],
            "phrases_by": "library" if params.by_library else "engine",
            **params.thoughts(answer),
        },
    )


def _named(
    answer: Completion, params: MaskTopicWordsParams
) -> tuple[list[str], list[str]] | Reject:
    """Read the topic words and the noun phrases that an answer lists."""
    if params.reply_schema is not None:
        fields = read_fields(answer, params.reply_schema, cut_off_counts=params.rejects_cut_off)
        if isinstance(fields, Reject):
            return fields
        return fields["topic_words"], fields.get("noun_phrases", [])
    fault = completion_reject(answer, cut_off_counts=params.rejects_cut_off)
    if fault is not None:
        return fault
    topics, *phrases = _PHRASES_LABEL.split(answer.text.strip(), maxsplit=1)
    return _listed(_LABEL.sub("", topics)), _listed(phrases[0]) if phrases else []


def _listed(text: str) -> list[str]:
    names = (_AROUND_NAME.sub("", name.strip()) for name in _SEPARATOR.split(text))
    return [name for name in names if name]


def _spans(text: str, names: Iterable[str], kind: Kind) -> list[TextSpan]:
    """Find the names in the text; question words, and function words alone, are no topic."""
    spans: list[TextSpan] = []
    for name in names:
        parts = name.casefold().split()
        if _QUESTION_WORDS.isdisjoint(parts) and not _NO_TOPIC.issuperset(parts):
            spans += occurrences(text, name, kind)
    return spans


def columns(params: MaskTopicWordsParams, task: Task) -> Columns:
    """Declare that it reads the stem. Raises ValueError if it needs spaCy and lacks it."""
    if params.phrases == "library" and installed_pipeline() is None:
        raise ValueError(MISSING)
    emitted: dict[str, Any] = {"masked": "string", "masked_spans": "json", "phrases_by": "string"}
    return Columns(
        requires=frozenset({task.stem}),
        provides={**emitted, **params.thought_columns},
        given=frozenset({"stem", "options", "phrases"}),
        templates=params.prompt_templates("mask_topic_words"),
        environment=_environment(params),
        cost=params.cost(rows=1.0),
    )


def _environment(params: MaskTopicWordsParams) -> dict[str, str]:
    """Return what decides the phrases; empty without the library, as in plans made before it."""
    return {"phrases": "library"} if params.phrases == "auto" and params.by_library else {}


def bind(params: MaskTopicWordsParams, facts: Mapping[str, str] | None) -> Binding:
    """Settle who finds the noun phrases. Raises ValueError for a pipeline that isn't installed."""
    by: Literal["library", "engine"] = "library" if params.by_library else "engine"
    if facts is not None and params.phrases == "auto":
        by = "library" if facts.get("phrases") == "library" else "engine"
    settled = {"phrases": by} if params.phrases == "auto" else {}
    if by == "engine":
        return Binding(params.bound(by, None), settled)
    name = installed_pipeline()
    if name is None:
        raise ValueError(MISSING)
    pipeline = pipeline_version(name)
    if facts is not None and facts.get("pipeline", pipeline) != pipeline:
        raise ValueError(f"its noun phrases are of {facts['pipeline']}, and here is {pipeline}")
    return Binding(params.bound(by, pipeline), {**settled, "pipeline": pipeline})


OP = Op(
    "mask_topic_words",
    1,
    MaskTopicWordsParams,
    run,
    columns,
    needs_engine=True,
    paper="EMNLP 2024 main 333",
    bind=bind,
)
