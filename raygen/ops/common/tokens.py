"""A text as words or tokens: cut into pieces that join to the text, counted, compared.

Each piece has the space before it. Knows nothing of rows or of what is done with the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from raygen.engines.models import Tokenizer


def split_words(text: str) -> list[str]:
    """Split a text into words, each with a space before it."""
    return [f" {word}" for word in text.split()]


def split_tokens(text: str, tokenizer: Tokenizer) -> list[str]:
    """Split a text into tokens as a student reads them: after a space, as its rationale stands.

    A character that is several tokens stays in one piece.
    """
    read = f" {text.strip()}"
    pieces, at = [], 0
    for _, end in tokenizer.offsets(read):
        if end > at:
            pieces.append(read[at:end])
            at = end
    return [*pieces, read[at:]] if at < len(read) else pieces


def count_words(text: str) -> int:
    """Count the words of a text; a contraction is one."""
    return len(re.findall(r"\w+(?:['’]\w+)*", text))


def same_words(first: str, second: str) -> bool:
    """Tell whether two texts have the same words, ignoring case, white space and punctuation.

    "is n't", as treebanks write it, is "isn't".
    """
    return re.sub(r"\W+", "", first.casefold()) == re.sub(r"\W+", "", second.casefold())


def join_pieces(pieces: Sequence[str]) -> str:
    """Join pieces to a text, without space around it."""
    return "".join(pieces).strip()


def mask_piece(piece: str, mask: str) -> str:
    """Replace a piece by the mask, keeping its space."""
    return piece[: len(piece) - len(piece.lstrip())] + mask


def column_texts(value: Any) -> list[Mapping[str, Any]]:
    """Read a column of words as a list of {text, start, end}.

    The column holds key tokens, a list of texts, or a text. Words without a position have None for
    start and end. Raises ValueError for anything else.
    """
    if isinstance(value, str):
        value = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r}; expected key tokens, a list of words, or a text")
    entries: list[Mapping[str, Any]] = []
    for each in value:
        if isinstance(each, str):
            entries.append({"text": each, "start": None, "end": None})
        elif isinstance(each, Mapping) and isinstance(each.get("text"), str):
            entries.append(
                {"text": each["text"], "start": each.get("start"), "end": each.get("end")}
            )
        else:
            raise ValueError(f"an entry {each!r}; expected a word, or an object with a text")
    return entries
