"""Compute the precision of a dataset's filters from people's verdicts, with intervals.

A filter's precision is the share of the rows it dropped that people would drop too; that of the
whole graph is the share of its examples that people keep. Knows nothing of how verdicts come about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from raygen.core import wilson
from raygen.inspection.browse.item import ItemRef
from raygen.inspection.browse.verdicts import Verdict, Word

TOGETHER = "together"
"""The name for the majority of raters."""

Fate = tuple[str | None, str | None]
"""A node and the reason that it dropped rows for; (node, None) is all of its rejects, (None, None)
the examples."""


@dataclass(frozen=True, slots=True)
class NodePrecision:
    """The verdicts on items of one fate.

    `total` counts such items in the dataset, `judged` those with a verdict, of which `keep`, `fix`
    and `drop` add up to it. `share` is the share of judged items whose verdict agrees with their
    fate, None where none was judged; `low` and `high` are its 95 % interval.
    """

    node: str | None
    reason: str | None
    total: int
    judged: int
    keep: int
    fix: int
    drop: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RaterPrecision:
    """The figures of a rater, or of the majority of raters."""

    rater: str
    figures: tuple[NodePrecision, ...]


@dataclass(frozen=True, slots=True)
class Precision:
    """The precision of a plan's filters by all raters' verdicts.

    Where there are several raters, `raters` ends with `together`, which counts each item with the
    verdict of more than half of its raters; `disputed` items have no such verdict. Of the `shared`
    items, which two or more raters judged, `agreed` got the same verdict from all of them. `stale`
    verdicts are on rows of other plans.
    """

    plan: str
    raters: tuple[RaterPrecision, ...]
    shared: int
    agreed: int
    disputed: int
    stale: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures for a program."""
        return asdict(self)


def precision(
    plan: str,
    nodes: Sequence[str],
    refs: Iterable[ItemRef],
    verdicts: Mapping[str, Sequence[Verdict]],
) -> Precision:
    """Compute the precision of a plan's filters.

    Args:
        plan: The plan's hash; verdicts on rows of other plans count as stale.
        nodes: The plan's nodes, in the order of the figures.
        refs: Every example and reject of the plan.
        verdicts: Each rater's verdicts; of several on one item the last counts.
    """
    counted = _counted((ref.node, ref.reason) for ref in refs)
    order = [None, *nodes]
    fates = sorted(counted, key=lambda fate: (order.index(fate[0]), fate[1] or ""))
    totals = {fate: counted[fate] for fate in fates}
    current = {
        rater: {verdict.item: verdict for verdict in by_rater if verdict.plan == plan}
        for rater, by_rater in verdicts.items()
    }
    raters = [
        RaterPrecision(rater, _figures(totals, list(latest.values())))
        for rater, latest in current.items()
    ]
    by_item: dict[str, list[Verdict]] = defaultdict(list)
    for rater_verdicts in current.values():
        for item, verdict in rater_verdicts.items():
            by_item[item].append(verdict)
    shared = [item_verdicts for item_verdicts in by_item.values() if len(item_verdicts) > 1]
    settled = [majority for v in by_item.values() if (majority := _majority(v)) is not None]
    if len(raters) > 1:
        raters.append(RaterPrecision(TOGETHER, _figures(totals, settled)))
    return Precision(
        plan=plan,
        raters=tuple(raters),
        shared=len(shared),
        agreed=sum(len({v.verdict for v in item_verdicts}) == 1 for item_verdicts in shared),
        disputed=len(by_item) - len(settled),
        stale=sum(v.plan != plan for by_rater in verdicts.values() for v in by_rater),
    )


def _counted(items: Iterable[tuple[str, str | None]]) -> Counter[Fate]:
    """Count items by fate: the examples, each node's rejects, and these by reason."""
    counts: Counter[Fate] = Counter()
    for node, reason in items:
        if reason is None:
            counts[None, None] += 1
        else:
            counts[node, None] += 1
            counts[node, reason] += 1
    return counts


def _figures(totals: Mapping[Fate, int], verdicts: Sequence[Verdict]) -> tuple[NodePrecision, ...]:
    by_word = {
        word: _counted((v.node, v.reason) for v in verdicts if v.verdict == word)
        for word in get_args(Word)
    }
    reasons = Counter(node for node, reason in totals if reason is not None)
    return tuple(
        _figure(fate, totals[fate], {word: counts[fate] for word, counts in by_word.items()})
        for fate in totals
        # A node's only reason has the figures of the node.
        if fate[1] is None or reasons[fate[0]] > 1
    )


def _figure(fate: Fate, total: int, counts: Mapping[str, int]) -> NodePrecision:
    judged = sum(counts.values())
    right = counts["keep"] if fate[0] is None else counts["drop"]
    low, high = wilson(right, judged)
    share = right / judged if judged else None
    keep, fix, drop = (counts[word] for word in ("keep", "fix", "drop"))
    return NodePrecision(*fate, total, judged, keep, fix, drop, share, low, high)


def _majority(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Find the verdict of more than half of the raters; None where there is none."""
    ((word, number),) = Counter(v.verdict for v in verdicts).most_common(1)
    if 2 * number <= len(verdicts):
        return None
    return next(v for v in verdicts if v.verdict == word)
