"""The closing summary: its figures, its exit code, its commands, and 80 columns."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from raygen.runtime.counts import RejectCount
from raygen.runtime.endings import Outcome
from raygen.trainer.metrics import Accuracy, TrainerState
from raygen.views.summary import RunSummary, next_commands, render_summary, to_json, top_rejects

SUMMARY = RunSummary(
    recipe="quickstart",
    reference="recipes/quickstart.yaml",
    again="recipes/quickstart.yaml --out out/quickstart",
    plan="9f2c",
    dataset="out/quickstart",
    log="out/quickstart/logs/run.log",
    outcome="done",
    source=64,
    kept=50,
    dropped=13,
    failed=1,
    pending=0,
    examples=97,
    prompt_tokens=5432,
    output_tokens=12345,
    seconds=185.2,
    rejects=(RejectCount("correct", "wrong_answer", 80), RejectCount("correct", "unparsed", 9)),
)
TRAINED = replace(
    SUMMARY,
    trainer=TrainerState(
        phase="finished", step=30, before=Accuracy(12, 48), after=Accuracy(24, 48, 2),
        first_step=5.0, trained_while_generating=True, checkpoint="c-30", finished=True,
    ),
    lead_s=84.4,
    student="out/quickstart/student",
)  # fmt: skip


def test_repeats_that_were_left_out_are_counted() -> None:
    (line,) = (line for line in text_of(replace(SUMMARY, left_out=3)) if line.startswith("rows"))
    assert line.endswith("0 pending; 3 repeats left out")
    assert not any("left out" in line for line in text_of(SUMMARY))
    assert to_json(replace(SUMMARY, left_out=3))["rows"]["left_out"] == 3


def test_thoughts_are_counted_apart_in_tokens_and_money() -> None:
    thought = replace(SUMMARY, dollars=2.0, thinking_tokens=9000, thinking_dollars=1.5)
    (line,) = (line for line in text_of(thought) if line.startswith("thoughts"))
    assert "9,000 tokens out so far, $1.50" in line
    assert to_json(thought)["thinking"] == {"tokens": 9000, "dollars": 1.5}
    assert not any(line.startswith("thoughts") for line in text_of(SUMMARY))


def test_verdicts_are_counted() -> None:
    counted = replace(SUMMARY, reports={"correct_differs": {"False": 90, "True": 7}})
    assert any(line.endswith("correct_differs: False 90, True 7") for line in text_of(counted))
    assert to_json(counted)["reports"] == {"correct_differs": {"False": 90, "True": 7}}


def text_of(summary: RunSummary) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(render_summary(summary), crop=False)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_finished_run_with_a_student() -> None:
    assert text_of(TRAINED) == [
        "",
        "Done: quickstart, in 3 min 5 s",
        "rows      64 in: 50 kept, 13 dropped, 1 failed, 0 pending",
        "rejects   80 at correct: wrong_answer",
        "          9 at correct: unparsed",
        "examples  97",
        "tokens    5,432 in, 12,345 out",
        "student   30 steps, out/quickstart/student",
        "before    accuracy 25.0 % (12 of 48, 95 % interval 15 to 39 %)",
        "after     accuracy 50.0 % (24 of 48, 95 % interval 36 to 64 %), 2 not parsed",
        "          trained while generating: first step 1 min 24 s before the last row",
        "dataset   out/quickstart",
        "log       out/quickstart/logs/run.log",
        "",
        "Next:",
        "  # the examples as a table",
        "  python -c 'import polars; print(polars.read_delta(\"out/quickstart/examples\"))'",
        "  # runs the failed rows once more, and what is left",
        "  raygen apply recipes/quickstart.yaml --out out/quickstart --retry failed",
        "  # what has come of every row",
        "  raygen status out/quickstart",
    ]


def test_addresses_of_curves_dashboard_and_metrics() -> None:
    url = "http://10.0.0.1:8265"
    seen = replace(TRAINED, curves="out/a b/tensorboard", dashboard=url, metrics=f"{url}/api/sd")
    lines = text_of(seen)
    assert "curves     tensorboard --logdir 'out/a b/tensorboard'" in lines
    assert "dashboard  http://10.0.0.1:8265" in lines
    assert "metrics    http://10.0.0.1:8265/api/sd (Prometheus finds the nodes by it)" in lines
    assert to_json(seen)["dashboard"] == url
    assert to_json(seen)["student"]["tensorboard"] == "out/a b/tensorboard"
    assert to_json(TRAINED)["metrics"] is None


def test_a_run_without_training_mentions_no_student() -> None:
    text = "\n".join(text_of(SUMMARY))
    assert "accuracy" not in text
    assert "streamtrain fit student.yaml --data out/quickstart" in text
    assert to_json(SUMMARY)["student"] is None


def test_a_lead_that_is_not_positive_claims_nothing() -> None:
    late = replace(TRAINED, lead_s=-3.0)
    assert not any("trained while generating" in line for line in text_of(late))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("done", 0), ("stopped", 0), ("interrupted", 1), ("too_many_failed", 3), ("failed", 1)],
)
def test_exit_codes(outcome: Outcome, code: int) -> None:
    assert replace(SUMMARY, outcome=outcome).exit_code == code


def test_a_failed_training_fails_the_run_and_is_shown() -> None:
    failed = replace(TRAINED, trainer=TrainerState(phase="failed", error="no such model"))
    assert failed.exit_code == 1
    assert "student   training failed: no such model" in text_of(failed)
    assert text_of(failed)[1].startswith("Generated, but the training failed: quickstart")
    again = "raygen apply recipes/quickstart.yaml --out out/quickstart"
    assert next_commands(failed)[0] == (again, "trains the student on what is there")


def test_what_looks_like_markup_is_shown_as_it_is() -> None:
    odd = replace(SUMMARY, rejects=(RejectCount("n", "[bold]x[/bold]", 2),))
    assert "rejects   2 at n: [bold]x[/bold]" in text_of(odd)


def test_an_unfinished_run_says_why_and_how_to_go_on() -> None:
    stopped = replace(SUMMARY, outcome="failed", pending=5, message="the endpoint is gone")
    lines = text_of(stopped)
    assert lines[1:3] == ["Failed: quickstart, in 3 min 5 s", "the endpoint is gone"]
    assert "  raygen apply recipes/quickstart.yaml --out out/quickstart" in lines


def test_three_commands_are_suggested_with_quoted_paths() -> None:
    spaced = replace(SUMMARY, failed=0, examples=0, dataset="my out", reference="'a b.yaml'")
    ended = [replace(SUMMARY, outcome=outcome) for outcome in ("failed", "too_many_failed")]
    for summary in (SUMMARY, TRAINED, *ended, spaced):
        commands = [command for command, _ in next_commands(summary)]
        assert len(set(commands)) == 3
        assert all(shlex.split(command) for command in commands)
    assert "raygen report 'my out'" in commands


def test_polars_is_named_only_where_it_finds_the_tables() -> None:
    spaced = replace(SUMMARY, dataset="out/my work")
    assert any("read_delta" in command for command, _ in next_commands(SUMMARY))
    assert not any("read_delta" in command for command, _ in next_commands(spaced))


def test_reused_calls_and_costs_are_shown_where_there_are_any() -> None:
    lines = text_of(replace(SUMMARY, reused=128, saved_tokens=9000, dollars=1.234))
    assert "reused    128 calls, 9,000 tokens saved" in lines
    assert "paid      $1.23 for this dataset so far" in lines
    assert not any(line.startswith(("reused", "paid")) for line in text_of(SUMMARY))
    answer = to_json(replace(SUMMARY, reused=128, saved_tokens=9000, dollars=1.5))
    assert (answer["reused"], answer["dollars"]) == ({"calls": 128, "tokens": 9000}, 1.5)


def test_rejects_are_listed_most_frequent_first() -> None:
    rejects = [RejectCount("n", f"r{i}", i) for i in range(9)]
    assert [reject.count for reject in top_rejects(rejects)] == [8, 7, 6, 5, 4]


def test_json_carries_every_figure() -> None:
    answer = json.loads(json.dumps(to_json(TRAINED)))
    assert answer["rows"] == {
        "source": 64, "kept": 50, "dropped": 13, "failed": 1, "pending": 0, "left_out": 0
    }  # fmt: skip
    assert answer["tokens"] == {"prompt": 5432, "output": 12345}
    assert answer["rejects"][1] == {"node": "correct", "reason": "unparsed", "count": 9}
    assert answer["student"]["before"]["correct"] == 12
    assert answer["student"]["after"]["interval"][1] == pytest.approx(0.636, abs=1e-3)
    assert answer["student"]["first_step_before_last_row_s"] == 84.4
    assert len(answer["next"]) == 3


def test_a_long_command_is_not_wrapped() -> None:
    deep = replace(SUMMARY, dataset="out" + "/deep" * 30)
    assert any(line.endswith("deep/examples\"))'") for line in text_of(deep))


def test_paths_are_shown_from_the_working_directory() -> None:
    summary = replace(
        TRAINED, dataset="/home/me/out", log="/var/log", student="/home/me/out/student"
    )
    near = summary.relative_to(Path("/home/me"))
    assert (near.dataset, near.log, near.student) == ("out", "/var/log", "out/student")
    remote = replace(SUMMARY, dataset="s3://bucket/x")
    assert remote.relative_to(Path("/home/me")).dataset == "s3://bucket/x"


def test_answers_that_are_often_cut_off_are_said() -> None:
    cut = replace(SUMMARY, cut={"why": (40, 12)})
    words = "12 of 40 answers at why, by its max_tokens; raise it"
    assert any(line.startswith("cut off") and line.endswith(words) for line in text_of(cut))
    assert to_json(cut)["cut"] == {"why": {"answers": 40, "cut": 12}}
    assert not any("cut off" in line for line in text_of(SUMMARY))
