"""Growth: whether a run should restart with more workers, on GPUs that others have released.

A restart from a checkpoint takes time, so it pays only if much of the run is left. Knows the events
of a run and its dataset; knows nothing of Ray or of who had the GPUs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from streamtrain.data import DatasetFeed
from streamtrain.errors import StreamtrainError
from streamtrain.run import GROW, RunSpec

_LOOK_EVERY_S = 2.0

_WORTH = 2.0
"""A restart must save at least this multiple of its cost."""


class WorkerGrowth:
    """Estimates from the events of a run whether more workers, up to `most`, pay off."""

    def __init__(self, most: int) -> None:
        self._workers = 0
        self._most = most
        self._started: float | None = None
        self._cost_s: float | None = None
        self._left_s: float | None = None

    @property
    def open(self) -> bool:
        """Whether more workers may pay off, if there are GPUs for them."""
        return self._most > self._workers and bool(self._left_s)

    def begin(self, workers: int, now: float) -> None:
        """Note that the run starts or restarts with `workers` workers at Unix time `now`."""
        self._workers = workers
        self._started, self._cost_s, self._left_s = now, None, None

    def see(self, event: Mapping[str, Any]) -> None:
        """Take in an event."""
        if event["event"] == "loaded" and self._started is not None:
            self._cost_s = event["time"] - self._started
        elif event["event"] == "step" and event["total_steps"] and event["tokens_per_second"]:
            step_s = event["tokens"] / event["tokens_per_second"]
            self._left_s = step_s * (event["total_steps"] - event["step"])

    def workers(self, free: int) -> int | None:
        """Choose how many workers to restart with, given `free` GPUs; None to leave the run as it
        is."""
        more = min(self._workers + free, self._most)
        if more <= self._workers or not self._left_s or self._cost_s is None:
            return None
        saved_s = self._left_s * (1 - self._workers / more)
        return more if saved_s > _WORTH * self._cost_s else None


class GrowthRequester:
    """Requests a run to restart with more workers once its dataset has ended and GPUs are
    `free`."""

    def __init__(self, job: RunSpec, growth: WorkerGrowth, free: Callable[[], int]) -> None:
        self._job, self._growth, self._free = job, growth, free
        self._feed = DatasetFeed(job.data, follow=True)
        self._next_look = 0.0
        self._ended = False

    def look(self) -> None:
        """Request a restart if it pays off; cheap to call often."""
        now, ask = time.monotonic(), self._job.out / GROW
        if not self._growth.open or now < self._next_look or ask.exists():
            return
        self._next_look = now + _LOOK_EVERY_S
        # What can't be read here can't be read by the run itself, which will say so.
        with contextlib.suppress(StreamtrainError):
            self._ended = self._ended or self._feed.state().ended
            if self._ended:
                # One stays for the evaluations beside the loop.
                free = self._free() - (self._job.select is not None)
                if workers := self._growth.workers(free):
                    ask.write_text(str(workers), encoding="utf-8")
