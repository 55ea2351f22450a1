"""Unit tests start no Ray, so that they stay quick and may run in parallel."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_ray() -> Iterator[None]:
    """Fail a test that has started Ray: it belongs in `tests/integration`."""
    yield
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        pytest.fail("a unit test must not start Ray; move it to tests/integration")
