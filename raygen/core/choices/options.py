"""Options of a question, read from every form in which they are published.

Knows nothing of answers.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

LETTERED = re.compile(r"\(([A-Za-z])\)\s*")
"""The mark of an option in a text."""
_LONGEST_LITERAL = 100_000
_TEXT_KEYS = ("text", "content", "value", "option", "choice")
_MARK_KEYS = ("label", "key", "letter", "id")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one question.

    `texts` are distinct and none is empty. `slots` has, for each option as it was written, its
    index among the texts, None for an empty one; `marks` are the labels that came with them.
    """

    texts: tuple[str, ...]
    slots: tuple[int | None, ...]
    marks: tuple[str, ...] = ()

    @property
    def merged(self) -> int:
        """How many options repeat an earlier one."""
        return sum(slot is not None for slot in self.slots) - len(self.texts)

    def moved(self, index: int) -> int:
        """Return where an option stands now, by its index as written; others stay as they are."""
        slot = self.slots[index] if 0 <= index < len(self.slots) else None
        return index if slot is None else slot


def read_options(value: Any) -> Options:
    """Read options from a list of texts or of {label, text}, from {text: [...], label: [...]},
    {A: ..., B: ...}, the text of a JSON or Python list, or a text "... (A) red (B) blue".

    Empty and missing options are no options, and a repeated one is merged with its twin. Raises
    ValueError that says what was found.
    """
    written, marks = _written(value)
    if written is None:
        raise ValueError(f"choices is {value!r:.200}; expected a list of at least two options")
    texts: list[str] = []
    slots: list[int | None] = []
    for option in written:
        text = _option_text(option)
        if text and text not in texts:
            texts.append(text)
        slots.append(texts.index(text) if text else None)
    if len(texts) < 2:
        found = ", the same option twice" if len(set(slots) - {None}) < len(slots) > 1 else ""
        raise ValueError(
            f"choices is {value!r:.200}{found}; expected a list of at least two options"
        )
    if len(texts) > len(ascii_uppercase):
        raise ValueError(f"choices has {len(texts)} options; at most {len(ascii_uppercase)}")
    return Options(tuple(texts), tuple(slots), tuple(marks[: len(written)]))


def _written(value: Any) -> tuple[Sequence[Any] | None, Sequence[str]]:
    """Return the options as they are written, None where there are none, and their marks."""
    if isinstance(value, str):
        value = _literal(value)
    if isinstance(value, Mapping):
        texts = value.get("text")
        if isinstance(texts, list | tuple):
            labels = value.get("label")
            marks = labels if isinstance(labels, list | tuple) else ()
            return texts, [_mark(mark) for mark in marks]
        return list(value.values()), [_mark(mark) for mark in value]
    if not isinstance(value, list | tuple):
        return None, ()
    if value and all(isinstance(option, Mapping) for option in value):
        marks = [_first(option, _MARK_KEYS) for option in value]
        named = [] if any(mark is None for mark in marks) else [_mark(mark) for mark in marks]
        return [_first(option, _TEXT_KEYS) for option in value], named
    return value, ()


def _literal(text: str) -> Any:
    """Parse a text that holds a JSON or Python list, or lettered options; else return it."""
    stripped = text.strip()
    if stripped[:1] in ("[", "{", "(") and len(stripped) <= _LONGEST_LITERAL:
        for parse in (json.loads, ast.literal_eval):
            try:
                parsed = parse(stripped)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(parsed, list | tuple | dict):
                return parsed
    parts = list(LETTERED.finditer(text))
    if parts and [part[1].upper() for part in parts] == list(ascii_uppercase[: len(parts)]):
        ends = [part.start() for part in parts[1:]] + [len(text)]
        return [text[a.end() : b].strip() for a, b in zip(parts, ends, strict=True)]
    return text


def _first(option: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((option[key] for key in keys if key in option), None)


def _mark(mark: Any) -> str:
    return str(mark).strip()


def _option_text(option: Any) -> str:
    """Return an option's text; empty where it is missing. Raises ValueError."""
    if option is None or (isinstance(option, float) and math.isnan(option)):
        return ""
    if isinstance(option, bool):
        return str(option).lower()
    if not isinstance(option, str | int | float):
        raise ValueError(f"choices has the option {option!r:.200}; expected a text")
    return str(option).strip()
