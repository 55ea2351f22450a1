"""Jobs and tasks: what a worker process needs to run its share of a plan, small enough to send.

Knows how rows are cut into blocks and how many are in flight; knows nothing of who runs them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil

from huggingface_hub import get_token

from raygen.dataset import Folder, TranscriptFile
from raygen.engines import endpoint_args
from raygen.planning import Plan

_BLOCK_ROWS = 64
_BLOCKS_PER_ACTOR = 16
_LARGEST_BLOCK = 512
_BLOCKS_A_SIZE = 4
"""Blocks of an actor before they double, up to the largest."""


@dataclass(frozen=True, slots=True)
class RowBlock:
    """One block of source rows, by their ordinals in the keyed copy.

    `files` are the transcripts that may have their calls, those of this dataset first, and the
    newest of each. `retry`: the rows failed before, and their status is now final.
    """

    ordinals: tuple[int, ...]
    files: tuple[TranscriptFile, ...] = ()
    retry: bool = False


@dataclass(frozen=True, slots=True)
class GenerationJob:
    """A plan bound to an output folder and a keyed copy of its source.

    `concurrency` is the rows in flight per actor, `threads` the CPU threads of its engines, and
    `probe` a file that each actor must see. `secrets` are environment variables for its process,
    `others` the datasets whose recorded calls are read besides its own.
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
    others: tuple[Folder, ...] = ()

    @property
    def gpus(self) -> int:
        """GPUs that one actor holds: the sum over its engines."""
        return sum(spec.gpus for spec in self.plan.engines.values())

    def shared(self, devices: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Give each engine of an actor its own devices, in the order of the recipe."""
        at = 0
        for name, spec in self.plan.engines.items():
            yield name, tuple(devices[at : at + spec.gpus])
            at += spec.gpus

    @property
    def blocks_in_flight(self) -> int:
        """Blocks that an actor may hold: where they are small, as many as make `rows_held`."""
        return max(2 * _BLOCKS_PER_ACTOR, ceil(self.rows_held / _BLOCK_ROWS))

    @property
    def rows_held(self) -> int:
        """Rows from which an actor takes no more blocks: those that run, twice as many waiting."""
        return 3 * self.concurrency


def secrets_of(plan: Plan) -> dict[str, str]:
    """Collect the user's keys and tokens that the plan's engines may need."""
    secrets: dict[str, str | None] = {}
    for spec in plan.engines.values():
        if (args := endpoint_args(spec)) is not None:
            secrets |= {name: os.environ.get(name) for name in args.variables}
        elif spec.backend in ("vllm", "transformers") and not spec.anonymous:
            secrets["HF_TOKEN"] = get_token()
    return {name: value for name, value in secrets.items() if value}


def split_into_blocks(
    ordinals: Sequence[int],
    actors: int,
    files: Mapping[int, tuple[TranscriptFile, ...]] | None = None,
    *,
    most: int | None = None,
    retry: bool = False,
) -> list[RowBlock]:
    """Cut pending rows into blocks small enough that rows come out while others still run.

    Args:
        ordinals: the rows, by their positions in the keyed copy.
        actors: how many take blocks.
        files: transcript files by row; rows that share some stay together, so few workers read it.
        most: the most blocks there may be.
        retry: whether the rows failed before.
    """
    files = files or {}
    sizes = list(_block_sizes(len(ordinals), actors))
    if most and len(sizes) > most:
        size = ceil(len(ordinals) / most)
        sizes = [size] * ceil(len(ordinals) / size)
    by_file: dict[tuple[TranscriptFile, ...], list[int]] = {}
    for ordinal in ordinals:
        by_file.setdefault(files.get(ordinal, ())[:1], []).append(ordinal)
    ordered = [ordinal for group in by_file.values() for ordinal in group]
    ends = list(accumulate(sizes))
    blocks = [tuple(ordered[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return [RowBlock(block, _files_of(block, files), retry) for block in blocks]


def _block_sizes(rows: int, actors: int) -> Iterator[int]:
    """Yield the sizes of the blocks that so many rows are cut into.

    A block is one file each of examples and transcripts, so a large source needs large blocks; but
    a row comes out only when its block ends. So the sizes rise, and fall again:

        64 64 64 64 | 128 x 4 | 256 x 4 | 512 512 ... 512 | 481 451 ... 64 64 64   (one actor)
        rows come out early               files are few      no actor is long alone at the end

    Of up to 1,024 rows for each actor all blocks have the same size, up to 64.
    """
    least = min(_BLOCK_ROWS, max(1, ceil(rows / (actors * _BLOCKS_PER_ACTOR))))
    made = 0
    while rows:
        grown = min(_LARGEST_BLOCK, least << min(made // (_BLOCKS_A_SIZE * actors), 10))
        share = ceil(rows / (actors * _BLOCKS_PER_ACTOR))
        size = min(rows, max(least, min(grown, share)))
        yield size
        rows -= size
        made += 1


def _files_of(
    block: Sequence[int], files: Mapping[int, tuple[TranscriptFile, ...]]
) -> tuple[TranscriptFile, ...]:
    return tuple(dict.fromkeys(name for ordinal in block for name in files.get(ordinal, ())))
