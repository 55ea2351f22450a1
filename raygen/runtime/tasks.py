"""Job: what a worker process needs to run its share of a plan, small enough to travel.

Knows nothing of Ray: how it is cut into tasks and how many rows are in flight, nothing of who
runs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from huggingface_hub import get_token

from raygen.dataset import Folder
from raygen.planning import Plan

_BLOCK_ROWS = 64
_BLOCKS_PER_ACTOR = 16


@dataclass(frozen=True, slots=True)
class Task:
    """One block of source rows, by their ordinals in the keyed copy.

    `files` are the transcripts that may have their calls, newest first. `again`: the rows failed
    before, and however they end now is final.
    """

    ordinals: tuple[int, ...]
    files: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A plan bound to an output folder and a keyed copy of its source.

    `concurrency` is the rows in flight per actor, `threads` the CPU threads of its engines, and
    `probe` a file that each actor must see. `secrets` are environment variables for its process.
    """

    plan: Plan
    folder: Folder
    source: str
    probe: str
    replicas: tuple[int, int]
    concurrency: int
    threads: int
    logs: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def gpus(self) -> int:
        """GPUs that one actor holds: the sum over its engines."""
        return sum(spec.gpus for spec in self.plan.engines.values())

    def shared(self, devices: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each engine of an actor with devices of its own, in the order of the recipe."""
        at = 0
        for name, spec in self.plan.engines.items():
            yield name, tuple(devices[at : at + spec.gpus])
            at += spec.gpus

    @property
    def blocks_in_flight(self) -> int:
        """Blocks an actor holds: the rows that run, and twice as many that wait."""
        return max(2 * _BLOCKS_PER_ACTOR, ceil(3 * self.concurrency / _BLOCK_ROWS))


def secrets_of(plan: Plan) -> dict[str, str]:
    """The keys and tokens that the plan's engines may need, from here, where the user has them."""
    found: dict[str, str | None] = {}
    for spec in plan.engines.values():
        if spec.backend == "openai":
            name = str(spec.args.get("api_key_env", "OPENAI_API_KEY"))
            found[name] = os.environ.get(name)
        elif spec.backend in ("vllm", "transformers"):
            found["HF_TOKEN"] = get_token()
    return {name: value for name, value in found.items() if value}


def cut(
    ordinals: Sequence[int],
    actors: int,
    files: Mapping[int, tuple[str, ...]] | None = None,
    *,
    most: int | None = None,
    again: bool = False,
) -> list[Task]:
    """Cut pending rows into blocks small enough that rows come out while others still run.

    Rows that share transcript `files` stand together, so that few workers read each. There are
    `most` blocks at most.
    """
    files = files or {}
    size = min(_BLOCK_ROWS, max(1, ceil(len(ordinals) / (actors * _BLOCKS_PER_ACTOR))))
    size = max(size, ceil(len(ordinals) / most)) if most else size
    by_file: dict[tuple[str, ...], list[int]] = {}
    for ordinal in ordinals:
        by_file.setdefault(files.get(ordinal, ())[:1], []).append(ordinal)
    ordered = [ordinal for group in by_file.values() for ordinal in group]
    blocks = [tuple(ordered[at : at + size]) for at in range(0, len(ordered), size)]
    return [Task(block, _files_of(block, files), again) for block in blocks]


def _files_of(block: Sequence[int], files: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for ordinal in block for name in files.get(ordinal, ())))
