"""Templates that never end: each is refused, in a process that has memory for none of them."""

from __future__ import annotations

import pytest

from raygen.core.limited import Limits, run_limited
from tests.support.template_attacks import ATTACKS, refusals


@pytest.fixture(scope="module")
def refused() -> dict[str, str]:
    """What refuses each attack: all in one process, which has memory for none of them."""
    limits = Limits(memory=600 * 1024 * 1024, cpu_s=60, wall_s=250)
    return run_limited(refusals, ATTACKS, subject="rendering attacks", limits=limits)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_without_end_is_refused(attack: str, refused: dict[str, str]) -> None:
    assert refused[attack]
    assert not refused[attack].startswith("MemoryError")
