"""Tests of real things on one machine start no Ray, so that they may run in parallel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.process_state import fail_if_ray_runs


@pytest.fixture(autouse=True)
def no_ray() -> Iterator[None]:
    """Fail a test that has started Ray."""
    yield
    fail_if_ray_runs()
