"""Un-blinded verdicts of a sheet: how often the student's rationale wins, the confidence of that,
and whether raters agree.

Knows nothing of how a verdict came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import mean
from typing import Any, Literal

from streamtrain.evaluation import clusters, cohen_kappa, share_interval, sign_test
from streamtrain.rationales.annotations import Annotations
from streamtrain.rationales.sheet import SheetItem, SheetKey
from streamtrain.tables import TextTable

Outcome = Literal["win", "tie", "loss"]
"""The student's."""

_SHOWN = 20

_OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "loss")


@dataclass(frozen=True, slots=True)
class OutcomeRate:
    """The count of an outcome and its share, with the 95 % interval: Wilson's, or a bootstrap over
    pairs if questions come in pairs."""

    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tally:
    """The student's outcomes over `items`; `p` is that of the sign test over wins and losses."""

    items: int
    win: OutcomeRate
    tie: OutcomeRate
    loss: OutcomeRate
    p: float


@dataclass(frozen=True, slots=True)
class Rater:
    """A rater's results; `tally` is None if no verdict could be read.

    `first` and `second` count what position alone may have decided, with the p-value that both are
    as frequent; see `Annotations`.
    """

    name: str
    tally: Tally | None
    missing: tuple[str, ...]
    first: int
    second: int
    p_of_place: float
    swayed: int | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two or more raters, as the mean over `pairs` pairs of raters: the share of items
    judged by both with the same outcome, and Cohen's kappa, None if no pair has one."""

    pairs: int
    same: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All verdicts on a sheet. With several raters, `together` has for each item the majority
    outcome, a tie if wins and losses are equal."""

    key: SheetKey
    raters: tuple[Rater, ...]
    together: Tally | None
    agreement: Agreement | None
    outcomes: Mapping[str, Mapping[str, Outcome]]
    """By rater and item."""
    annotations: tuple[Annotations, ...]

    def figures(self) -> dict[str, Any]:
        """Convert to plain data without the items."""
        return {
            "student": self.key.student,
            "set": self.key.set,
            "teacher_column": self.key.column,
            "items": len(self.key.items),
            "raters": [asdict(rater) for rater in self.raters],
            "together": asdict(self.together) if self.together else None,
            "agreement": asdict(self.agreement) if self.agreement else None,
        }

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data with every item's texts, outcomes, comments and a judge's
        answers."""
        return {**self.figures(), "verdicts": [self._item(item) for item in self.key.items]}

    def _item(self, item: SheetItem) -> dict[str, Any]:
        student_text, teacher_text = item.left, item.right
        if item.student == "right":
            student_text, teacher_text = teacher_text, student_text
        return {
            "item": item.item,
            "question": item.question,
            "choices": item.choices,
            "answer": item.answer,
            "student": student_text,
            "teacher": teacher_text,
            "student_side": item.student,
            "outcomes": {
                name: of[item.item] for name, of in self.outcomes.items() if item.item in of
            },
            "comments": {
                each.rater: each.comments[item.item]
                for each in self.annotations
                if item.item in each.comments
            },
            "answers": {
                each.rater: each.answers[item.item]
                for each in self.annotations
                if item.item in each.answers
            },
        }


def count_verdicts(key: SheetKey, annotations: Sequence[Annotations]) -> Verdicts:
    """Count the verdicts of all raters. At least one rater, and only items of the key."""
    outcomes = {each.rater: _outcomes(key, each) for each in annotations}
    raters = tuple(
        Rater(
            each.rater,
            _tally(key, outcomes[each.rater]),
            each.missing,
            each.first,
            each.second,
            sign_test(each.first, each.second),
            each.swayed,
        )
        for each in annotations
    )
    several = len(annotations) > 1
    return Verdicts(
        key,
        raters,
        _tally(key, _together(key, list(outcomes.values()))) if several else None,
        _agreement(list(outcomes.values())) if several else None,
        outcomes,
        tuple(annotations),
    )


def table(verdicts: Verdicts) -> TextTable:
    """Tabulate the student's outcomes by rater, and of all raters together."""
    columns = ("rater", "items", "win", "tie", "loss", "p", "first : second place", "p of place")
    judges = any(rater.swayed is not None for rater in verdicts.raters)
    rows = [
        (
            rater.name,
            *_cells(rater.tally),
            f"{rater.first} : {rater.second}",
            f"{rater.p_of_place:.3g}",
            *(["" if rater.swayed is None else str(rater.swayed)] if judges else []),
        )
        for rater in verdicts.raters
    ]
    if verdicts.together is not None:
        rows.append(("together", *_cells(verdicts.together), *[""] * (3 if judges else 2)))
    return TextTable((*columns, *(["order-swayed ties"] if judges else [])), tuple(rows))


def result_remarks(verdicts: Verdicts) -> list[str]:
    """Write remarks on the agreement of raters and on missing verdicts."""
    lines = []
    if agreement := verdicts.agreement:
        kappa = "undefined" if agreement.kappa is None else f"{agreement.kappa:.2f}"
        lines.append(
            f"raters agree on {agreement.same:.1%} of the items, Cohen's kappa {kappa} "
            f"(mean over each two raters: {agreement.pairs})"
        )
    for rater, each in zip(verdicts.raters, verdicts.annotations, strict=True):
        if rater.missing:
            more = len(rater.missing) - _SHOWN
            shown = [*rater.missing[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
            lines.append(
                f"{rater.name}: no verdict for {len(rater.missing)} of {len(verdicts.key.items)} "
                f"items: {', '.join(shown)}"
            )
        if rater.tally is None and each.answers:
            first_answer = next(iter(each.answers.values()))[0]
            lines.append(
                f"{rater.name}: no answer could be read, the first is {first_answer[:80]!r}; "
                "expected a line `Verdict: 1`, `Verdict: 2` or `Verdict: tie`; take a stronger "
                "judge"
            )
    return lines


def _outcomes(key: SheetKey, annotations: Annotations) -> dict[str, Outcome]:
    sides = {item.item: item.student for item in key.items}
    return {
        item: "tie" if verdict == "tie" else "win" if verdict == sides[item] else "loss"
        for item, verdict in annotations.verdicts.items()
    }


def _together(key: SheetKey, raters: Sequence[Mapping[str, Outcome]]) -> dict[str, Outcome]:
    together: dict[str, Outcome] = {}
    for item in key.items:
        verdicts = [of[item.item] for of in raters if item.item in of]
        if verdicts:
            lead = verdicts.count("win") - verdicts.count("loss")
            together[item.item] = "win" if lead > 0 else "loss" if lead < 0 else "tie"
    return together


def _tally(key: SheetKey, outcomes: Mapping[str, Outcome]) -> Tally | None:
    items = [item for item in key.items if item.item in outcomes]
    if not items:
        return None
    item_outcomes = [outcomes[item.item] for item in items]
    win, tie, loss = (
        _rate(items, [item_outcome == outcome for item_outcome in item_outcomes])
        for outcome in _OUTCOMES
    )
    return Tally(len(items), win, tie, loss, sign_test(win.count, loss.count))


def _rate(items: Sequence[SheetItem], hits: Sequence[bool]) -> OutcomeRate:
    low, high = share_interval(clusters([float(h) for h in hits], [item.group for item in items]))
    return OutcomeRate(sum(hits), sum(hits) / len(hits), low, high)


def _agreement(raters: Sequence[Mapping[str, Outcome]]) -> Agreement | None:
    same: list[float] = []
    kappas: list[float] = []
    for first, second in combinations(raters, 2):
        pairs = [(first[item], second[item]) for item in first if item in second]
        if pairs:
            same.append(mean(float(a == b) for a, b in pairs))
            kappa = cohen_kappa(pairs)
            kappas += [] if kappa is None else [kappa]
    return Agreement(len(same), mean(same), mean(kappas) if kappas else None) if same else None


def _cells(tally: Tally | None) -> tuple[str, ...]:
    if tally is None:
        return ("0", "", "", "", "")
    rates = (tally.win, tally.tie, tally.loss)
    shown = (f"{rate.share:.1%} [{rate.low:.1%}, {rate.high:.1%}]" for rate in rates)
    return (str(tally.items), *shown, f"{tally.p:.3g}")
