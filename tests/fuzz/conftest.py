"""A run of the fuzzing says how many cases it had; one of all must have had enough."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.cases import ALL, COUNTS, LEAST

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ALL and _HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(3600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not COUNTS:
        return
    terminalreporter.section("fuzzing")
    for (target, name), count in sorted(COUNTS.items()):
        terminalreporter.write_line(f"{count:>9,}  {target}: {name}")
    for target, count in sorted(by_target().items()):
        terminalreporter.write_line(f"{count:>9,}  cases of {target}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (
        ALL
        and session.exitstatus == pytest.ExitCode.OK
        and min(by_target().values(), default=LEAST) < LEAST
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def by_target() -> Counter[str]:
    """Add the cases of each target up."""
    counts: Counter[str] = Counter()
    for (target, _), count in COUNTS.items():
        counts[target] += count
    return counts
