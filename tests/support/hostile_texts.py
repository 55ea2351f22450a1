"""Texts that do something to a terminal, or hide what they are, and how to find that in output."""

from __future__ import annotations

import re
import unicodedata

HOSTILE = {
    "clear the screen": "a\x1b[2J\x1b[Hb",
    "hidden": "a\x1b[8mb",
    "colour": "a\x1b[31;1mb",
    "title by BEL": "a\x1b]0;owned\x07b",
    "title by ST": "a\x1b]2;owned\x1b\\b",
    "link": "a\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\b",
    "clipboard": "a\x1b]52;c;ZXZpbA==\x07b",
    "device control": 'a\x1bP$q"p\x1b\\b',
    "answer back": "a\x1b[6n\x1b[cb\x05",
    "alternate screen": "a\x1b[?1049hb",
    "reset": "a\x1bcb",
    "CSI in one character": "a\x9b2Jb",
    "OSC in one character": "a\x9d0;owned\x9cb",
    "carriage return": "honest\rforged",
    "backspace": "honest\b\b\b\b\b\bforged",
    "bell": "a\x07b",
    "form feed and vertical tab": "a\x0c\x0bb",
    "shift out": "a\x0eb",
    "NUL": "a\x00b",
    "DEL": "a\x7fb",
    "next line": "a\x85b",
    "bidi override": "a\u202egnp.exe\u202cb",
    "bidi isolate": "a\u2066b\u2069",
    "bidi marks": "a\u200e\u200f\u061cb",
    "zero width": "pay\u200bpal\u2060\ufeff",
    "joiners": "pay\u200dpal\u200c",
    "tags": "a\U000e0041\U000e0042b",
    "variation selectors": "a\U000e0100\ufe01b",
    "fillers": "a\u3164\u115f\uffa0b",
    "soft hyphen": "a\u00adb",
    "separators": "a\u2028b\u2029c",
    "half a character": "a\ud800b\udc9bc",
    "annotations": "a\ufff9b\ufffac\ufffb",
    "no character": "a\uffffb",
}

_OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]|\x1b\[2K")
"""Colours, and what redraws a live table: the sequences that raygen itself writes."""
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe01\U000e0100"


def harmful(shown: str) -> list[str]:
    """List the characters that a terminal obeys or hides, but for line feeds and tabs."""
    return [
        character
        for character in shown
        if character not in "\n\t"
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        or character in _FILLERS
        or ord(character) & 0xFFFE == 0xFFFE
    ]


def harmful_beside_own(shown: str) -> list[str]:
    """List what is harmful beside the colours of raygen's own and what a pty makes of line ends."""
    return harmful(_OWN.sub("", shown.replace("\r\n", "\n")))
