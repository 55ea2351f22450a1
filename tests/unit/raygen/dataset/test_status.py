from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.dataset.batches import BatchLog, SentBatch
from raygen.dataset.commit import Committer
from raygen.dataset.reader import Dataset, content_hash
from raygen.dataset.records import RowResult
from raygen.dataset.status import make_status
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from tests.support.dataset_records import block, committer
from tests.support.generated import fewer_examples
from tests.support.stored_plans import stored_plan


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path / "out")


def test_every_source_row_is_accounted_for(folder: Folder) -> None:
    run = committer(folder, source=10)
    run.commit(
        [
            block(folder, ["a", "b"]),
            block(folder, ["c"], status="dropped"),
            block(folder, ["d"], status="failed"),
        ]
    )
    status = Dataset.open(folder).status()
    assert (status.source, status.kept, status.dropped, status.failed, status.pending) == (
        *(10, 2, 1, 1),
        6,
    )
    assert (status.examples, status.calls) == (4, 4)
    assert (status.prompt_tokens, status.output_tokens) == (40, 20)
    assert status.rejects == (("think", "wrong_answer", 4),)
    assert status.errors == (("boom", 1),)
    assert status.nodes == {"think": (4, 8, 4)}
    assert status.ended is None
    run.finish("end")
    assert Dataset.open(folder).status().ended == "end"


def test_a_ledger_of_format_1_can_still_be_counted(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    lines = Dataset(folder).ledger().collect().drop("reused", "saved_tokens", "retryable")
    record = {"plan": "plan-a", "run": "run-1", "meta": {"source": 1}}
    status = make_status(lines, record, None)
    assert (status.kept, status.reused, status.saved_tokens, status.paid) == (1, 0, 0, {})


def test_reported_columns_are_counted_and_the_estimate_is_read_back(folder: Folder) -> None:
    run = committer(folder, source=3)
    run.commit([block(folder, ["a", "b"])])
    status = Dataset.open(folder).status()
    assert (status.reports, status.planned, status.wall) == ({}, None, None)
    written = {
        **stored_plan("plan-a", "think", columns={"answer": "integer"}),
        "estimate": {"rows": 3},
    }
    written["nodes"][0]["reports"] = ["answer", "absent"]
    folder.write_text("plan.json", json.dumps(written))
    status = Dataset.open(folder).status()
    assert status.reports == {"answer": {"A": 4}}
    assert status.planned == {"rows": 3}
    assert status.wall is not None
    assert status.wall >= 0
    folder.write_text("plan.json", json.dumps({**written, "labels": ["no", "yes"]}))
    assert Dataset.open(folder).status().reports == {"answer": {"no": 4}}
    folder.write_text("plan.json", json.dumps({**written, "estimate": {}}))
    assert Dataset.open(folder).status().planned is None
    folder.write_text("plan.json", json.dumps({**written, "hash": "plan-b"}))
    assert Dataset.open(folder).status().reports == {}


@pytest.mark.parametrize(("jump_s", "least", "most"), [(-3600, 0, 60), (3600, 3600, 3660)])
def test_a_clock_that_is_set_during_a_run_never_makes_its_time_negative(
    folder: Folder, jump_s: int, least: float, most: float
) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    run.commit([block(folder, ["b"])])
    log = Path(folder.uri, "rows", "_delta_log", f"{3:020d}.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] += 1000 * jump_s
    log.write_text("\n".join(map(json.dumps, actions)))
    assert least <= Dataset.open(folder).wall_seconds("plan-a") <= most
    assert Dataset.open(folder).status().kept == 2


def test_it_is_json(folder: Folder) -> None:
    run = committer(folder, source=1)
    run.commit([block(folder, ["a"])])
    status = json.loads(json.dumps(Dataset(folder).status().to_json()))
    assert status["rejects"] == [{"node": "think", "reason": "wrong_answer", "count": 1}]
    assert status["pending"] == 0


def test_a_started_run_has_all_rows_pending(folder: Folder) -> None:
    committer(folder, source=7)
    status = Dataset(folder).status()
    assert (status.pending, status.kept, status.examples) == (7, 0, 0)


def test_rows_of_an_older_plan_do_not_count(folder: Folder) -> None:
    committer(folder, source=3).commit([block(folder, ["a", "b"])])
    committer(folder, "run-2", "plan-b", source=3)
    status = Dataset(folder).status()
    assert (status.plan, status.kept, status.pending) == ("plan-b", 0, 3)


@fewer_examples(6)
@given(done=st.sets(st.sampled_from("abcdef"), min_size=1), left=st.sets(st.sampled_from("abcdef")))
def test_the_sum_holds_when_rows_leave_the_source(
    tmp_path_factory: pytest.TempPathFactory, done: set[str], left: set[str]
) -> None:
    folder = Folder.at(tmp_path_factory.mktemp("out"))
    run = committer_with_source(folder, len(left))
    (Path(folder.uri) / "source").mkdir()
    keys = pa.table({"key": pa.array(sorted(left), pa.string())})
    pq.write_table(keys, folder.join("source/keys.parquet"))
    run.commit([block(folder, sorted(done))])
    status = Dataset(folder).status()
    assert status.kept + status.dropped + status.failed + status.pending == len(left)
    assert status.kept == len(done & left)
    assert status.outside == len(done - left)


def committer_with_source(folder: Folder, rows: int) -> Committer:
    run = Committer(folder, "plan-a", {"question": "string"}, "run-1")
    run.start({"source": rows, "source_file": "source/keys.parquet"})
    return run


def test_the_content_hash_is_of_what_examples_hold_and_not_of_their_order(tmp_path: Path) -> None:
    def content(name: str, texts: dict[str, str]) -> str:
        folder = Folder.at(tmp_path / name)
        committer = Committer(folder, "plan-1", {"rationale": "string"}, "run-1")
        committer.start({"source": len(texts)})
        for key, text in texts.items():
            example = {"id": f"id-{key}", "node": "n", "rationale": text}
            row = RowResult(key, "kept", (example,), (), (), None, 0.0, {})
            committer.commit([write_block(folder, [row], "plan-1", {"rationale": "string"})])
        return Dataset.open(folder).content_hash("plan-1")

    first = content("first", {"a": "one", "b": "two"})
    assert content("turned", {"b": "two", "a": "one"}) == first
    assert content("changed", {"a": "one", "b": "three"}) != first


def test_the_content_hash_takes_in_every_batch() -> None:
    rows = [{"id": f"id-{k}", "rationale": f"text {k}"} for k in range(10_000)]
    frame = pl.DataFrame(rows)
    first = content_hash(frame.lazy())
    assert content_hash(frame.reverse().lazy()) == first
    assert content_hash(frame[:-1].lazy()) != first
    moved = [{**rows[0], "rationale": rows[1]["rationale"]},
             {**rows[1], "rationale": rows[0]["rationale"]}, *rows[2:]]  # fmt: skip
    assert content_hash(pl.DataFrame(moved).lazy()) != first


def test_batches_that_were_sent_are_shown(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    sent = SentBatch("ab" * 16, "teacher", "http://x", "/chat/completions", "m", ("p", "q"), 1e9)
    BatchLog(folder).write(replace(sent, id="batch-1", state="waiting", answered=1))
    BatchLog(folder).write(replace(sent, name="cd" * 16, id="batch-0", state="ended"))
    status = Dataset.open(folder).status()
    assert [batch["requests"] for batch in status.to_json()["batches"]] == [2, 2]
    run.finish("end")
    committer(folder, "run-2")
    assert len(BatchLog(folder).read()) == 2, "a start leaves them alone"
