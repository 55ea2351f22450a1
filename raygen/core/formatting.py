"""Format figures for people, and texts of data, models and strangers for Markdown.

Figures are counts, durations, shares and dollars. Knows nothing of what figures and texts mean.
"""

from __future__ import annotations

import re

from raygen.core.terminal import visible_line

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# An underscore inside a word marks nothing, and names are full of them.
_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")
_STARTS = re.compile(r"^\s*([#+=-])")
_TICKS = re.compile("`+")


def count(number: float) -> str:
    """Format a number, rounded, with thousands separators: `12,345`."""
    return f"{round(number):,}"


def plural(number: int, noun: str) -> str:
    """Format a count with its noun: `1 row`, `2 rows`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def duration(seconds: float) -> str:
    """Format seconds in their two largest units: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def percent(share: float) -> str:
    """Format a share in [0, 1] as a percentage: `31.2 %`."""
    return f"{100 * share:.1f} %"


def money(dollars: float) -> str:
    """Format dollars, with more digits the fewer they are: `$0.0042`, `$0.50`, `$1,204`."""
    if dollars >= 100:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 0.1 else f"${dollars:.2g}"


def escape_markdown(text: str) -> str:
    """Escape a text as one line: no markup, HTML, link, image, cell or heading comes of it."""
    escaped = "".join(_HTML.get(character, character) for character in visible_line(text))
    return _MARKS.sub(r"\\\g<0>", escaped)


def escape_paragraphs(text: str) -> str:
    """Escape a text of several lines, which stay lines and paragraphs."""
    lines = map(escape_markdown, text.replace("\r\n", "\n").split("\n"))
    return "\n".join(_STARTS.sub(r"\\\1", line) for line in lines)


def code_span(text: str, in_table: bool = False) -> str:
    """Format a text as code on one line, whatever back-ticks it has."""
    line = visible_line(text) or " "
    ticks = "`" * (1 + _longest_ticks(line))
    pad = " " if "`" in line else ""
    if in_table:
        line = line.replace("|", "\\|")
    return ticks + pad + line + pad + ticks


def code_block(text: str, language: str = "") -> str:
    """Format a text as a fenced block, with a fence that the text doesn't close."""
    fence = "`" * max(3, 1 + _longest_ticks(text))
    block = text.removesuffix("\n")
    return f"{fence}{language}\n{block}\n{fence}"


def _longest_ticks(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)
