"""How many answers a second the checkers decide on one core: `python benchmarks/checks.py`.

Every answer is another text, so that nothing comes from a cache. Reading answers out of completions
is measured by parsers.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from raygen.checks import How, check

_COUNT = 20_000
_OPTIONS = ("river bank", "barn", "a desk", "the sea")


def _pairs(how: How) -> Iterator[tuple[object, object]]:
    for k in range(_COUNT):
        if how == "option":
            yield k % 4, 1
        elif how == "exact":
            yield f"The {k}th barn.", f"{k}th barn"
        else:
            yield f"${k:,}.50", f"{k}.5 dollars"


def main() -> None:
    """Print the rate of each checker that needs no other process."""
    for how in ("option", "number", "math", "exact"):
        pairs = list(_pairs(how))
        started = time.process_time()
        for answer, gold in pairs:
            assert check(answer, gold, how, _OPTIONS).correct in (True, False)
        rate = _COUNT / (time.process_time() - started)
        print(f"{how:8} {rate:>10,.0f} answers/s")


if __name__ == "__main__":
    main()
