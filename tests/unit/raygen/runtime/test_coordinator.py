"""What a run's driver and workers share: who gets which task, and when it is over."""

from __future__ import annotations

import asyncio

from raygen.runtime.coordinator import Coordinator, Fatal
from raygen.runtime.tasks import RowBlock
from raygen.runtime.worker_stats import WorkerStats

A, B, C = RowBlock((0,)), RowBlock((1,)), RowBlock((2,))


async def test_tickets_take_tasks_in_their_order_and_keep_them() -> None:
    control = Coordinator()
    await control.feed([A, B], first=False)
    await control.feed([C], first=True)
    assert [await control.take(ticket, wait=False) for ticket in (7, 8)] == [(C, 1), (A, 1)]
    assert await control.take(7, wait=False) == (C, 2), "the same task, begun once more"
    assert await control.take(9, wait=True) == (B, 1)


async def test_a_ticket_waits_for_a_task_or_for_the_end() -> None:
    control = Coordinator()
    assert await control.take(0, wait=False) == (None, 0)
    waiting = asyncio.create_task(control.take(0, wait=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    await control.feed([A], first=False)
    assert await waiting == (A, 1)
    last = asyncio.create_task(control.take(1, wait=True))
    await control.close()
    assert await last == (None, 0)


async def test_what_is_queued_is_handed_out_before_the_end_but_not_after_a_stop() -> None:
    control = Coordinator()
    await control.feed([A, B], first=False)
    await control.close()
    assert await control.take(0, wait=True) == (A, 1)
    assert await control.stop() == 1, "the one that was taken is still to end"
    assert await control.take(1, wait=True) == (None, 0)
    assert await control.report("actor", WorkerStats()) is True


async def test_the_first_fatal_error_stops_everything_and_is_kept() -> None:
    control = Coordinator()
    waiting = asyncio.create_task(control.take(0, wait=True))
    await asyncio.sleep(0)
    await control.fail(Fatal("one"))
    await control.fail(Fatal("two"))
    assert await waiting == (None, 0)
    assert (await control.read())[1] == Fatal("one")


async def test_beginnings_are_counted_until_their_end() -> None:
    control = Coordinator()
    assert [await control.begin("row"), await control.begin("row")] == [1, 2]
    await control.end("row")
    assert await control.begin("row") == 1


async def test_the_task_of_a_cancelled_ticket_is_the_next_one_that_is_taken() -> None:
    control = Coordinator()
    await control.feed([A, B], first=False)
    assert await control.take(0, wait=False) == (A, 1)
    await control.give_back(0)
    assert await control.take(0, wait=False) == (None, 0), "nobody hears what it would be told"
    assert await control.take(1, wait=True) == (A, 1)
    assert await control.take(2, wait=True) == (B, 1)
    assert await control.stop() == 2


async def test_a_ticket_that_is_cancelled_while_it_waits_takes_no_task() -> None:
    control = Coordinator()
    waiting = asyncio.create_task(control.take(0, wait=True))
    await asyncio.sleep(0)
    await control.give_back(0)
    assert await waiting == (None, 0)
    await control.feed([A], first=False)
    assert await control.take(1, wait=True) == (A, 1)
