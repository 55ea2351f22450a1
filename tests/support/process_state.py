"""Guards against what a test leaves in its process, shared by the parts that start no Ray."""

from __future__ import annotations

import sys

import pytest


def fail_if_ray_runs() -> None:
    """Fail a test that has started Ray: it belongs in `tests/integration`."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        pytest.fail("this test must not start Ray; move it to tests/integration")
