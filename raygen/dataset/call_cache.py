"""Answer calls from earlier transcripts, by what the engine saw.

Knows files and calls; knows nothing of engines, plans or what an answer means.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import pyarrow as pa

from raygen.dataset.call_identity import GENERATE, recorded_samples_id, sample_seed
from raygen.dataset.records import TRANSCRIPTS, Call, DatasetError
from raygen.dataset.schema import TRANSCRIPT
from raygen.dataset.storage import Folder, storage_errors

Recorded = Mapping[str, Sequence[Call]]
"""One source row's recorded calls: the id of a call -> its answers, newest first."""

_COLUMNS = ("key", *(field.name for field in fields(Call)))
_SCHEMA = pa.schema([TRANSCRIPT.field(name) for name in _COLUMNS])
_FILES_HELD = 8


@dataclass(frozen=True, slots=True)
class TranscriptFile:
    """A file of recorded calls, by its path in the transcripts of a run's datasets.

    `dataset` counts them: 0 is the one that is made, others are only read.
    """

    path: str
    dataset: int = 0


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One sample of a recorded call, by its index there."""

    call: Call
    index: int


class RecordedCalls:
    """The recorded calls of one row, handed out once each: two equal calls had two answers."""

    def __init__(self, recorded: Recorded) -> None:
        self._calls = {call_id: deque(calls) for call_id, calls in recorded.items()}
        self._samples = _by_address(call for calls in recorded.values() for call in calls)

    def take(self, call_id: str) -> Call | None:
        """Take the next recorded call of this id, None where there is none left."""
        calls = self._calls.get(call_id)
        return calls.popleft() if calls else None

    def take_samples(
        self, samples: str, seed: int | None, n: int, older: int | None = None
    ) -> list[RecordedSample | None]:
        """Take the next recorded sample for each of n, None where there is none left.

        `samples` is the id of what decides them but their seeds, `seed` that of the first, and
        `older` that of the first in a request of raygen 0.1.0, where it was another.
        """
        return [
            self._take_sample(samples, sample_seed(seed, k)) or self._take_older(samples, older, k)
            for k in range(n)
        ]

    def _take_sample(self, samples: str, seed: int | None) -> RecordedSample | None:
        queue = self._samples.get((samples, seed))
        return queue.popleft() if queue else None

    def _take_older(self, samples: str, older: int | None, k: int) -> RecordedSample | None:
        """Take sample k of a request that began with the seed `older`, and no other sample."""
        queue = self._samples.get((samples, sample_seed(older, k)), deque())
        sample = next((each for each in queue if each.index == k), None)
        if older is None or sample is None:
            return None
        queue.remove(sample)
        return sample


def _by_address(
    calls: Iterable[Call],
) -> dict[tuple[str, int | None], deque[RecordedSample]]:
    """Sort the samples of calls by what decides them and by their seeds."""
    samples: dict[tuple[str, int | None], deque[RecordedSample]] = defaultdict(deque)
    for call in calls:
        if call.kind == GENERATE:
            known, seed = recorded_samples_id(call), json.loads(call.sampling).get("seed")
            for index in range(len(json.loads(call.completions))):
                samples[known, sample_seed(seed, index)].append(RecordedSample(call, index))
    return dict(samples)


def read_recorded_calls(
    folders: Sequence[Folder], files: Sequence[TranscriptFile], keys: Collection[str]
) -> dict[str, Recorded]:
    """Read the recorded calls of some rows from transcript files, given newest first.

    `folders` are the datasets that the files count. A file that is gone has none. Raises
    DatasetError when one, or all of a dataset, can't be read.
    """
    known = set(keys)
    calls: dict[str, dict[str, list[Call]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        folder = folders[file.dataset]
        for key, call in _calls(folder.uri, tuple(folder.storage_options.items()), file.path):
            if key in known:
                calls[key][call.id].append(call)
    return {key: dict(by_id) for key, by_id in calls.items()}


@lru_cache(maxsize=_FILES_HELD)
def _calls(
    uri: str, options: tuple[tuple[str, str], ...], file: str
) -> tuple[tuple[str, Call], ...]:
    folder = Folder(uri, dict(options))
    path = f"{TRANSCRIPTS}/{file}"
    with storage_errors("read the transcript", folder.join(path)):
        try:
            table = folder.read_parquet(path, list(_COLUMNS)).cast(_SCHEMA)
        except FileNotFoundError:
            if folder.exists(TRANSCRIPTS):
                return ()
            raise
    rows: list[dict[str, Any]] = table.to_pylist()
    calls = tuple((row.pop("key"), Call(**row)) for row in rows)
    for _, call in calls:
        _check(call, folder.join(path))
    return calls


def _check(call: Call, where: str) -> None:
    """Raise DatasetError for a call that no raygen recorded, as may lie in a stranger's dataset."""
    try:
        settings, completions = json.loads(call.sampling), json.loads(call.completions)
        sound = isinstance(settings, dict) and all(
            isinstance(each["text"], str) and isinstance(each["output_tokens"], int)
            for each in completions
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise DatasetError(
            f"{where} has a call {call.id} without sampling and completions as raygen writes them; "
            "bring back the dataset's own files, or do without its calls"
        )
