"""Mark up values of a row: masked spans, changed words, votes, shares, options.

The kind of a value follows from its column's name and its shape. The marks are legible without
colour, too. Knows nothing of steps or tables.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from rich.text import Text

from raygen.core import OPTION_COLUMNS, Task, option_letter

MASK = "[MASK]"
_WIDTH = 12
_TOKENS = re.compile(r"\s+|\w+|[^\w\s]")
_TOLERANCE = 0.02


def marked(
    name: str, value: Any, row: Mapping[str, Any], task: Task, before: Mapping[str, Any] | None
) -> Text:
    """Mark up a column's value for people.

    Args:
        name: The column.
        value: Its value, of any column type.
        row: The row that has the value: its text and options decide how the value reads.
        task: The task, which names the columns of text and options.
        before: The row that an op made `row` of, None for a source row; positions of masked spans
            refer to its text.
    """
    if name == task.stem and isinstance(value, str):
        old = row.get("original")
        return changed_words(old, value) if isinstance(old, str) else masks(value)
    if name == "masked_spans" and isinstance(value, list):
        return spans((before or row).get(task.stem, ""), value)
    if name in OPTION_COLUMNS and isinstance(value, int) and not isinstance(value, bool):
        return Text(option(value, task.options(row)))
    if isinstance(value, str):
        return masks(value)
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, float):
        if not 0 <= value <= 1 or "logprob" in name:
            return Text(f"{value:.4g}")
        return bar(value) if name == "agreement" else Text(f"{100 * value:.0f} %")
    return Text(json.dumps(value, ensure_ascii=False))


def masks(text: str) -> Text:
    """Highlight the masks in a text."""
    shown = Text(text)
    shown.highlight_words([MASK], "black on yellow")
    return shown


def spans(text: str, masked: Sequence[Mapping[str, Any]]) -> Text:
    """Bracket and highlight the masked spans of a text; spans are offsets in characters."""
    shown = Text()
    end = 0
    for span in sorted(masked, key=lambda span: span["start"]):
        shown.append(text[end : span["start"]])
        shown.append(f"[{text[span['start'] : span['end']]}]", style="black on yellow")
        end = span["end"]
    return shown.append(text[end:])


def changed_words(old: str, new: str) -> Text:
    """Render a word diff: the new text, with removed words as [-old-] and added ones as {+new+}."""
    a, b = _TOKENS.findall(old), _TOKENS.findall(new)
    shown = Text()
    for kind, start, end, first, last in _changes(a, b):
        if kind == "equal":
            shown.append("".join(b[first:last]))
            continue
        if removed := "".join(a[start:end]):
            shown.append(f"[-{removed}-]", style="red")
        if added := "".join(b[first:last]):
            shown.append(f"{{+{added}+}}", style="green")
    return shown


def bar(share: float) -> Text:
    """Draw a share from 0 to 1 as a bar, followed by its percentage."""
    full = round(share * _WIDTH)
    return Text.assemble(
        ("━" * full, "cyan"), ("╌" * (_WIDTH - full), "dim"), f" {100 * share:.0f} %"
    )


def option(index: int, options: Sequence[str]) -> str:
    """Format an option as its letter and text; an index out of range as the bare number."""
    if not 0 <= index < len(options):
        return str(index)
    return f"{option_letter(index)}. {options[index]}"


def _changes(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield edits from a to b, as opcodes; edits with only white space between them are merged."""
    codes = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    merged: list[tuple[str, int, int, int, int]] = []
    blank = {
        middle
        for (before, *_), middle, (after, *_) in zip(codes, codes[1:], codes[2:], strict=False)
        if middle[0] == "equal" and before != "equal" != after
        if not "".join(a[middle[1] : middle[2]]).strip()
    }
    for code in codes:
        kind = "replace" if code in blank else code[0]
        if merged and kind != "equal" and merged[-1][0] != "equal":
            merged[-1] = ("replace", merged[-1][1], code[2], merged[-1][3], code[4])
        else:
            merged.append((kind, *code[1:]))
    return iter(merged)


def _mapping(value: Mapping[str, Any]) -> Text:
    counts = value.get("counts")
    if isinstance(counts, Mapping):
        return _votes(counts, value.get("unread", 0))
    numbers = list(value.values())
    if not numbers or not all(isinstance(n, int | float) for n in numbers):
        return Text(json.dumps(value, ensure_ascii=False))
    if all(n <= 0 for n in numbers):
        value = {name: math.exp(n) for name, n in value.items()}
        numbers = list(value.values())
    if abs(sum(numbers) - 1) < _TOLERANCE and min(numbers) >= 0:
        return _bars([(name, share, "") for name, share in value.items()])
    return Text(", ".join(f"{name} {number:g}" for name, number in value.items()))


def _votes(counts: Mapping[str, int], unread: int) -> Text:
    total = (sum(counts.values()) + unread) or 1
    voted = {**counts, "(not read)": unread}
    return _bars([(name, n / total, f"{n} of {total}") for name, n in voted.items() if n])


def _bars(lines: Sequence[tuple[str, float, str]]) -> Text:
    """Draw one bar per (name, share, note), largest first."""
    width = max((len(name) for name, _, _ in lines), default=0)
    shown = Text()
    for index, (name, share, note) in enumerate(sorted(lines, key=lambda line: -line[1])):
        shown.append("\n" if index else "").append(f"{name:<{min(width, 30)}}  ")
        shown.append_text(bar(share))
        shown.append(f"  {note}" if note else "", style="dim")
    return shown
