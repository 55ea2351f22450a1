"""The circuit of an endpoint: who asks while everything fails, and who waits."""

from __future__ import annotations

import asyncio

import pytest

from raygen.engines.openai.circuit_breaker import OPENS_AT, CircuitBreaker


def opened() -> CircuitBreaker:
    circuit = CircuitBreaker()
    assert [circuit.failed() for _ in range(OPENS_AT)] == [False] * (OPENS_AT - 1) + [True]
    assert circuit.open
    return circuit


async def waiting(circuit: CircuitBreaker, number: int) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(circuit.enter()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_a_circuit_that_is_closed_holds_nobody_up() -> None:
    circuit = CircuitBreaker()
    for _ in range(OPENS_AT - 1):
        circuit.failed()
    assert not circuit.answered()
    circuit.failed()
    assert not circuit.open
    assert not await circuit.enter()


async def test_one_asks_alone_and_its_answer_lets_all_go_on() -> None:
    circuit = opened()
    assert await circuit.enter()
    others = await waiting(circuit, 5)
    circuit.failed()
    await asyncio.sleep(0)
    assert not any(task.done() for task in others)
    assert circuit.answered()
    assert await asyncio.gather(*others) == [False] * 5
    circuit.leave()
    assert not await circuit.enter()


async def test_where_the_one_leaves_without_an_answer_exactly_one_other_asks() -> None:
    circuit = opened()
    assert await circuit.enter()
    others = await waiting(circuit, 3)
    circuit.leave()
    await asyncio.sleep(0.01)
    assert [task.result() for task in others if task.done()] == [True]
    circuit.answered()
    assert sorted(await asyncio.gather(*others)) == [False, False, True]


async def test_one_that_was_cancelled_while_it_waited_is_not_missed() -> None:
    circuit = opened()
    assert await circuit.enter()
    first, second = await waiting(circuit, 2)
    first.cancel()
    circuit.leave()
    assert await second
    assert first.cancelled()


async def test_giving_up_ends_all_who_wait_and_the_next_asks_afresh() -> None:
    circuit = opened()
    assert await circuit.enter()
    others = await waiting(circuit, 3)
    circuit.give_up(LookupError("away"))
    circuit.leave()
    for task in others:
        with pytest.raises(LookupError, match="away"):
            await task
    assert not await circuit.enter()
