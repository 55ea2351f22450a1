"""The seam to an endpoint's batch interface: files of requests in, answers out hours later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from raygen.dataset import SentBatch


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is. `ended`: its results are all there are going to be.

    `problem` says why the endpoint took none of it, in its own words; `too_large`: for its size.
    """

    ended: bool
    answered: int = 0
    refused: int = 0
    problem: str | None = None
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class RetryLater:
    """A request of a batch that has no answer and may get one: it expired, the server failed."""

    message: str


Outcome = Mapping[str, Any] | Exception | RetryLater
"""What became of a request: the reply's JSON, the error to raise for it, or another try."""


class BatchEndedError(Exception):
    """The endpoint doesn't know a batch (any more); str() is its answer."""


class BatchService(Protocol):
    """An endpoint's batches of requests to one of its paths.

    Every method may raise EngineSetupError and EngineUnavailableError; retries are its own.
    """

    @property
    def most_requests(self) -> int:
        """The most requests of a batch."""
        ...

    @property
    def most_bytes(self) -> int:
        """The most bytes of a batch's requests, as JSON."""
        ...

    async def upload(self, requests: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Hand the requests over, by their ids; None where they go with the creation."""
        ...

    async def create(
        self, batch: SentBatch, requests: Mapping[str, Mapping[str, Any]] | None
    ) -> str:
        """Create a batch of what was uploaded, or of these requests; return its id."""
        ...

    async def find(self, batch: SentBatch, known: frozenset[str]) -> str | None:
        """Find a batch whose creation nobody lived to record, among those that aren't `known`."""
        ...

    async def look(self, batch: SentBatch) -> BatchProgress:
        """Look how far a batch is. Raises BatchEndedError where there is none of that id."""
        ...

    def results(self, batch: SentBatch) -> AsyncIterator[tuple[str, Outcome]]:
        """Read what became of the requests of a batch that has ended, by their ids.

        Raises BatchEndedError where the results are no longer kept.
        """
        ...
