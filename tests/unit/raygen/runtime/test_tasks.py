"""Cutting pending rows into blocks, and what travels with a job."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.dataset.storage import Folder
from raygen.engines.base import EngineSpec
from raygen.planning.resources import rows_in_flight
from raygen.runtime.tasks import GenerationJob, secrets_of, split_into_blocks
from tests.support.plans import fake_spec, node, plan

ASK = node("ask", "generate", prompt="{{ question }}", into="text")


@given(st.lists(st.integers(), max_size=300), st.integers(1, 8))
def test_blocks_hold_every_row_once_in_order(ordinals: list[int], actors: int) -> None:
    tasks = split_into_blocks(ordinals, actors)
    assert [ordinal for task in tasks for ordinal in task.ordinals] == ordinals
    assert all(1 <= len(task.ordinals) <= 64 for task in tasks), "as of so few rows"


def test_few_rows_are_still_several_blocks_so_that_they_come_out_early() -> None:
    assert len(split_into_blocks(range(64), 1)) == 16


@pytest.mark.parametrize(
    ("rows", "actors", "most"),
    [(1_000, 1, 16), (10_000, 1, 70), (100_000, 1, 260), (10**6, 8, 2600)],
)
def test_blocks_grow_with_the_source_so_that_files_stay_few(
    rows: int, actors: int, most: int
) -> None:
    sizes = [len(task.ordinals) for task in split_into_blocks(range(rows), actors)]
    assert sum(sizes) == rows
    assert len(sizes) <= most
    assert max(sizes) <= 512


def test_the_first_and_the_last_blocks_of_a_large_source_are_small() -> None:
    """The first so that rows come out early, the last so that no actor is long alone."""
    sizes = [len(task.ordinals) for task in split_into_blocks(range(100_000), 2)]
    assert set(sizes[:8]) == {64}
    assert sizes[8:16] == [128] * 8
    assert all(size <= 64 for size in sizes[-16:])
    assert sizes.count(512) > 100


def test_rows_that_share_a_transcript_stand_together() -> None:
    files = {0: ("new", "old"), 1: ("other",), 2: ("new",), 4: ("other", "old")}
    (task,) = split_into_blocks(range(5), 1, files, most=1)
    assert task.ordinals == (0, 2, 1, 4, 3)
    assert task.files == ("new", "old", "other")
    assert not task.retry
    blocks = split_into_blocks(range(5), 1, files, retry=True)
    assert [block.files for block in blocks] == [*files_of(files, 0, 2, 1, 4), ()]
    assert all(block.retry for block in blocks)


def test_each_engine_of_an_actor_has_its_own_devices() -> None:
    engines = {"a": EngineSpec("a", "m", gpus=2), "b": EngineSpec("b", "m"),
               "c": EngineSpec("c", "m", gpus=1)}  # fmt: skip
    three = replace(plan([ASK], ("ask",)), engines=engines)
    job = GenerationJob(three, Folder.at("out"), "source", "probe", (1, 1), 1, 1, "logs")
    assert dict(job.shared(["3", "4", "5"])) == {"a": ("3", "4"), "b": (), "c": ("5",)}
    assert job.gpus == 3


def files_of(files: dict[int, tuple[str, ...]], *ordinals: int) -> list[tuple[str, ...]]:
    return [files[ordinal] for ordinal in ordinals]


@given(st.integers(0, 5000), st.integers(1, 40))
def test_there_are_no_more_blocks_than_requested(rows: int, most: int) -> None:
    tasks = split_into_blocks(range(rows), 2, most=most)
    assert len(tasks) <= most
    assert [ordinal for task in tasks for ordinal in task.ordinals] == list(range(rows))


def test_an_actor_holds_the_rows_that_run_and_twice_as_many_that_wait() -> None:
    of = plan([ASK], ("ask",), fake_spec("x"))
    job = GenerationJob(of, Folder.at("out"), "source/x", "probe", (1, 1), 512, 2, "logs")
    assert job.rows_held == 3 * 512
    assert job.blocks_in_flight * 64 >= job.rows_held
    assert replace(job, concurrency=1).blocks_in_flight >= len(split_into_blocks(range(20), 1))


def test_rows_in_flight_follow_the_backend() -> None:
    assert rows_in_flight(plan([ASK], ("ask",), fake_spec("x"))) == 512
    vllm = EngineSpec("teacher", "m")
    assert rows_in_flight(plan([ASK], ("ask",), vllm)) == 256


def test_keys_travel_but_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-planted")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    spec = EngineSpec("teacher", "m", backend="openai", args={"api_key_env": "MY_KEY"})
    of = plan([ASK], ("ask",), spec)
    job = GenerationJob(
        of, Folder.at("out"), "source/x", "probe", (1, 1), 8, 2, "logs", secrets=secrets_of(of)
    )
    assert job.secrets == {"MY_KEY": "sk-planted"}
    assert "sk-planted" not in repr(job)


def test_a_gated_models_token_travels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    of = plan([ASK], ("ask",), EngineSpec("teacher", "org/gated"))
    assert secrets_of(of) == {"HF_TOKEN": "hf_planted"}
    of = plan([ASK], ("ask",), EngineSpec("teacher", "org/gated", anonymous=True))
    assert secrets_of(of) == {}, "a stranger names it"
