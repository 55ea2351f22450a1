"""A feed that is read ahead in a thread, so that no step waits while a store answers.

                 reading thread                 |            the loop's thread
                                                |
    store -> state, commits, their rows = look  ->  ready looks  ->  ShardStream.poll()
             pause, look again ... until the end |                    next_batch()

A look takes several round trips to the store, one after the other, so it is handed over as a whole:
its state, and every commit since the look before with its rows. That keeps the promise of a feed:
an end in a state means that every commit was there. A stream that polls gets all looks that are
ready as if it had looked once, later; what it makes of them depends on the rows and on when it
polls, which `Decisions` records. After a look that found the end nothing is read any more.

Knows nothing of the order of rows, of batches or of where the rows are kept.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamtrain.data.stream import Feed, FeedCommit, FeedState

PAUSE_S = 0.2
"""From the end of one look to the next, while the dataset grows."""

_LONGEST_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class _ReadCommit:
    """A commit with its rows; None if a later commit removed them."""

    removed: bool
    rows: Any


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the store: its state, and the commits since the look before."""

    state: FeedState
    commits: tuple[_ReadCommit, ...]


@dataclass(frozen=True, slots=True)
class _Nothing:
    """The state before the first look."""

    ended: bool = False
    plan_hash: str | None = None
    beat: str | None = None


class ReadAhead:
    """A `Feed` that reads another one in a thread; its methods are for one other thread. Close
    it."""

    def __init__(self, feed: Feed, pause_s: float = PAUSE_S) -> None:
        """Start the thread; `pause_s` seconds pass between two looks."""
        self._feed = feed
        self._pause_s = pause_s
        self._changed = threading.Condition()
        self._ready: list[_Look] = []
        self._error: BaseException | None = None
        self._closed = threading.Event()
        self._state: FeedState = _Nothing()
        self._commits: list[_ReadCommit] = []
        self._thread = threading.Thread(target=self._read_on, name="read-ahead", daemon=True)
        self._thread.start()

    @property
    def reading(self) -> bool:
        """Whether the thread may still look at the store."""
        return self._thread.is_alive()

    def state(self) -> FeedState:
        """Take the looks that are ready and return the state of the newest, without any I/O.

        Raises what the reading raised, once the looks before it are taken.
        """
        with self._changed:
            looks, self._ready = self._ready, []
            error = self._error
        if error is not None and not looks:
            raise error
        for look in looks:
            self._state = look.state
            self._commits += look.commits
        return self._state

    def poll(self) -> Sequence[FeedCommit]:
        """Return the commits of the looks taken since the last call, oldest first."""
        commits, self._commits = self._commits, []
        return commits

    def read(self, commit: Any) -> Any:
        """Return the rows of a commit, which are in memory already."""
        return commit.rows

    def wait(self, timeout_s: float) -> None:
        """Wait until a look is ready, at most `timeout_s` seconds; returns at once after the
        last."""
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)

    def close(self) -> None:
        """Stop the thread; a look in progress gets a few seconds to finish."""
        self._closed.set()
        self._thread.join(_LONGEST_CLOSE_S)

    def _has_news(self) -> bool:
        return bool(self._ready) or self._error is not None or self._state.ended

    def _read_on(self) -> None:
        try:
            while not self._closed.is_set():
                look = self._look()
                with self._changed:
                    self._ready.append(look)
                    self._changed.notify_all()
                if look.state.ended:
                    return
                self._closed.wait(self._pause_s)
        except BaseException as error:  # noqa: BLE001 - raised where the rows are wanted
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _look(self) -> _Look:
        # The state first, so that an end in it means that all commits are seen after it.
        state = self._feed.state()
        commits = list(self._feed.poll())
        last = max((n for n, commit in enumerate(commits) if commit.removed), default=0)
        return _Look(
            state,
            tuple(
                _ReadCommit(commit.removed, self._feed.read(commit) if n >= last else None)
                for n, commit in enumerate(commits)
            ),
        )
