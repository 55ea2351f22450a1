"""Unit tests start no Ray and load no torch, so that they stay quick and may run in parallel."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process_state import fail_if_ray_runs

_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def only_units(request: pytest.FixtureRequest) -> bool:
    """Whether this process runs unit tests alone; their imports must not have loaded torch."""
    alone = all(_HERE in item.path.parents for item in request.session.items)
    if alone and "torch" in sys.modules:
        pytest.fail("the import of a unit test loads torch; move the test to tests/local")
    return alone


@pytest.fixture(autouse=True)
def light(only_units: bool) -> Iterator[None]:
    """Fail a test that has started Ray or loaded torch."""
    before = "torch" in sys.modules
    yield
    fail_if_ray_runs()
    if only_units and not before and "torch" in sys.modules:
        pytest.fail("this test loads torch; move it to tests/local")
