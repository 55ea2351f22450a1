"""The form of a target: what announces a label, what ends it, and where the rationale stands.

The same form writes targets in training and reads labels from what a student writes. Knows nothing
of rows, tokens or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

MARKER = "[FIN_LABEL]"
"""What stands before and after a label unless the student's file says otherwise."""

Placement = Literal["after", "before", "none", "task"]
SpanKind = Literal["rationale", "label", "given"]
"""`given` is a part of the target that the student reads and isn't asked to learn."""


@dataclass(frozen=True, slots=True)
class TargetSpan:
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
class LabelAnnouncement:
    """Where a written text has a label, and which of the labels it is; None for another text."""

    start: int
    end: int
    label: int | None


@dataclass(frozen=True, slots=True)
class TargetForm:
    """A target as its label, between `opening` and `end`, and its rationale, between `why_opening`
    and `why_end`; each is the span of what stands around it.

    `gap` is the space before the label's own text; it belongs to the label, so that an option is
    the same tokens in training and where options are compared. A label without an `end` ends with
    its line. `lead` parts the target from its input. `marker` has no place in a rationale that is
    read.
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
        """Return the target of a label, with a rationale where this form has one."""
        begin = len(self.opening)
        end = begin + len(self.gap) + len(label)
        text = f"{self.opening}{self.gap}{label}{self.end}"
        told = TargetSpan("label", text, (begin, end))
        if rationale is None or self.placement in ("none", "task"):
            return (told,)
        why = TargetSpan("rationale", f"{self.why_opening}{rationale.strip()}{self.why_end}")
        return (told, why) if self.placement == "after" else (why, told)

    def rationale_alone(self, rationale: str) -> TargetSpan:
        """Return the target that has no label."""
        return TargetSpan("rationale", f"{self.lead}{rationale.strip()}")

    def option(self, label: str) -> str:
        """Return what follows `opening` where the label is this one."""
        return f"{self.gap}{label}"

    def complete(self, text: str) -> bool:
        """Tell whether a text that is still being written has a whole label."""
        places = self._openings(text)
        return any(self._any_label(text, begun, r"\n") is not None for _, begun in places)

    def parse(self, text: str, labels: Sequence[str]) -> int | None:
        """Say which of the labels a written text names; None where it names none of them.

        Where the rationale comes first the last announcement of a label counts, else the first.
        """
        found = self._announcement(text, labels)
        return found.label if found else None

    def before_label(self, text: str, labels: Sequence[str]) -> str:
        """Return what a written text says before it announces its label."""
        found = self._announcement(text, labels)
        if found is not None:
            return text[: found.start].rstrip()
        begun = self._openings(text)
        return (text[: begun[-1][0]] if begun else text).rstrip()

    def rationale_of(self, text: str, labels: Sequence[str]) -> str:
        """Return the rationale in a whole written text; where its label can't be found all of
        the text."""
        if self.placement == "before":
            why = self.before_label(text, labels).strip()
            return why.removeprefix(self.why_opening.strip()).strip()
        found = self._announcement(text, labels) if self.placement == "after" else None
        why = text[found.end :] if found else text
        why = (why.replace(self.marker, "") if self.marker else why).strip()
        return why.removesuffix(self.why_end.strip()).strip() if found else why

    def _announcement(self, text: str, labels: Sequence[str]) -> LabelAnnouncement | None:
        places = self._openings(text)
        found = [one for at in places if (one := self._announced(text, at, labels)) is not None]
        if self.placement != "before":
            return found[0] if found else None
        named = [one for one in found if one.label is not None]
        # An option's own text may look like an announcement, as "(x)" in "(a thing (x))".
        last = max(named, key=lambda one: (one.end, -one.start), default=None)
        later = [one for one in found if last is None or one.start >= last.end]
        return later[-1] if later else last

    def _announced(
        self, text: str, place: tuple[int, int], labels: Sequence[str]
    ) -> LabelAnnouncement | None:
        """Return the longest of the labels that stands whole after an opening, or another text
        there."""
        start, begun = place
        stop = self._stop(_LINE_END)
        for number in sorted(range(len(labels)), key=lambda at: len(labels[at]), reverse=True):
            label = re.compile(rf"\s*{re.escape(labels[number])}{stop}")
            if named := label.match(text, begun):
                return LabelAnnouncement(start, named.end(), number)
        end = self._any_label(text, begun, _LINE_END)
        return None if end is None else LabelAnnouncement(start, end, None)

    def _any_label(self, text: str, begun: int, line_end: str) -> int | None:
        found = re.compile(rf"\s*\S.*?{self._stop(line_end)}").match(text, begun)
        return found.end() if found else None

    def _openings(self, text: str) -> list[tuple[int, int]]:
        """Say where the opening begins and ends, everywhere in a text, also where it overlaps
        itself; the text's own start where a label has no opening."""
        opening = _spaced(self.opening) or r"\A"
        return [place.span(1) for place in re.finditer(rf"(?=({opening}))", text)]

    def _stop(self, line_end: str) -> str:
        end = _spaced(self.end)
        return rf"\s*{end}" if end else rf"[^\S\n]*{line_end}"


def marker_form(placement: Placement, marker: str, lead: str = " ") -> TargetForm:
    """Return the form whose label stands between two markers (arXiv 2406.14511)."""
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
    """Return the form of a text with `{{ label }}` once and `{{ rationale }}` at most once,
    which stand where it says. Raises ValueError for another text, and where no label could be
    told from what is around it."""
    parts = _PLACEHOLDER.split(target.strip())
    literals, names = parts[::2], parts[1::2]
    strange = next((one for one in literals if _BRACES.search(one)), None)
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
    """Return a text and the space at its end."""
    body = text.rstrip()
    return body, text[len(body) :]


def _spaced(text: str) -> str:
    """Return a pattern of a text, whatever its spaces: not every tokenizer keeps them."""
    return r"\s+".join(map(re.escape, text.split()))


_LINE_END = r"(?=\n|\Z)"
_PLACEHOLDER = re.compile(r"\{\{\s*(label|rationale)\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_BOTH = "{{ label }} once and {{ rationale }} at most once"
