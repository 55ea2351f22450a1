"""Unit tests start no Ray: a test that needs one belongs in `tests/integration`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def no_ray() -> Iterator[None]:
    """Make `import ray` an error, so that `make unit` stays quick and may run in parallel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", None)
        yield
