"""A seeded sample for people to judge, with as many examples as rejects of each node.

The same seed gives the same sample, and a larger one has the smaller in it. Knows nothing of
verdicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from raygen.row import digest
from raygen.showing.item import Ref


def draw(
    refs: Sequence[Ref], size: int, seed: int, fits: Callable[[Ref], bool] = lambda _: True
) -> list[Ref]:
    """At most `size` items that fit, in an order that tells nothing of what became of them.

    Kept rows and the rejects of each node get the same number of places; what one has too few
    items for goes to the others. Within these, each item is as likely as any other.
    """
    strata: dict[str | None, list[Ref]] = defaultdict(list)
    for ref in sorted(refs, key=lambda ref: digest("sample", seed, ref.id)):
        strata[stratum(ref)].append(ref)
    left = {name: _fitting(strata[name], fits) for name in sorted(strata, key=str)}
    drawn: list[Ref] = []
    while left and len(drawn) < size:
        for name, items in list(left.items()):
            found = next(items, None)
            if found is None:
                del left[name]
            elif len(drawn) < size:
                drawn.append(found)
    return sorted(drawn, key=lambda ref: digest("order", seed, ref.id))


def stratum(ref: Ref) -> str | None:
    """What an item is drawn from: the rejects of a node, None for the examples."""
    return None if ref.kept else ref.node


def _fitting(refs: Sequence[Ref], fits: Callable[[Ref], bool]) -> Iterator[Ref]:
    return (ref for ref in refs if fits(ref))
