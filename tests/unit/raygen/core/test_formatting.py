"""How figures read."""

from __future__ import annotations

import pytest

from raygen.core.formatting import count, duration, money, percent, plural


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (-1, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_and_shares() -> None:
    assert count(12345) == "12,345"
    assert [plural(n, "row") for n in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]
    assert percent(0.3125) == "31.2 %"


def test_money_has_more_digits_the_less_it_is() -> None:
    assert [money(d) for d in (0.00416, 0.5, 3.18, 1204.2)] == [
        "$0.0042",
        "$0.50",
        "$3.18",
        "$1,204",
    ]
