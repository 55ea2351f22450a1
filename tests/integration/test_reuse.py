"""`raygen apply` on real Ray: edits, retries, budgets and quotas pay only for what they need."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.integration.conftest import Project, fake, kill

SLOW = "profile: slow\nconcurrency: 4\n"


def two_steps(second: str, where: str = "true") -> dict[str, Any]:
    """A graph of two calls per row, the second of which reads what the first wrote."""
    ask = {"op": "generate", "engine": "teacher"}
    return {
        "first": {**ask, "from": "source", "prompt": "{{ question }}", "into": "one"},
        "second": {**ask, "from": "first", "prompt": second, "into": "two"},
        "chosen": {"op": "filter", "from": "second", "where": where, "reason": "unwanted"},
    }


def transcripts(project: Project) -> pl.DataFrame:
    return pl.read_delta(str(project.out / "transcripts"))


def profile(project: Project) -> tuple[str, str]:
    path = project.folder / "slow.yaml"
    path.write_text(SLOW)
    return "--profile", str(path)


OUTPUT = {"from": "chosen", "path": "out", "max_failed": 0.5}


def test_an_edit_pays_only_for_its_step_also_when_killed(project: Project) -> None:
    project.write(
        40, engines={"teacher": fake("old")}, graph=two_steps("Then {{ one }}"), output=OUTPUT
    )
    project.apply()
    # The engine's answers are no part of the plan: an old one is an answer from the record.
    engines = {"teacher": fake("new", latency=0.25)}
    project.write(40, engines=engines, graph=two_steps("So {{ one }}"), output=OUTPUT)
    process = project.start(*profile(project))
    project.wait_for(lambda: 0 < len(project.ledger()) < 40, process)
    kill(process)
    assert project.status()["pending"] > 0
    last = project.apply()
    assert last["rows"]["kept"] == 40
    examples = project.examples()
    assert set(examples["one"]) == {"old"}
    assert set(examples["two"]) == {"new"}
    calls = transcripts(project)
    assert set(calls.filter(pl.col("reused"))["node"]) == {"first"}
    assert set(calls.filter(~pl.col("reused"))["node"]) == {"second"}
    assert len(calls) == 80
    status = project.status()
    assert (status["calls"], status["reused"]) == (80, 40)
    assert examples["id"].is_unique().all()


@pytest.mark.slow
def test_failed_rows_are_tried_again_and_pay_only_for_what_failed(project: Project) -> None:
    retryable = {"match": "^Then 3", "reply": [{"error": "bad_response", "times": 1}]}
    lasting = {"match": "^Then [57]", "reply": [{"error": "bad_response"}]}
    first = {"match": r"^Question (\d)", "reply": "fine"}
    graph = two_steps("Then {{ question[9:10] }} {{ one }}")
    engines = {"teacher": fake(retryable, lasting, first, "done")}
    project.write(10, engines=engines, graph=graph, output=OUTPUT)
    summary = project.apply()
    assert (summary["rows"]["kept"], summary["rows"]["failed"]) == (8, 2)
    ledger = project.ledger()
    assert len(ledger) == 10
    assert ledger.filter(status="kept")["reused"].sum() == 1, "the row that passed"
    assert not ledger["retryable"].any()
    (error,) = {error["error"].split(":")[1].strip() for error in project.status()["errors"]}
    assert error == "bad_response"

    project.write(10, engines={"teacher": fake("mended")}, graph=graph, output=OUTPUT)
    mended = project.apply("--retry", "failed")
    assert mended["rows"]["kept"] == 10
    assert mended["reused"]["calls"] == 2
    assert project.examples()["one"].value_counts().sort("one").rows() == [("fine", 10)]
    assert len(project.ledger()) == 10


@pytest.mark.slow
def test_a_budget_stops_and_a_higher_one_goes_on(project: Project) -> None:
    engines = {"teacher": fake("four words of answer", latency=0.2)}
    project.write(60, engines=engines, graph=two_steps("Then {{ one }}"), output=OUTPUT)
    stopped = project.apply("--budget", "tokens=100", "--budget", "hours=1", *profile(project))
    assert stopped["outcome"] == "stopped"
    assert "the budget of 100 tokens is used up" in stopped["message"]
    raised = 2 * sum(map(sum, project.status()["paid"].values()))
    assert f"--budget tokens={raised}" in stopped["next"][0]
    status = project.status()
    assert status["ended"] == "stopped"
    assert 0 < status["pending"] < 60
    spent = sum(map(sum, status["paid"].values()))
    assert spent >= 100
    assert spent == status["prompt_tokens"] + status["output_tokens"]
    at_once = project.apply("--budget", "tokens=100")
    assert at_once["rows"] == stopped["rows"], "nothing runs on a budget that is used up"
    done = project.apply("--budget", "tokens=1e6")
    assert (done["outcome"], done["rows"]["pending"]) == ("done", 0)


@pytest.mark.slow
def test_a_quota_takes_the_first_of_each_class_and_replaces_what_fails(project: Project) -> None:
    labels = ["x", "y"]
    rows = "".join(f'{{"text": "Row {i}", "label": "{labels[i % 3 == 0]}"}}\n' for i in range(60))
    (project.folder / "texts.jsonl").write_text(rows)
    # Of ten rows those that end in 3, 4 or 6 are dropped.
    ask = {"op": "generate", "engine": "teacher", "prompt": "{{ text }}", "into": "out"}
    where = "out == 'good'"
    changes: dict[str, Any] = {
        "source": {"path": "texts.jsonl", "sample": {"seed": 3, "balance": "label"}},
        "task": "classification",
        "labels": labels,
        "engines": {"teacher": fake({"match": "[346]$", "reply": "bad"}, "good")},
        "graph": {
            "asked": {**ask, "from": "source"},
            "chosen": {"op": "filter", "from": "asked", "where": where, "reason": "bad"},
        },
    }
    project.write(1, **changes, output={**OUTPUT, "pairs": 5})
    summary = project.apply()
    assert summary["outcome"] == "done"
    examples = project.examples()
    assert sorted(examples["label"]) == ["x"] * 5 + ["y"] * 5
    assert summary["rows"]["pending"] > 30
    few = set(examples["id"])

    project.write(1, **changes, output={**OUTPUT, "pairs": 40})
    more = project.apply()
    assert more["outcome"] == "stopped"
    assert "the source has no more: x: 28, y: 14;" in more["message"]
    assert few < set(project.examples()["id"])
    assert more["rows"]["pending"] == 0
