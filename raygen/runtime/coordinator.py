"""Share tasks, flags and counters between a run's driver and its workers.

The coordinator lives in one event loop. Knows nothing of Ray, rows or engines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from raygen.runtime.tasks import RowBlock
from raygen.runtime.worker_stats import WorkerStats


@dataclass(frozen=True, slots=True)
class Fatal:
    """Why a run can't go on; `user_fault`: the recipe or the profile must change first."""

    message: str
    user_fault: bool = False


class Coordinator:
    """The tasks, flags and counters that all actors and the driver share."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        self._tasks: deque[RowBlock] = deque()
        self._taken: dict[int, RowBlock] = {}
        self._cancelled: set[int] = set()
        self._closed = False
        self._changed = asyncio.Condition()
        self._stats: dict[str, WorkerStats] = {}
        self._fatal: Fatal | None = None
        self._stopped = False

    async def feed(self, tasks: Sequence[RowBlock], first: bool) -> None:
        """Queue more tasks, `first` or last."""
        async with self._changed:
            if first:
                self._tasks.extendleft(reversed(tasks))
            else:
                self._tasks.extend(tasks)
            self._changed.notify_all()

    async def close(self) -> None:
        """Announce that no more tasks will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def take(self, ticket: int, wait: bool) -> tuple[RowBlock | None, int]:
        """Take the task of a ticket; return it, and how often it was begun, this time included.

        A ticket whose process died comes again, for the same task. With `wait` there is none only
        when there will be no more.
        """
        if ticket not in self._taken:
            async with self._changed:
                if wait:
                    await self._changed.wait_for(
                        lambda: (
                            self._tasks
                            or self._closed
                            or self._stopped
                            or ticket in self._cancelled
                        )
                    )
                if self._stopped or not self._tasks or ticket in self._cancelled:
                    return None, 0
                self._taken[ticket] = self._tasks.popleft()
        return self._taken[ticket], await self.begin(f"ticket {ticket}")

    async def give_back(self, ticket: int) -> None:
        """Queue the task of a ticket that was cancelled anew, for another one; it takes no other.

        Its own `take` may still wait here, with nobody left to hear the answer.
        """
        async with self._changed:
            self._cancelled.add(ticket)
            task = self._taken.pop(ticket, None)
            self._begun.pop(f"ticket {ticket}", None)
            if task is not None:
                self._tasks.appendleft(task)
            self._changed.notify_all()

    async def begin(self, what: str) -> int:
        """Count how often `what` has been begun, this time included."""
        self._begun[what] = self._begun.get(what, 0) + 1
        return self._begun[what]

    async def end(self, what: str) -> None:
        """Forget how often `what` was begun: it has ended."""
        self._begun.pop(what, None)

    async def report(self, actor: str, stats: WorkerStats) -> bool:
        """Store an actor's counters; return whether it should stop."""
        self._stats[actor] = stats
        return self._stopped

    async def fail(self, fatal: Fatal) -> None:
        """Stop the run, which can't go on."""
        self._fatal = self._fatal or fatal
        await self.stop()

    async def stop(self) -> int:
        """Let no new row start; return how many tasks were taken, ended ones included."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()
        return len(self._taken)

    async def read(self) -> tuple[list[WorkerStats], Fatal | None]:
        """Read all counters, and the fatal error if there is one."""
        return list(self._stats.values()), self._fatal
