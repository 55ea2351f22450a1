"""Draw a seeded sample for people to judge, with as many examples as rejects of each node.

The same seed gives the same sample, and a larger one has the smaller in it. Knows nothing of
verdicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from raygen.core import digest
from raygen.inspection.browse.item import ItemRef


def draw_sample(
    refs: Sequence[ItemRef], size: int, seed: int, fits: Callable[[ItemRef], bool] = lambda _: True
) -> list[ItemRef]:
    """Draw at most `size` items that fit, in an order that says nothing of their fate.

    Kept rows and the rejects of each node are strata of the same size; what one has too few items
    for goes to the others. Within a stratum each item is as likely as any other.
    """
    strata: dict[str | None, list[ItemRef]] = defaultdict(list)
    for ref in sorted(refs, key=lambda ref: digest("sample", seed, ref.id)):
        strata[stratum(ref)].append(ref)
    left = {name: _fitting(strata[name], fits) for name in sorted(strata, key=str)}
    drawn: list[ItemRef] = []
    while left and len(drawn) < size:
        for name, items in list(left.items()):
            following = next(items, None)
            if following is None:
                del left[name]
            elif len(drawn) < size:
                drawn.append(following)
    return sorted(drawn, key=lambda ref: digest("order", seed, ref.id))


def stratum(ref: ItemRef) -> str | None:
    """Return the node whose rejects an item is drawn from, None for the examples."""
    return None if ref.kept else ref.node


def _fitting(refs: Sequence[ItemRef], fits: Callable[[ItemRef], bool]) -> Iterator[ItemRef]:
    return (ref for ref in refs if fits(ref))
