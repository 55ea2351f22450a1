"""The answer of a text without options: a number, a name, a phrase; and whether two are the same.

Knows nothing of engines or ops.

How sure a reading is: 1.0 from JSON or a box, 0.95 after an announcing phrase, 0.9 where the text
is nothing but a number or a line of up to five words, 0.5 for the last number of a text that
announces nothing.
"""

from __future__ import annotations

import ast
import re
import string
from dataclasses import dataclass, replace
from fractions import Fraction

from raygen.core.answers.announced import announcements, boxed_answer, json_answer, readable

_NUMBER = re.compile(r"(?<![\w.])[-+]?[$€£]?\s?\d[\d,]*(?:\.\d+)?(?:\s?[/]\s?\d+)?%?(?![\d_])")
_SENTENCE_END = re.compile(r"(?<=[^\s.])\.(?=\s|$)|[!?](?=\s|$)|\n")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SHORT = 5
_LONGEST_SUM = 80
_MOST_NODES = 40


@dataclass(frozen=True, slots=True)
class FreeAnswer:
    """The answer's text or None, the text without it, and how sure the reading is (0 to 1)."""

    text: str | None
    rationale: str
    confidence: float = 0.0


def read_free_answer(text: str) -> FreeAnswer:
    """Read the last announced answer of a text, and the text before the announcement.

    Without JSON, a box or an announcement, a short text is its own answer, and a longer one's last
    number is.
    """
    head, text = readable(text)
    read = _read(text)
    if not head:
        return read
    before = text.startswith(read.rationale)
    return replace(read, rationale=_tidy(head + read.rationale) if before else read.rationale)


def _read(text: str) -> FreeAnswer:
    stated = json_answer(text) or boxed_answer(text)
    if stated is not None:
        return FreeAnswer(stated.value, stated.rationale, 1.0)
    for phrase in reversed([each for each in announcements(text) if not each.weak]):
        sentence = _first_sentence(text[phrase.end :])
        if sentence:
            return FreeAnswer(sentence, _tidy(text[: phrase.start]), 0.95)
    if not text:
        return FreeAnswer(None, text)
    if "\n" not in text and len(text.split()) <= _SHORT:
        return FreeAnswer(_bare(text), "", 0.9)
    numbers = list(_NUMBER.finditer(text))
    if numbers:
        return FreeAnswer(numbers[-1].group().strip(), text, 0.5)
    return FreeAnswer(None, text)


def answer_key(text: str) -> str:
    """Make a key that is equal for equal answers; empty if there is nothing to compare.

    "1,000", "$1000" and "1000.0 dollars" are one number, "12 + 8 = 20" is 20, and "(60 / 3)" too;
    words are compared without case, articles, punctuation and surplus space.
    """
    number = number_of(text)
    return normalised(text) if number is None else f"= {number}"


def number_of(text: str) -> Fraction | None:
    """Read the number that an answer is, of an equation the right side; None if it has several."""
    plain = _THOUSANDS.sub("", text.strip().strip("*_`").rstrip("."))
    right = plain.rstrip("= ").rsplit("=", 1)[-1]
    value = _sum(re.sub(r"[$€£%\s]", "", right).replace("×", "*").replace("÷", "/"))
    if value is not None:
        return value
    numbers = [match.group() for match in _NUMBER.finditer(right)]
    if len(numbers) != 1:
        return None
    return _sum(re.sub(r"[$€£%\s,]", "", numbers[0]))


def normalised(text: str) -> str:
    """Strip case, articles, punctuation and surplus space from an answer."""
    plain = text.casefold().translate(str.maketrans("", "", string.punctuation + "“”‘’"))
    words = plain.split()
    return " ".join(word for word in words if word not in ("a", "an", "the")) or " ".join(words)


def _first_sentence(tail: str) -> str:
    tail = tail.lstrip()
    end = _SENTENCE_END.search(tail)
    return _bare(tail[: end.start()] if end else tail)


def _bare(text: str) -> str:
    return text.strip().strip('*_`"“”$').strip().rstrip(".").strip().rstrip('*_`"“”$').strip()


def _tidy(rationale: str) -> str:
    return rationale.rstrip().rstrip(",;:-*_`").rstrip()


def _sum(text: str) -> Fraction | None:
    """Evaluate a short sum of plain numbers; None for anything else."""
    if not 0 < len(text) <= _LONGEST_SUM or "**" in text or "//" in text:
        return None
    if not re.fullmatch(r"[\d.+\-*/()]+", text):
        return None
    try:
        tree = ast.parse(re.sub(r"\b0+(?=\d)", "", text), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
            return None
        return _value(tree.body, text)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def _value(node: ast.expr, text: str) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as value):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, text)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, text), _value(right, text)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
    raise ValueError(f"no plain sum: {text!r}")
