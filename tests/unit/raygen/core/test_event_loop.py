"""A coroutine run to its end from plain code, with and without a running loop."""

from __future__ import annotations

import asyncio

import pytest

from raygen.core.event_loop import run_coroutine


async def _later(value: int) -> int:
    await asyncio.sleep(0)
    if value < 0:
        raise ValueError("negative")
    return value


def test_without_a_loop() -> None:
    assert run_coroutine(_later(3)) == 3


async def test_inside_a_running_loop() -> None:
    assert run_coroutine(_later(3)) == 3
    with pytest.raises(ValueError, match="negative"):
        run_coroutine(_later(-1))
