"""The form of a target: what announces a label, what ends it, and where the rationale stands.

The same form writes targets in training and reads labels from what a student writes. Knows nothing
of rows, tokens or models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

MARKER = "[FIN_LABEL]"
"""What stands before and after a label unless the student's file says otherwise."""

Placement = Literal["after", "before", "none", "task"]
SpanKind = Literal["rationale", "label", "given"]
"""`given` is a part of the target that the student reads and isn't asked to learn."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a target. Its text starts with the space that parts it from what is before; no
    token reaches over one of its `cuts`."""

    kind: SpanKind
    text: str
    cuts: tuple[int, ...] = ()

    @property
    def pieces(self) -> list[str]:
        """The texts between its cuts."""
        places = (0, *self.cuts, len(self.text))
        return [self.text[begin:end] for begin, end in pairwise(places) if begin < end]


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where a written text has a label, and which of the labels it is; None for another text."""

    start: int
    end: int
    label: int | None


@dataclass(frozen=True, slots=True)
class TargetForm:
    """A target as its rationale and its label, which stands between `opening` and `end`.

    `gap` is the space before the label's own text; it belongs to the label, so that an option is
    the same tokens in training and where options are compared. A label without an `end` ends with
    its line. `lead` parts the target from its input. `marker` has no place in a rationale that is
    read.
    """

    placement: Placement
    opening: str
    gap: str
    end: str
    lead: str = " "
    marker: str = ""

    def spans(self, label: str, rationale: str | None) -> tuple[Span, ...]:
        """The target of a label, with a rationale where this form has one."""
        begin = len(self.opening)
        end = begin + len(self.gap) + len(label)
        text = f"{self.opening}{self.gap}{label}{self.end}"
        told = Span("label", text, (begin, end))
        if rationale is None or self.placement in ("none", "task"):
            return (told,)
        if self.placement == "after":
            return told, Span("rationale", f" {rationale.strip()}")
        return self.rationale_alone(rationale), told

    def rationale_alone(self, rationale: str) -> Span:
        """The target that has no label."""
        return Span("rationale", f"{self.lead}{rationale.strip()}")

    def option(self, label: str) -> str:
        """What follows `opening` where the label is this one."""
        return f"{self.gap}{label}"

    def complete(self, text: str) -> bool:
        """Whether a text that is still being written has a whole label."""
        return any(self._any_label(text, place, r"\n") for place in self._openings(text))

    def parse(self, text: str, labels: Sequence[str]) -> int | None:
        """Which of the labels a written text names; None where it names none of them.

        Where the rationale comes first the last announcement of a label counts, else the first.
        """
        found = self._announcement(text, labels)
        return found.label if found else None

    def before_label(self, text: str, labels: Sequence[str]) -> str:
        """What a written text says before it announces its label, as a rationale to go on from."""
        found = self._announcement(text, labels)
        if found is not None:
            return text[: found.start].rstrip()
        begun = list(self._openings(text))
        return (text[: begun[-1].start()] if begun else text).rstrip()

    def rationale_of(self, text: str, labels: Sequence[str]) -> str:
        """The rationale in a whole written text; where its label can't be found all of the text."""
        if self.placement == "before":
            return self.before_label(text, labels).strip()
        found = self._announcement(text, labels) if self.placement == "after" else None
        why = text[found.end :] if found else text
        return (why.replace(self.marker, "") if self.marker else why).strip()

    def _announcement(self, text: str, labels: Sequence[str]) -> Announcement | None:
        places: Iterable[re.Match[str]] = self._openings(text)
        if self.placement == "before":
            places = reversed(list(places))
        found = (self._announced(text, place, labels) for place in places)
        return next((one for one in found if one is not None), None)

    def _announced(
        self, text: str, opening: re.Match[str], labels: Sequence[str]
    ) -> Announcement | None:
        """The longest of the labels that stands whole after an opening, or another text there."""
        stop = self._stop(r"(?=\n|\Z)")
        for number in sorted(range(len(labels)), key=lambda at: len(labels[at]), reverse=True):
            label = re.compile(rf"\s*{re.escape(labels[number])}{stop}")
            if named := label.match(text, opening.end()):
                return Announcement(opening.start(), named.end(), number)
        other = self._any_label(text, opening, r"(?=\n|\Z)")
        return Announcement(opening.start(), other.end(), None) if other else None

    def _any_label(self, text: str, opening: re.Match[str], line_end: str) -> re.Match[str] | None:
        return re.compile(rf"\s*\S.*?{self._stop(line_end)}").match(text, opening.end())

    def _openings(self, text: str) -> Iterator[re.Match[str]]:
        return re.finditer(_spaced(self.opening) or r"\A", text)

    def _stop(self, line_end: str) -> str:
        end = _spaced(self.end)
        return rf"\s*{end}" if end else rf"[^\S\n]*{line_end}"


def marker_form(placement: Placement, marker: str, lead: str = " ") -> TargetForm:
    """The form whose label stands between two markers (arXiv 2406.14511)."""
    before = " " if placement == "before" else lead
    return TargetForm(placement, f"{before}{marker}", " ", f" {marker}", lead, marker)


def _spaced(text: str) -> str:
    """A pattern of a text, whatever its spaces: not every tokenizer keeps them."""
    return r"\s+".join(map(re.escape, text.split()))
