"""Requests in batches, over a fake endpoint; a kill is a queue that is left where it stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from raygen.dataset.batches import BatchLog, SentBatch
from raygen.dataset.storage import Folder
from raygen.engines.base import EngineSetupError, EngineUnavailableError, RequestRefusedError
from raygen.engines.batches.queue import TRIES, BatchQueue, BatchTarget, Timing
from raygen.engines.batches.service import BatchEndedError, BatchProgress, Outcome, RetryLater

TARGET = BatchTarget("teacher", "http://127.0.0.1/v1", "/chat/completions", "m")
AT_ONCE = Timing(quiet=0.01, first_look=0.0, longest_look=0.0)


class KilledError(BaseException):
    """The process dies here."""


class FakeService:
    """An endpoint that keeps batches in memory; `reply` says what becomes of a request."""

    most_requests = 100
    most_bytes = 10**6

    def __init__(self) -> None:
        self.files: dict[str, Mapping[str, Any]] = {}
        self.batches: dict[str, Mapping[str, Any]] = {}
        self.sent: list[list[str]] = []
        self.reply: Callable[[str, Any], Outcome] = lambda request, body: {"echo": body["say"]}
        self.progress = BatchProgress(ended=True)
        self.uploads = True
        self.kill_at = ""
        self.looks = 0
        self.looked_at = asyncio.Event()

    async def upload(self, requests: Mapping[str, Mapping[str, Any]]) -> str | None:
        if not self.uploads:
            return None
        name = f"file-{len(self.files)}"
        self.files[name] = dict(requests)
        return name

    async def create(
        self, batch: SentBatch, requests: Mapping[str, Mapping[str, Any]] | None
    ) -> str:
        if self.kill_at == "before creation":
            raise KilledError
        content = self.files[batch.upload] if batch.upload else requests
        assert content is not None
        name = f"batch-{len(self.batches)}"
        self.batches[name] = dict(content)
        self.sent.append(sorted(content))
        if self.kill_at == "after creation":
            raise KilledError
        return name

    async def find(self, batch: SentBatch, known: frozenset[str]) -> str | None:
        for name, content in self.batches.items():
            if name not in known and set(content) == set(batch.requests):
                return name
        return None

    async def look(self, batch: SentBatch) -> BatchProgress:
        self.looks += 1
        self.looked_at.set()
        if batch.id not in self.batches:
            raise BatchEndedError("no such batch")
        return self.progress

    async def results(self, batch: SentBatch) -> AsyncIterator[tuple[str, Outcome]]:
        assert batch.id is not None
        for request, body in self.batches[batch.id].items():
            yield request, self.reply(request, body)


@pytest.fixture
def record(tmp_path: Path) -> BatchLog:
    return BatchLog(Folder.at(tmp_path / "out"))


@pytest.fixture
def service() -> FakeService:
    return FakeService()


async def started(service: FakeService, record: BatchLog) -> BatchQueue:
    queue = BatchQueue(service, record, TARGET, AT_ONCE)
    await queue.start()
    return queue


async def ask_all(queue: BatchQueue, names: str) -> list[Any]:
    asked = (queue.ask(name, {"say": name}) for name in names)
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)


async def test_requests_that_arrive_together_are_one_batch(
    service: FakeService, record: BatchLog
) -> None:
    queue = await started(service, record)
    assert await ask_all(queue, "abc") == [{"echo": "a"}, {"echo": "b"}, {"echo": "c"}]
    assert await ask_all(queue, "cd") == [{"echo": "c"}, {"echo": "d"}]
    assert service.sent == [["a", "b", "c"], ["d"]]
    assert [(b.state, b.id) for b in record.read()] == [("ended", "batch-0"), ("ended", "batch-1")]


async def test_a_batch_has_no_more_requests_than_the_endpoint_takes(
    service: FakeService, record: BatchLog
) -> None:
    service.most_requests = 2
    queue = await started(service, record)
    await ask_all(queue, "abcde")
    assert sorted(map(len, service.sent)) == [1, 2, 2]


async def test_a_batch_has_no_more_bytes_than_the_endpoint_takes(
    service: FakeService, record: BatchLog
) -> None:
    service.most_bytes = 250
    queue = await started(service, record)
    await ask_all(queue, "abc")
    assert sorted(map(len, service.sent)) == [1, 2]


@pytest.mark.parametrize("uploads", [True, False], ids=["a file", "no file"])
@pytest.mark.parametrize("moment", ["before creation", "after creation"])
async def test_a_run_killed_while_it_sends_goes_on(
    service: FakeService, record: BatchLog, moment: str, uploads: bool
) -> None:
    service.kill_at, service.uploads = moment, uploads
    queue = await started(service, record)
    outcomes = await ask_all(queue, "ab")
    assert all(isinstance(outcome, KilledError) for outcome in outcomes)
    service.kill_at = ""
    queue = await started(service, record)
    assert await ask_all(queue, "ab") == [{"echo": "a"}, {"echo": "b"}]
    assert service.sent == [["a", "b"]]


async def test_a_run_killed_while_it_waits_polls_on(service: FakeService, record: BatchLog) -> None:
    service.progress = BatchProgress(ended=False, answered=1)
    queue = await started(service, record)
    asked = asyncio.gather(*(queue.ask(name, {"say": name}) for name in "ab"))
    await service.looked_at.wait()
    asked.cancel()
    await queue.close()
    (batch,) = record.read()
    assert (batch.state, batch.id) == ("waiting", "batch-0")
    service.progress = BatchProgress(ended=True, answered=2)
    queue = await started(service, record)
    assert await ask_all(queue, "ab") == [{"echo": "a"}, {"echo": "b"}]
    assert await ask_all(queue, "c") == [{"echo": "c"}]
    assert service.sent == [["a", "b"], ["c"]]


async def test_an_old_batch_is_looked_at_only_for_a_request_of_its_own(
    service: FakeService, record: BatchLog
) -> None:
    await ask_all(await started(service, record), "ab")
    looks = service.looks
    queue = await started(service, record)
    await ask_all(queue, "c")
    assert service.looks == looks + 1
    assert await ask_all(queue, "a") == [{"echo": "a"}]


async def test_what_expired_is_sent_again_and_the_rest_is_not(
    service: FakeService, record: BatchLog
) -> None:
    service.reply = lambda request, body: (
        RetryLater("expired") if request == "b" and len(service.sent) == 1 else {"echo": request}
    )
    assert await ask_all(await started(service, record), "abc") == [
        {"echo": "a"}, {"echo": "b"}, {"echo": "c"},
    ]  # fmt: skip
    assert service.sent == [["a", "b", "c"], ["b"]]


async def test_a_request_without_an_answer_in_several_batches_is_given_up(
    service: FakeService, record: BatchLog
) -> None:
    service.reply = lambda request, body: RetryLater("the server failed")
    (outcome,) = await ask_all(await started(service, record), "a")
    assert isinstance(outcome, RequestRefusedError)
    assert "no answer in 4 batches: the server failed" in str(outcome)
    assert len(service.sent) == TRIES


async def test_a_refused_request_is_one_rows_and_no_others(
    service: FakeService, record: BatchLog
) -> None:
    refused = RequestRefusedError("prompt_too_long", "too long")
    service.reply = lambda request, body: refused if request == "a" else {"echo": request}
    assert await ask_all(await started(service, record), "ab") == [refused, {"echo": "b"}]


async def test_a_batch_that_is_too_large_is_sent_in_parts(
    service: FakeService, record: BatchLog
) -> None:
    real = service.look

    async def look(batch: SentBatch) -> BatchProgress:
        if len(batch.requests) > 2:
            return BatchProgress(ended=True, problem="token limit exceeded", too_large=True)
        return await real(batch)

    service.look = look  # type: ignore[method-assign]
    assert len(await ask_all(await started(service, record), "abcde")) == 5
    assert [len(sent) for sent in service.sent] == [5, 2, 2, 1]
    assert all(len(batch.requests) <= 2 for batch in record.read())


async def test_a_batch_that_the_endpoint_takes_none_of_ends_the_run_with_its_words(
    service: FakeService, record: BatchLog
) -> None:
    service.progress = BatchProgress(ended=True, problem="this model has no batches")
    (outcome,) = await ask_all(await started(service, record), "a")
    assert isinstance(outcome, EngineSetupError)
    assert "this model has no batches" in str(outcome)
    assert record.read() == ()


async def test_a_batch_that_is_gone_is_sent_again(service: FakeService, record: BatchLog) -> None:
    await ask_all(await started(service, record), "a")
    service.batches.clear()
    assert await ask_all(await started(service, record), "a") == [{"echo": "a"}]
    assert service.sent == [["a"], ["a"]]


async def test_a_record_that_cannot_be_kept_ends_the_run_before_anything_is_sent(
    service: FakeService, record: BatchLog
) -> None:
    queue = await started(service, record)
    record.folder.write_text("batches", "a file where a folder should be")
    (outcome,) = await ask_all(queue, "a")
    assert isinstance(outcome, EngineUnavailableError)
    assert service.sent == []


async def test_an_answer_that_may_have_been_lost_stays_on_record(
    service: FakeService, record: BatchLog
) -> None:
    service.kill_at = "after creation"
    real = service.create

    async def create(batch: SentBatch, requests: Any) -> str:
        try:
            return await real(batch, requests)
        except KilledError:
            raise EngineUnavailableError("the connection broke off") from None

    service.create = create  # type: ignore[method-assign]
    (outcome,) = await ask_all(await started(service, record), "a")
    assert isinstance(outcome, EngineUnavailableError)
    service.kill_at = ""
    assert await ask_all(await started(service, record), "a") == [{"echo": "a"}]
    assert service.sent == [["a"]]


async def test_batches_of_another_model_are_left_alone(
    service: FakeService, record: BatchLog
) -> None:
    await ask_all(await started(service, record), "a")
    other = BatchQueue(service, record, BatchTarget("t", TARGET.address, TARGET.path, "n"), AT_ONCE)
    await other.start()
    await ask_all(other, "a")
    assert service.sent == [["a"], ["a"]]


def test_a_damaged_record_says_what_to_do(record: BatchLog) -> None:
    path = Path(record.folder.uri) / "batches" / f"{'a' * 32}.json"
    path.parent.mkdir(parents=True)
    for text in ("{", "[]", json.dumps({"format": 1}), json.dumps({"format": 9})):
        path.write_text(text)
        with pytest.raises(Exception, match=r"damaged|newer raygen"):
            record.read()
