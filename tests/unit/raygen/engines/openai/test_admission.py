"""How many requests an endpoint gets at once, and who waits while everything fails."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.engines.openai.admission import (
    OPENS_AT,
    START,
    AdaptiveLimit,
    CircuitBreaker,
    Gate,
)


def round_trip(limit: AdaptiveLimit, now: float, took: float = 1.0) -> float:
    """One round in which the whole limit is used and answered; gives the time after it."""
    for _ in range(limit.value):
        limit.answered(now, now + took, busy=True)
    return now + took + 0.001


def test_doubles_each_round_until_its_ceiling() -> None:
    limit, now, seen = AdaptiveLimit(200, slow=100.0), 0.0, []
    for _ in range(4):
        seen.append(limit.value)
        now = round_trip(limit, now)
    assert seen == [START, 2 * START, 4 * START, 200]


def test_one_round_of_push_backs_cuts_once_and_growth_is_slow_after() -> None:
    limit = AdaptiveLimit(1000, slow=100.0, start=100)
    for _ in range(50):
        limit.pushed_back(0.0, 1.0)
    assert limit.value == 60
    round_trip(limit, 1.5)
    assert limit.value in (60, 61)
    limit.pushed_back(2.0, 2.5)
    assert limit.value == 36


def test_a_limit_that_is_not_in_full_use_does_not_grow() -> None:
    limit = AdaptiveLimit(1000, slow=100.0)
    for _ in range(100):
        limit.answered(0.0, 1.0, busy=False)
    assert limit.value == START


def test_latency_near_the_timeout_cuts_down_to_the_start_and_no_further() -> None:
    limit, now = AdaptiveLimit(1000, slow=10.0), 0.0
    for _ in range(3):
        now = round_trip(limit, now)
    assert limit.value == 8 * START
    for _ in range(200):
        now = round_trip(limit, now, took=20.0)
    assert limit.value == START


@given(
    ceiling=st.integers(1, 600),
    events=st.lists(st.tuples(st.booleans(), st.floats(0, 50), st.booleans()), max_size=200),
)
def test_stays_between_one_and_the_ceiling(
    ceiling: int, events: list[tuple[bool, float, bool]]
) -> None:
    limit, now = AdaptiveLimit(ceiling, slow=5.0), 0.0
    for good, took, busy in events:
        if good:
            limit.answered(now, now + took, busy)
        else:
            limit.pushed_back(now, now + took)
        now += took
        assert 1 <= limit.value <= ceiling


async def test_the_gate_holds_the_limit_and_serves_in_order() -> None:
    gate, order = Gate(AdaptiveLimit(2, slow=1.0)), []
    most = 0

    async def task(name: int) -> None:
        nonlocal most
        await gate.enter()
        order.append(name)
        most = max(most, gate.inside)
        await asyncio.sleep(0)
        gate.leave()

    await asyncio.gather(*(task(name) for name in range(7)))
    assert order == list(range(7))
    assert (most, gate.inside) == (2, 0)


async def test_a_cancelled_waiter_gives_its_place_on() -> None:
    gate = Gate(AdaptiveLimit(1, slow=1.0))
    await gate.enter()
    waiters = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    gate.leave()
    waiters[1].cancel()  # it holds the place already, but has not run yet
    await asyncio.wait(waiters)
    assert [waiter.cancelled() for waiter in waiters] == [True, True, False]
    assert gate.inside == 1


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
