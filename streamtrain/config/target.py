"""The format of a target: the text that announces a label, the text that ends it, and where the
rationale stands.

The same format writes targets in training and parses labels from generated text. Knows nothing of
rows, tokens or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

MARKER = "[FIN_LABEL]"
"""The text before and after a label unless the student's file names another."""

Placement = Literal["after", "before", "none", "task"]
SpanKind = Literal["rationale", "label", "given"]
"""`given` is a part of the target that the student reads and is not trained on."""


@dataclass(frozen=True, slots=True)
class TargetSpan:
    """A part of a target. Its text starts with the space that separates it from the part before; no
    token crosses one of its `cuts` (character offsets)."""

    kind: SpanKind
    text: str
    cuts: tuple[int, ...] = ()

    @property
    def pieces(self) -> list[str]:
        """The texts between the cuts, each tokenized by itself."""
        bounds = (0, *self.cuts, len(self.text))
        return [self.text[begin:end] for begin, end in pairwise(bounds) if begin < end]


@dataclass(frozen=True, slots=True)
class LabelAnnouncement:
    """Characters `start` to `end` of a text that announce a label; `label` is its index, None if
    the text there is none of the labels."""

    start: int
    end: int
    label: int | None


@dataclass(frozen=True, slots=True)
class TargetForm:
    """A format of targets: the label between `opening` and `end`, the rationale between
    `why_opening` and `why_end`; each of the two spans includes the text around it.

    `gap` is the space before the label's own text. It belongs to the label, so that an option has
    the same tokens in training and where options are scored. A label with an empty `end` ends with
    its line. `lead` separates the target from its input. `marker` is removed from a rationale that
    is parsed.
    """

    placement: Placement
    opening: str
    gap: str
    end: str
    why_opening: str = " "
    why_end: str = ""
    lead: str = " "
    marker: str = ""

    def spans(self, label: str, rationale: str | None) -> tuple[TargetSpan, ...]:
        """Build the target of a label, with a rationale if this format has one."""
        begin = len(self.opening)
        end = begin + len(self.gap) + len(label)
        text = f"{self.opening}{self.gap}{label}{self.end}"
        announced = TargetSpan("label", text, (begin, end))
        if rationale is None or self.placement in ("none", "task"):
            return (announced,)
        why = TargetSpan("rationale", f"{self.why_opening}{rationale.strip()}{self.why_end}")
        return (announced, why) if self.placement == "after" else (why, announced)

    def rationale_alone(self, rationale: str) -> TargetSpan:
        """Build the target that is a rationale without a label."""
        return TargetSpan("rationale", f"{self.lead}{rationale.strip()}")

    def option(self, label: str) -> str:
        """Format a label as the continuation of `opening`."""
        return f"{self.gap}{label}"

    def complete(self, text: str) -> bool:
        """Tell whether text that is still being generated already has a whole label."""
        openings = self._openings(text)
        return any(self._any_label(text, begun, r"\n") is not None for _, begun in openings)

    def parse(self, text: str, labels: Sequence[str]) -> int | None:
        """Parse which of the labels a generated text names; None if it names none.

        If the rationale comes first, the last announcement of a label counts, else the first.
        """
        announcement = self._announcement(text, labels)
        return announcement.label if announcement else None

    def before_label(self, text: str, labels: Sequence[str]) -> str:
        """Cut a generated text off where it announces its label."""
        announcement = self._announcement(text, labels)
        if announcement is not None:
            return text[: announcement.start].rstrip()
        begun = self._openings(text)
        return (text[: begun[-1][0]] if begun else text).rstrip()

    def rationale_of(self, text: str, labels: Sequence[str]) -> str:
        """Extract the rationale from a generated text; all of the text if its label can't be
        found."""
        if self.placement == "before":
            why = self.before_label(text, labels).strip()
            return why.removeprefix(self.why_opening.strip()).strip()
        announcement = self._announcement(text, labels) if self.placement == "after" else None
        why = text[announcement.end :] if announcement else text
        why = (why.replace(self.marker, "") if self.marker else why).strip()
        return why.removesuffix(self.why_end.strip()).strip() if announcement else why

    def _announcement(self, text: str, labels: Sequence[str]) -> LabelAnnouncement | None:
        openings = self._openings(text)
        candidates = [
            each for at in openings if (each := self._announced(text, at, labels)) is not None
        ]
        if self.placement != "before":
            return candidates[0] if candidates else None
        named = [each for each in candidates if each.label is not None]
        # An option's own text may look like an announcement, as "(x)" in "(a thing (x))".
        last = max(named, key=lambda each: (each.end, -each.start), default=None)
        later = [each for each in candidates if last is None or each.start >= last.end]
        return later[-1] if later else last

    def _announced(
        self, text: str, opening: tuple[int, int], labels: Sequence[str]
    ) -> LabelAnnouncement | None:
        """Match the longest label that stands complete after an opening, or another text there."""
        start, begun = opening
        stop = self._stop(_LINE_END)
        for number in sorted(range(len(labels)), key=lambda at: len(labels[at]), reverse=True):
            label = re.compile(rf"\s*{re.escape(labels[number])}{stop}")
            if named := label.match(text, begun):
                return LabelAnnouncement(start, named.end(), number)
        end = self._any_label(text, begun, _LINE_END)
        return None if end is None else LabelAnnouncement(start, end, None)

    def _any_label(self, text: str, begun: int, line_end: str) -> int | None:
        match = re.compile(rf"\s*\S.*?{self._stop(line_end)}").match(text, begun)
        return match.end() if match else None

    def _openings(self, text: str) -> list[tuple[int, int]]:
        """Find the (start, end) of every opening in a text, overlapping ones too; the start of the
        text if a label has no opening."""
        opening = _spaced(self.opening) or r"\A"
        return [match.span(1) for match in re.finditer(rf"(?=({opening}))", text)]

    def _stop(self, line_end: str) -> str:
        end = _spaced(self.end)
        return rf"\s*{end}" if end else rf"[^\S\n]*{line_end}"


def marker_form(placement: Placement, marker: str, lead: str = " ") -> TargetForm:
    """Build the format whose label stands between two markers (arXiv 2406.14511)."""
    first = placement == "before"
    return TargetForm(
        placement,
        opening=f"{' ' if first else lead}{marker}",
        gap=" ",
        end=f" {marker}",
        why_opening=lead if first else " ",
        lead=lead,
        marker=marker,
    )


@lru_cache(maxsize=64)
def written_form(target: str, lead: str = " ") -> TargetForm:
    """Parse a template with `{{ label }}` once and `{{ rationale }}` at most once.

    Raises ValueError for another template, and for one from whose targets no label could be told
    apart from the text around it.
    """
    parts = _PLACEHOLDER.split(target.strip())
    literals, names = parts[::2], parts[1::2]
    strange = next((literal for literal in literals if _BRACES.search(literal)), None)
    if strange is not None:
        raise ValueError(
            f"found {strange.strip()!r}; expected text with {_BOTH}, and nothing else in braces"
        )
    if names.count("label") != 1 or names.count("rationale") > 1:
        raise ValueError(
            f"found {{{{ label }}}} {names.count('label')} times and {{{{ rationale }}}} "
            f"{names.count('rationale')} times; expected {_BOTH}"
        )
    if names[0] == "rationale":
        before, opening, end = literals
        if not opening.strip():
            raise ValueError(
                "nothing but space stands between {{ rationale }} and {{ label }}, so no label "
                'could be found; announce it, as by "So the answer is"'
            )
        body, gap = _parted(opening)
        return TargetForm("before", body, gap, end, lead + before, lead=lead)
    body, gap = _parted(literals[0])
    opening, gap = (lead + body, gap) if body else ("", lead)
    if names == ["label"]:
        return TargetForm("none", opening, gap, literals[1], lead=lead)
    end, space = _parted(literals[1])
    if not end and "\n" not in space:
        raise ValueError(
            "neither text nor a line break stands between {{ label }} and {{ rationale }}, so no "
            'label could be told from what follows; end it, as by "."'
        )
    return TargetForm("after", opening, gap, end, space, literals[2], lead)


def _parted(text: str) -> tuple[str, str]:
    """Split a text into its body and the space at its end."""
    body = text.rstrip()
    return body, text[len(body) :]


def _spaced(text: str) -> str:
    """Build a pattern that matches a text with any spacing: not every tokenizer preserves
    spaces."""
    return r"\s+".join(map(re.escape, text.split()))


_LINE_END = r"(?=\n|\Z)"
_PLACEHOLDER = re.compile(r"\{\{\s*(label|rationale)\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_BOTH = "{{ label }} once and {{ rationale }} at most once"
