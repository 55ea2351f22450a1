"""Give each sign of a text its plain form, one for one, so that positions in it stay.

Minus signs, digits of other scripts, full-width letters, circled letters, quotation marks, primes
and brackets are written in many ways; what reads answers knows one of each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Han, kana and Hangul, as in a regex's brackets: they have no spaces between words."""
LETTER = rf"[^\W{CJK}]"
"""What makes a word longer: a letter, digit or underscore, but none of the scripts above."""
_SIGNS = {
    "-": "\u2010\u2011\u2012\u2212\ufe63\u207b",
    "'": "‘’‚‛`´ʹʼ′‹›",
    '"': "“”„‟«»″「」『』〝〞",
    "(": "⟨❨⦅",
    ")": "⟩❩⦆",
    "[": "【〔〖❲",
    "]": "】〕〗❳",
    "<": "〈《",
    ">": "〉》",
    "/": "⁄∕",
    ":": "︰∶",
    ".": "٫",
    ",": "٬،",
    "%": "٪",
    " ": "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000",
    "。": "｡",
    "I": "İ",
    "→": "⇒➔➜➡⟶⟹►▶",
}
_LEADING_DASH = re.compile(r"(?<![\w)\]%.])[–—](?=[.]?\d)|(?<=[(\[{$=])[–—](?=\w)")
"""An en dash for a minus sign; between two numbers it makes a range."""


@lru_cache(maxsize=1)
def _plain() -> dict[int, str]:
    table = {ord(sign): plain for plain, signs in _SIGNS.items() for sign in signs}
    for code in _of_other_scripts():
        if code not in table:
            plain = unicodedata.normalize("NFKC", chr(code)).strip("()")
            if len(plain) == 1 and plain.isascii():
                table[code] = plain
    return table


def _of_other_scripts() -> Iterator[int]:
    yield from range(0xFF01, 0xFF5F)
    yield from range(0x249C, 0x24EA)
    yield from range(0x1D400, 0x1D800)
    yield from range(0x1F110, 0x1F12A)


def _digits() -> dict[int, str]:
    return {
        code: str(unicodedata.decimal(chr(code)))
        for code in range(0x80, 0x20000)
        if unicodedata.category(chr(code)) == "Nd"
    }


@lru_cache(maxsize=1)
def _table() -> dict[int, str]:
    return {**_digits(), **_plain()}


def fold(text: str) -> str:
    """Write each sign of a text plainly; the result is as long as the text."""
    if text.isascii():
        return text
    return _LEADING_DASH.sub("-", text.translate(_table()))
