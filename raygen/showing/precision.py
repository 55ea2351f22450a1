"""How right a dataset's filters are, by people's verdicts: precision with intervals.

Of what a node dropped, the share that people would drop too; of what was kept, the share that
people keep. Knows nothing of how verdicts are asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from raygen.interval import wilson
from raygen.showing.item import Ref
from raygen.showing.verdicts import Verdict, Word

TOGETHER = "together"
"""The name under which what most raters say of an item is counted."""

Fate = tuple[str | None, str | None]
"""A node and a reason that it dropped rows for; without a reason all of the node's; (None, None)
for the examples."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The verdicts on items of one fate.

    `total` is how many there are in the dataset. `share` of the judged ones got the verdict that
    agrees with their fate, with its 95 % interval; None where none was judged.
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
class Rated:
    """The figures of one rater, or of all together."""

    rater: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Precision:
    """What all raters' verdicts say of a plan's rows.

    `raters` ends with `together` where there are several: an item counts there as what more than
    half of its raters say. `disputed` items have no such verdict; of the `shared` ones, which two
    or more judged, `agreed` got the same from all. `stale` verdicts are on rows of other plans.
    """

    plan: str
    raters: tuple[Rated, ...]
    shared: int
    agreed: int
    disputed: int
    stale: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def precision(
    plan: str,
    nodes: Sequence[str],
    refs: Iterable[Ref],
    verdicts: Mapping[str, Sequence[Verdict]],
) -> Precision:
    """Count the verdicts of all raters on a plan's items, by its nodes in their order."""
    counted = _counted((ref.node, ref.reason) for ref in refs)
    order = [None, *nodes]
    fates = sorted(counted, key=lambda fate: (order.index(fate[0]), fate[1] or ""))
    totals = {fate: counted[fate] for fate in fates}
    current = {
        rater: {one.item: one for one in given if one.plan == plan}
        for rater, given in verdicts.items()
    }
    raters = [Rated(rater, _figures(totals, list(own.values()))) for rater, own in current.items()]
    by_item: dict[str, list[Verdict]] = defaultdict(list)
    for own in current.values():
        for item, one in own.items():
            by_item[item].append(one)
    shared = [given for given in by_item.values() if len(given) > 1]
    settled = [most for given in by_item.values() if (most := _majority(given)) is not None]
    if len(raters) > 1:
        raters.append(Rated(TOGETHER, _figures(totals, settled)))
    return Precision(
        plan=plan,
        raters=tuple(raters),
        shared=len(shared),
        agreed=sum(len({one.verdict for one in given}) == 1 for given in shared),
        disputed=len(by_item) - len(settled),
        stale=sum(one.plan != plan for given in verdicts.values() for one in given),
    )


def _counted(items: Iterable[tuple[str, str | None]]) -> Counter[Fate]:
    """How many there are of each fate, the fates of whole nodes among them."""
    counts: Counter[Fate] = Counter()
    for node, reason in items:
        if reason is None:
            counts[None, None] += 1
        else:
            counts[node, None] += 1
            counts[node, reason] += 1
    return counts


def _figures(totals: Mapping[Fate, int], verdicts: Sequence[Verdict]) -> tuple[Figure, ...]:
    said = {
        word: _counted((one.node, one.reason) for one in verdicts if one.verdict == word)
        for word in get_args(Word)
    }
    reasons = Counter(node for node, reason in totals if reason is not None)
    return tuple(
        _figure(fate, totals[fate], {word: counts[fate] for word, counts in said.items()})
        for fate in totals
        # A node's only reason says what the node says.
        if fate[1] is None or reasons[fate[0]] > 1
    )


def _figure(fate: Fate, total: int, said: Mapping[str, int]) -> Figure:
    judged = sum(said.values())
    right = said["keep"] if fate[0] is None else said["drop"]
    low, high = wilson(right, judged)
    share = right / judged if judged else None
    return Figure(*fate, total, judged, said["keep"], said["fix"], said["drop"], share, low, high)


def _majority(given: Sequence[Verdict]) -> Verdict | None:
    """A verdict that more than half of the raters gave."""
    ((word, number),) = Counter(one.verdict for one in given).most_common(1)
    if 2 * number <= len(given):
        return None
    return next(one for one in given if one.verdict == word)
