"""Small datasets on disk for the tests of the report: real tables with rows made up by a test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raygen.core.row import ColumnType
from raygen.dataset.commit import Committer
from raygen.dataset.records import Call, RejectedRow, RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from raygen.planning.plan import Node, Plan
from raygen.recipe.schema import SourceSpec
from raygen.sources import key_source
from tests.support.plans import fake_spec, node, plan

COLUMNS: Mapping[str, ColumnType] = {
    "question": "string",
    "choices": "strings",
    "answer": "integer",
    "rationale": "string",
    "view": "string",
    "original": "string",
    "votes": "json",
    "agreement": "number",
}
ESTIMATE = {
    "rows": 4, "examples": 8.0, "seconds": None, "dollars": None, "calls": 4, "prompt_tokens": 40,
    "output_tokens": 80, "notes": [], "engines": {},
    "nodes": {
        "think": {"rows_in": 4.0, "rows_out": 8.0, "calls": 4.0, "output_tokens": 80.0},
        "right": {"rows_in": 8.0, "rows_out": 8.0, "calls": 0.0, "output_tokens": 0.0},
    },
}  # fmt: skip


def row(text: str, **changes: Any) -> dict[str, Any]:
    """A source row."""
    return {"question": text, "choices": ["in a pond", "in the sky"], "answer": 0, **changes}


def write_dataset(
    folder: Path,
    sources: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]] = (),
    said: str = "Because of water.",
    reject: tuple[str, str] = ("wrong_answer", "not (predicted == answer)"),
) -> str:
    """A dataset of two nodes. Every source row but the last is kept, with the examples, which
    change its columns; of each one rationale was dropped. The last source row is dropped."""
    folder.mkdir(parents=True)
    there = Folder.at(folder)
    rows = folder.with_name(f"{folder.name}.jsonl")
    rows.write_text("".join(json.dumps(source) + "\n" for source in sources))
    made = made_plan()
    keyed = key_source(SourceSpec(path=rows.name), made.task, folder.parent, there)
    examples = examples or [{"rationale": "Fish need water.", "view": "positive"}]
    results = [
        _result(key, data, () if index == keyed.total - 1 else examples, said, reject)
        for index, (key, data) in enumerate(keyed.read(range(keyed.total)))
    ]
    committer = Committer(there, made.hash, COLUMNS, "run-1")
    committer.start({"source": keyed.total, "source_file": keyed.name})
    committer.commit([write_block(there, results, made.hash, COLUMNS)])
    committer.finish("end")
    written = {**made.to_json(), "estimate": ESTIMATE}
    (folder / "plan.json").write_text(json.dumps(written))
    return str(folder)


def made_plan() -> Plan:
    nodes: list[Node] = [
        node("think", "sample_rationales", n=2),
        node("right", "filter", "think", where="predicted == answer", reason="wrong_answer"),
    ]
    return plan(nodes, ("right",), fake_spec(), COLUMNS)


def _result(
    key: str,
    data: Mapping[str, Any],
    examples: Sequence[Mapping[str, Any]],
    said: str,
    reject: tuple[str, str],
) -> RowResult:
    base = {name: data[name] for name in ("question", "choices", "answer")}
    call = Call(
        f"call-{key}", "think", key, "teacher", "fake", None, "generate", "Why?", "{}",
        json.dumps([{"text": said}]), 10, 20, 0.5,
    )  # fmt: skip
    counts = {
        "think": (1, len(examples) + 1, 0),
        "right": (len(examples) + 1, len(examples), 1),
    }
    return RowResult(
        key=key,
        status="kept" if examples else "dropped",
        examples=tuple(
            {"id": f"{key}-{k}", "node": "right", **base, **example}
            for k, example in enumerate(examples)
        ),
        rejects=(RejectedRow("right", *reject),),
        calls=(call,),
        error=None,
        seconds=0.5,
        node_counts=counts,
    )
