"""`raygen apply` on Ray with real vLLM inside its actors, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.integration.conftest import Project

SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@pytest.mark.slow
def test_vllm_in_an_actor_answers_every_row(project: Project, tiny_model: Path) -> None:
    args = {"max_num_seqs": 16, "max_model_len": 256}
    ask = {"op": "generate", "engine": "tiny", "temperature": 1.0, "truncated": "keep"}
    graph = {
        "said": {**ask, "from": "source", "prompt": "{{ question }}", "into": "said", "n": 3,
                 "max_tokens": 12},
        "judged": {**ask, "from": "said", "prompt": "{{ said }}", "into": "verdict",
                   "max_tokens": 24, "schema": SCHEMA},
    }  # fmt: skip
    project.write(
        10,
        engines={"tiny": {"model": str(tiny_model), "args": args}},
        graph=graph,
        output={"from": "judged", "path": "out"},
    )
    summary = project.apply()
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    examples = project.examples()
    assert 0 < len(examples) <= 30
    assert {type(json.loads(verdict)["ok"]) for verdict in examples["verdict"]} == {bool}
    calls = pl.read_delta(str(project.out / "transcripts"))
    asked = calls.filter(pl.col("node") == "said")
    assert len(asked) == 10, "three samples are one call"
    texts = [[c["text"] for c in json.loads(answers)] for answers in asked["completions"]]
    assert all(len(set(of_row)) > 1 for of_row in texts)
    log = "".join(path.read_text() for path in (project.out / "logs").glob("worker-*.log"))
    assert "vllm" in log.lower(), "the engine's chatter is in the log file"


def test_a_model_that_cant_be_loaded_is_one_message(project: Project, tmp_path: Path) -> None:
    empty = tmp_path / "no-model"
    empty.mkdir()
    graph = {"said": {"op": "generate", "from": "source", "engine": "tiny",
                      "prompt": "{{ question }}", "into": "said"}}  # fmt: skip
    project.write(
        4,
        engines={"tiny": {"model": str(empty)}},
        graph=graph,
        output={"from": "said", "path": "out"},
    )
    summary = project.apply(code=2)
    assert str(empty) in (summary.get("message") or summary["error"])
