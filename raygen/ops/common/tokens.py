"""A text cut into tokens or words, each with the space before it, so that joined they are the text.

Knows nothing of rows or of what is done with the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from raygen.engines.models import Tokenizer


def split_words(text: str) -> list[str]:
    """Return the words of a text, each with a space before it."""
    return [f" {word}" for word in text.split()]


def split_tokens(text: str, tokenizer: Tokenizer) -> list[str]:
    """Return the tokens of a text as a student reads it: after a space, as its rationale stands.

    A character that is several tokens stays whole.
    """
    read = f" {text.strip()}"
    pieces, at = [], 0
    for _, end in tokenizer.offsets(read):
        if end > at:
            pieces.append(read[at:end])
            at = end
    return [*pieces, read[at:]] if at < len(read) else pieces


def count_words(text: str) -> int:
    """Count how many words a text has."""
    return len(re.findall(r"\w+(?:['’]\w+)*", text))


def same_words(first: str, second: str) -> bool:
    """Tell whether two texts differ in case, white space and punctuation at most."""
    return re.findall(r"\w+", first.casefold()) == re.findall(r"\w+", second.casefold())


def join_pieces(pieces: Sequence[str]) -> str:
    """Return the text of pieces, without space around it."""
    return "".join(pieces).strip()


def mask_piece(piece: str, mask: str) -> str:
    """Return the mask in place of a piece, with the piece's space."""
    return piece[: len(piece) - len(piece.lstrip())] + mask


def column_texts(value: Any) -> list[Mapping[str, Any]]:
    """Return a column with words as a list of {text, start, end}: key tokens, a list of texts, or a
    text.

    Words without a place have None for start and end. Raises ValueError for anything else.
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
