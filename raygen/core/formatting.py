"""How figures read in a terminal: counts, durations, shares, dollars.

Knows nothing of what the figures mean.
"""

from __future__ import annotations


def count(number: float) -> str:
    """Format a number, rounded, with thousands separators: `12,345`."""
    return f"{round(number):,}"


def plural(number: int, noun: str) -> str:
    """Format a count with its noun: `1 row`, `2 rows`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def duration(seconds: float) -> str:
    """Format seconds in their two largest units: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def percent(share: float) -> str:
    """Format a share in [0, 1] as a percentage: `31.2 %`."""
    return f"{100 * share:.1f} %"


def money(dollars: float) -> str:
    """Format dollars, with more digits the fewer they are: `$0.0042`, `$0.50`, `$1,204`."""
    if dollars >= 100:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 0.1 else f"${dollars:.2g}"
